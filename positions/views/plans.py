"""Draft, preview, approve, start, follow, stop and prove cleanup plans."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from positions.domain.plans import PlanState
from positions.forms import asked_threshold
from positions.models import CleanupPlan
from positions.selectors.plan_pages import PlanPage
from positions.services import drafts, plans, policies, starts, stops
from positions.services.actors import Actor
from positions.services.dispatch import due_orders
from positions.services.permissions import Permission, has, require
from positions.tasks import QueueUnreachable, wake
from positions.views.errors import page
from positions.views.people import actor_of
from positions.views.plan_parts import frame, read_page, slots_seen
from positions.views.policies import account_named
from positions.views.progress import progress
from positions.views.results import result


@require_POST
@page
def draft_plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Draft a plan at the tried threshold, or at the policy's: a dry run."""
    actor = actor_of(request)
    require(actor, Permission.DRAFT)
    account = account_named(slug)
    threshold = None
    if text := request.POST.get("threshold"):
        threshold = asked_threshold(text, policy=policies.in_force(account).as_domain())
    plan = drafts.draft_plan(account, threshold=threshold, actor=actor, now=timezone.now())
    return redirect("positions:plan_detail", pk=plan.pk)


# --- One page for the whole life of a plan ------------------------------------------------------


@require_GET
@page
def plan_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the preview, the live progress or the result."""
    view = read_page(request, pk)
    context = frame(request, view)
    if view.plan.is_live:
        return render(request, "positions/plan_running.html", context | progress(view))
    if view.plan.started_at is not None:
        return render(request, "positions/plan_result.html", context | result(view))
    return render(request, "positions/plan_preview.html", context | _preview(request, view))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the person may do with a plan that was not started."""

    start: bool = False
    ask: bool = False
    approve: bool = False
    reject: bool = False
    why_not: str = ""


def _choice(view: PlanPage, actor: Actor) -> Choice:
    plan = view.plan
    author = actor.user is not None and plan.created_by_id == actor.user.pk
    second = starts.needs_second_person(plan)
    live = plan.account.environment == "live"
    may_start, may_approve = has(actor, Permission.START), has(actor, Permission.APPROVE)
    reject = may_approve or author
    failed = next((check for check in view.checks if not check.passed), None)
    if failed is not None:
        return Choice(reject=reject, why_not=failed.sentence)
    if plan.state is PlanState.APPROVED:
        return Choice(
            start=may_start, reject=reject, why_not="" if may_start else "You may not start plans."
        )
    if plan.state is PlanState.AWAITING_APPROVAL:
        approve = may_approve and not (second and author)
        why = ""
        if not may_approve:
            why = "Somebody who may approve plans has to approve it."
        elif not approve:
            why = "You drafted this plan: a second person must approve it."
        return Choice(approve=approve, reject=reject, why_not=why)
    if not may_start:
        return Choice(reject=reject, why_not="You may not start plans. Ask an operator.")
    alone = (may_approve and not author) if second else (may_approve or not live)
    if alone:
        return Choice(start=True, reject=reject)
    why = "You drafted this plan: a second person must approve it."
    if not author or not second:
        why = "Live money needs the approval of a person who may give it."
    return Choice(ask=True, reject=reject, why_not=why)


def _preview(request: HttpRequest, view: PlanPage) -> dict[str, Any]:
    return {
        "choice": _choice(view, actor_of(request)) if view.plan.is_unstarted else Choice(),
        "second_person": starts.needs_second_person(view.plan),
        "slots": slots_seen(view),
        "step": {PlanState.APPROVED: 3, PlanState.AWAITING_APPROVAL: 2}.get(view.plan.state, 1),
        "costs": view.expected_fee_usd + view.expected_slippage_usd,
        "hash_groups": [view.plan.hash[start : start + 4] for start in range(0, 16, 4)],
        "skipped": view.plan.skipped,
        "expires_in": view.plan.expires_at - view.now,
    }


# --- Decisions ----------------------------------------------------------------------------------


@require_POST
@page
def start_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Start exactly the plan that was seen, and wake the workers."""
    plan = get_object_or_404(CleanupPlan, pk=pk)
    now = timezone.now()
    try:
        started = starts.start_plan(
            plan, hash_seen=request.POST.get("hash", ""), actor=actor_of(request), now=now
        )
    except plans.NeedsApproval as waits:
        messages.info(request, str(waits))
        return redirect("positions:plan_detail", pk=pk)
    _wake(request, started)
    return redirect("positions:plan_detail", pk=pk)


def _wake(request: HttpRequest, plan: CleanupPlan) -> None:
    try:
        wake(due_orders(now=timezone.now(), plan=plan))
    except QueueUnreachable as error:
        # The dispatcher starts the orders as soon as it is back; the plan itself runs.
        messages.warning(request, str(error))


@require_POST
@page
def approve_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve exactly the plan that was seen."""
    starts.approve_plan(
        get_object_or_404(CleanupPlan, pk=pk),
        hash_seen=request.POST.get("hash", ""),
        actor=actor_of(request),
        now=timezone.now(),
    )
    messages.success(request, f"Plan {pk} is approved. It can be started now.")
    return redirect("positions:plan_detail", pk=pk)


@require_POST
@page
def reject_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Discard a plan that was not started."""
    stops.reject_plan(
        get_object_or_404(CleanupPlan, pk=pk),
        reason=request.POST.get("reason", "").strip(),
        actor=actor_of(request),
        now=timezone.now(),
    )
    return redirect("positions:plan_detail", pk=pk)


@require_POST
@page
def pause_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Send nothing new for now."""
    actor = actor_of(request)
    stops.pause_plan(
        get_object_or_404(CleanupPlan, pk=pk),
        actor=actor,
        now=timezone.now(),
        note=f"{actor.name} paused it.",
    )
    return redirect("positions:plan_detail", pk=pk)


@require_POST
@page
def resume_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on with a paused plan."""
    plan = get_object_or_404(CleanupPlan.objects.select_related("account"), pk=pk)
    resumed = stops.resume_plan(plan, actor=actor_of(request), now=timezone.now())
    _wake(request, resumed)
    return redirect("positions:plan_detail", pk=pk)


@require_POST
@page
def halt_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """End a plan: what was not sent never will be."""
    actor = actor_of(request)
    stops.halt_plan(
        get_object_or_404(CleanupPlan, pk=pk),
        actor=actor,
        now=timezone.now(),
        note=f"{actor.name} halted it.",
    )
    return redirect("positions:plan_detail", pk=pk)
