"""Show one account: its slots, what any threshold would do, its positions; and read it anew."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from positions.domain.amounts import BadAmount, canonical
from positions.domain.policies import GuardBroken
from positions.forms import asked_threshold
from positions.models import ExchangeAccount
from positions.selectors.acceptance import waits_for_acceptance
from positions.selectors.accounts import (
    AccountReading,
    account_reading,
    what_happened,
)
from positions.selectors.analysis import Analysis
from positions.selectors.bots import holds_of
from positions.selectors.conversions import terms_of
from positions.selectors.plans import recent_plans
from positions.services.dispatch import Due
from positions.services.snapshots import ask_for_snapshot
from positions.tasks import wake
from positions.templatetags.formats import threshold_text
from positions.views.chart import charts, slots_sentence
from positions.views.context import halt_of
from positions.views.errors import at, fragment, page, page_again
from positions.views.gauges import account_gauge, unknown_gauge
from positions.views.people import actor_of
from positions.views.policies import account_named
from positions.views.positions import PARAMETERS, Asked, positions_table
from positions.views.stuck import stuck_by_reason

PRESETS = (Decimal("0.50"), Decimal("5.00"))


@require_GET
@page
def account_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the account at the policy's threshold, or at the asked one."""
    return account_page(request, slug)


def account_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the account's page, also as the answer to a step that was refused on it."""
    reading = _reading(slug)
    if reading.analysis is None:
        context = _frame(request, reading) | {"holds": holds_of(reading)}
        return render(request, "positions/account_unread.html", context)
    if getattr(request, "htmx", None) and request.htmx.target == "positions":  # type: ignore[attr-defined]  # set by its middleware
        asked = _asked(request, reading.analysis)
        table = "_positions.html" if reading.slots_known else "_positions_then.html"
        context = _frame(request, reading) | positions_table(request, asked)
        response = render(request, f"positions/{table}", context)
        threshold = "" if asked.is_policy else asked.text
        response["HX-Push-Url"] = _address(slug, threshold=threshold, table=request.GET)
        return response
    return _whole_page(request, reading, reading.analysis)


@require_GET
@fragment
def what_if(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the asked threshold would do; without htmx, on the whole page."""
    reading = _reading(slug)
    if reading.analysis is None:
        raise Http404
    if not request.htmx:  # type: ignore[attr-defined]  # set by its middleware
        return _whole_page(request, reading, reading.analysis)
    asked = _asked(request, reading.analysis)
    status = _status(asked, reading)
    context = _frame(request, reading) | _numbers(asked) | {"out_of_band": status == 200}
    response = render(request, "positions/_what_if.html", context, status=status)
    if status == 200:
        # What the shown address says about the table stays: this answer doesn't touch it.
        shown = QueryDict(urlsplit(request.htmx.current_url or "").query)  # type: ignore[attr-defined]  # set by its middleware
        response["HX-Replace-Url"] = _address(slug, threshold=asked.text, table=shown)
    return response


def _address(slug: str, *, threshold: str, table: QueryDict) -> str:
    """Return the page's address with a threshold and what the table shows."""
    asked = {"threshold": threshold, **{name: table.get(name, "") for name in PARAMETERS}}
    query = urlencode({name: value for name, value in asked.items() if value})
    address = reverse("positions:account_detail", args=[slug])
    return f"{address}?{query}" if query else address


def _reading(slug: str) -> AccountReading:
    try:
        return account_reading(slug, now=timezone.now())
    except ExchangeAccount.DoesNotExist:
        raise Http404(f"There is no account {slug}.") from None


def _asked(request: HttpRequest, analysis: Analysis) -> Asked:
    """Read the asked threshold; without one, or if it can't be used, the policy's stands."""
    text = request.GET.get("threshold", request.POST.get("threshold"))
    if text is None:
        return Asked(text=_written(analysis.policy.dust_threshold), analysis=analysis)
    try:
        threshold = asked_threshold(text, policy=analysis.policy)
    except (BadAmount, GuardBroken) as error:
        return Asked(text=text, analysis=analysis, problem=str(error))
    return Asked(text=text, analysis=replace(analysis, threshold=threshold))


def _status(asked: Asked, reading: AccountReading) -> int:
    if asked.problem:
        return 400
    return 200 if reading.slots_known else 409


def _written(threshold: Decimal) -> str:
    return max(canonical(threshold), f"{threshold:.2f}", key=len)


def _whole_page(request: HttpRequest, reading: AccountReading, analysis: Analysis) -> HttpResponse:
    asked = _asked(request, analysis)
    context = (
        _frame(request, reading)
        | _numbers(asked)
        | positions_table(request, asked)
        | {
            "gauge": account_gauge(analysis),
            "happened": [] if reading.slots_known else what_happened(reading),
            "plans": recent_plans(reading.account),
            "holds": holds_of(reading),
            "presets": _presets(asked),
            "stuck": stuck_by_reason(asked.analysis),
            "terms": terms_of(reading.account, analysis.snapshot, now=reading.now),
            "in_force": analysis,
        }
    )
    status = 400 if asked.problem else 200
    return render(request, "positions/account_detail.html", context, status=status)


def _frame(request: HttpRequest, reading: AccountReading) -> dict[str, Any]:
    return {
        "at": at(request, "positions:account_detail", reading.account.slug),
        "reading": reading,
        "account": reading.account,
        "policy": reading.policy_row,
        "waits_for_acceptance": waits_for_acceptance(reading.account),
        "halt": SimpleLazyObject(lambda: halt_of(request, reading.account)),
        "now": reading.now,
        "policy_threshold_text": threshold_text(reading.policy_row.dust_threshold),
        "unknown_gauge": unknown_gauge(reading.policy_row.position_cap),
    }


def _numbers(asked: Asked) -> dict[str, Any]:
    analysis = asked.analysis
    effect = analysis.effect
    costs = effect.closing_fee_usd + effect.closing_slippage_usd
    wide, phone = charts(analysis)
    return {
        "asked": asked,
        "analysis": analysis,
        "effect": effect,
        "costs": costs,
        "costs_share": costs / effect.closable_value_usd if effect.closable_value_usd else None,
        "threshold_text": threshold_text(analysis.threshold),
        "threshold_value": canonical(analysis.threshold),
        "slots_text": slots_sentence(analysis),
        "wide_chart": wide,
        "charts": [wide, phone],
        "advice": analysis.recommendations,
    }


def _presets(asked: Asked) -> list[dict[str, Any]]:
    policy = asked.analysis.policy
    values = sorted({*PRESETS, policy.dust_threshold})
    return [
        {
            "value": _written(value),
            "text": f"${value.normalize():f}"
            if value == value.to_integral_value()
            else threshold_text(value),
            "is_policy": value == policy.dust_threshold,
            "is_current": not asked.problem and value == asked.analysis.threshold,
        }
        for value in values
        if value <= policy.max_threshold
    ]


# --- Read it anew -------------------------------------------------------------------------------


@require_POST
@page
def take_snapshot(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a snapshot and wake a worker for it; the page shows that it is updating."""
    account = account_named(slug)
    ask_for_snapshot(account, actor=actor_of(request), now=timezone.now())
    wake([Due(task="take_snapshot", pk=account.pk)])
    return redirect("positions:account_detail", slug=slug)


@require_GET
@fragment
def snapshot_status(request: HttpRequest, slug: str) -> HttpResponse:
    """Say that the account is being read; load the page again once there is a newer snapshot."""
    reading = _reading(slug)
    seen = request.GET.get("since", "")
    newest = "" if reading.newest is None else str(reading.newest.pk)
    if newest != seen or not reading.is_updating:
        return page_again()
    return render(request, "positions/_snapshot_status.html", _frame(request, reading))
