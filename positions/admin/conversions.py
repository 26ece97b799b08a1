"""Show every conversion that was committed, and its answer."""

import json

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, json_text, link, table
from positions.models import Conversion
from positions.templatetags.formats import quantity


class ConversionAdmin(ReadOnlyAdmin):
    """List conversions, each one request for several orders."""

    list_display = ["number", "plan_link", "target", "sent_at", "answered_at", "answer"]
    list_select_related = ["plan__account"]
    list_filter = ["plan__account", "answer", "answer_code", "created_at"]
    search_fields = ["client_id", "reference", "^orders__asset", "answer_code", "answer_text"]
    search_help_text = "Its id, asset, or the exchange's code or words"
    date_hierarchy = "created_at"
    fields = [
        "plan",
        "number",
        "target",
        "client_id",
        "reference",
        "signed_at_ms",
        "valid_until_ms",
        "created_at",
        "sent_at",
        "answered_at",
        "answer",
        "answer_code",
        "answer_text",
        "orders_table",
        "request_text",
        "wire_text",
    ]
    also_exported = ["plan__account__slug", "request", "wire"]

    @admin.display(description="plan", ordering="plan__pk")
    def plan_link(self, conversion: Conversion) -> SafeString | str:
        """Return the way to its plan."""
        return link(conversion.plan)

    @admin.display(description="orders")
    def orders_table(self, conversion: Conversion) -> SafeString:
        """Return the orders that share it."""
        return table(
            ["Order", "Status", "Planned", "Converted"],
            (
                [
                    link(order, order.asset),
                    order.get_status_display(),
                    quantity(order.quantity),
                    quantity(order.filled_quantity),
                ]
                for order in conversion.orders.order_by("number")
            ),
        )

    @admin.display(description="committed before sending")
    def request_text(self, conversion: Conversion) -> SafeString:
        """Return what was to be asked, as it was written down before anything left."""
        return json_text(json.dumps(conversion.request, indent=2, sort_keys=True))

    @admin.display(description="on the wire")
    def wire_text(self, conversion: Conversion) -> SafeString | str:
        """Return what left and which headers came back, without key and signature."""
        if not conversion.wire:
            return "nothing known to have left"
        return json_text(json.dumps(conversion.wire, indent=2, sort_keys=True))
