"""Read what is stopped."""

from django.db.models import Q

from positions.models import ExchangeAccount, Halt


def halts_in_force() -> list[Halt]:
    """Return every halt in force, the one of everything included, in one query."""
    return list(Halt.objects.filter(released_at=None).select_related("account"))


def halt_that_stops(account: ExchangeAccount) -> Halt | None:
    """Return the halt in force of this account or of everything, if there is one."""
    return Halt.objects.filter(Q(account=None) | Q(account=account), released_at=None).first()
