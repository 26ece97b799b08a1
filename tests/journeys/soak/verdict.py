"""What is held against a soak at its end, and its figures."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from positions.domain.orders import CLOSED, OrderState
from positions.domain.plans import LIVE
from positions.models import Attempt, AuditEvent, CleanupPlan, CloseOrder
from tests.journeys import oracle
from tests.journeys.soak import books
from tests.journeys.soak.stage import Stage


def violations(stage: Stage) -> list[str]:
    """Return everything that is not as it must be; nothing, if all is well."""
    found = list(stage.errors)
    for check in (_ledger, _limbo, _books, _secrets):
        found += check(stage)
    return found


def _caught(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except AssertionError as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        yield f"{where.name}: {error or where.line}"


def _ledger(stage: Stage) -> Iterator[str]:
    """Sold once, known exactly, within every limit, with whole chains of events."""
    yield from _caught(lambda: oracle.assert_all_true(stage.house.exchange))


def _limbo(_: Stage) -> Iterator[str]:
    """Whatever was started has come to an end by itself."""
    started = CleanupPlan.objects.filter(started_at__isnull=False)
    for plan in started.filter(status__in=LIVE):
        yield f"{plan} is still {plan.status} {plan.status_note}"
    for order in CloseOrder.objects.filter(plan__in=started).exclude(status__in=CLOSED):
        yield f"{order} is still {order.status}, due at {order.due_at}: {order.message}"
    for plan in started.filter(closing_snapshot=None):
        yield f"{plan} has no closing snapshot"


def _books(stage: Stage) -> Iterator[str]:
    """Every change of a balance is one of our sales or told as somebody else's."""
    ledger = stage.house.exchange.ledger(0, "orders", "fills", "external_changes")
    for trader in stage.traders:
        known = list(books.by_others(ledger, trader.api_key, stage.skews))
        plans = trader.account.plans.filter(closing_snapshot__isnull=False)
        for plan in plans.select_related("snapshot", "closing_snapshot"):
            yield from books.complaints(plan, known)


def _secrets(stage: Stage) -> Iterator[str]:
    secrets = [secret for trader in stage.traders for secret in trader.keys.values()]
    yield from _caught(lambda: oracle.assert_no_secrets(secrets, logs=stage.house.crew.logs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was run and what came of it, name by name."""

    rows: dict[str, str]

    def __str__(self) -> str:
        """Return it as a short table."""
        return "\n".join(f"{name:<18} {value}" for name, value in self.rows.items())


def figures_of(
    stage: Stage, *, seconds: float, settled_after: float, faults: Counter[str], violated: int
) -> Figures:
    """Count what happened on a stage and what the database has of it."""
    started = CleanupPlan.objects.filter(started_at__isnull=False)
    orders = CloseOrder.objects.filter(plan__in=started)
    denied = orders.filter(status=OrderState.DENIED)
    attempts = Attempt.objects.all()
    sent = attempts.filter(sent_at__isnull=False)
    return Figures(
        rows={
            "seconds": f"{seconds:.0f}, and {settled_after:.0f} until all was settled",
            "steps": str(len(stage.entries)),
            "plans started": _by(started, "status"),
            "orders": _by(orders, "status"),
            "denied because": _by(denied, "reason"),
            "attempts": f"{attempts.count()}, of which {sent.count()} had leave to be sent",
            "answers": _by(sent, "answer"),
            "faults met": _sum(faults),
            "kills and stops": _sum(stage.kills),
            "unknown": _sum(unknown_ends()),
            "violations": str(violated),
        }
    )


def unknown_ends() -> Counter[str]:
    """Return how the times ended in which nobody knew what had become of an order."""
    ends: Counter[str] = Counter()
    unknown: set[int] = set()
    for event in AuditEvent.objects.filter(order__isnull=False).order_by("pk"):
        if event.kind == "order.unknown":
            unknown.add(event.order_id)
        elif event.order_id in unknown and event.kind not in _STILL_UNKNOWN:
            unknown.discard(event.order_id)
            absent = event.kind == "order.not_placed"
            ends["proved absent" if absent else f"found {event.kind.split('.')[1]}"] += 1
    if unknown:
        ends["still unknown"] = len(unknown)
    return ends


_STILL_UNKNOWN = frozenset({"order.asked", "order.waits_for_person"})


def _by(rows: QuerySet[Any], column: str) -> str:
    return _sum(Counter(rows.order_by().values_list(column, flat=True)))


def _sum(counted: Counter[str]) -> str:
    parts = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
    return f"{counted.total()}" + (f": {parts}" if parts else "")
