"""Show one order: what it is, what is happening, how it came so far; and close it by hand."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from positions.domain.resolutions import BadFinding
from positions.forms.resolutions import ResolutionForm
from positions.models import CloseOrder
from positions.selectors.order_pages import OrderPage, order_page
from positions.services.permissions import Permission, has, require
from positions.services.resolutions import resolve_order as resolve
from positions.views.errors import at, fragment, page, page_again, step
from positions.views.people import actor_of
from positions.views.plan_parts import net_word


@require_GET
@page
def order_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the order with its timeline."""
    return _shown(request, pk)


@require_GET
@fragment
def order_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Return what is happening, and what has changed since the cursor; at its end, the page."""
    view = _read(pk)
    if not request.htmx:  # type: ignore[attr-defined]  # set by its middleware
        return redirect("positions:order_detail", pk=pk)
    waited = request.GET.get("waits", "") == "1"
    if not view.is_live or view.order.waits_for_person != waited:
        return page_again()
    since = request.GET.get("since", "0")
    changed = not since.isdecimal() or len(since) > 18 or view.order.change > int(since)
    context = _context(request, view) | {"is_poll": True, "changed": changed}
    return render(request, "positions/_order_progress.html", context)


@require_POST
@step(lambda request, pk: _shown(request, pk))
def resolve_order(request: HttpRequest, pk: int) -> HttpResponse:
    """Close an unknown order with what a person found out at the exchange."""
    actor = actor_of(request)
    require(actor, Permission.RESOLVE)
    order = get_object_or_404(CloseOrder.objects.select_related("plan", "account"), pk=pk)
    form = ResolutionForm(request.POST, order=order)
    if not form.is_valid():
        return _shown(request, pk, form=form)
    try:
        resolve(order, form.finding, actor=actor, now=timezone.now())
    except BadFinding as error:
        form.refuse(error)
        return _shown(request, pk, form=form)
    messages.success(request, f"{order.asset} is closed by hand. Nothing was sent.")
    return redirect("positions:order_detail", pk=pk)


def _read(pk: int) -> OrderPage:
    try:
        return order_page(pk, now=timezone.now())
    except CloseOrder.DoesNotExist:
        raise Http404(f"There is no order {pk}.") from None


def _shown(request: HttpRequest, pk: int, *, form: ResolutionForm | None = None) -> HttpResponse:
    view = _read(pk)
    may_resolve = view.order.waits_for_person and has(actor_of(request), Permission.RESOLVE)
    if may_resolve and form is None:
        form = ResolutionForm(request.POST or None, order=view.order)
    context = _context(request, view) | {"form": form if may_resolve else None}
    status = 400 if may_resolve and form is not None and form.errors else 200
    return render(request, "positions/order_detail.html", context, status=status)


def _context(request: HttpRequest, view: OrderPage) -> dict[str, Any]:
    order = view.order
    return {
        "at": at(request, "positions:order_detail", order.pk),
        "view": view,
        "order": order,
        "plan": order.plan,
        "account": order.account,
        "exchange": order.account.exchange_name,
        "net": net_word(order),
        "now": view.now,
    }
