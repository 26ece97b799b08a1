"""Show orders with their attempts, fills and events."""

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.attempts import http_status
from positions.admin.read_only import MOST_ROWS, ReadOnlyAdmin, link, list_link, table
from positions.admin.timeline import moment, order_table
from positions.models import AuditEvent, CloseOrder
from positions.templatetags.formats import quantity


class OrderAdmin(ReadOnlyAdmin):
    """List orders; an order's page has all that was sent for it and all that came back."""

    list_display = [
        "asset",
        "plan_link",
        "account_link",
        "status",
        "reason",
        "quantity",
        "filled_quantity",
        "net_usd",
        "client_order_id",
        "updated_at",
    ]
    list_select_related = ["account", "plan"]
    list_filter = ["account", "status", "reason", "waits_for_person", "updated_at"]
    search_fields = ["client_order_id", "exchange_order_id", "^asset", "plan__hash"]
    search_help_text = "Client order id, the exchange's order id, asset, or plan hash"
    date_hierarchy = "updated_at"
    fields = [
        "in_panel",
        "plan",
        "account",
        "number",
        "asset",
        "symbol",
        "route",
        "client_order_id",
        "conversion",
        "exchange_order_id",
        "status",
        "reason",
        "message",
        "waits_for_person",
        "quantity",
        "price",
        "value_usd",
        "expected_fee_usd",
        "expected_slippage_usd",
        "expected_net_usd",
        "sent_quantity",
        "filled_quantity",
        "notional",
        "average_price",
        "fee",
        "fee_currency",
        "net_usd",
        "lookups",
        "unknown_since",
        "updated_at",
        "closed_at",
        "attempts_table",
        "fills_table",
        "timeline_table",
    ]

    @admin.display(description="plan", ordering="plan__pk")
    def plan_link(self, order: CloseOrder) -> SafeString | str:
        """Return the way to its plan."""
        return link(order.plan)

    @admin.display(description="account", ordering="account__slug")
    def account_link(self, order: CloseOrder) -> SafeString | str:
        """Return the way to its account."""
        return link(order.account)

    @admin.display(description="attempts")
    def attempts_table(self, order: CloseOrder) -> SafeString:
        """Return every request that was made for it."""
        return table(
            [
                "Attempt",
                "Quantity",
                "Sent at",
                "Answered at",
                "Answer",
                "Code",
                "HTTP",
                "Its words",
            ],
            (
                [
                    link(item, f"Attempt {item.number}"),
                    quantity(item.quantity),
                    moment(item.sent_at) if item.sent_at else "not sent",
                    moment(item.answered_at) if item.answered_at else "none",
                    item.get_answer_display(),
                    item.answer_code or "none",
                    http_status(item),
                    item.answer_text[:200],
                ]
                for item in order.attempts.all()
            ),
        )

    @admin.display(description="fills")
    def fills_table(self, order: CloseOrder) -> SafeString:
        """Return every trade that the exchange reported for it."""
        return table(
            ["Trade", "At", "Quantity", "Price", "Fee"],
            (
                [
                    link(item, item.trade_id),
                    moment(item.at),
                    quantity(item.quantity),
                    quantity(item.price),
                    f"{quantity(item.fee)} {item.fee_currency}",
                ]
                for item in order.fills.all()[:MOST_ROWS]
            ),
        )

    @admin.display(description="what happened")
    def timeline_table(self, order: CloseOrder) -> SafeString:
        """Return its events, requests and trades as one story."""
        return order_table(order) + list_link(
            AuditEvent, "All its events", order__id__exact=order.pk
        )
