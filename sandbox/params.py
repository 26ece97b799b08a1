"""Request parameters, checked the way Binance does before anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

from sandbox import refusals
from sandbox.amounts import DECIMALS

AMOUNT = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
INTEGER = r"^[0-9]{1,20}$"
MAX_INTEGER = 2**63 - 1
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What a list was asked for: both ends are part of it; None leaves an end open."""

    start_ms: int | None
    end_ms: int | None

    def is_longer_than(self, length_ms: int) -> bool:
        """Return whether both ends are given and too far apart."""
        both = self.start_ms is not None and self.end_ms is not None
        return both and (self.end_ms or 0) - (self.start_ms or 0) > length_ms


class Params:
    """The parameters of one request, from its query and body together."""

    def __init__(self, query: str, body: str) -> None:
        self.pairs = [
            *parse_qsl(query, keep_blank_values=True),
            *parse_qsl(body, keep_blank_values=True),
        ]
        self._values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name, []).append(value)

    def logged(self) -> dict[str, str]:
        """Return all but the signature; values of a repeated parameter are joined by commas."""
        return {
            name: ",".join(values) for name, values in self._values.items() if name != "signature"
        }

    def many(self, name: str) -> list[str]:
        """Return all values of a parameter that may be repeated, or joined by commas."""
        found = [item for value in self._values.get(name, []) for item in value.split(",")]
        if not found:
            raise refusals.missing(name)
        if not all(found):
            raise refusals.empty(name)
        return found

    def text(self, name: str, pattern: str | None = None) -> str | None:
        """Return a parameter, or None if it was not sent."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise refusals.duplicated(name)
        if not values[0]:
            raise refusals.empty(name)
        if pattern is not None and not re.fullmatch(pattern, values[0], re.ASCII):
            raise refusals.illegal(name, pattern)
        return values[0]

    def required(self, name: str, pattern: str | None = None) -> str:
        """Return a parameter that must be there."""
        if not any(self._values.get(name, [])):
            raise refusals.missing(name)
        value = self.text(name, pattern)
        if value is None:
            raise refusals.missing(name)
        return value

    def amount(self, name: str) -> Decimal | None:
        """Return a decimal parameter, or None if it was not sent."""
        text = self.text(name, AMOUNT)
        if text is None:
            return None
        if "." in text and len(text.split(".")[1].rstrip("0")) > DECIMALS:
            raise refusals.too_precise(name)
        return Decimal(text)

    def integer(self, name: str) -> int | None:
        """Return an integer parameter, or None if it was not sent."""
        text = self.text(name, INTEGER)
        if text is not None and int(text) > MAX_INTEGER:
            raise refusals.overflowed(name)
        return None if text is None else int(text)

    def boolean(self, name: str) -> bool:
        """Return a boolean parameter; absent is false."""
        text = self.text(name)
        if text is None:
            return False
        if text.lower() not in BOOLEANS:
            raise refusals.missing(name)
        return BOOLEANS[text.lower()]

    def limit(self, default: int, maximum: int) -> int:
        """Return how many rows were asked for, at most `maximum`."""
        limit = self.integer("limit")
        return default if limit is None else min(max(1, limit), maximum)

    def period(self) -> Period:
        """Return the period that startTime and endTime ask for."""
        return Period(start_ms=self.integer("startTime"), end_ms=self.integer("endTime"))
