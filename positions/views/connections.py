"""Connect an account, and take one out of use and back."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from positions.domain.plans import LIVE
from positions.exchanges.profiles import profile_of
from positions.exchanges.profiles.keys import GUIDES, guide_of
from positions.forms.connections import ConnectForm, KeyForm
from positions.models import Environment
from positions.models.accounts import EXCHANGE_NAMES
from positions.selectors.acceptance import waits_for_acceptance
from positions.selectors.plan_pages import unsent_by_plan
from positions.services import acceptance, accounts, enabling
from positions.services.accounts import BadAccount, base_url_of, sandboxes
from positions.services.dispatch import Due
from positions.services.keys import Examination
from positions.services.permissions import Permission, require
from positions.tasks import QueueUnreachable, wake
from positions.views.errors import page
from positions.views.people import actor_of
from positions.views.policies import account_named


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@page
def connect_account(request: HttpRequest) -> HttpResponse:
    """Show the form; on POST test what was entered, and keep the account if it is asked for."""
    actor = actor_of(request)
    require(actor, Permission.CONNECT)
    if request.method == "GET":
        form = ConnectForm(
            initial={
                "exchange": request.GET.get("exchange", ""),
                "environment": Environment.SANDBOX if sandboxes() else Environment.LIVE,
            }
        )
        return render(request, "positions/connect_account.html", _connecting(form))
    form = ConnectForm(request.POST)
    found: Examination | None = None
    if form.is_valid():
        now, credentials = timezone.now(), form.credentials()
        try:
            account = accounts.prepared(
                form.new_account(), credentials=credentials, actor=actor, now=now
            )
            found = accounts.tried(account, credentials)
            if request.POST.get("do") == "connect" and not found.failed:
                accounts.keep(account, found, actor=actor, now=now)
                messages.success(
                    request, f"{account.slug} is connected. Its first snapshot is being taken."
                )
                read_soon(request, account.pk)
                return redirect("positions:account_detail", slug=account.slug)
        except BadAccount as error:
            form.add_error(error.field or None, str(error))
    tell_failures(form, found)
    status = 400 if form.errors else 200
    context = _connecting(form) | {"found": found}
    return render(request, "positions/connect_account.html", context, status=status)


def _connecting(form: ConnectForm) -> dict[str, Any]:
    exchange = str(form["exchange"].value() or "")
    known = exchange in GUIDES
    return {"form": form, "asks_passphrase": not known} | (guidance(exchange) if known else {})


def guidance(exchange: str) -> dict[str, Any]:
    """Return what a page says about the keys of an exchange and where its requests go."""
    guide = guide_of(exchange)
    return {
        "guide": guide,
        "guide_name": EXCHANGE_NAMES.get(exchange, exchange),
        "asks_passphrase": guide.has_passphrase or exchange not in GUIDES,
        "base_url": base_url_of(exchange),
        "orders_verified": profile_of(exchange).orders_verified,
    }


def tell_failures(form: KeyForm, found: Examination | None) -> None:
    """Put what failed beside the fields that it is about."""
    for check in found.failed if found else []:
        form.add_error(check.field if check.field in form.fields else None, check.said)


def read_soon(request: HttpRequest, account_pk: int) -> None:
    """Wake a worker for the snapshot that is due; the scheduler sees to it otherwise."""
    try:
        wake([Due(task="take_snapshot", pk=account_pk)])
    except QueueUnreachable as error:
        messages.warning(request, str(error))


# --- Out of use and back ------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@page
def disable_account(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what disabling would do; do it on POST."""
    account, actor = account_named(slug), actor_of(request)
    require(actor, Permission.CONNECT)
    problem, status = "", 200
    if request.method == "POST":
        try:
            count = enabling.disable_account(
                account, reason=request.POST.get("reason", ""), actor=actor, now=timezone.now()
            )
        except BadAccount as error:
            problem, status = str(error), 400
        else:
            ended = {0: "No plan was running.", 1: "1 plan was halted."}.get(
                count, f"{count} plans were halted."
            )
            messages.warning(request, f"{slug} is disabled: it is not read any more. {ended}")
            return redirect("positions:account_detail", slug=slug)
    context = {
        "account": account,
        "unsent": unsent_by_plan(account_pk=account.pk),
        "plan_count": account.plans.filter(status__in=LIVE).count(),
        "problem": problem,
    }
    return render(request, "positions/disable_account.html", context, status=status)


@require_http_methods(["GET", "POST"])
@page
def accept_unverified(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what it means that orders are not verified at the exchange; accept it on POST."""
    account, actor = account_named(slug), actor_of(request)
    require(actor, Permission.CONNECT)
    if request.method == "POST":
        acceptance.accept_unverified(account, actor=actor, now=timezone.now())
        messages.warning(
            request, f"Plans of {slug} can start, although orders are not verified there."
        )
        return redirect("positions:account_detail", slug=slug)
    context = {"account": account, "waits": waits_for_acceptance(account)}
    return render(request, "positions/accept_unverified.html", context)


@require_POST
@page
def enable_account(request: HttpRequest, slug: str) -> HttpResponse:
    """Read the account again, and let plans start."""
    account = account_named(slug)
    enabling.enable_account(account, actor=actor_of(request), now=timezone.now())
    messages.success(request, f"{slug} is enabled. It is being read; its key is checked with that.")
    read_soon(request, account.pk)
    return redirect("positions:account_detail", slug=slug)
