"""Prove a plan afterwards: what the balances say against what our fills explain."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from positions.domain.amounts import ZERO, canonical
from positions.domain.orders import CLOSED
from positions.domain.plans import PlanState
from positions.models import CleanupPlan, Fill, Snapshot, SnapshotStatus
from positions.services import audit
from positions.services.actors import Actor


def attach_closing_snapshots(snapshot: Snapshot, *, now: datetime) -> None:
    """Give every ended plan that waits for one its closing snapshot, and reconcile it.

    A failed reading proves nothing: the plans go on waiting.
    """
    if snapshot.status != SnapshotStatus.GOOD:
        return
    waiting = CleanupPlan.objects.filter(
        account=snapshot.account,
        status__in=[PlanState.COMPLETED, PlanState.HALTED],
        started_at__isnull=False,
        closing_snapshot=None,
        finished_at__lt=snapshot.asked_at,
    ).select_related("account", "snapshot")
    for plan in waiting:
        last_change = plan.orders.order_by("-updated_at").values_list("updated_at", flat=True)
        unsettled = plan.orders.exclude(status__in=CLOSED).exists()
        if unsettled or (last_change and last_change[0] >= snapshot.asked_at):
            continue  # an order was still moving when the balances were read
        _attach(plan, snapshot, now=now)


def _attach(plan: CleanupPlan, snapshot: Snapshot, *, now: datetime) -> None:
    other = other_activity(plan, snapshot)
    with transaction.atomic():
        attached = CleanupPlan.objects.filter(pk=plan.pk, closing_snapshot=None).update(
            closing_snapshot=snapshot, other_activity=other
        )
        if attached != 1:
            return
        audit.record(
            "plan.reconciled",
            f"Plan {plan.pk} was compared with the balances"
            + (": other activity was found" if other else ": every change is explained"),
            actor=Actor.service("worker"),
            at=now,
            plan=plan,
            data={"snapshot": snapshot.pk, "other_activity": other},
        )


def other_activity(plan: CleanupPlan, closing: Snapshot) -> list[dict[str, str]]:
    """Return what the plan's fills and fees do not explain, per asset; never smoothed away.

    Covers the planned assets, the quote and every fee currency; quantities in the asset itself.
    """
    explained: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for order in plan.orders.all():
        explained[order.asset] -= order.filled_quantity
        explained[order.quote] += order.notional
    for fill in Fill.objects.filter(order__plan=plan):
        if fill.fee:
            explained[fill.fee_currency] -= fill.fee
    before, after = _totals(plan.snapshot), _totals(closing)
    return [
        {"asset": asset, "quantity": canonical(difference)}
        for asset, change in sorted(explained.items())
        if (difference := after.get(asset, ZERO) - before.get(asset, ZERO) - change)
    ]


def _totals(snapshot: Snapshot) -> dict[str, Decimal]:
    return {row.asset: row.free + row.locked for row in snapshot.positions.all()}
