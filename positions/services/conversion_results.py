"""Write what the exchange said about a conversion: per asset, with its window and its excess."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from positions.domain.orders import OrderState, Outcome, Trade
from positions.domain.plans import LIVE
from positions.exchanges.port import ConversionOutcome, Converted
from positions.models import CleanupPlan, CloseOrder, Conversion, ExchangeAccount
from positions.selectors.orders import too_much
from positions.services import audit
from positions.services.actors import Actor
from positions.services.attempts import locked_state
from positions.services.conversion_windows import locked_account
from positions.services.evidence import apply_outcome, keep_late_evidence, next_pause
from positions.services.stops import halt_all
from positions.services.transitions import move_order


def apply_conversion(
    conversion: Conversion,
    orders: Sequence[CloseOrder],
    outcome: ConversionOutcome,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Record the exchange's word on each asset of a batch; must run in a transaction, first of all.

    More converted than was planned halts the account's live plans in the same transaction: nobody
    can vanish between the two. Raises what `move_order` raises.
    """
    account = conversion.plan.account
    too_much = _excess(orders, outcome)
    if too_much:
        # The account and its plans before the chain, as everybody locks.
        locked_account(account.pk)
        list(_live_plans(account).select_for_update(no_key=True).order_by("pk"))
    locked_state(conversion.plan_id)
    for order in orders:
        _apply(order, outcome, target=conversion.target, actor=actor, now=now)
    for sentence in too_much:
        audit.record("conversion.exceeded", sentence, actor=actor, at=now, plan=conversion.plan)
    if too_much:
        note = f"More was converted than planned: {' '.join(too_much)}"
        halt_all(_live_plans(account), note=note[:300], actor=Actor.service("worker"), now=now)


def _apply(
    order: CloseOrder, outcome: ConversionOutcome, *, target: str, actor: Actor, now: datetime
) -> None:
    converted, refused = outcome.converted.get(order.asset), outcome.refused.get(order.asset)
    if order.state is OrderState.PLANNED:
        move_order(
            order,
            OrderState.SUBMITTING,
            kind="order.found",
            summary=f"{order.asset} was found converted; nothing is sent again",
            actor=actor,
            now=now,
        )
    if converted is not None and converted.quantity:
        apply_outcome(order, _as_sale(converted, target=target), actor=actor, now=now)
    elif converted is not None or refused is not None or outcome.is_final:
        _refused(order, refused or "The exchange left it out.", actor=actor, now=now)
    elif order.state is not OrderState.ACCEPTED:
        _accepted(order, outcome.conversion_id, actor=actor, now=now)


def _excess(orders: Sequence[CloseOrder], outcome: ConversionOutcome) -> list[str]:
    """Return a sentence for each asset of which more was converted than planned."""
    return [
        sentence
        for order in orders
        if (converted := outcome.converted.get(order.asset)) is not None
        and (sentence := too_much(order, converted.quantity))
    ]


def _live_plans(account: ExchangeAccount) -> QuerySet[CleanupPlan]:
    return CleanupPlan.objects.filter(account=account, status__in=LIVE)


def keep_what_came_late(
    conversion: Conversion,
    orders: Sequence[CloseOrder],
    outcome: ConversionOutcome,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Keep in the history what was converted of orders that somebody else had changed."""
    for order in orders:
        converted = outcome.converted.get(order.asset)
        if converted is not None:
            sale = _as_sale(converted, target=conversion.target)
            keep_late_evidence(order, sale, actor=actor, now=now)


def _as_sale(converted: Converted, *, target: str) -> Outcome:
    """Return one asset's conversion as a sale of it for the target."""
    gross = converted.received + converted.fee
    trade = Trade(
        trade_id=converted.transfer_id,
        price=gross / converted.quantity,
        quantity=converted.quantity,
        fee=converted.fee,
        fee_currency=target,
        at_ms=converted.at_ms,
    )
    return Outcome(
        state=OrderState.FILLED,
        exchange_order_id=converted.transfer_id,
        filled_quantity=converted.quantity,
        notional=gross,
        trades=[trade],
        placed_at_ms=converted.at_ms,
    )


def _refused(order: CloseOrder, why: str, *, actor: Actor, now: datetime) -> None:
    move_order(
        order,
        OrderState.REJECTED,
        kind="order.rejected",
        summary=f"{order.asset} was not converted: {why}",
        actor=actor,
        now=now,
        message=why[:300],
        unknown_since=None,
        waits_for_person=False,
    )


def _accepted(order: CloseOrder, conversion_id: str, *, actor: Actor, now: datetime) -> None:
    move_order(
        order,
        OrderState.ACCEPTED,
        kind="order.accepted",
        summary=f"{order.asset}: the exchange is converting it",
        actor=actor,
        now=now,
        message="Accepted. Waiting for its result.",
        exchange_order_id=conversion_id,
        unknown_since=None,
        waits_for_person=False,
        claim_token="",
        claimed_until=None,
        due_at=now + next_pause(order.lookups),
    )
