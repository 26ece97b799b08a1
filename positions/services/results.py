"""Prove a plan afterwards: what the balances say against what our fills explain."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from positions.domain.amounts import ZERO, canonical
from positions.domain.orders import CLOSED
from positions.domain.plans import PlanState
from positions.models import CleanupPlan, Snapshot, SnapshotStatus
from positions.selectors.changes import (
    changes_by_plan,
    compared_since_start,
    others_were_moving,
    sold_by_others,
)
from positions.services import audit
from positions.services.actors import Actor

WORKER = Actor.service("worker")


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
        if others_were_moving(plan, snapshot):
            continue  # nobody could tell that plan's sale from other activity
        _attach(plan, snapshot, now=now)


def _attach(plan: CleanupPlan, snapshot: Snapshot, *, now: datetime) -> None:
    other = other_activity(plan, snapshot)
    with transaction.atomic():
        attached = CleanupPlan.objects.filter(pk=plan.pk, closing_snapshot=None).update(
            closing_snapshot=snapshot, other_activity=other
        )
        if attached != 1:
            return
        _record(plan, snapshot, other, now=now)
    for earlier in compared_since_start(plan):
        if earlier.closing_snapshot is not None:
            _compare_again(earlier, earlier.closing_snapshot, now=now)


def _compare_again(plan: CleanupPlan, snapshot: Snapshot, *, now: datetime) -> None:
    """Compare a plan anew when orders of another were known late; told only if it differs."""
    other = other_activity(plan, snapshot)
    if other == plan.other_activity:
        return
    with transaction.atomic():
        CleanupPlan.objects.filter(pk=plan.pk).update(other_activity=other)
        _record(plan, snapshot, other, now=now)


def _record(
    plan: CleanupPlan, snapshot: Snapshot, other: list[dict[str, str]], *, now: datetime
) -> None:
    audit.record(
        "plan.reconciled",
        f"Plan {plan.pk} was compared with the balances"
        + (": other activity was found" if other else ": every change is explained"),
        actor=WORKER,
        at=now,
        plan=plan,
        data={"snapshot": snapshot.pk, "other_activity": other},
    )


def other_activity(plan: CleanupPlan, closing: Snapshot) -> list[dict[str, str]]:
    """Return what no order of ours explains, per asset; never smoothed away.

    Covers the planned assets, the quote and every fee currency; quantities in the asset itself.
    What other plans of the account sold in the same time is theirs, not other activity.
    """
    by_plan = changes_by_plan([*plan.orders.all(), *sold_by_others(plan, closing)])
    before, after = _totals(plan.snapshot), _totals(closing)
    found = []
    for asset in sorted(by_plan[plan.pk]):
        explained = sum((changes.get(asset, ZERO) for changes in by_plan.values()), ZERO)
        left = after.get(asset, ZERO) - before.get(asset, ZERO) - explained
        if left:
            found.append({"asset": asset, "quantity": canonical(left)})
    return found


def _totals(snapshot: Snapshot) -> dict[str, Decimal]:
    return {row.asset: row.free + row.locked for row in snapshot.positions.all()}
