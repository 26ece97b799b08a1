"""Read everything that an order's page shows: its fills, and events and attempts as one story."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from django.db.models import Q

from positions.domain.orders import IN_FLIGHT, OPEN, OrderState
from positions.models import Attempt, AuditEvent, CloseOrder, Fill
from positions.selectors.orders import Happening, happening, too_much, what_to_do, why_not_by_hand

MOST_EVENTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened: an event, a request to the exchange, or both at once."""

    at: datetime
    event: AuditEvent | None = None
    attempt: Attempt | None = None
    # On the exchange's clock: when the request was signed for, and until when it was valid.
    signed_for: str = ""
    valid_until: str = ""


@dataclass(frozen=True, kw_only=True)
class OrderPage:
    """One order, read once."""

    order: CloseOrder
    attempts: Sequence[Attempt]
    fills: Sequence[Fill]
    events: Sequence[AuditEvent]  # the newest first
    shared: Sequence[CloseOrder]  # the others of its conversion
    now: datetime

    @cached_property
    def says(self) -> Happening:
        """Return what is happening."""
        return happening(self.order, now=self.now)

    @property
    def to_do(self) -> str:
        """Return what a person may do."""
        return what_to_do(self.order, now=self.now)

    @property
    def why_not_by_hand(self) -> str:
        """Return why it can't be closed by hand now; empty if it can."""
        return why_not_by_hand(self.order, now=self.now)

    @property
    def too_much(self) -> str:
        """Return what a person has to look at if more was converted than planned."""
        return too_much(self.order, self.order.filled_quantity)

    @property
    def is_unknown(self) -> bool:
        """Tell whether nobody knows its end, so that a person may have to look."""
        return self.order.state is OrderState.UNKNOWN or self.order.waits_for_person

    @property
    def is_live(self) -> bool:
        """Tell whether it may change by itself."""
        if self.order.state is OrderState.PLANNED:
            return self.order.plan.is_live
        return self.order.state in OPEN

    @property
    def may_be_sold(self) -> bool:
        """Tell whether nothing says yet how much of it was sold."""
        return self.order.state in IN_FLIGHT and not self.order.filled_quantity

    @cached_property
    def moments(self) -> list[Moment]:
        """Return events and attempts, the newest first; an attempt stands with its event."""
        by_number = {attempt.number: attempt for attempt in self.attempts}
        found = []
        for event in self.events:
            number = int(event.data.get("attempt", 0)) if event.kind == "order.submitting" else 0
            found.append(_moment(event.at, event, by_number.pop(number, None)))
        found += [_moment(item.created_at, None, item) for item in by_number.values()]
        return sorted(found, key=_place, reverse=True)


def _place(moment: Moment) -> tuple[datetime, int]:
    return moment.at, moment.event.pk if moment.event else 0


def _moment(at: datetime, event: AuditEvent | None, attempt: Attempt | None) -> Moment:
    if attempt is None:
        return Moment(at=at, event=event)
    return Moment(
        at=at,
        event=event,
        attempt=attempt,
        signed_for=_clock(attempt.signed_at_ms),
        valid_until=_clock(attempt.valid_until_ms),
    )


def _clock(at_ms: int) -> str:
    """Return a moment to the millisecond: a request's validity is a matter of seconds."""
    at = datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=at_ms)
    return at.strftime("%H:%M:%S.%f")[:-3]


def order_page(pk: int, *, now: datetime) -> OrderPage:
    """Return an order's page in four or five queries; raise `CloseOrder.DoesNotExist`."""
    order = CloseOrder.objects.select_related("account", "plan__account", "conversion").get(pk=pk)
    events = order.plan.events.filter(Q(order=order) | Q(order=None)).order_by("-pk")
    shared: list[CloseOrder] = []
    if order.conversion is not None:
        shared = list(order.conversion.orders.exclude(pk=order.pk).order_by("number"))
    return OrderPage(
        order=order,
        attempts=list(order.attempts.all()),
        fills=list(order.fills.all()),
        events=list(events[:MOST_EVENTS]),
        shared=shared,
        now=now,
    )
