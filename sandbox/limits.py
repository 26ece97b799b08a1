"""The limits of the exchange as data: request weight, raw requests, orders and bans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sandbox.amounts import BadValue

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
    """All limits of the exchange.

    `ban_after` requests while told to wait bring a ban of `ban_seconds`; the next ban is twice
    as long.
    """

    weight: Limit = Limit(limit=6000, interval_seconds=60)
    sapi_weight: Limit = Limit(limit=12000, interval_seconds=60)
    raw: Limit = Limit(limit=61000, interval_seconds=300)
    orders: tuple[Limit, ...] = (
        Limit(limit=100, interval_seconds=10),
        Limit(limit=200000, interval_seconds=86400),
    )
    ban_after: int = 20
    ban_seconds: int = 120


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
