"""Show all accounts: what needs a person, sums over live accounts, and the table."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from positions.models.accounts import Environment
from positions.selectors.overview import OverviewRow, overview
from positions.views.context import halts_of
from positions.views.errors import page
from positions.views.gauges import small_gauge


@require_GET
@page
def account_list(request: HttpRequest) -> HttpResponse:
    """Show every account, worst first."""
    now = timezone.now()
    everything = overview(now=now, halts=halts_of(request))
    environment = request.GET.get("environment", "")
    find = request.GET.get("find", "").strip()
    context = {
        "overview": everything,
        "rows": [
            {"row": row, "gauge": small_gauge(row.reading)}
            for row in everything.rows
            if _shown(row, environment=environment, find=find)
        ],
        "environments": [
            (item.value, item.label, everything.environments[item.value])
            for item in reversed(Environment)  # live money first
            if everything.environments[item.value]
        ],
        "environment": environment if environment in Environment.values else "",
        "find": find,
        "attention": [row for row in everything.rows if needs_person(row)],
        "now": now,
    }
    only_table = bool(request.htmx) and request.htmx.target == "accounts"  # type: ignore[attr-defined]  # set by its middleware
    template = "positions/_accounts.html" if only_table else "positions/account_list.html"
    return render(request, template, context)


def needs_person(row: OverviewRow) -> bool:
    """Tell whether somebody should look at the account now."""
    waits = row.plan is not None and row.plan.status in {"AWAITING_APPROVAL", "PAUSED"}
    return row.rank <= 3 or waits


def _shown(row: OverviewRow, *, environment: str, find: str) -> bool:
    if environment in Environment.values and row.account.environment != environment:
        return False
    return find.lower() in row.account.slug or find.lower() in row.account.exchange_name.lower()
