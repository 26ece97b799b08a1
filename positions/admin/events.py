"""Show the one append-only record of what happened, with its chain of hashes."""

import json

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, json_text, link
from positions.models import AuditEvent


class EventAdmin(ReadOnlyAdmin):
    """List events, the newest first."""

    list_display = [
        "at",
        "summary",
        "kind",
        "account_link",
        "plan_link",
        "order_link",
        "actor_name",
        "chain",
    ]
    list_display_links = ["at", "summary"]
    list_select_related = ["account", "plan", "order"]
    list_filter = ["account", "kind", "actor", "at"]
    search_fields = [
        "summary",
        "actor_name",
        "order__client_order_id",
        "^order__asset",
        "plan__hash",
        "^hash",
    ]
    search_help_text = "Words, person, client order id, asset, plan hash, or the event's own hash"
    date_hierarchy = "at"
    fields = [
        "at",
        "kind",
        "summary",
        "actor_name",
        "account",
        "plan",
        "order",
        "data_text",
        "sequence",
        "previous_hash",
        "hash",
    ]
    # With these, the file alone is enough to compute every hash again.
    also_exported = ["data", "account_id", "actor_id"]

    @admin.display(description="account", ordering="account__slug")
    def account_link(self, event: AuditEvent) -> SafeString | str:
        """Return the way to its account."""
        return link(event.account)

    @admin.display(description="plan", ordering="plan__pk")
    def plan_link(self, event: AuditEvent) -> SafeString | str:
        """Return the way to its plan."""
        return link(event.plan)

    @admin.display(description="order", ordering="order__asset")
    def order_link(self, event: AuditEvent) -> SafeString | str:
        """Return the way to its order."""
        return link(event.order, event.order.asset) if event.order else "none"

    @admin.display(description="chain", ordering="sequence")
    def chain(self, event: AuditEvent) -> str:
        """Return its place in the chain and the start of its hash."""
        return f"{event.sequence}: {event.hash[:8]}"

    @admin.display(description="data")
    def data_text(self, event: AuditEvent) -> SafeString:
        """Return the facts that belong to it."""
        return json_text(json.dumps(event.data, indent=2, sort_keys=True, ensure_ascii=False))
