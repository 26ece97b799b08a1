"""Approve and start cleanup plans, exactly as they were seen."""

from datetime import datetime

from django.db import transaction

from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.models import CleanupPlan
from positions.selectors.plan_checks import Check, plan_checks
from positions.services.actors import Actor
from positions.services.permissions import Permission, has, require
from positions.services.plans import (
    NeedsApproval,
    PlanRefused,
    check_attended,
    check_seen,
    is_author,
    locked_plan,
    not_now,
)
from positions.services.stops import expire
from positions.services.transitions import move_plan


def start_plan(plan: CleanupPlan, *, hash_seen: str, actor: Actor, now: datetime) -> CleanupPlan:
    """Start exactly the plan that was seen; its orders become due.

    An approved plan is checked again, by the rights of whoever starts it: an approval is worth
    nothing after a drift. Raise `NotPermitted`, `NeedsApproval` (the plan then waits), or
    `PlanRefused`: a stale hash, a check that fails, a plan that is no draft. What expired is marked
    so.
    """
    require(actor, Permission.START)
    refused: PlanRefused | None = None
    with transaction.atomic():
        fresh = locked_plan(plan)
        check_seen(fresh, hash_seen)
        if fresh.state not in {PlanState.DRAFT, PlanState.APPROVED}:
            raise PlanRefused(not_now(fresh, "started"))
        check_attended(fresh, actor)
        if fresh.state is PlanState.APPROVED and fresh.account.environment == "live":
            require(actor, Permission.APPROVE)
        failed = [check for check in plan_checks(fresh, now=now) if not check.passed]
        if failed:
            refused = _refuse(fresh, failed, now=now)
        elif fresh.state is PlanState.DRAFT and not _may_approve_alone(fresh, actor):
            refused = _await_approval(fresh, actor=actor, now=now)
        else:
            if fresh.state is PlanState.DRAFT:
                _approve(fresh, actor=actor, now=now)
            _run(fresh, actor=actor, now=now)
    if refused is not None:
        raise refused
    return fresh


def approve_plan(plan: CleanupPlan, *, hash_seen: str, actor: Actor, now: datetime) -> CleanupPlan:
    """Approve exactly the plan that was seen, without starting it."""
    require(actor, Permission.APPROVE)
    refused: PlanRefused | None = None
    with transaction.atomic():
        fresh = locked_plan(plan)
        check_seen(fresh, hash_seen)
        if fresh.state not in {PlanState.DRAFT, PlanState.AWAITING_APPROVAL}:
            raise PlanRefused(not_now(fresh, "approved"))
        if fresh.needs_second_person and is_author(fresh, actor):
            raise PlanRefused("You drafted this plan, so somebody else has to approve it.")
        failed = [check for check in plan_checks(fresh, now=now) if not check.passed]
        if failed:
            refused = _refuse(fresh, failed, now=now)
        else:
            _approve(fresh, actor=actor, now=now)
    if refused is not None:
        raise refused
    return fresh


def _may_approve_alone(plan: CleanupPlan, actor: Actor) -> bool:
    """Tell whether the person who starts the plan may approve it with that."""
    if plan.needs_second_person:
        return has(actor, Permission.APPROVE) and not is_author(plan, actor)
    if plan.account.environment == "live":
        return has(actor, Permission.APPROVE)
    return True


def _refuse(plan: CleanupPlan, failed: list[Check], *, now: datetime) -> PlanRefused:
    first = failed[0]
    if first.expires:
        expire(plan, first.sentence, actor=Actor.service("scheduler"), now=now)
        return PlanRefused(f"{first.sentence} The plan has expired; draft it again.")
    return PlanRefused(first.sentence)


def _await_approval(plan: CleanupPlan, *, actor: Actor, now: datetime) -> PlanRefused:
    move_plan(
        plan,
        PlanState.AWAITING_APPROVAL,
        kind="plan.awaits_approval",
        summary=f"{actor.name} asked for the approval of plan {plan.pk}",
        actor=actor,
        now=now,
        data={"hash": plan.hash},
        status_note="It waits for a person who may approve it.",
    )
    return NeedsApproval(f"{plan} waits for the approval of a person who may give it.")


def _approve(plan: CleanupPlan, *, actor: Actor, now: datetime) -> None:
    move_plan(
        plan,
        PlanState.APPROVED,
        kind="plan.approved",
        summary=f"{actor.name} approved plan {plan.pk}",
        actor=actor,
        now=now,
        data={"hash": plan.hash},
        approved_by=actor.user,
        approved_by_name=actor.name,
        approved_at=now,
        status_note="",
    )


def _run(plan: CleanupPlan, *, actor: Actor, now: datetime) -> None:
    move_plan(
        plan,
        PlanState.RUNNING,
        kind="plan.started",
        summary=f"{actor.name} started plan {plan.pk}",
        actor=actor,
        now=now,
        data={"hash": plan.hash},
        started_by_name=actor.name,
        started_at=now,
    )
    plan.orders.filter(status=OrderState.PLANNED).update(due_at=now)
