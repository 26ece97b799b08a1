"""Tell what happened, in the order of time, with the way to the row that proves each step."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.utils.safestring import SafeString

from positions.admin.read_only import MOST_ROWS, link, table
from positions.models import Attempt, AuditEvent, CloseOrder, Fill
from positions.templatetags.formats import quantity

EXCHANGE = "exchange"

Step = tuple[datetime, SafeString | str, str, str]  # when, what, who, evidence


def events_table(events: Iterable[AuditEvent]) -> SafeString:
    """Return a table of events that were read with their orders, as they come."""
    return table(
        ["At", "What", "Who", "Order", "Hash"],
        (
            [
                moment(event.at),
                link(event, event.summary),
                event.actor_name,
                link(event.order, event.order.asset) if event.order else "none",
                event.hash[:8],
            ]
            for event in events
        ),
    )


def order_table(order: CloseOrder) -> SafeString:
    """Return an order's events, requests and trades as one story, from its beginning.

    Of very many events only the newest are told.
    """
    steps = [step for attempt in order.attempts.all() for step in _of_attempt(attempt)]
    steps += [_of_fill(fill) for fill in order.fills.all()[:MOST_ROWS]]
    steps += [
        (event.at, link(event, event.summary), event.actor_name, f"event {event.hash[:8]}")
        for event in reversed(order.events.all()[:MOST_ROWS])
    ]
    # Stable: what was done at a moment stands before the event that tells of it.
    steps.sort(key=lambda step: step[0])
    return table(
        ["At", "What", "Who", "Evidence"],
        ([moment(at), what, who, evidence] for at, what, who, evidence in steps),
    )


def moment(at: datetime) -> str:
    """Return a moment in UTC, to the millisecond: many steps share a second."""
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def _of_attempt(attempt: Attempt) -> Iterator[Step]:
    name = f"Attempt {attempt.number}"
    yield (
        attempt.created_at,
        link(attempt, f"{name} was committed: sell {quantity(attempt.quantity)}"),
        "worker",
        f"signed for {moment(datetime.fromtimestamp(attempt.signed_at_ms / 1000, tz=UTC))}",
    )
    if attempt.sent_at is not None:
        yield (
            attempt.sent_at,
            link(attempt, f"{name} got leave and left"),
            "worker",
            _route(attempt),
        )
    if attempt.answered_at is not None:
        words = f"{attempt.get_answer_display()} {attempt.answer_code}".strip()
        who = EXCHANGE if attempt.wire.get("status") else "worker"
        yield attempt.answered_at, link(attempt, f"{name}: {words}"), who, _status(attempt)


def _route(attempt: Attempt) -> str:
    wire = attempt.wire
    return f"{wire['method']} {wire['path']}" if wire else "no answer was recorded"


def _status(attempt: Attempt) -> str:
    status = attempt.wire.get("status")
    return f"HTTP {status}" if status else "no answer"


def _of_fill(fill: Fill) -> Step:
    sold = f"{quantity(fill.quantity)} at {quantity(fill.price)}"
    fee = f"fee {quantity(fill.fee)} {fill.fee_currency}"
    return fill.at, link(fill, f"Trade: {sold}, {fee}"), EXCHANGE, f"trade {fill.trade_id}"
