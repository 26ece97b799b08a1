"""Press and release the kill switch: for one account, or for all."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from positions.models import ExchangeAccount
from positions.selectors.plan_pages import unsent_by_plan
from positions.services import stops
from positions.views.context import halt_of
from positions.views.errors import page
from positions.views.people import actor_of
from positions.views.policies import account_named


@require_http_methods(["GET", "POST"])
@page
def stop_all(request: HttpRequest) -> HttpResponse:
    """Show what would stay unsent everywhere; stop everything on POST."""
    if request.method == "POST":
        return _stopped(request, None)
    return _confirm(request, None)


@require_http_methods(["GET", "POST"])
@page
def stop_account(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what would stay unsent on one account; stop it on POST."""
    account = account_named(slug)
    if request.method == "POST":
        return _stopped(request, account)
    return _confirm(request, account)


@require_POST
@page
def release_stop(request: HttpRequest) -> HttpResponse:
    """Let requests of all accounts leave again."""
    stops.release_stop(None, actor=actor_of(request), now=timezone.now())
    messages.success(request, "The stop of everything is released. Halted plans stay ended.")
    return redirect("positions:account_list")


@require_POST
@page
def release_account_stop(request: HttpRequest, slug: str) -> HttpResponse:
    """Let requests of one account leave again."""
    stops.release_stop(account_named(slug), actor=actor_of(request), now=timezone.now())
    messages.success(request, f"The stop of {slug} is released. Halted plans stay ended.")
    return redirect("positions:account_detail", slug=slug)


def _confirm(request: HttpRequest, account: ExchangeAccount | None) -> HttpResponse:
    orders = unsent_by_plan(account_pk=None if account is None else account.pk)
    found = {order.plan_id: order.plan for order in orders}
    return render(
        request,
        "positions/stop.html",
        {
            "account": account,
            "unsent": orders,
            "plan_count": len(found),
            "stop": halt_of(request, account),
        },
    )


def _stopped(request: HttpRequest, account: ExchangeAccount | None) -> HttpResponse:
    count = stops.halt_everything(
        account,
        reason=request.POST.get("reason", "").strip(),
        actor=actor_of(request),
        now=timezone.now(),
    )
    what = "Everything is" if account is None else f"{account.slug} is"
    ended = {0: "No plan was running.", 1: "1 plan was halted."}.get(
        count, f"{count} plans were halted."
    )
    messages.warning(request, f"{what} stopped. Nothing new is sent. {ended}")
    if account is None:
        return redirect("positions:account_list")
    return redirect("positions:account_detail", slug=account.slug)
