"""Say in one sentence what is happening with a closing order."""

from dataclasses import dataclass
from datetime import datetime

from positions.domain.amounts import canonical
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.models import CloseOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What is happening: a bold lead (may be empty), the rest, and what comes next."""

    lead: str = ""
    text: str = ""
    next: str = ""


def happening(order: CloseOrder, *, now: datetime) -> Happening:
    """Return what a person is told about the order."""
    exchange = order.account.exchange_name
    filled, wanted = canonical(order.filled_quantity), canonical(order.quantity)
    state = order.state
    if state is OrderState.UNKNOWN:
        return _unknown(order, exchange=exchange, now=now)
    if state is OrderState.PLANNED:
        return Happening(text=_planned(order, now=now))
    texts = {
        OrderState.SUBMITTING: "Being sent now.",
        OrderState.ACCEPTED: f"{exchange} accepted it. Waiting for its result.",
        OrderState.PARTIALLY_FILLED: f"{filled} of {wanted} sold. The rest is in the market.",
        OrderState.FILLED: f"{filled} sold{_at(order)}.",
        OrderState.CANCELED: f"Canceled at {exchange}. {_sold(order)}",
        OrderState.EXPIRED: f"{exchange} let it expire. {_sold(order)}",
        OrderState.REJECTED: f"{exchange} refused it. {order.message}",
        OrderState.DENIED: f"Not sent. {order.message}",
    }
    return Happening(text=texts[state].strip())


def _at(order: CloseOrder) -> str:
    if order.average_price is None:
        return ""
    return f" at {canonical(+order.average_price)} {order.quote}"


def _sold(order: CloseOrder) -> str:
    if not order.filled_quantity:
        return "Nothing was sold."
    return (
        f"{canonical(order.filled_quantity)} of {canonical(order.quantity)} were sold before; "
        "the rest is not sent again in this plan."
    )


def _planned(order: CloseOrder, *, now: datetime) -> str:
    state = order.plan.state
    if state is PlanState.PAUSED:
        return "Waits, the plan is paused."
    if state is not PlanState.RUNNING:
        return "Not sent."
    again = f"{order.message} " if order.message else ""
    return f"{again}Waits for its turn. Balance and price are checked first."


def _unknown(order: CloseOrder, *, exchange: str, now: datetime) -> Happening:
    since = order.unknown_since
    waited = int((now - since).total_seconds()) if since else 0
    lead = f"Sent, no answer for {_span(waited)}." if since else "Sent, no answer."
    times = {0: "Not asked for it yet.", 1: "Asked once.", 2: "Asked twice."}
    asked = times.get(order.lookups, f"Asked {order.lookups} times.")
    if order.waits_for_person:
        return Happening(
            lead=lead,
            text=f"{asked} {exchange} could not tell what became of it. It is not sent again, and "
            f"{order.asset} stays blocked until somebody has looked at {exchange}.",
            next="Waits for a person",
        )
    seconds = max(0, int((order.due_at - now).total_seconds())) if order.due_at else 0
    return Happening(
        lead=lead,
        text=f"{asked} It is not sent again until its absence is proved.",
        next=f"Asks again in {_span(seconds)}" if seconds else "Asks again now",
    )


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
