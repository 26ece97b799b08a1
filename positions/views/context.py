"""Give every page what its bar shows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from positions.models import ExchangeAccount, Halt
from positions.selectors.halts import halts_in_force
from positions.services.permissions import Permission, user_has


def halts_of(request: HttpRequest) -> list[Halt]:
    """Return what is stopped, read once a request."""
    found: list[Halt] | None = getattr(request, "_halts", None)
    if found is None:
        found = halts_in_force()
        request._halts = found  # type: ignore[attr-defined]  # kept beside the user
    return found


def halt_of(request: HttpRequest, account: ExchangeAccount | None) -> Halt | None:
    """Return what stops one account by itself, or everything at once."""
    pk = None if account is None else account.pk
    return next((halt for halt in halts_of(request) if halt.account_id == pk), None)


def bar(request: HttpRequest) -> dict[str, Any]:
    """Return whether live trading is on, what is stopped, and what the person may do."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    may = {item.name.lower(): user_has(user, item) for item in Permission}
    return {
        "live_trading": settings.DUSTADMIN_LIVE_TRADING,
        # Looked for when it is shown: fragments have no bar.
        "kill_switch_on": SimpleLazyObject(lambda: halt_of(request, None)),
        "may": may,
        "section": _section(request),
    }


def _section(request: HttpRequest) -> str:
    """Return which entry of the bar the page belongs to; empty for none of ours."""
    match = request.resolver_match
    if match is None or match.namespace != "positions":
        return ""
    return "bots" if match.route.startswith("bots/") else "accounts"
