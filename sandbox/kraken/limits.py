"""Kraken's limits: counters that calls increase and time decreases.

public    by address; Kraken asks for one call a second and names no counter (assumed)
private   by API key: 1 a call, 2 for the history of trades, nothing for AddOrder and CancelOrder
trading   by account and market: 1 an order, up to 8 for a cancellation soon after it

What is refused is not counted. The defaults are those of the tier Starter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from decimal import Decimal

from sandbox.amounts import UNIT, BadValue, parse_amount, plain
from sandbox.fields import Data
from sandbox.kraken.refusals import ORDER_RATE_LIMIT, RATE_LIMIT, TOO_MANY_REQUESTS, refusal
from sandbox.limits import Limit
from sandbox.state import State

PUBLIC, PRIVATE, TRADING = "public", "private", "trading"
_WORDS = {PUBLIC: TOO_MANY_REQUESTS, PRIVATE: RATE_LIMIT, TRADING: ORDER_RATE_LIMIT}
_SECOND = 1_000_000
# What cancelling an order costs that is younger than so many seconds.
_CANCELLATIONS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))

# kind, observed, limit, address, key
Report = Callable[[str, int, Limit, str, str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A counter may reach `maximum` and falls by `decay` a second."""

    maximum: int
    decay: Decimal

    @property
    def as_limit(self) -> Limit:
        """Return the counter as the ledger reports limits: the interval in which it empties."""
        seconds = self.maximum / self.decay
        return Limit(limit=self.maximum, interval_seconds=int(seconds.to_integral_value()) or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """All counters of the exchange."""

    public: Counter = Counter(maximum=15, decay=Decimal(1))
    private: Counter = Counter(maximum=15, decay=Decimal("0.33"))
    trading: Counter = Counter(maximum=60, decay=Decimal(1))


def parse_counters(counters: Counters, data: Data) -> Counters:
    """Return counters changed by plain data; raise BadValue naming the first bad field."""
    known = {item.name for item in fields(Counters)}
    values = {}
    for name, value in data.items():
        if name not in known:
            raise BadValue(f"unknown limit {name!r}; known: {', '.join(sorted(known))}")
        if not isinstance(value, dict) or set(value) != {"maximum", "decay"}:
            raise BadValue(f'{name} needs {{"maximum": N, "decay": "…"}}')
        maximum, decay = value["maximum"], parse_amount(value["decay"])
        if not isinstance(maximum, int) or isinstance(maximum, bool) or maximum < 1 or not decay:
            raise BadValue(f"maximum and decay of {name} must be above zero")
        values[name] = Counter(maximum=maximum, decay=decay)
    return replace(counters, **values)


def counters_data(counters: Counters) -> Data:
    """Return counters as the plain data that `parse_counters` reads."""
    found = {item.name: getattr(counters, item.name) for item in fields(Counters)}
    return {
        name: {"maximum": each.maximum, "decay": plain(each.decay)} for name, each in found.items()
    }


def cancellation_cost(age_ms: int) -> int:
    """Return what it costs to cancel an order of this age."""
    return next((cost for seconds, cost in _CANCELLATIONS if age_ms < seconds * 1000), 0)


class Gate:
    """Count calls; raise Refusal for those beyond a limit. The counts outlive the process."""

    def __init__(self, state: State, counters: Counters, report: Report) -> None:
        self._state = state
        self._counters = counters
        self._report = report

    def admit(
        self, kind: str, who: str, cost: int, *, now_us: int, address: str, key: str | None = None
    ) -> None:
        """Count a call of an address, key or market, or refuse it."""
        counter: Counter = getattr(self._counters, kind)
        name = f"{kind} {who}"
        value = self._value(name, counter, now_us) + cost
        if value > counter.maximum:
            observed = int(value.to_integral_value(rounding="ROUND_CEILING"))
            self._report(kind, observed, counter.as_limit, address, key)
            raise refusal(_WORDS[kind])
        sql = "INSERT OR REPLACE INTO counters VALUES (?, ?, ?)"
        self._state.run(sql, name, plain(value), now_us)

    def forget(self) -> None:
        """Count anew from zero."""
        self._state.run("DELETE FROM counters")

    def _value(self, name: str, counter: Counter, now_us: int) -> Decimal:
        rows = self._state.rows("SELECT value, at_us FROM counters WHERE name = ?", name)
        if not rows:
            return Decimal(0)
        passed = Decimal(max(0, now_us - rows[0]["at_us"])) / _SECOND
        left = Decimal(rows[0]["value"]) - passed * counter.decay
        # Up, never down: whoever respects this counter respects the real one.
        return max(Decimal(0), left.quantize(UNIT, rounding="ROUND_CEILING"))
