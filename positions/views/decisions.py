"""Say what a person may do with a plan that was not started, and why not more."""

from dataclasses import dataclass

from positions.domain.plans import PlanState
from positions.selectors.plan_pages import PlanPage
from positions.services.actors import Actor
from positions.services.permissions import Permission, has
from positions.services.plans import is_author
from positions.templatetags.formats import usd

AUTHOR = "You drafted this plan: a second person must approve it."
NOT_START = "You may not start plans. Ask an operator."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the person may do with a plan that was not started."""

    start: bool = False
    ask: bool = False
    approve: bool = False
    approve_and_start: bool = False
    reject: bool = False
    why_not: str = ""


def choice_of(view: PlanPage, actor: Actor) -> Choice:
    """Return the person's choice; without one, why not."""
    plan = view.plan
    author = is_author(plan, actor)
    second = plan.needs_second_person
    live = plan.account.environment == "live"
    may_start, may_approve = has(actor, Permission.START), has(actor, Permission.APPROVE)
    reject = may_approve or author
    failed = next((check for check in view.checks if not check.passed), None)
    if failed is not None:
        return Choice(reject=reject, why_not=failed.sentence)
    if plan.state is PlanState.APPROVED:
        start = may_start and (may_approve or not live)
        why = "Live money: a person who may approve has to start it." if may_start else NOT_START
        return Choice(start=start, reject=reject, why_not="" if start else why)
    if plan.state is PlanState.AWAITING_APPROVAL:
        if second and author:
            return Choice(reject=reject, why_not=AUTHOR)
        why = "" if may_approve else "Somebody who may approve plans has to approve it."
        return Choice(
            approve=may_approve,
            approve_and_start=may_approve and may_start,
            reject=reject,
            why_not=why,
        )
    if not may_start:
        return Choice(reject=reject, why_not=NOT_START)
    alone = (may_approve and not author) if second else (may_approve or not live)
    if alone:
        return Choice(start=True, reject=reject)
    why = AUTHOR if second else "Live money needs the approval of a person who may give it."
    if plan.enforces_cap and not author:
        why = "An approver who did not draft it has to approve a plan that enforces the cap."
    elif second and not author:
        why = f"Above {usd(plan.policy.approval_above)}, a person who may approve has to."
    return Choice(ask=True, reject=reject, why_not=why)
