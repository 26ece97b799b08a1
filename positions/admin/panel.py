"""Lead from a row of the history to the page of the panel where people work with it."""

from collections.abc import Callable
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from positions.models import CleanupPlan, CloseOrder, DustPolicy, ExchangeAccount, Halt


def stop_page(halted: ExchangeAccount | None) -> str:
    """Return the one page that stops an account (or everything), and that releases the stop."""
    if halted is None:
        return reverse("positions:stop_all")
    return reverse("positions:stop_account", args=[halted.slug])


ADDRESSES: dict[type[Model], Callable[[Any], str]] = {
    ExchangeAccount: lambda row: reverse("positions:account_detail", args=[row.slug]),
    DustPolicy: lambda row: reverse("positions:policy_detail", args=[row.account.slug]),
    CleanupPlan: lambda row: reverse("positions:plan_detail", args=[row.pk]),
    CloseOrder: lambda row: reverse("positions:order_detail", args=[row.pk]),
    Halt: lambda row: stop_page(row.account),
}


def panel_link(row: Model) -> SafeString:
    """Return a link to the row's page in the panel."""
    return format_html('<a href="{}">Open {} in the panel</a>', ADDRESSES[type(row)](row), row)
