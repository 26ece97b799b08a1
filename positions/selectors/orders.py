"""Say what is happening with a closing order, and what a person may do about it: each once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from positions.domain.amounts import canonical
from positions.domain.orders import RESOLVABLE, OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Route
from positions.models import CloseOrder

S = OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What is happening: a bold lead (may be empty), the rest, and what comes next.

    The lead starts small, so that it can follow the asset's name; alone it is capitalized.
    """

    lead: str = ""
    text: str = ""
    next: str = ""

    @property
    def sentence(self) -> str:
        """Return all of it in one line."""
        lead = self.lead[:1].upper() + self.lead[1:]
        following = f"{self.next}." if self.next else ""
        return " ".join(part for part in (lead, self.text, following) if part)


def happening(order: CloseOrder, *, now: datetime) -> Happening:
    """Return what a person is told about the order."""
    exchange = order.account.exchange_name
    filled, wanted = canonical(order.filled_quantity), canonical(order.quantity)
    state = order.state
    if state is S.UNKNOWN:
        return _unknown(order, exchange=exchange, now=now)
    if state is S.PLANNED:
        return _planned(order, now=now)
    if state is S.RESOLVED:
        return Happening(
            lead=f"closed by a person, not by {exchange}'s evidence.", text=order.message
        )
    if state in {S.ACCEPTED, S.PARTIALLY_FILLED} and order.unknown_since is not None:
        return Happening(
            lead=f"accepted, but {exchange} has not told its result "
            f"since {_clock(order.unknown_since)}.",
            text=order.message,
            next=_asks_next(order, now=now),
        )
    if order.is_open_for_long:
        return Happening(
            lead=f"accepted, and {exchange} still lists it as open.",
            text=f"{filled} of {wanted} {done_with(order)}. What becomes of the rest is asked for.",
            next=_asks_next(order, now=now),
        )
    converts = order.route == Route.CONVERT
    texts = {
        S.SUBMITTING: "Being converted now." if converts else "Being sent now.",
        S.ACCEPTED: f"{exchange} is converting it. Waiting for its result."
        if converts
        else f"{exchange} accepted it. Waiting for its result.",
        S.PARTIALLY_FILLED: f"{filled} of {wanted} sold. The rest is in the market.",
        S.FILLED: f"{filled} {done_with(order)}{_at(order)}.",
        S.CANCELED: f"Canceled at {exchange}. {_sold(order)}",
        S.EXPIRED: f"{exchange} let it expire. {_sold(order)}",
        S.REJECTED: order.message or f"{exchange} refused it.",
        S.DENIED: f"Not sent. {order.message}",
    }
    return Happening(text=texts[state].strip())


def too_much(order: CloseOrder, converted: Decimal) -> str:
    """Return what a person has to look at if more was converted than planned; empty if not."""
    if converted <= order.quantity:
        return ""
    return (
        f"{canonical(converted)} {order.asset} were converted, "
        f"{canonical(order.quantity)} were planned."
    )


def done_with(order: CloseOrder) -> str:
    """Return what became of what it closed, as one word: sold, or converted."""
    return "converted" if order.route == Route.CONVERT else "sold"


def _at(order: CloseOrder) -> str:
    if order.average_price is None:
        return ""
    return f" at {canonical(+order.average_price)} {order.quote}"


def _sold(order: CloseOrder) -> str:
    if not order.filled_quantity:
        return f"Nothing was {done_with(order)}."
    return (
        f"{canonical(order.filled_quantity)} of {canonical(order.quantity)} were "
        f"{done_with(order)} before; the rest is not sent again in this plan."
    )


def _planned(order: CloseOrder, *, now: datetime) -> Happening:
    state = order.plan.state
    if state is PlanState.PAUSED:
        return Happening(text="Waits, the plan is paused.")
    if order.plan.is_unstarted:
        return Happening(text="Nothing is sent before the plan is started.")
    if state is not PlanState.RUNNING:
        return Happening(text="Not sent.")
    if order.claimed_until is not None and order.claimed_until > now:
        return Happening(text="Balance and price are being checked; then it waits for its moment.")
    if not order.message:
        return Happening(text="Waits for its turn. Balance and price are checked first.")
    seconds = _seconds_left(order, now=now)
    return Happening(
        text=f"{order.message} Nothing was sent.",
        next=f"Tries again in {_span(seconds)}" if seconds else "Tries again now",
    )


def _unknown(order: CloseOrder, *, exchange: str, now: datetime) -> Happening:
    since = f" since {_clock(order.unknown_since)}" if order.unknown_since else ""
    lead = f"sent, but {exchange} has not answered{since}."
    if order.route == Route.CONVERT:
        return Happening(
            lead=lead,
            text=_unknown_conversion(order, exchange=exchange),
            next=_asks_next(order, now=now),
        )
    times = {0: "not asked for it yet", 1: "asked once", 2: "asked twice"}
    asked = times.get(order.lookups, f"asked {order.lookups} times")
    if order.waits_for_person:
        text = (
            f"It was looked for by its id ({asked}), and {exchange} could not tell what became of "
            f"it. Nothing is sent again, and {order.asset} stays blocked until {exchange} tells or "
            "a person closes it by hand."
        )
    elif order.absent_since is not None:
        text = (
            f"Looking for it by its id ({asked}): not found, although {exchange} can't accept it "
            "any more. Not found once more proves that it was never placed. Until then nothing is "
            "sent again."
        )
    else:
        text = (
            f"Looking for it by its id ({asked}); nothing is sent again until its absence is "
            "proved."
        )
    return Happening(lead=lead, text=text, next=_asks_next(order, now=now))


def _unknown_conversion(order: CloseOrder, *, exchange: str) -> str:
    times = {0: "not yet", 1: "once", 2: "twice"}
    asked = times.get(order.lookups, f"{order.lookups} times")
    looked = f"Looking into {exchange}'s history of conversions ({asked})"
    if order.waits_for_person:
        return (
            f"{exchange}'s history of conversions was asked ({asked}), and it could not tell what "
            f"became of it. Nothing is sent again, and {order.asset} stays blocked until "
            f"{exchange} tells or a person closes it by hand."
        )
    if order.absent_since is not None:
        return (
            f"{looked}: not found, although {exchange} can't accept it any more. Not found once "
            "more proves that it was never made. Nothing will be sent again."
        )
    return f"{looked}; nothing will be sent again."


def _asks_next(order: CloseOrder, *, now: datetime) -> str:
    if order.waits_for_person:
        return "Waits for a person"
    seconds = _seconds_left(order, now=now)
    return f"Asks again in {_span(seconds)}" if seconds else "Asks again now"


# --- What a person may do -----------------------------------------------------------------------


def why_not_by_hand(order: CloseOrder, *, now: datetime) -> str:
    """Return why a person can't close the order by hand now; empty if one may."""
    exchange = order.account.exchange_name
    if order.state is S.RESOLVED:
        return f"{order.asset} was closed by hand already. {order.message}"
    if order.state not in RESOLVABLE:
        return (
            f"{order.asset} is {order.get_status_display().lower()}: only an order whose end "
            f"{exchange} does not tell is closed by hand."
        )
    if not order.waits_for_person:
        return (
            f"{order.asset} is still being looked for, and what {exchange} tells is worth more "
            "than what a person saw. It can be closed by hand once the look-ups are through, about "
            "a minute after it could last be accepted."
        )
    if order.is_open_for_long:
        return (
            f"{exchange} lists {order.asset} as open, so it may still be {done_with(order)}. "
            "Cancel it there: its end is then found by itself."
        )
    if order.claimed_until is not None and order.claimed_until > now:
        return (
            f"{exchange} is being asked for {order.asset} this moment, and what it tells counts. "
            "Look again in a few seconds."
        )
    return ""


def what_to_do(order: CloseOrder, *, now: datetime) -> str:
    """Return what a person may do about the order now, or that there is nothing to do."""
    exchange, plan = order.account.exchange_name, order.plan
    state = order.state
    if order.is_open_for_long:
        return (
            f"Look at {exchange} for the order {order.client_order_id}, and cancel it there if it "
            "does not end: what becomes of it is then found by itself."
        )
    if order.waits_for_person:
        sought = (
            f"the conversion of {order.asset}"
            if order.route == Route.CONVERT
            else f"the order {order.client_order_id}"
        )
        return (
            f"Look at {exchange} for {sought}. An approver can then close it by hand; if it "
            "answers first, its answer counts."
        )
    if state is S.UNKNOWN or (state in RESOLVABLE and order.unknown_since is not None):
        return (
            f"Until there is proof, {order.asset} is blocked. You don't have to do anything yet; "
            "once the look-ups are through, an approver may close it by hand."
        )
    if state is S.PLANNED:
        if plan.is_unstarted:
            return f"Start or reject plan {plan.pk}."
        if plan.state is PlanState.PAUSED:
            return f"Go on with plan {plan.pk}, or halt it: then it is never sent."
        return f"Pause or halt plan {plan.pk} to keep it from being sent."
    if state in {S.SUBMITTING, S.ACCEPTED, S.PARTIALLY_FILLED}:
        return "Nothing. What was sent can't be taken back; it is followed to its end."
    if state is S.FILLED:
        return "Nothing is left to do."
    if state is S.RESOLVED:
        return (
            f"Compare it with the balances in the result of plan {plan.pk}. {order.asset} is free "
            "for the next plan."
        )
    return f"Draft a new plan when the cause is gone; this one does not send {order.asset} again."


def _seconds_left(order: CloseOrder, *, now: datetime) -> int:
    return max(0, int((order.due_at - now).total_seconds())) if order.due_at else 0


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S}"


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
