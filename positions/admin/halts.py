"""Show when trading was stopped, by whom, and when it was released."""

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, link
from positions.models import Halt


class HaltAdmin(ReadOnlyAdmin):
    """List the kill switch's history."""

    list_display = [
        "placed_at",
        "account_link",
        "reason",
        "placed_by_name",
        "released_at",
        "released_by_name",
    ]
    list_select_related = ["account"]
    list_filter = ["account", "placed_by", ("released_at", admin.EmptyFieldListFilter)]
    search_fields = ["account__slug", "reason", "placed_by_name", "released_by_name"]
    date_hierarchy = "placed_at"
    fields = [
        "in_panel",
        "account",
        "reason",
        "placed_by_name",
        "placed_at",
        "released_by_name",
        "released_at",
    ]

    @admin.display(description="what", ordering="account__slug")
    def account_link(self, halt: Halt) -> SafeString | str:
        """Return the way to the stopped account."""
        return link(halt.account) if halt.account else "Everything"
