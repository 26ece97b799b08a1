"""Request weight and order counts in sliding windows, and bans for those who go on.

Binance counts in fixed windows; a sliding window of the same length is never more generous, so
whoever respects this exchange's limits respects the real one's. Time is an argument, in
microseconds of the unskewed clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sandbox import refusals
from sandbox.amounts import BadValue
from sandbox.refusals import Refusal

SECOND = 1_000_000
_NAMES = {86400: ("DAY", "D"), 3600: ("HOUR", "H"), 60: ("MINUTE", "M"), 1: ("SECOND", "S")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `limit` within any `interval_seconds`."""

    limit: int
    interval_seconds: int

    @property
    def interval(self) -> tuple[str, str, int]:
        """Return Binance's name, letter and number of the interval."""
        for seconds, (name, letter) in _NAMES.items():
            if self.interval_seconds % seconds == 0:
                return name, letter, self.interval_seconds // seconds
        raise AssertionError("every whole number of seconds is a multiple of one")

    @property
    def header(self) -> str:
        """Return the ending of the header that reports this limit, such as 10S."""
        _, letter, number = self.interval
        return f"{number}{letter}"

    @property
    def words(self) -> str:
        """Return the interval as error messages write it."""
        name, _, number = self.interval
        return f"{number} {name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits of the exchange; `ban_after` requests while told to wait bring a ban."""

    weight: Limit = Limit(limit=6000, interval_seconds=60)
    sapi_weight: Limit = Limit(limit=12000, interval_seconds=60)
    raw: Limit = Limit(limit=61000, interval_seconds=300)
    orders: tuple[Limit, ...] = (
        Limit(limit=100, interval_seconds=10),
        Limit(limit=200000, interval_seconds=86400),
    )
    ban_after: int = 20
    ban_seconds: int = 120


@dataclass(slots=True)
class Window:
    """What happened within one limit's interval, oldest first."""

    limit: Limit
    events: deque[tuple[int, int]] = field(default_factory=deque)
    total: int = 0

    def used(self, now_us: int) -> int:
        """Return the sum within the interval that ends now."""
        start = now_us - self.limit.interval_seconds * SECOND
        while self.events and self.events[0][0] <= start:
            self.total -= self.events.popleft()[1]
        return self.total

    def add(self, now_us: int, amount: int) -> None:
        """Count an event."""
        self.events.append((now_us, amount))
        self.total += amount

    def free_at(self, now_us: int, amount: int) -> int:
        """Return the moment from which `amount` fits."""
        excess = self.used(now_us) + amount - self.limit.limit
        for at_us, weight in self.events:
            if excess <= 0:
                break
            excess -= weight
            now_us = at_us + self.limit.interval_seconds * SECOND
        return now_us


Report = Callable[[str, int, Limit, str | None], None]  # kind, observed, limit, key


class Gate:
    """Count requests and orders; raise Refusal for those beyond a limit."""

    def __init__(self, limits: Limits, report: Report) -> None:
        self._report = report
        self.banned_until_us = 0
        self.configure(limits)

    def configure(self, limits: Limits) -> None:
        """Use other limits, with empty windows."""
        self.limits = limits
        self.weight = Window(limits.weight)
        self.sapi_weight = Window(limits.sapi_weight)
        self._raw = Window(limits.raw)
        self._orders: dict[str, list[Window]] = {}
        self._wait_until_us = 0
        self._defied = 0

    def order_windows(self, api_key: str) -> list[Window]:
        """Return the windows that count an account's orders."""
        if api_key not in self._orders:
            self._orders[api_key] = [Window(limit) for limit in self.limits.orders]
        return self._orders[api_key]

    def remember(self, at_us: int, weight: int, *, is_sapi: bool, orders_of: str | None) -> None:
        """Count a request from before a restart."""
        self._raw.add(at_us, 1)
        (self.sapi_weight if is_sapi else self.weight).add(at_us, weight)
        if orders_of is not None:
            for window in self.order_windows(orders_of):
                window.add(at_us, 1)

    def admit_request(self, weight: int, *, is_sapi: bool, now_us: int) -> None:
        """Count a request of the address, or raise 429 or 418."""
        if now_us < self.banned_until_us:
            self._report("banned", 1, self.limits.weight, None)
            raise self._banned(now_us)
        window = self.sapi_weight if is_sapi else self.weight
        over = [
            (each, amount)
            for each, amount in ((window, weight), (self._raw, 1))
            if each.used(now_us) + amount > each.limit.limit
        ]
        if now_us < self._wait_until_us or over:
            self._refuse_request(over or [(window, weight)], now_us)
        self._defied = 0
        window.add(now_us, weight)
        self._raw.add(now_us, 1)

    def _refuse_request(self, over: list[tuple[Window, int]], now_us: int) -> None:
        window, amount = over[0]
        kind = "raw_requests" if window is self._raw else "weight"
        self._report(kind, window.used(now_us) + amount, window.limit, None)
        if now_us < self._wait_until_us:
            self._defied += 1
            if self._defied >= self.limits.ban_after:
                self._defied = 0
                self.banned_until_us = now_us + self.limits.ban_seconds * SECOND
                raise self._banned(now_us)
        free_at = max(each.free_at(now_us, weight) for each, weight in over)
        self._wait_until_us = max(self._wait_until_us, free_at)
        raise refusals.too_many_requests(
            window.limit.limit, window.limit.words, _seconds(self._wait_until_us - now_us)
        )

    def admit_order(self, api_key: str, *, now_us: int) -> None:
        """Count an order of the account, or raise 429."""
        windows = self.order_windows(api_key)
        for window in windows:
            observed = window.used(now_us) + 1
            if observed > window.limit.limit:
                self._report("orders", observed, window.limit, api_key)
                wait = window.free_at(now_us, 1) - now_us
                raise refusals.too_many_orders(
                    window.limit.limit, window.limit.words, _seconds(wait)
                )
        for window in windows:
            window.add(now_us, 1)

    def _banned(self, now_us: int) -> Refusal:
        left = self.banned_until_us - now_us
        return refusals.banned(self.banned_until_us // 1000, _seconds(left))


def _seconds(microseconds: int) -> int:
    return max(1, -(-microseconds // SECOND))


def parse_limits(limits: Limits, data: Mapping[str, Any]) -> Limits:
    """Return limits changed by plain data; raise BadValue naming the first bad field."""
    values: dict[str, Any] = {}
    known = {item.name for item in fields(Limits)}
    for name, value in data.items():
        if name not in known:
            raise BadValue(f"unknown limit {name!r}; known: {', '.join(sorted(known))}")
        if name == "orders":
            if not isinstance(value, list):
                raise BadValue("orders must be a list of limits")
            values[name] = tuple(_limit(name, item) for item in value)
        elif name in ("ban_after", "ban_seconds"):
            values[name] = _count(name, value)
        else:
            values[name] = _limit(name, value)
    return replace(limits, **values)


def limits_data(limits: Limits) -> dict[str, Any]:
    """Return limits as the plain data that `parse_limits` reads."""

    def data(limit: Limit) -> dict[str, int]:
        return {"limit": limit.limit, "interval_seconds": limit.interval_seconds}

    return {
        "weight": data(limits.weight),
        "sapi_weight": data(limits.sapi_weight),
        "raw": data(limits.raw),
        "orders": [data(limit) for limit in limits.orders],
        "ban_after": limits.ban_after,
        "ban_seconds": limits.ban_seconds,
    }


def _limit(name: str, value: object) -> Limit:
    if not isinstance(value, dict) or set(value) != {"limit", "interval_seconds"}:
        raise BadValue(f'{name} needs {{"limit": N, "interval_seconds": N}}')
    return Limit(
        limit=_count(f"{name}.limit", value["limit"]),
        interval_seconds=_count(f"{name}.interval_seconds", value["interval_seconds"]),
    )


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadValue(f"{name} must be a whole number above zero")
    return value
