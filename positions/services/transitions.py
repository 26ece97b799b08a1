"""Move orders and plans from state to state: checked, claimed, and told in the same transaction.

Every step is a compare-and-swap on the status (and, for orders, the claim's token) that the caller
saw. Whoever saw something else gets `LostClaim`, and the transaction leaves nothing behind.
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from positions.domain import orders, plans
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Reason
from positions.models import CleanupPlan, CloseOrder
from positions.services import audit
from positions.services.actors import Actor


class LostClaim(Exception):
    """Somebody else has changed it since it was read; read again before doing anything."""


def claimed_by(token: str, order_pk: int) -> CloseOrder | None:
    """Return the order with what working on it reads, or None if another claim is on it."""
    return (
        CloseOrder.objects.filter(pk=order_pk, claim_token=token)
        .select_related("account", "plan__account", "plan__policy")
        # What may be long and is not needed for one order.
        .defer("plan__skipped", "plan__other_activity")
        .first()
    )


def move_order(
    order: CloseOrder,
    target: OrderState,
    *,
    kind: str,
    summary: str,
    actor: Actor,
    now: datetime,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Move an order and record it; must run in a transaction. The passed order is updated too.

    Raise `IllegalTransition` for a step that the table lacks, `LostClaim` if the order has changed.
    """
    orders.check_transition(order.state, target)
    event = audit.record(
        kind,
        summary,
        actor=actor,
        at=now,
        order=order,
        data={"status": target.value} | (data or {}),
    )
    changes = {"status": target.value, "change": event.pk, "updated_at": now, **changes}
    if target in orders.CLOSED:
        changes |= {"closed_at": now, "due_at": None, "claim_token": "", "claimed_until": None}
    _swap(order, changes)


def note_order(
    order: CloseOrder,
    *,
    kind: str,
    summary: str,
    actor: Actor,
    now: datetime,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Record something about an order without changing its status; same rules as `move_order`."""
    event = audit.record(kind, summary, actor=actor, at=now, order=order, data=data)
    _swap(order, {"change": event.pk, "updated_at": now, **changes})


def _swap(order: CloseOrder, changes: dict[str, Any]) -> None:
    swapped = CloseOrder.objects.filter(
        pk=order.pk, status=order.status, claim_token=order.claim_token
    ).update(**changes)
    if swapped != 1:
        raise LostClaim(f"{order} was changed by somebody else.")
    for name, value in changes.items():
        setattr(order, name, value)


def move_plan(
    plan: CleanupPlan,
    target: PlanState,
    *,
    kind: str,
    summary: str,
    actor: Actor,
    now: datetime,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Move a plan and record it; same rules as `move_order`."""
    plans.check_transition(plan.state, target)
    audit.record(
        kind, summary, actor=actor, at=now, plan=plan, data={"status": target.value} | (data or {})
    )
    changes = {"status": target.value, **changes}
    if target in plans.ENDED:
        changes["finished_at"] = now
    if CleanupPlan.objects.filter(pk=plan.pk, status=plan.status).update(**changes) != 1:
        raise LostClaim(f"{plan} was changed by somebody else.")
    for name, value in changes.items():
        setattr(plan, name, value)


def deny(order: CloseOrder, reason: Reason, message: str, *, actor: Actor, now: datetime) -> None:
    """Close an order that was not sent, with the reason; must run in a transaction."""
    move_order(
        order,
        OrderState.DENIED,
        kind="order.denied",
        summary=f"{order.asset} not sent: {message}",
        actor=actor,
        now=now,
        data={"reason": reason.value},
        reason=reason.value,
        message=message[:300],
    )


def deny_unsent(
    plan: CleanupPlan, reason: Reason, message: str, *, actor: Actor, now: datetime
) -> int:
    """Close every order of the plan that was never sent; must run in a transaction."""
    unsent = CloseOrder.objects.select_for_update(no_key=True).filter(
        plan=plan, status=OrderState.PLANNED
    )
    count = 0
    for order in unsent.select_related("plan__account"):
        deny(order, reason, message, actor=actor, now=now)
        count += 1
    return count


def in_transaction() -> bool:
    """Tell whether a transaction is open: nothing may be sent to an exchange inside one."""
    return bool(transaction.get_connection().in_atomic_block)
