"""The life of a closing order: one table of states, and what the exchange's word means for it."""

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from positions.domain.amounts import ZERO


class OrderState(StrEnum):
    """Where an order is between the plan and its end."""

    PLANNED = "PLANNED"
    SUBMITTING = "SUBMITTING"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"  # by the exchange
    DENIED = "DENIED"  # by us, nothing was sent
    UNKNOWN = "UNKNOWN"  # sent, the answer is unknown
    RESOLVED = "RESOLVED"  # closed by a person, not by the exchange's evidence


S = OrderState

# What the exchange can say about an order that it has.
OUTCOMES = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED})

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    S.PLANNED: frozenset({S.SUBMITTING, S.DENIED}),
    # Back to PLANNED only when the request was certainly not placed.
    S.SUBMITTING: OUTCOMES | {S.PLANNED, S.UNKNOWN},
    # Back to PLANNED only when its absence at the exchange is proved. To RESOLVED by a person only,
    # once the look-ups are through: also what was accepted and is no longer told of.
    S.UNKNOWN: OUTCOMES | {S.PLANNED, S.RESOLVED},
    S.ACCEPTED: (OUTCOMES - {S.ACCEPTED}) | {S.RESOLVED},
    S.PARTIALLY_FILLED: (OUTCOMES - {S.ACCEPTED}) | {S.RESOLVED},
    S.FILLED: frozenset(),
    S.CANCELED: frozenset(),
    S.EXPIRED: frozenset(),
    S.REJECTED: frozenset(),
    S.DENIED: frozenset(),
    S.RESOLVED: frozenset(),
}

CLOSED = frozenset(state for state, targets in TRANSITIONS.items() if not targets)
OPEN = frozenset(TRANSITIONS) - CLOSED
IN_FLIGHT = OPEN - {S.PLANNED}  # the exchange may have it
RESOLVABLE = frozenset(state for state, targets in TRANSITIONS.items() if S.RESOLVED in targets)


class IllegalTransition(Exception):
    """The table has no such step; the caller has stale facts or a bug."""


def check_transition(current: OrderState, target: OrderState) -> None:
    """Raise `IllegalTransition` unless the table allows the step."""
    if target not in TRANSITIONS[current]:
        raise IllegalTransition(f"An order can't go from {current} to {target}.")


# An average of several prices need not end; this many digits are kept.
_SHOWN_DIGITS = decimal.Context(prec=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One fill, in the exchange's own words."""

    trade_id: str
    price: Decimal  # quote
    quantity: Decimal  # base
    fee: Decimal  # in fee_currency
    fee_currency: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the exchange says about one order, at one moment."""

    state: OrderState
    exchange_order_id: str
    filled_quantity: Decimal  # base
    notional: Decimal  # quote
    trades: Sequence[Trade]
    placed_at_ms: int | None = None

    @property
    def average_price(self) -> Decimal | None:
        """Return the average price in quote; None when nothing was sold."""
        if not self.filled_quantity:
            return None
        return _SHOWN_DIGITS.divide(self.notional, self.filled_quantity)

    @property
    def trades_are_complete(self) -> bool:
        """Tell whether the listed trades explain the whole filled quantity."""
        return sum((trade.quantity for trade in self.trades), ZERO) == self.filled_quantity


def net_proceeds_usd(
    *, notional: Decimal, trades: Sequence[Trade], quote: str, prices_usd: dict[str, Decimal]
) -> Decimal | None:
    """Return what came back after fees, USD; None if a fee's currency has no known price."""
    if quote not in prices_usd:
        return None
    net = notional * prices_usd[quote]
    for trade in trades:
        if trade.fee == 0:
            continue
        price = prices_usd.get(trade.fee_currency)
        if price is None:
            return None
        net -= trade.fee * price
    return net
