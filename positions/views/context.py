"""Give every page what its bar shows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from positions.models import Halt
from positions.selectors.halts import halts_in_force
from positions.services.permissions import Permission, user_has


def halts_of(request: HttpRequest) -> list[Halt]:
    """Return what is stopped, read once a request."""
    found: list[Halt] | None = getattr(request, "_halts", None)
    if found is None:
        found = halts_in_force()
        request._halts = found  # type: ignore[attr-defined]  # kept beside the user
    return found


def bar(request: HttpRequest) -> dict[str, Any]:
    """Return whether live trading is on, what is stopped, and what the person may do."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    may = {item.name.lower(): user_has(user, item) for item in Permission}
    return {
        "live_trading": settings.DUSTADMIN_LIVE_TRADING,
        "kill_switch_on": next(
            (halt for halt in halts_of(request) if halt.account_id is None), None
        ),
        "may": may,
    }
