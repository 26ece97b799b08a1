"""Say what our own orders did to an account's balances between two snapshots, per asset."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from positions.domain.amounts import ZERO
from positions.domain.orders import IN_FLIGHT, OrderState
from positions.models import CleanupPlan, CloseOrder, Fill, Snapshot

Changes = Mapping[str, Decimal]  # by asset, in the asset itself


def changes_by_plan(orders: Sequence[CloseOrder]) -> dict[int, Changes]:
    """Return what the orders sold, brought and paid in fees, by plan."""
    fees = defaultdict(list)
    if orders:
        for fill in Fill.objects.filter(order__in=orders).exclude(fee="0"):
            fees[fill.order_id].append((fill.fee_currency, fill.fee))
    plans = sorted({order.plan_id for order in orders})
    return {pk: _changes((row for row in orders if row.plan_id == pk), fees) for pk in plans}


def _changes(
    orders: Iterable[CloseOrder], fees: Mapping[int, list[tuple[str, Decimal]]]
) -> Changes:
    changes: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for order in orders:
        changes[order.asset] -= order.filled_quantity
        changes[order.quote] += order.notional
        paid = fees.get(order.pk, [])
        if order.state is OrderState.RESOLVED and order.fee is not None:
            paid = [(order.fee_currency, order.fee)]  # of the whole order, as a person saw it
        for currency, fee in paid:
            changes[currency] -= fee
    return changes


def _others(plan: CleanupPlan, *, since: datetime) -> QuerySet[CloseOrder]:
    """Return the orders of the account's other plans that may have sold something since then."""
    return (
        CloseOrder.objects.filter(Q(closed_at=None) | Q(closed_at__gte=since))
        .filter(account=plan.account_id)
        .exclude(plan=plan)
        .annotate(
            # A converted order has no attempt of its own: its batch's request counts.
            first_sent_at=Coalesce(Min("attempts__sent_at"), F("conversion__sent_at")),
            last_sent_at=Coalesce(Max("attempts__sent_at"), F("conversion__sent_at")),
            sold_at=Max("fills__at"),
        )
    )


def sold_by_others(plan: CleanupPlan, closing: Snapshot) -> list[CloseOrder]:
    """Return the orders of other plans that sold something between the two snapshots."""
    sold = _others(plan, since=plan.snapshot.asked_at).exclude(filled_quantity="0")
    return [order for order in sold if _is_in(order, closing) and not _is_in(order, plan.snapshot)]


def _is_in(order: CloseOrder, snapshot: Snapshot) -> bool:
    """Tell whether a snapshot's balances show what an order of another plan sold.

    Our own clock decides: closed before the balances were asked for, or not sent before they were
    there. Only of an order that was at the exchange during that moment, its trade's own time says
    it, put on our clock; what a person recorded has none and is taken as sold when it was sent.
    """
    if not _sent_before(order, snapshot):
        return False
    if order.closed_at is not None and order.closed_at < snapshot.asked_at:
        return True
    if order.sold_at is None:  # type: ignore[attr-defined]  # annotated
        return bool(order.last_sent_at < snapshot.asked_at)  # type: ignore[attr-defined]
    return bool(order.sold_at - _clock_ahead(order) < snapshot.asked_at)  # type: ignore[attr-defined]


def _clock_ahead(order: CloseOrder) -> timedelta:
    """Return by how much the exchange's clock was at least ahead of ours; below zero: behind.

    Its last request was signed, on the exchange's clock, for a moment between its commit and its
    leave on ours.
    """
    request = order.conversion or order.attempts.filter(sent_at__isnull=False).latest("number")
    signed_at = datetime.fromtimestamp(request.signed_at_ms / 1000, tz=UTC)
    left_at = request.sent_at or request.created_at
    least, most = signed_at - left_at, signed_at - request.created_at
    return min(max(least, timedelta(0)), most)


def _sent_before(order: CloseOrder, snapshot: Snapshot) -> bool:
    sent_at: datetime | None = order.first_sent_at  # type: ignore[attr-defined]  # annotated
    return sent_at is not None and sent_at <= snapshot.taken_at


def others_were_moving(plan: CleanupPlan, snapshot: Snapshot) -> bool:
    """Tell whether another plan's order may have sold something while the balances were read.

    One whose look-ups are through is not waited for: nobody knows when its end will be known.
    """
    return any(
        _sent_before(order, snapshot)
        and (
            bool(order.filled_quantity)
            if order.closed_at is not None
            else order.state in IN_FLIGHT and not order.waits_for_person
        )
        for order in _others(plan, since=snapshot.asked_at)
    )


def compared_since_start(plan: CleanupPlan) -> QuerySet[CleanupPlan]:
    """Return the account's other plans whose closing balances its orders may have changed."""
    return (
        CleanupPlan.objects.filter(
            account=plan.account_id, closing_snapshot__taken_at__gte=plan.started_at
        )
        .exclude(pk=plan.pk)
        .select_related("account", "snapshot", "closing_snapshot")
    )
