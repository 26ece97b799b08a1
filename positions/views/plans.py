"""Draft, preview, approve, start, follow, stop and prove cleanup plans."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from positions.domain.plans import PlanState
from positions.domain.verdicts import Route
from positions.forms import asked_threshold
from positions.models import CleanupPlan
from positions.selectors.conversions import terms_of
from positions.selectors.plan_pages import PlanPage
from positions.services import drafts, plans, policies, starts, stops
from positions.services.dispatch import due_orders
from positions.services.permissions import Permission, require
from positions.tasks import QueueUnreachable, wake
from positions.views.analysis import account_page
from positions.views.decisions import Choice, choice_of
from positions.views.errors import page, step
from positions.views.people import actor_of
from positions.views.plan_parts import frame, read_page, slots_seen
from positions.views.policies import account_named
from positions.views.progress import progress
from positions.views.results import result


@require_POST
@step(account_page)
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


@require_POST
@step(account_page)
def draft_enforcement_plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Draft the plan that brings the account back to its cap: a dry run, for two people."""
    actor = actor_of(request)
    require(actor, Permission.DRAFT)
    plan = drafts.draft_enforcement_plan(account_named(slug), actor=actor, now=timezone.now())
    return redirect("positions:plan_detail", pk=plan.pk)


# --- One page for the whole life of a plan ------------------------------------------------------


@require_GET
@page
def plan_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the preview, the live progress or the result."""
    return _shown(request, pk)


def _shown(request: HttpRequest, pk: int) -> HttpResponse:
    view = read_page(request, pk)
    context = frame(request, view)
    if view.plan.is_live:
        return render(request, "positions/plan_running.html", context | progress(view))
    if view.plan.started_at is not None:
        return render(request, "positions/plan_result.html", context | result(view))
    return render(request, "positions/plan_preview.html", context | _preview(request, view))


def _preview(request: HttpRequest, view: PlanPage) -> dict[str, Any]:
    for group in view.by_route:
        for order in group.orders:
            why = view.whys.get(order.asset, "")
            if group.route is Route.CONVERT:
                why = why.partition(". ")[2]  # the head of the conversion says the first sentence
            order.why = why  # type: ignore[attr-defined]  # for the page
    return {
        "terms": terms_of(view.plan.account, view.newest or view.plan.snapshot, now=view.now),
        "choice": choice_of(view, actor_of(request)) if view.plan.is_unstarted else Choice(),
        "second_person": view.plan.needs_second_person,
        "slots": slots_seen(view),
        "step": {PlanState.APPROVED: 3, PlanState.AWAITING_APPROVAL: 2}.get(view.plan.state, 1),
        "costs": view.expected_fee_usd + view.expected_slippage_usd,
        "hash_groups": [view.plan.hash[start : start + 4] for start in range(0, 16, 4)],
        "skipped": view.plan.skipped,
        "expires_in": view.plan.expires_at - view.now,
    }


# --- Decisions ----------------------------------------------------------------------------------


@require_POST
@step(_shown)
def start_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Start exactly the plan that was seen, and wake the workers."""
    return _started(request, get_object_or_404(CleanupPlan, pk=pk))


def _started(request: HttpRequest, plan: CleanupPlan) -> HttpResponse:
    try:
        started = starts.start_plan(
            plan,
            hash_seen=request.POST.get("hash", ""),
            actor=actor_of(request),
            now=timezone.now(),
        )
    except plans.NeedsApproval as waits:
        messages.info(request, str(waits))
    else:
        _wake(request, started)
    return redirect("positions:plan_detail", pk=plan.pk)


def _wake(request: HttpRequest, plan: CleanupPlan) -> None:
    try:
        wake(due_orders(now=timezone.now(), plan=plan))
    except QueueUnreachable as error:
        # The dispatcher starts the orders as soon as it is back; the plan itself runs.
        messages.warning(request, str(error))


@require_POST
@step(_shown)
def approve_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve exactly the plan that was seen, and start it if that was asked for as well."""
    approved = starts.approve_plan(
        get_object_or_404(CleanupPlan, pk=pk),
        hash_seen=request.POST.get("hash", ""),
        actor=actor_of(request),
        now=timezone.now(),
    )
    if request.POST.get("then") == "start":
        return _started(request, approved)
    messages.success(request, f"Plan {pk} is approved. It can be started now.")
    return redirect("positions:plan_detail", pk=pk)


@require_POST
@step(_shown)
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
@step(_shown)
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
@step(_shown)
def resume_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on with a paused plan."""
    plan = get_object_or_404(CleanupPlan.objects.select_related("account"), pk=pk)
    resumed = stops.resume_plan(plan, actor=actor_of(request), now=timezone.now())
    _wake(request, resumed)
    return redirect("positions:plan_detail", pk=pk)


@require_POST
@step(_shown)
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
