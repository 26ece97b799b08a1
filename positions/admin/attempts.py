"""Show every request that was committed, and its answer."""

import json

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, json_text, link
from positions.models import Attempt


class AttemptAdmin(ReadOnlyAdmin):
    """List attempts, with what the exchange answered."""

    list_display = [
        "attempt_name",
        "order_link",
        "plan_link",
        "quantity",
        "sent_at",
        "answered_at",
        "answer",
        "answer_code",
        "http_status",
    ]
    list_select_related = ["order__plan", "order__account"]
    list_filter = ["order__account", "answer", "answer_code", "created_at"]
    search_fields = ["order__client_order_id", "^order__asset", "answer_code", "answer_text"]
    search_help_text = "Client order id, asset, or the exchange's code or words"
    date_hierarchy = "created_at"
    fields = [
        "order",
        "plan_link",
        "number",
        "quantity",
        "signed_at_ms",
        "valid_until_ms",
        "created_at",
        "sent_at",
        "answered_at",
        "answer",
        "answer_code",
        "answer_text",
        "request_text",
        "http_status",
        "wire_text",
    ]
    also_exported = [
        "order__account__slug",
        "order__plan_id",
        "order__asset",
        "order__client_order_id",
        "request",
        "wire",
    ]

    @admin.display(description="attempt", ordering="number")
    def attempt_name(self, attempt: Attempt) -> str:
        """Return its number."""
        return f"Attempt {attempt.number}"

    @admin.display(description="order", ordering="order__asset")
    def order_link(self, attempt: Attempt) -> SafeString | str:
        """Return the way to its order."""
        return link(attempt.order)

    @admin.display(description="plan", ordering="order__plan__pk")
    def plan_link(self, attempt: Attempt) -> SafeString | str:
        """Return the way to its plan."""
        return link(attempt.order.plan)

    @admin.display(description="committed before sending")
    def request_text(self, attempt: Attempt) -> SafeString:
        """Return what was to be asked, as it was written down before anything left."""
        return json_text(json.dumps(attempt.request, indent=2, sort_keys=True))

    @admin.display(description="HTTP status")
    def http_status(self, attempt: Attempt) -> str:
        """Return the status of the answer."""
        return http_status(attempt)

    @admin.display(description="on the wire")
    def wire_text(self, attempt: Attempt) -> SafeString | str:
        """Return what left and which headers came back, without key and signature."""
        if not attempt.wire:
            return "nothing known to have left"
        return json_text(json.dumps(attempt.wire, indent=2, sort_keys=True))


def http_status(attempt: Attempt) -> str:
    """Return the status of the exchange's answer, or that there was none."""
    return str(attempt.wire.get("status") or "no answer")
