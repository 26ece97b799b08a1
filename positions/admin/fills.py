"""Show every trade of our orders."""

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, link
from positions.models import Fill


class FillAdmin(ReadOnlyAdmin):
    """List trades as the exchange reported them."""

    list_display = [
        "trade_id",
        "order_link",
        "plan_link",
        "quantity",
        "price",
        "fee",
        "fee_currency",
        "at",
    ]
    list_select_related = ["order__plan", "order__account"]
    list_filter = ["order__account", "fee_currency", "at"]
    search_fields = ["trade_id", "order__client_order_id", "^order__asset"]
    search_help_text = "Trade id, client order id, or asset"
    date_hierarchy = "at"
    fields = ["trade_id", "order", "plan_link", "quantity", "price", "fee", "fee_currency", "at"]
    also_exported = [
        "order__account__slug",
        "order__plan_id",
        "order__asset",
        "order__client_order_id",
    ]

    @admin.display(description="order", ordering="order__asset")
    def order_link(self, fill: Fill) -> SafeString | str:
        """Return the way to its order."""
        return link(fill.order)

    @admin.display(description="plan", ordering="order__plan__pk")
    def plan_link(self, fill: Fill) -> SafeString | str:
        """Return the way to its plan."""
        return link(fill.order.plan)
