"""Show what was read, and what it held."""

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from positions.admin.read_only import MOST_ROWS, ReadOnlyAdmin, link, list_link, table
from positions.models import Position, Snapshot
from positions.templatetags.formats import price, quantity, usd4


class SnapshotAdmin(ReadOnlyAdmin):
    """List readings; a snapshot's page has its positions."""

    list_display = [
        "taken_at",
        "account_link",
        "status",
        "holdings",
        "anchor",
        "requests",
        "trigger",
        "failure",
    ]
    list_select_related = ["account"]
    list_filter = ["account", "status", "failure_code", "taken_at"]
    search_fields = ["account__slug", "failure", "trigger"]
    search_help_text = "Account, failure, or what asked for it"
    date_hierarchy = "taken_at"
    fields = [
        "account",
        "status",
        "asked_at",
        "taken_at",
        "trigger",
        "failure_code",
        "failure",
        "anchor",
        "anchor_deviation",
        "requests",
        "positions_table",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """Return snapshots with how much each held."""
        rows: QuerySet[Snapshot] = super().get_queryset(request)
        return rows.annotate(holding_count=Count("positions"))

    @admin.display(description="account", ordering="account__slug")
    def account_link(self, snapshot: Snapshot) -> SafeString | str:
        """Return the way to its account."""
        return link(snapshot.account)

    @admin.display(description="holdings")
    def holdings(self, snapshot: Snapshot) -> SafeString | str:
        """Return how many assets it held, with the way to them."""
        count = getattr(snapshot, "holding_count", 0)
        return list_link(Position, str(count), snapshot__id__exact=snapshot.pk) if count else "0"

    @admin.display(description="positions")
    def positions_table(self, snapshot: Snapshot) -> SafeString:
        """Return what it held, largest value first."""
        return table(
            ["Asset", "Free", "Locked", "Price", "Value", "Markets"],
            (
                [
                    link(row),
                    quantity(row.free),
                    quantity(row.locked),
                    price(row.price_usd) if row.price_usd is not None else row.price_problem,
                    usd4(row.as_domain().value_usd),
                    ", ".join(sale["symbol"] for sale in row.sales) or "none",
                ]
                for row in snapshot.positions.all()[:MOST_ROWS]
            ),
        )
