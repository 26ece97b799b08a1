"""Lead from a row of the history to the page of the panel where people work with it."""

from collections.abc import Callable
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from positions.models import (
    BotToken,
    Claim,
    CleanupPlan,
    CloseOrder,
    DustPolicy,
    ExchangeAccount,
    Halt,
    Lease,
)
from positions.models.bots import BotsHold


def stop_page(halted: ExchangeAccount | None) -> str:
    """Return the one page that stops an account (or everything), and that releases the stop."""
    if halted is None:
        return reverse("positions:stop_all")
    return reverse("positions:stop_account", args=[halted.slug])


def bots_on(hold: BotsHold) -> str:
    """Return where an account's page lists what bots hold of it."""
    return reverse("positions:account_detail", args=[hold.account.slug]) + "#bots"


ADDRESSES: dict[type[Model], Callable[[Any], str]] = {
    ExchangeAccount: lambda row: reverse("positions:account_detail", args=[row.slug]),
    DustPolicy: lambda row: reverse("positions:policy_detail", args=[row.account.slug]),
    CleanupPlan: lambda row: reverse("positions:plan_detail", args=[row.pk]),
    CloseOrder: lambda row: reverse("positions:order_detail", args=[row.pk]),
    Halt: lambda row: stop_page(row.account),
    BotToken: lambda row: reverse("positions:bot_list"),
    Lease: bots_on,
    Claim: bots_on,
}


def panel_link(row: Model) -> SafeString:
    """Return a link to the row's page in the panel."""
    return format_html('<a href="{}">Open {} in the panel</a>', ADDRESSES[type(row)](row), row)
