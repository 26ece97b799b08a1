"""Pause, halt, discard and end cleanup plans."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from positions.domain.orders import CLOSED, OPEN, OrderState
from positions.domain.plans import LIVE, UNSTARTED, IllegalPlanStep, PlanState
from positions.domain.verdicts import Reason
from positions.models import CleanupPlan, ExchangeAccount, Halt
from positions.selectors.halts import halt_that_stops
from positions.services import halts
from positions.services.actors import Actor
from positions.services.permissions import NotPermitted, Permission, has, require
from positions.services.plans import (
    BadReason,
    PlanRefused,
    check_attended,
    is_author,
    locked_plan,
    step,
)
from positions.services.snapshots import want_snapshot
from positions.services.transitions import LostClaim, deny_unsent, move_plan

log = logging.getLogger(__name__)

SCHEDULER = Actor.service("scheduler")
_UNDER_A_STOP = "It was under a stop, which ends every plan."
_TO_HALT_BY_ONESELF = timedelta(seconds=10)


def pause_plan(plan: CleanupPlan, *, actor: Actor, now: datetime, note: str = "") -> CleanupPlan:
    """Send nothing new; what is at the exchange is followed to its end."""
    require(actor, Permission.STOP)
    return step(plan, PlanState.PAUSED, "plan.paused", "paused", actor, now, status_note=note)


def pause_for_a_person(plan: CleanupPlan, why: str, *, now: datetime) -> None:
    """Pause a running plan that can't go on until a person has looked."""
    try:
        pause_plan(plan, actor=Actor.service("worker"), now=now, note=why[:300])
    except (IllegalPlanStep, LostClaim):
        return  # it is paused or over already


def resume_plan(plan: CleanupPlan, *, actor: Actor, now: datetime) -> CleanupPlan:
    """Go on with a paused plan."""
    require(actor, Permission.START)
    if plan.account.environment == "live":
        require(actor, Permission.APPROVE)
        if not settings.DUSTADMIN_LIVE_TRADING:
            raise PlanRefused("Live trading is off.")
    if halt_that_stops(plan.account):
        raise PlanRefused("Everything is stopped. Release the stop first.")
    check_attended(plan, actor)
    if plan.needs_second_person and now >= plan.expires_at:
        # Each order is looked at again before it is sent; but an approval is not for ever.
        raise PlanRefused(f"The approval of {plan} has lapsed. Halt it and draft a new plan.")
    with transaction.atomic():
        resumed = step(
            plan, PlanState.RUNNING, "plan.resumed", "resumed", actor, now, status_note=""
        )
        resumed.orders.filter(status=OrderState.PLANNED).update(due_at=now)
    return resumed


def halt_plan(plan: CleanupPlan, *, actor: Actor, now: datetime, note: str = "") -> CleanupPlan:
    """End the plan: what was not sent never will be; what was sent can't be taken back."""
    require(actor, Permission.STOP)
    with transaction.atomic():
        halted = step(plan, PlanState.HALTED, "plan.halted", "halted", actor, now, status_note=note)
        deny_unsent(
            halted, Reason.PLAN_HALTED, f"{actor.name} halted the plan.", actor=actor, now=now
        )
        want_snapshot(halted.account, now=now)
    return halted


def halt_everything(
    account: ExchangeAccount | None, *, reason: str, actor: Actor, now: datetime
) -> int:
    """Press the kill switch and halt every live plan it stops; return how many were halted.

    It waits for no start that is being committed: nothing of that plan leaves, and it is halted by
    the dispatcher, or by whoever releases the stop.
    """
    halts.press(account=account, reason=reason, actor=actor, now=now)
    what = account.slug if account else "everything"
    note = f"{actor.name} stopped {what}{f': {reason}' if reason else '.'}"
    return halt_all(_live_plans_of(account), note=note, actor=actor, now=now)


def release_stop(account: ExchangeAccount | None, *, actor: Actor, now: datetime) -> bool:
    """Release the kill switch; return False if nothing was stopped. No old plan goes on.

    A plan may still be live under it: its start was being committed as the switch was pressed, or
    whoever pressed it vanished before all were halted. It is halted before anything may leave.
    Raise `PlanRefused` if one can't be halted now, or if somebody presses the switch meanwhile.
    """
    require(actor, Permission.RELEASE)
    halt = Halt.objects.filter(account=account, released_at=None).first()
    if halt is None:
        return False
    _wait_for_starts(account)
    halt_all_or_refuse(_live_plans_of(account), note=_UNDER_A_STOP, actor=actor, now=now)
    if halts.release(halt, actor=actor, now=now):
        return True
    if Halt.objects.filter(pk=halt.pk, released_at=None).exists():
        raise PlanRefused(
            "Somebody pressed the stop again while it was being released. It stays in force."
        )
    return False


def _live_plans_of(account: ExchangeAccount | None) -> QuerySet[CleanupPlan]:
    live = CleanupPlan.objects.filter(status__in=LIVE)
    return live if account is None else live.filter(account=account)


def _wait_for_starts(account: ExchangeAccount | None) -> None:
    """Let every start be committed that had passed its checks before the stop was pressed.

    A start holds its account until then; whoever gets the account later finds the stop.
    """
    for stopped in [account] if account is not None else ExchangeAccount.objects.order_by("pk"):
        with transaction.atomic():
            ExchangeAccount.objects.select_for_update(no_key=True).get(pk=stopped.pk)


def halt_all(live: QuerySet[CleanupPlan], *, note: str, actor: Actor, now: datetime) -> int:
    """Halt these live plans, each by itself; return how many were halted."""
    count = 0
    for plan in live.select_related("account"):
        try:
            halt_plan(plan, actor=actor, now=now, note=note)
            count += 1
        except (IllegalPlanStep, LostClaim):
            continue  # it ended by itself in between
        except OperationalError as error:
            # Somebody holds it for too long. The others must not wait for that.
            log.warning("%s could not be halted now: %s", plan, error)
    return count


def halt_all_or_refuse(
    live: QuerySet[CleanupPlan], *, note: str, actor: Actor, now: datetime
) -> None:
    """Halt these live plans before something may leave again; raise `PlanRefused` if one stays."""
    halt_all(live, note=note, actor=actor, now=now)
    if (stuck := live.first()) is not None:
        raise PlanRefused(f"{stuck} could not be halted yet. Nothing has changed; try again.")


def halt_what_may_not_run(*, now: datetime) -> None:
    """Halt what is still live on a disabled account or under a stop, however it came to that."""
    live = CleanupPlan.objects.filter(status__in=LIVE)
    disabled = live.filter(account__is_enabled=False)
    halt_all(disabled, note="The account was disabled.", actor=SCHEDULER, now=now)
    # Whoever pressed the switch halts the plans in their own name, if they can.
    stops = Halt.objects.filter(released_at=None, placed_at__lt=now - _TO_HALT_BY_ONESELF)
    stopped = live.filter(Exists(stops.filter(Q(account=None) | Q(account=OuterRef("account")))))
    halt_all(stopped, note=_UNDER_A_STOP, actor=SCHEDULER, now=now)


def reject_plan(plan: CleanupPlan, *, reason: str, actor: Actor, now: datetime) -> CleanupPlan:
    """Discard a plan that was not started, with the reason; raise `BadReason` without one."""
    if not (has(actor, Permission.APPROVE) or is_author(plan, actor)):
        raise NotPermitted(actor, Permission.APPROVE)
    if not reason:
        raise BadReason(f"Say why {plan} is rejected, so that its author understands.")
    with transaction.atomic():
        rejected = step(
            plan,
            PlanState.REJECTED,
            "plan.rejected",
            "rejected",
            actor,
            now,
            status_note=f"{actor.name}: {reason}",
        )
        deny_unsent(
            rejected,
            Reason.PLAN_EXPIRED,
            f"{actor.name} rejected the plan: {reason}",
            actor=actor,
            now=now,
        )
    return rejected


def expire(plan: CleanupPlan, why: str, *, actor: Actor, now: datetime) -> None:
    """End a plan that was not started, with the reason; must run in a transaction."""
    move_plan(
        plan,
        PlanState.EXPIRED,
        kind="plan.expired",
        summary=f"Plan {plan.pk} expired: {why}",
        actor=actor,
        now=now,
        status_note=why[:300],
    )
    deny_unsent(plan, Reason.PLAN_EXPIRED, why, actor=actor, now=now)


def expire_old_plans(*, now: datetime) -> None:
    """Expire every plan that nobody started in time."""
    for plan in CleanupPlan.objects.filter(status__in=UNSTARTED, expires_at__lte=now):
        try:
            with transaction.atomic():
                fresh = locked_plan(plan)
                expire(fresh, "It was not started in time.", actor=SCHEDULER, now=now)
        except (IllegalPlanStep, LostClaim):
            continue  # somebody started it this moment


def finish_if_done(plan: CleanupPlan, *, now: datetime) -> None:
    """Complete a live plan whose orders are all closed, and ask for the closing snapshot."""
    if plan.orders.filter(status__in=OPEN).exists():
        return
    with transaction.atomic():
        fresh = locked_plan(plan)
        if not fresh.is_live or fresh.orders.exclude(status__in=CLOSED).exists():
            return
        filled = fresh.orders.filter(status=OrderState.FILLED).count()
        move_plan(
            fresh,
            PlanState.COMPLETED,
            kind="plan.completed",
            summary=f"Plan {plan.pk} is complete: {filled} of {fresh.orders.count()} filled",
            actor=Actor.service("worker"),
            now=now,
            data={"filled": filled},
            status_note="",
        )
        want_snapshot(fresh.account, now=now)
