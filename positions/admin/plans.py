"""Show plans with their orders and everything that happened to them."""

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import (
    MOST_ROWS,
    ReadOnlyAdmin,
    link,
    list_link,
    table,
)
from positions.admin.timeline import events_table
from positions.models import AuditEvent, CleanupPlan, CloseOrder
from positions.selectors.plans import skipped_json
from positions.templatetags.formats import quantity, usd4

NAMES = ("created_by_name", "approved_by_name", "started_by_name")


class PlanAdmin(ReadOnlyAdmin):
    """List plans; a plan's page has its orders and its timeline."""

    list_display = [
        "plan_name",
        "account_link",
        "purpose",
        "status",
        "short_hash",
        "threshold",
        "value_usd",
        "created_by_name",
        "approved_by_name",
        "started_by_name",
        "created_at",
        "finished_at",
    ]
    list_select_related = ["account"]
    list_filter = ["account", "purpose", "status", "created_by", "approved_by", "created_at"]
    search_fields = ["hash", "^orders__asset", "orders__client_order_id", *NAMES]
    search_help_text = "Plan hash, asset, client order id, or who drafted, approved or started it"
    date_hierarchy = "created_at"
    fields = [
        "in_panel",
        "account",
        "purpose",
        "status",
        "status_note",
        "hash",
        "threshold",
        "value_usd",
        "expected_net_usd",
        "positions_before",
        "positions_after",
        "slots_before",
        "slots_after",
        "snapshot",
        "policy",
        "created_by_name",
        "created_at",
        "expires_at",
        "approved_by_name",
        "approved_at",
        "started_by_name",
        "started_at",
        "finished_at",
        "closing_snapshot",
        "other_activity_table",
        "orders_table",
        "skipped_table",
        "timeline_table",
    ]
    also_exported = ["policy__version", "other_activity", "skipped"]

    @admin.display(description="plan", ordering="pk")
    def plan_name(self, plan: CleanupPlan) -> str:
        """Return the plan's number."""
        return str(plan)

    @admin.display(description="account", ordering="account__slug")
    def account_link(self, plan: CleanupPlan) -> SafeString | str:
        """Return the way to its account."""
        return link(plan.account)

    @admin.display(description="hash")
    def short_hash(self, plan: CleanupPlan) -> str:
        """Return the part of the hash that buttons name."""
        return plan.short_hash

    @admin.display(description="other activity")
    def other_activity_table(self, plan: CleanupPlan) -> SafeString:
        """Return what the fills don't explain."""
        return table(
            ["Asset", "Quantity"],
            ([item["asset"], item["quantity"]] for item in plan.other_activity),
        )

    @admin.display(description="orders")
    def orders_table(self, plan: CleanupPlan) -> SafeString:
        """Return its orders as planned and as they ended."""
        rows = table(
            [
                "Order",
                "Status",
                "Quantity",
                "Filled",
                "Expected net",
                "Net",
                "Client order id",
                "Why",
            ],
            (
                [
                    link(order, order.asset),
                    order.get_status_display(),
                    quantity(order.quantity),
                    quantity(order.filled_quantity),
                    usd4(order.expected_net_usd),
                    usd4(order.net_usd),
                    order.client_order_id,
                    order.message,
                ]
                for order in plan.orders.order_by("number")[:MOST_ROWS]
            ),
        )
        return rows + list_link(CloseOrder, "All its orders", plan__id__exact=plan.pk)

    @admin.display(description="what stays")
    def skipped_table(self, plan: CleanupPlan) -> SafeString:
        """Return what it was about and stays, with the reasons."""
        return table(
            ["Asset", "Reason", "Why"],
            ([item["asset"], item["reason"], item["message"]] for item in skipped_json(plan)),
        )

    @admin.display(description="what happened")
    def timeline_table(self, plan: CleanupPlan) -> SafeString:
        """Return its events, the newest first."""
        rows = events_table(plan.events.select_related("order")[:MOST_ROWS])
        return rows + list_link(AuditEvent, "All its events", plan__id__exact=plan.pk)
