"""Compare what the database says with what the exchange's ledger says.

The exchange's ledger is the truth. The database may not know yet (an order in flight or UNKNOWN),
but what it claims to know must be exact, and nothing may have been sold that it does not know of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from django.apps import apps

from positions.domain.orders import CLOSED, OrderState
from positions.models import Attempt, CleanupPlan, CloseOrder, ExchangeAccount, Fill
from positions.services import audit
from positions.services.connections import redis_client
from tests.exchange_process import SandboxProcess
from tests.journeys.oracle_of_conversions import assert_conversions
from tests.sandbox.bookkeeping import assert_explained

ZERO = Decimal(0)
FORBIDDEN = ("price", "quoteOrderQty", "timeInForce", "stopPrice", "timeinforce", "oflags")
AVERAGE = Context(prec=28)
LONGEST_DEADLINE_MS = 60_000
SIGNATURE = re.compile(r"signature=[0-9a-f]{16}", re.IGNORECASE)


Sent = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How a protocol calls what an order request says."""

    client_order_id: str
    quantity: str
    market_sale: Sent
    was_signed_for: Callable[[Sent, Attempt], bool]


def _has_its_timestamp(sent: Sent, attempt: Attempt) -> bool:
    return int(sent["timestamp"]) == attempt.signed_at_ms


def _has_its_deadline(sent: Sent, attempt: Attempt) -> bool:
    deadline_ms = datetime.fromisoformat(sent["deadline"]).timestamp() * 1000
    return attempt.signed_at_ms < deadline_ms <= attempt.signed_at_ms + LONGEST_DEADLINE_MS


# Method and path -> words.
ORDERS = {
    ("POST", "/api/v3/order"): Words(
        client_order_id="newClientOrderId",
        quantity="quantity",
        market_sale={"side": "SELL", "type": "MARKET"},
        was_signed_for=_has_its_timestamp,
    ),
    ("POST", "/0/private/AddOrder"): Words(
        client_order_id="cl_ord_id",
        quantity="volume",
        market_sale={"type": "sell", "ordertype": "market"},
        was_signed_for=_has_its_deadline,
    ),
}


def assert_all_true(
    exchange: SandboxProcess,
    *,
    account: ExchangeAccount | None = None,
    api_key: str = "",
    within_limits: bool = True,
) -> None:
    """Fail unless database and ledger agree to the last digit and nothing was sold twice.

    With an account and its key only what concerns them is compared.
    """
    ledger = exchange.ledger()
    assert_explained(ledger, _markets(exchange))
    if within_limits:
        assert ledger["violations"] == []
    orders = CloseOrder.objects.all()
    if account is not None:
        orders = orders.filter(account=account)
        ledger = _part(ledger, api_key)
    assert_conversions(ledger, orders)
    rows = list(orders.filter(conversion__isnull=False))
    orders = orders.filter(conversion=None).exclude(client_order_id=None)
    ours = {str(order.client_order_id): order for order in orders}
    _assert_only_planned_requests(ledger, ours)
    _assert_sold_once(ledger, ours)
    _assert_known_exactly(ledger, ours)
    for order in (*ours.values(), *rows):
        _assert_its_end_is_told(order)
    breaks = audit.verify_all() if account is None else [*audit.verify(account)]
    assert breaks == []


def assert_books(plan: CleanupPlan, *, others: Mapping[str, Decimal] | None = None) -> None:
    """Fail unless the closing snapshot explains every change but what others did, to the digit."""
    assert plan.closing_snapshot is not None, f"{plan} has no closing snapshot"
    found = {item["asset"]: Decimal(item["quantity"]) for item in plan.other_activity}
    assert found == dict(others or {})


def assert_no_secrets(secrets: Iterable[str], *, logs: str) -> None:
    """Fail if a secret or a signature stands in the database, in Valkey or in a log."""
    texts = [logs, *_stored(), *_shared()]
    for text in texts:
        assert not SIGNATURE.search(text), "a signature was written down"
    for secret in secrets:
        assert not any(secret in text for text in texts), "a secret was written down"


def _stored() -> Iterable[str]:
    for model in apps.get_app_config("positions").get_models():
        for row in model.objects.values():
            yield str(row)


def _shared() -> Iterable[str]:
    client = redis_client()
    for key in client.scan_iter("dustadmin:*"):
        yield f"{key!r} {client.get(key)!r}"


def _markets(exchange: SandboxProcess) -> dict[str, tuple[str, str]]:
    listed = exchange.control("GET", "markets")
    return {symbol: (base, quote) for symbol, (base, quote) in listed.items()}


def _part(ledger: dict[str, Any], api_key: str) -> dict[str, Any]:
    """Return what concerns one account: its orders, their fills, its requests."""
    own = {
        name: [row for row in ledger[name] if row["api_key"] == api_key]
        for name in ("requests", "orders", "fills", "conversions")
    }
    return own | {"changes": ledger["changes"]}


def _assert_only_planned_requests(ledger: dict[str, Any], ours: dict[str, CloseOrder]) -> None:
    """Every order request is one committed attempt, signed with its stored moment."""
    attempts = defaultdict(list)
    for attempt in Attempt.objects.select_related("order"):
        attempts[attempt.order.client_order_id].append(attempt)
    for request in ledger["requests"]:
        words = ORDERS.get((request["method"], request["path"]))
        if words is None:
            continue
        sent = request["params"]
        known = attempts[sent[words.client_order_id]]
        found = [attempt for attempt in known if words.was_signed_for(sent, attempt)]
        assert found, f"sent twice, or without an attempt: {sent}"
        attempt = found[0]
        known.remove(attempt)
        assert attempt.sent_at is not None
        assert Decimal(sent[words.quantity]) == attempt.quantity
        assert sent[words.quantity] == format(attempt.quantity, "f")
        assert words.market_sale.items() <= sent.items()
        assert not [name for name in FORBIDDEN if name in sent]
        assert attempt.quantity <= ours[sent[words.client_order_id]].quantity


def _assert_sold_once(ledger: dict[str, Any], ours: dict[str, CloseOrder]) -> None:
    placed: defaultdict[str, list[Any]] = defaultdict(list)
    for order in ledger["orders"]:
        if order["origin"] == "api":
            placed[order["client_order_id"]].append(order)
    for client_order_id, orders in placed.items():
        assert client_order_id in ours, "an order that we do not know of"
        assert len(orders) == 1, f"{ours[client_order_id]} was placed {len(orders)} times"
        (order,) = orders
        assert Decimal(order["filled_quantity"]) <= ours[client_order_id].quantity


def _assert_known_exactly(ledger: dict[str, Any], ours: dict[str, CloseOrder]) -> None:
    placed = {
        order["client_order_id"]: order for order in ledger["orders"] if order["origin"] == "api"
    }
    fills: defaultdict[int, list[Any]] = defaultdict(list)
    for fill in ledger["fills"]:
        fills[fill["order_id"]].append(fill)
    for client_order_id, row in ours.items():
        there = placed.get(client_order_id)
        if there is None:
            assert row.filled_quantity == ZERO
            assert not Fill.objects.filter(order=row).exists()
            assert row.state is not OrderState.FILLED
            continue
        assert row.state not in {OrderState.DENIED, OrderState.REJECTED, OrderState.PLANNED}, (
            f"{row} is {row.status}, but the exchange has it"
        )
        if row.state not in CLOSED:
            continue  # it may not know yet; what it will learn is checked when it is closed
        if row.state is OrderState.RESOLVED:
            continue  # a person's word; whoever recorded it is compared with the balances
        assert row.exchange_order_id == (there["txid"] or str(there["order_id"]))
        assert row.filled_quantity == Decimal(there["filled_quantity"])
        assert row.notional == Decimal(there["filled_quote"])
        if row.filled_quantity:
            assert row.average_price == AVERAGE.divide(row.notional, row.filled_quantity)
        _assert_fills(row, fills[there["order_id"]])


def _assert_fills(row: CloseOrder, there: list[Any]) -> None:
    known = sorted(
        (fill.trade_id, fill.price, fill.quantity, fill.fee, fill.fee_currency)
        for fill in Fill.objects.filter(order=row)
    )
    assert known == sorted(
        (
            fill["txid"] or str(fill["trade_id"]),
            Decimal(fill["price"]),
            Decimal(fill["quantity"]),
            Decimal(fill["commission"]),
            fill["commission_asset"],
        )
        for fill in there
    )
    if len({fill["commission_asset"] for fill in there}) == 1:
        assert row.fee == sum((Decimal(fill["commission"]) for fill in there), ZERO)
        assert row.fee_currency == there[0]["commission_asset"]


def _assert_its_end_is_told(row: CloseOrder) -> None:
    """What is closed was closed on evidence that is kept; what is unknown says why."""
    if row.state is OrderState.UNKNOWN:
        assert row.message
        assert row.unknown_since is not None
        assert row.due_at is not None, f"{row} is unknown and nobody will ask for it"
    if row.state not in CLOSED:
        return
    assert row.closed_at is not None
    assert row.message
    assert row.events.filter(data__status=row.status).exists(), f"{row} closed without an event"
    if row.state is OrderState.DENIED:
        assert row.reason
        assert not row.exchange_order_id
    elif row.state is OrderState.REJECTED and not row.exchange_order_id:
        last = row.conversion or row.attempts.filter(sent_at__isnull=False).latest("number")
        if last.answer == "ACCEPTED":  # a batch that was converted without this asset
            return
        assert last.answer in {"REJECTED", "UNKNOWN"}
        assert last.answer_code
    elif row.state is not OrderState.RESOLVED:  # a person's word, not evidence
        assert row.exchange_order_id
