"""Read what is stopped."""

from positions.models import Halt


def halts_in_force() -> list[Halt]:
    """Return every halt in force, the one of everything included, in one query."""
    return list(Halt.objects.filter(released_at=None).select_related("account"))
