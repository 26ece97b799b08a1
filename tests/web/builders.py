"""Rows for the pages' tests: the reference account, its snapshots, and plans in any state."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction

from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Route
from positions.models import (
    AnswerClass,
    Attempt,
    CleanupPlan,
    CloseOrder,
    Conversion,
    ExchangeAccount,
    Fill,
    Position,
    Snapshot,
    SnapshotStatus,
)
from positions.models.fields import rank_of
from positions.models.snapshots import columns_of
from positions.services import audit, drafts, policies, starts, stops
from positions.services.actors import Actor
from tests.domain.builders import make_holding, make_offer

D = Decimal
SCHEDULER = Actor.service("scheduler")

# asset, quantity, price: eight positions, six of them dust below $1.00; BNB pays the fees.
REFERENCE: tuple[tuple[str, str, str], ...] = (
    ("SOL", "0.15", "186.00"),
    ("BNB", "0.02", "620"),
    ("DOGE", "5", "0.182"),
    ("XRP", "0.25", "2.48"),
    ("ADA", "0.5", "0.66"),
    ("ONE", "10", "0.015"),
    ("SHIB", "5000", "0.000012"),
    ("PEPE", "5000", "0.000008"),
)
CASH = "184.20"


def person(name: str, *groups: str) -> User:
    """Return a user in these groups."""
    user = User.objects.create_user(name, password="pw")
    user.groups.add(*Group.objects.filter(name__in=groups))
    return user


def account(
    slug: str = "desk-one",
    *,
    now: datetime,
    environment: str = "sandbox",
    exchange: str = "binance",
    **changes: Any,
) -> ExchangeAccount:
    """Return an account with its first policy; its key works nowhere."""
    row = ExchangeAccount.objects.create(
        slug=slug,
        exchange=exchange,
        environment=environment,
        base_url="http://127.0.0.1:1",
        quote="USDT",
        credentials=b"none",
        key_fingerprint=uuid.uuid4().hex,
        created_at=now,
    )
    with transaction.atomic():
        policies.write_first(row, actor=SCHEDULER, now=now)
    if changes:
        policies.change(row, changes, actor=SCHEDULER, now=now)
    return row


def holding(
    asset: str, quantity: str, price: str | None, *, locked: str = "0", **facts: Any
) -> dict[str, Any]:
    """Return the fields of one position; without a price it has no market."""
    known: dict[str, Any] = {
        "step_size": "0.00001",
        "min_quantity": "0.00001",
        "min_notional": "0.01",
    }
    if price is None:
        known |= {
            "quote": None,
            "price_problem": "It has no market here: delisted, or never listed.",
        }
    free = str(D(quantity) - D(locked))
    return columns_of(make_holding(asset, free=free, locked=locked, price=price, **(known | facts)))


def reference(*, pepe_locked: bool = False) -> list[dict[str, Any]]:
    """Return the reference case's holdings."""
    rows = [
        holding(asset, quantity, price, locked=quantity if pepe_locked and asset == "PEPE" else "0")
        for asset, quantity, price in REFERENCE
    ]
    return [*rows, holding("USDT", CASH, "1", quote=None)]


def small_balances() -> list[dict[str, Any]]:
    """Return two assets that the exchange converts into BNB, one to be sold, and three stuck."""
    too_small = {"min_notional": "5"}
    return [
        holding("SOL", "0.15", "186.00"),
        holding("BNB", "0.02", "620"),
        holding(
            "DOGE",
            "4",
            "0.182",
            **too_small,
            offer=make_offer("DOGE", quantity="4", gross="0.00116", fee="0.0000232"),
        ),
        holding(
            "ONE",
            "3",
            "0.015",
            **too_small,
            offer=make_offer("ONE", quantity="3", gross="0.00006", fee="0.0000012"),
        ),
        holding("ADA", "0.5", "0.66"),
        holding("FTT", "0.3", "2.10", active=False),
        holding("KNC", "0.2", "0.50", **too_small),
        holding("NFTY", "250", None),
        holding("USDT", CASH, "1", quote=None),
    ]


def snapshot(
    of: ExchangeAccount,
    *,
    at: datetime,
    holdings: Iterable[dict[str, Any]] | None = None,
    **facts: Any,
) -> Snapshot:
    """Return a good snapshot of the account; BNB, which conversions become, is worth $620."""
    row = Snapshot.objects.create(
        account=of,
        status=SnapshotStatus.GOOD,
        asked_at=at,
        taken_at=at,
        anchor=of.quote,
        trigger="scheduler",
        **({"prices": {"BNB": "620"}} | facts),
    )
    Position.objects.bulk_create(
        Position(
            snapshot=row,
            value_rank=rank_of(
                None
                if item["price_usd"] is None
                else (item["free"] + item["locked"]) * item["price_usd"]
            ),
            **item,
        )
        for item in (reference() if holdings is None else holdings)
    )
    return row


def failed_snapshot(of: ExchangeAccount, *, at: datetime) -> Snapshot:
    """Return a failed reading."""
    return Snapshot.objects.create(
        account=of,
        status=SnapshotStatus.FAILED,
        asked_at=at,
        taken_at=at,
        failure_code="UNREACHABLE",
        failure="The exchange does not answer within 10 s.",
        trigger="scheduler",
    )


def draft(of: ExchangeAccount, *, by: User, now: datetime) -> CleanupPlan:
    """Return a drafted plan."""
    return drafts.draft_plan(of, threshold=None, actor=Actor.person(by), now=now)


def started(of: ExchangeAccount, *, by: User, now: datetime) -> CleanupPlan:
    """Return a running plan."""
    plan = draft(of, by=by, now=now)
    return starts.start_plan(plan, hash_seen=plan.hash, actor=Actor.person(by), now=now)


def put(order: CloseOrder, state: OrderState, *, now: datetime, **changes: Any) -> None:
    """Put an order into a state, with its request if it was sent, past the state machine."""
    with transaction.atomic():
        event = audit.record(
            f"order.{state.value.lower()}",
            f"{order.asset} is {state.value.lower()}",
            actor=SCHEDULER,
            at=now,
            order=order,
        )
    values: dict[str, Any] = {
        "status": state.value,
        "change": event.pk,
        "updated_at": now,
        "due_at": None,
    }
    CloseOrder.objects.filter(pk=order.pk).update(**(values | changes))
    if state in {OrderState.PLANNED, OrderState.DENIED}:
        return
    request: dict[str, Any] = {
        "claim_token": "t",
        "signed_at_ms": 1,
        "valid_until_ms": 2,
        "sent_at": now,
        "answer": AnswerClass.UNKNOWN if state is OrderState.UNKNOWN else AnswerClass.ACCEPTED,
        "created_at": now,
    }
    if order.route == Route.CONVERT:
        convert(order, **request)
    else:
        Attempt.objects.create(order=order, number=1, quantity=order.quantity, **request)


def convert(order: CloseOrder, **request: Any) -> None:
    """Give an order its part in its plan's one request."""
    together = order.plan.orders.filter(route=Route.CONVERT).order_by("number")
    made, _ = Conversion.objects.get_or_create(
        plan=order.plan,
        number=1,
        defaults={
            "target": order.quote,
            "client_id": uuid.uuid4().hex,
            "request": {"assets": [item.asset for item in together], "target": order.quote},
        }
        | request,
    )
    CloseOrder.objects.filter(pk=order.pk).update(conversion=made, sent_quantity=order.quantity)


def fill(order: CloseOrder, *, now: datetime, quantity: Decimal | None = None) -> None:
    """Fill an order whole, as planned, or with more than that."""
    filled = order.quantity if quantity is None else quantity
    fee = order.expected_fee_usd
    if order.route == Route.CONVERT:
        fee = order.plan.snapshot.positions.get(asset=order.asset).as_domain().offer.fee
        Fill.objects.create(
            order=order,
            trade_id="1",
            price=order.price,
            quantity=filled,
            fee=fee,
            fee_currency=order.quote,
            at=now,
        )
    put(
        order,
        OrderState.FILLED,
        now=now,
        filled_quantity=filled,
        sent_quantity=order.quantity,
        notional=filled * order.price,
        average_price=order.price,
        fee=fee,
        fee_currency=order.quote,
        net_usd=order.expected_net_usd,
        closed_at=now,
    )


def every_state(plan: CleanupPlan, *, now: datetime) -> list[CloseOrder]:
    """Put the plan's orders into different states, the unknown one among them."""
    orders: Sequence[CloseOrder] = list(plan.orders.order_by("number"))
    fill(orders[0], now=now)
    put(
        orders[1],
        OrderState.UNKNOWN,
        now=now,
        unknown_since=now - timedelta(seconds=10),
        lookups=2,
        due_at=now + timedelta(seconds=5),
    )
    put(
        orders[2],
        OrderState.PARTIALLY_FILLED,
        now=now,
        filled_quantity=D("0.3"),
        notional=D("0.198"),
        net_usd=D("0.1975"),
    )
    put(orders[3], OrderState.ACCEPTED, now=now)
    put(orders[4], OrderState.DENIED, now=now, message="Worth $1.12 now.", reason="NO_LONGER_DUST")
    return list(orders)


def finished(of: ExchangeAccount, *, by: User, now: datetime) -> CleanupPlan:
    """Return a completed plan with its closing snapshot: only SOL, BNB and more cash are left."""
    plan = started(of, by=by, now=now)
    for order in plan.orders.order_by("number"):
        fill(order, now=now)
    plan.refresh_from_db()
    stops.finish_if_done(plan, now=now + timedelta(seconds=32))
    net = sum((order.expected_net_usd for order in plan.orders.all()), D(0))
    closing = snapshot(
        of,
        at=now + timedelta(seconds=40),
        holdings=[
            *(row for row in reference() if row["asset"] in {"SOL", "BNB"}),
            holding("USDT", str(D(CASH) + net), "1", quote=None),
        ],
    )
    CleanupPlan.objects.filter(pk=plan.pk).update(closing_snapshot=closing)
    plan.refresh_from_db()
    assert plan.state is PlanState.COMPLETED
    return plan


def crowd(count: int, *, lowest: int = -4, highest: int = 4) -> list[dict[str, Any]]:
    """Return holdings evenly spread over decades of value, in every plight; and cash.

    Of each twenty one has no price, one is locked, one is below the exchange's minimum, one has no
    market, one has no buyers near the price, and one is less than a step of its market.
    """
    rows = []
    for number in range(count):
        share = D(number) / max(1, count - 1)
        price = (D(10) ** (lowest + (highest - lowest) * share)).quantize(D("1E-8"))
        plights: dict[int, dict[str, Any]] = {
            1: {"locked": "1"},
            2: {"min_notional": D(20_000)},
            3: {"quote": None},
            4: {"bid": price / 2},
            5: {"step_size": D(2)},
        }
        asset = f"A{number:04}"
        if number % 20 == 0:
            rows.append(holding(asset, "1", None))
        else:
            rows.append(holding(asset, "1", str(price), **plights.get(number % 20, {})))
    return [*rows, holding("USDT", CASH, "1", quote=None)]
