"""Show single positions with the facts that their verdicts rested on."""

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, link
from positions.models import Position
from positions.templatetags.formats import usd4


class PositionAdmin(ReadOnlyAdmin):
    """List what was held, by asset and snapshot."""

    list_display = ["asset", "free", "locked", "price_usd", "value", "markets", "snapshot_link"]
    list_select_related = ["snapshot__account"]
    list_filter = ["snapshot__account", "snapshot__taken_at"]
    search_fields = ["^asset"]
    search_help_text = "Asset"
    fields = [field.name for field in Position._meta.fields if field.name not in {"id"}]
    also_exported = ["snapshot__account__slug", "snapshot__taken_at"]

    @admin.display(description="value", ordering="value_rank")
    def value(self, position: Position) -> str:
        """Return what it was worth."""
        return usd4(position.as_domain().value_usd)

    @admin.display(description="markets")
    def markets(self, position: Position) -> str:
        """Return where it could be sold."""
        return ", ".join(sale["symbol"] for sale in position.sales) or "none"

    @admin.display(description="snapshot", ordering="snapshot__taken_at")
    def snapshot_link(self, position: Position) -> SafeString | str:
        """Return the way to its snapshot."""
        return link(position.snapshot)
