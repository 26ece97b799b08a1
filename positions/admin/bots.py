"""Show the bots' tokens, and what they leased and claimed; of a token's secret nothing is shown."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from positions.admin.read_only import MOST_ROWS, ReadOnlyAdmin, link, list_link
from positions.admin.timeline import events_table
from positions.models import AuditEvent, BotToken, Claim, ExchangeAccount, Lease
from positions.models.bots import BotsHold
from positions.selectors.bots import state_of


class _HoldsNow(admin.SimpleListFilter):
    """Filter by what is true of a row at this moment."""

    choices_of: tuple[str, str]
    true: Callable[[datetime], Q]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the two choices."""
        return list(zip(("yes", "no"), self.choices_of, strict=True))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of which it is true, or the others."""
        if self.value() is None:
            return queryset
        true = type(self).true(timezone.now())
        return queryset.filter(true if self.value() == "yes" else ~true)


class IsValid(_HoldsNow):
    """Filter tokens by whether they open anything."""

    title = "valid"
    parameter_name = "valid"
    choices_of = ("Valid", "Expired or revoked")
    true = BotToken.valid


class LeaseInForce(_HoldsNow):
    """Filter leases by whether they hold now."""

    title = "in force"
    parameter_name = "in_force"
    choices_of = ("Yes", "Ended")
    true = Lease.in_force


class ClaimInForce(LeaseInForce):
    """Filter claims by whether they hold now."""

    true = Claim.in_force


class TokenAdmin(ReadOnlyAdmin):
    """List tokens: who let which bot in, where, until when."""

    list_display = [
        "prefix",
        "bot",
        "account_names",
        "scope_names",
        "created_by_name",
        "created_at",
        "expires_at",
        "last_used_at",
        "state",
    ]
    list_filter = ["accounts", IsValid, "created_by", "created_at"]
    search_fields = ["bot", "prefix", "accounts__slug", "created_by_name", "revoked_by_name"]
    search_help_text = "Bot, prefix, account or person"
    date_hierarchy = "created_at"
    fields = [
        "in_panel",
        "bot",
        "prefix",
        "state",
        "account_links",
        "scopes",
        "created_by_name",
        "created_at",
        "expires_at",
        "revoked_at",
        "revoked_by_name",
        "last_used_at",
        "held",
        "events_table",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BotToken]:
        """Read the accounts of all tokens at once."""
        return super().get_queryset(request).prefetch_related("accounts")

    @admin.display(description="accounts")
    def account_names(self, token: BotToken) -> str:
        """Return its accounts."""
        return ", ".join(account.slug for account in _accounts(token))

    @admin.display(description="accounts")
    def account_links(self, token: BotToken) -> SafeString:
        """Return the ways to its accounts."""
        return format_html_join(", ", "{}", ((link(account),) for account in _accounts(token)))

    @admin.display(description="scopes")
    def scope_names(self, token: BotToken) -> str:
        """Return what it may do, as its bot knows it."""
        return ", ".join(token.scopes)

    @admin.display(description="state")
    def state(self, token: BotToken) -> str:
        """Return whether it opens anything."""
        return state_of(token, now=timezone.now()).value

    @admin.display(description="what it took")
    def held(self, token: BotToken) -> SafeString:
        """Return the ways to what its bot leased and claimed with it."""
        links = [
            list_link(model, text, token__id__exact=token.pk)
            for model, text in ((Lease, "Leases"), (Claim, "Claims"))
        ]
        return format_html_join(" · ", "{}", ((item,) for item in links))

    @admin.display(description="events")
    def events_table(self, token: BotToken) -> SafeString:
        """Return who issued it, and who revoked it."""
        return _events(kind__startswith="token.", account=None, data__prefix=token.prefix)


class HoldAdmin(ReadOnlyAdmin):
    """Show what leases and claims share."""

    list_select_related = ["account", "token"]
    date_hierarchy = "created_at"
    also_exported = ["token__prefix"]

    @admin.display(description="account", ordering="account__slug")
    def account_link(self, hold: BotsHold) -> SafeString | str:
        """Return the way to its account."""
        return link(hold.account)

    @admin.display(description="token", ordering="token__prefix")
    def token_link(self, hold: BotsHold) -> SafeString | str:
        """Return the way to the token that it was taken with."""
        return link(hold.token, hold.token.prefix)

    @admin.display(description="events")
    def events_table(self, hold: BotsHold) -> SafeString:
        """Return what became of it, the newest first."""
        kind = str(hold._meta.model_name)
        found = {f"data__{kind}": hold.pk}
        return _events(kind__startswith=f"{kind}.", account=hold.account, **found)


class LeaseAdmin(HoldAdmin):
    """List leases: which bot reserved a slot for what, and how that ended."""

    list_display = [
        "asset",
        "account_link",
        "bot",
        "token_link",
        "created_at",
        "expires_at",
        "ended_at",
        "ended_how",
        "opened",
    ]
    list_filter = ["account", LeaseInForce, "ended_how", "bot", "created_at"]
    search_fields = ["^asset", "bot", "account__slug", "token__prefix", "=idempotency_key"]
    search_help_text = "Asset, bot, account, the token's prefix or the idempotency key"
    fields = [
        "in_panel",
        "asset",
        "account",
        "bot",
        "token",
        "created_at",
        "expires_at",
        "ended_at",
        "ended_how",
        "opened",
        "idempotency_key",
        "events_table",
    ]


class ClaimAdmin(HoldAdmin):
    """List claims: which asset was which bot's, and why."""

    list_display = [
        "asset",
        "account_link",
        "bot",
        "token_link",
        "reason",
        "created_at",
        "until",
        "ended_at",
    ]
    list_filter = ["account", ClaimInForce, "bot", "created_at"]
    search_fields = ["^asset", "bot", "account__slug", "token__prefix", "reason"]
    search_help_text = "Asset, bot, account, the token's prefix or a word of the reason"
    fields = [
        "in_panel",
        "asset",
        "account",
        "bot",
        "token",
        "reason",
        "created_at",
        "until",
        "ended_at",
        "events_table",
    ]


def _accounts(token: BotToken) -> list[ExchangeAccount]:
    return sorted(token.accounts.all(), key=lambda account: account.slug)


def _events(**wanted: Any) -> SafeString:
    found = AuditEvent.objects.filter(**wanted).select_related("order")
    return events_table(found.order_by("-pk")[:MOST_ROWS])
