"""Follow a running plan: one poll a second for the block, and the rows that changed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from positions.domain.orders import OrderState
from positions.models import CleanupPlan
from positions.selectors.orders import happening, what_to_do
from positions.selectors.plan_pages import PlanPage
from positions.views.errors import fragment, page_again
from positions.views.plan_parts import frame, net_word, read_page

# Above this many orders one bar of counts stands for the segments.
MOST_SEGMENTS = 24
EVENTS = 12


@require_GET
@fragment
def plan_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the progress block and the rows that changed; once the state is another, the page."""
    view = read_page(request, pk)
    if not request.htmx:  # type: ignore[attr-defined]  # set by its middleware
        return redirect("positions:plan_detail", pk=pk)
    if view.plan.status != request.GET.get("state", view.plan.status) or not view.plan.is_live:
        response = render(
            request, "positions/_plan_ended.html", frame(request, view) | {"polls": False}
        )
        response["HX-Refresh"] = "true"
        return response
    since = request.GET.get("since", "0")
    cursor = int(since) if since.isascii() and since.isdigit() and len(since) < 19 else 0
    changed = {order.pk for order in view.changed_since(cursor)}
    # A waiting unknown order says when it is asked again; that sentence changes by itself.
    changed |= {order.pk for order in view.unknown}
    context = frame(request, view) | progress(view)
    context["changed"] = [row for row in context["rows"] if row["order"].pk in changed]
    return render(request, "positions/_plan_progress.html", context | {"is_poll": True})


@require_GET
@fragment
def closing_snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that the closing snapshot is awaited; load the page again once it is there."""
    plan = get_object_or_404(CleanupPlan, pk=pk)
    if plan.closing_snapshot_id is not None:
        return page_again()
    return render(request, "positions/_waiting_for_snapshot.html", {"plan": plan})


def progress(view: PlanPage) -> dict[str, Any]:
    """Return the progress block, the rows and the events."""
    unknown = {order.pk for order in view.unknown}
    rows = [
        {
            "order": order,
            "says": happening(order, now=view.now),
            "net": net_word(order),
            "is_unknown": order.pk in unknown,
        }
        for order in view.orders
    ]
    total = len(view.orders)
    seconds = int(view.running_for.total_seconds()) if view.running_for else 0
    ended = total - view.to_send - view.at_the_exchange - len(view.unknown)
    open_orders = view.to_send + view.at_the_exchange
    left = round(seconds / ended * open_orders) if ended and open_orders else None
    return {
        "rows": rows,
        "unknown_rows": unknown_rows(view),
        "total": total,
        "running_for": view.running_for,
        "per_minute": round(60 * ended / seconds) if seconds and ended else None,
        "time_left": left,
        "events": view.events[:EVENTS],
        "segments": view.orders if total <= MOST_SEGMENTS else None,
        "shares": _shares(view),
        "unsent": [order.asset for order in view.orders if order.state is OrderState.PLANNED],
        "counts": _counts(view),
        "step": 3,
        "polls": True,
    }


def unknown_rows(view: PlanPage) -> list[dict[str, Any]]:
    """Return the orders whose end nobody knows, with what is being done and what to do."""
    return [
        {
            "order": order,
            "says": happening(order, now=view.now),
            "to_do": what_to_do(order, now=view.now),
        }
        for order in view.unknown
    ]


def _counts(view: PlanPage) -> str:
    exchange = view.plan.account.exchange_name
    parts = [
        (len(view.unknown), "unknown"),
        (view.at_the_exchange, f"at {exchange}"),
        (view.to_send, "to send"),
        (len(view.failed), "not filled"),
        (len(view.resolved), "closed by hand"),
        (len(view.not_sent), "not sent"),
    ]
    return ", ".join(f"{count} {word}" for count, word in parts if count)


def _shares(view: PlanPage) -> list[dict[str, Any]]:
    total = max(1, len(view.orders))
    parts = [
        ("filled", view.filled),
        ("unknown", len(view.unknown)),
        ("open", view.at_the_exchange),
        ("failed", len(view.failed) + len(view.resolved) + len(view.not_sent)),
    ]
    found, x = [], 0.0
    for name, count in parts:
        width = 100 * count / total
        found.append({"name": name, "x": f"{x:.2f}", "width": f"{width:.2f}"})
        x += width
    return found
