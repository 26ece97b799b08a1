"""Show when trading was stopped, by whom, and when it was released."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, link
from positions.admin.switches import switches
from positions.models import Halt


class InForce(admin.SimpleListFilter):
    """Filter by whether the stop still holds."""

    title = "in force"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the two choices."""
        return [("yes", "Yes"), ("no", "Released")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Halt]) -> QuerySet[Halt]:
        """Return the stops that still hold, or the others."""
        if self.value() is None:
            return queryset
        return queryset.filter(released_at__isnull=self.value() == "yes")


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
    list_filter = ["account", "placed_by", InForce]
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

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show above the list what is stopped now, with the ways to stop and to release."""
        return super().changelist_view(request, {"switches": switches(), **(extra_context or {})})

    @admin.display(description="what", ordering="account__slug")
    def account_link(self, halt: Halt) -> SafeString | str:
        """Return the way to the stopped account."""
        return link(halt.account) if halt.account else "Everything"
