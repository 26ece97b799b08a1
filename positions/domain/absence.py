"""Decide when "not found" proves that an order was never placed and never will be."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceRule:
    """How absence is proved at one exchange, as data; `source` and `read` say who says so.

    The proof: once a request's validity is over on the exchange's own clock, the exchange itself
    refuses it. Look-ups that begin later, in two of its stores and some time apart, tell the rest.
    """

    proof: str  # what ends the chance that the request is still accepted
    look_up: str  # the call that finds an order by its client id
    history: str  # the call that lists the orders since a moment, from another store
    history_rows: int  # the most that one list holds; a full list proves nothing
    ahead_ms: int  # a request may be signed this much ahead of the exchange's clock
    margin_ms: int  # after the validity, before a look-up counts: stores follow with a delay
    apart_ms: int  # at least, between the two look-ups that count
    source: str
    read: str  # when, year and month

    @property
    def apart(self) -> timedelta:
        """Return the least time between the two look-ups that count."""
        return timedelta(milliseconds=self.apart_ms)

    def counts(self, *, valid_until_ms: int, exchange_ms: int) -> bool:
        """Tell whether a look-up that began then, by the exchange's clock, can prove anything."""
        return exchange_ms > valid_until_ms + self.margin_ms

    def counts_in(self, *, valid_until_ms: int, exchange_ms: int) -> timedelta:
        """Return how long it takes until a look-up counts; zero if it does now."""
        left = valid_until_ms + self.margin_ms + 1 - exchange_ms
        return timedelta(milliseconds=max(0, left))

    def may_be_its_order(self, *, placed_at_ms: int, signed_at_ms: int) -> bool:
        """Tell whether an order of that moment can come from a request signed at this one."""
        return placed_at_ms > signed_at_ms - self.ahead_ms
