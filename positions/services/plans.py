"""Name what every step of a plan shares: its refusals, its lock, its recorded transition."""

from datetime import datetime

from django.db import transaction

from positions.domain.plans import PlanState
from positions.models import CleanupPlan, ExchangeAccount
from positions.services.actors import Actor
from positions.services.transitions import move_plan


class PlanRefused(Exception):
    """The plan can't do that now; the message says why and what to do."""


class BadReason(Exception):
    """A person has to say why; the message is a sentence for them."""


class NeedsApproval(PlanRefused):
    """The plan waits for a person who may approve it."""


def locked_plan(plan: CleanupPlan) -> CleanupPlan:
    """Return the plan as it is now, locked until the transaction ends, account first."""
    ExchangeAccount.objects.select_for_update(no_key=True).get(pk=plan.account_id)
    return (
        CleanupPlan.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account", "policy__account", "snapshot")
        .get(pk=plan.pk)
    )


def check_seen(plan: CleanupPlan, hash_seen: str) -> None:
    """Raise `PlanRefused` unless the caller has seen exactly this plan."""
    if hash_seen != plan.hash:
        raise PlanRefused("This is not the plan that you saw. Look at it again before you start.")


def check_attended(plan: CleanupPlan, actor: Actor) -> None:
    """Raise `PlanRefused` unless a person does it: the cap is never enforced unattended."""
    if plan.enforces_cap and actor.user is None:
        raise PlanRefused(f"{plan} enforces the cap: only a person may set it in motion.")


def not_now(plan: CleanupPlan, verb: str) -> str:
    """Return why the plan can't take this step in its state."""
    note = f" {plan.status_note}" if plan.status_note else ""
    return f"{plan} is {plan.get_status_display().lower()}; it can't be {verb}.{note}"


def is_author(plan: CleanupPlan, actor: Actor) -> bool:
    """Tell whether this person drafted the plan."""
    return actor.user is not None and plan.created_by_id == actor.user.pk


def step(
    plan: CleanupPlan,
    target: PlanState,
    kind: str,
    verb: str,
    actor: Actor,
    now: datetime,
    *,
    status_note: str,
) -> CleanupPlan:
    """Move a plan to its next state, with the person who did it and why; return it as it is now."""
    with transaction.atomic():
        fresh = locked_plan(plan)
        move_plan(
            fresh,
            target,
            kind=kind,
            summary=f"{actor.name} {verb} plan {plan.pk}",
            actor=actor,
            now=now,
            data={"note": status_note},
            status_note=status_note[:300],
        )
    return fresh
