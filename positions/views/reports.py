"""Hand out a plan's report as CSV, safe to open in a spreadsheet."""

import csv
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from positions.domain.amounts import canonical
from positions.models import CleanupPlan, CloseOrder
from positions.selectors.cells import disarmed
from positions.selectors.plans import plan_view
from positions.views.errors import page

COLUMNS = (
    "plan",
    "hash",
    "number",
    "asset",
    "symbol",
    "route",
    "status",
    "reason",
    "message",
    "client_order_id",
    "quantity",
    "filled_quantity",
    "average_price",
    "fee",
    "fee_currency",
    "expected_net_usd",
    "net_usd",
    "purpose",
)


@require_GET
@page
def plan_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Return every order of a plan with exact decimals."""
    view = plan_view(get_object_or_404(CleanupPlan, pk=pk), now=timezone.now())
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="plan-{view.plan.pk}.csv"'
    writer = csv.writer(response)
    writer.writerow(COLUMNS)
    for order in view.orders:
        writer.writerow(_row(order))
    return response


def _row(order: CloseOrder) -> list[str]:
    return [
        str(order.plan.pk),
        disarmed(order.plan.hash),
        str(order.number),
        disarmed(order.asset),
        disarmed(order.symbol),
        disarmed(order.route),
        disarmed(order.status),
        disarmed(order.reason),
        disarmed(order.message),
        disarmed(order.client_order_id or ""),
        _number(order.quantity),
        _number(order.filled_quantity),
        _number(order.average_price),
        _number(order.fee),
        disarmed(order.fee_currency),
        _number(order.expected_net_usd),
        _number(order.net_usd),
        disarmed(order.plan.purpose),
    ]


def _number(amount: Decimal | None) -> str:
    return "unknown" if amount is None else canonical(amount)
