"""Keep below an exchange's limits: when may the next request leave?

A limit of n per window, shared with the team's bots, becomes a steady interval: window x 1.05 /
(n x share). Burst 1, because an exchange counts in windows of its own: orders exactly 100 ms
apart put eleven into one second; hence the stretch of 5 %.
"""

from dataclasses import dataclass
from decimal import Decimal

STRETCH = Decimal("1.05")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A published limit: `allowed` units in `window` seconds."""

    allowed: int
    window: int  # seconds

    def interval(self, share: Decimal) -> Decimal:
        """Return the seconds between two units when we may use `share` of the limit."""
        return Decimal(self.window) * STRETCH / (Decimal(self.allowed) * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The moment a request may leave, and how much later the next one may."""

    at: Decimal  # seconds since the epoch
    next_free: Decimal


def reserve(
    *, next_free: Decimal | None, now: Decimal, interval: Decimal, window: Decimal, burst: Decimal
) -> Reservation:
    """Return the next free moment and what is free after it.

    `next_free` None means that the reservations were lost: the whole window counts as used.
    `burst` is how many seconds of unused time may be caught up at once; 0 for orders.
    """
    known = now + window if next_free is None else next_free
    start = max(known, now - burst)
    return Reservation(at=max(start, now), next_free=start + interval)


def strictest(limits: list[Limit]) -> Limit | None:
    """Return the limit with the longest interval, or None if nothing is limited."""
    return max(limits, key=lambda limit: limit.interval(Decimal(1)), default=None)
