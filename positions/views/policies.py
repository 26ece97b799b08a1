"""Change an account's policy from its page: the threshold, and the asset lists."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from positions.forms import asked_threshold
from positions.models import DustPolicy, ExchangeAccount
from positions.services import policies
from positions.services.permissions import Permission, require
from positions.templatetags.formats import threshold_text
from positions.views.errors import page
from positions.views.people import actor_of


@require_POST
@page
def set_threshold(request: HttpRequest, slug: str) -> HttpResponse:
    """Make the tried threshold the account's own: a new version of its policy."""
    actor = actor_of(request)
    require(actor, Permission.THRESHOLD)
    account = account_named(slug)
    threshold = asked_threshold(
        request.POST.get("threshold", ""), policy=policies.in_force(account).as_domain()
    )
    row = policies.change(account, {"dust_threshold": threshold}, actor=actor, now=timezone.now())
    messages.success(
        request,
        f"The dust threshold of {slug} is {threshold_text(threshold)}. "
        f"Policy v{row.version} is in force.",
    )
    return redirect("positions:account_detail", slug=slug)


@require_POST
@page
def protect_asset(request: HttpRequest, slug: str) -> HttpResponse:
    """Protect an asset: it is never sold; its slot goes by its value."""
    return _listed(request, slug, policies.protect, "is protected: never sold")


@require_POST
@page
def unprotect_asset(request: HttpRequest, slug: str) -> HttpResponse:
    """Take an asset off the protected list: it may be sold as dust again."""
    return _listed(request, slug, policies.unprotect, "is not protected any more")


@require_POST
@page
def ignore_asset(request: HttpRequest, slug: str) -> HttpResponse:
    """Ignore an asset: it takes no slot, and is never sold."""
    return _listed(request, slug, policies.ignore, "is ignored: no slot, never sold")


@require_POST
@page
def unignore_asset(request: HttpRequest, slug: str) -> HttpResponse:
    """Take an asset off the ignored list: it counts like any other."""
    return _listed(request, slug, policies.unignore, "is not ignored any more")


def _listed(
    request: HttpRequest, slug: str, step: Callable[..., DustPolicy], said: str
) -> HttpResponse:
    actor = actor_of(request)
    require(actor, Permission.THRESHOLD)
    asset = request.POST.get("asset", "").strip().upper()
    row = step(
        account_named(slug),
        asset,
        reason=request.POST.get("reason", ""),
        actor=actor,
        now=timezone.now(),
    )
    messages.success(request, f"{asset} {said}. Policy v{row.version} is in force.")
    return redirect("positions:account_detail", slug=slug)


def account_named(slug: str) -> ExchangeAccount:
    """Return the account; raise `Http404`."""
    try:
        return ExchangeAccount.objects.get(slug=slug)
    except ExchangeAccount.DoesNotExist:
        raise Http404(f"There is no account {slug}.") from None
