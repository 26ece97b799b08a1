"""Note who took a copy of which part of the history."""

from datetime import datetime
from typing import Any

from django.db import transaction

from positions.services import audit
from positions.services.actors import Actor
from positions.services.permissions import Permission, require


def note_export(
    what: str, *, rows: int, asked: dict[str, Any], actor: Actor, now: datetime
) -> None:
    """Record an export before its first byte leaves, with how many rows it has and of what."""
    require(actor, Permission.VIEW)
    with transaction.atomic():
        audit.record(
            "history.exported",
            f"{actor.name} exported {what} as CSV, {rows} {'row' if rows == 1 else 'rows'}",
            actor=actor,
            at=now,
            data={"what": what, "rows": rows, **asked},
        )
