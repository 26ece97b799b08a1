"""Show exchange accounts; their credentials are never shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, link, list_link
from positions.admin.switches import switches
from positions.models import (
    Attempt,
    AuditEvent,
    BotToken,
    Claim,
    CleanupPlan,
    CloseOrder,
    DustPolicy,
    ExchangeAccount,
    Fill,
    Halt,
    Lease,
    Snapshot,
)


class AccountAdmin(ReadOnlyAdmin):
    """List accounts with the ways to everything that belongs to one."""

    list_display = ["slug", "exchange", "environment", "quote", "is_enabled", "created_at"]
    list_filter = ["environment", "exchange", "is_enabled"]
    search_fields = ["slug", "exchange"]
    fields = [
        "slug",
        "in_panel",
        "exchange",
        "environment",
        "base_url",
        "quote",
        "is_enabled",
        "disabled_reason",
        "disabled_by_name",
        "disabled_at",
        "unverified_accepted_at",
        "unverified_accepted_by",
        "key",
        "key_checked_at",
        "created_at",
        "newest_policy",
        "belongs",
    ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show above the account whether it is stopped, with the way to stop or to release it."""
        context["switches"] = switches(context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="API key")
    def key(self, account: ExchangeAccount) -> str:
        """Return what tells two keys apart without showing either."""
        return f"fingerprint {account.key_fingerprint[:8]}"

    @admin.display(description="policy in force")
    def newest_policy(self, account: ExchangeAccount) -> SafeString | str:
        """Return the way to the policy in force."""
        row = account.policies.select_related("account").order_by("-version").first()
        return link(row)

    @admin.display(description="what belongs to it")
    def belongs(self, account: ExchangeAccount) -> SafeString:
        """Return the ways to its rows."""
        own = (
            (DustPolicy, "Policies"),
            (Snapshot, "Snapshots"),
            (CleanupPlan, "Plans"),
            (CloseOrder, "Orders"),
            (Halt, "Stops"),
            (Lease, "Leases"),
            (Claim, "Claims"),
            (AuditEvent, "Events"),
        )
        of_orders = ((Attempt, "Attempts"), (Fill, "Fills"))
        links = [list_link(model, text, account__id__exact=account.pk) for model, text in own]
        links += [
            list_link(model, text, order__account__id__exact=account.pk)
            for model, text in of_orders
        ]
        links.append(list_link(BotToken, "Bots' tokens", accounts__id__exact=account.pk))
        return format_html_join(" · ", "{}", ((item,) for item in links))
