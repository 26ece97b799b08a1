"""One call of Kraken's protocol on its way to its handler, and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sandbox.amounts import BadValue, parse_amount
from sandbox.kraken import names
from sandbox.kraken.refusals import UNKNOWN_PAIR, invalid, refusal
from sandbox.markets import Market
from sandbox.matching import Matching
from sandbox.params import Params
from sandbox.records import Account
from sandbox.state import State

_BOOLEANS = {"true": True, "1": True, "True": True, "false": False, "0": False, "False": False}


class Arguments:
    """The arguments of one call; an empty one counts as not sent."""

    def __init__(self, params: Params) -> None:
        self._values = {name: value for name, value in params.pairs if value}

    def text(self, name: str) -> str | None:
        """Return an argument, or None if it was not sent."""
        return self._values.get(name)

    def required(self, name: str) -> str:
        """Return an argument that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid(name)
        return value

    def chosen(self, name: str, *known: str) -> str:
        """Return one of the known words; the first one if nothing was sent."""
        value = self._values.get(name, known[0])
        if value not in known:
            raise invalid(name)
        return value

    def listed(self, name: str, most: int) -> list[str]:
        """Return what is joined by commas, which must be there."""
        found = self.required(name).split(",")
        if len(found) > most:
            raise invalid(name)
        return found

    def amount(self, name: str) -> Decimal:
        """Return a decimal above zero that must be there."""
        try:
            value = parse_amount(self.required(name))
        except BadValue:
            raise invalid(name) from None
        if not value:
            raise invalid(name)
        return value

    def integer(self, name: str, *, bits: int = 64) -> int | None:
        """Return a whole number, or None if it was not sent."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.removeprefix("-").isdigit()):
            raise invalid(name)
        if not -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1):
            raise invalid(name)
        return int(value)

    def boolean(self, name: str) -> bool:
        """Return a boolean; absent is false."""
        value = self._values.get(name, "false")
        if value not in _BOOLEANS:
            raise invalid(name)
        return _BOOLEANS[value]

    def moment_ms(self, name: str) -> int | None:
        """Return a moment given in seconds, in milliseconds, or None if it was not sent."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return int(Decimal(value) * 1000)
        except (InvalidOperation, ValueError, OverflowError):
            raise invalid(name) from None

    def timestamp_ms(self, name: str) -> int | None:
        """Return a moment given as RFC 3339 with its zone, or None if it was not sent."""
        value = self.text(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise invalid(name) from None
        if moment.tzinfo is None:
            raise invalid(name)
        return int(moment.timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler may know and use; `fraction` is a fault's partial fill."""

    state: State
    matching: Matching
    asset_names: Mapping[str, str]
    arguments: Arguments
    now_ms: int
    signer: Account | None = None
    fraction: Decimal | None = None

    @property
    def account(self) -> Account:
        """Return the account that signed; only for private calls."""
        if self.signer is None:
            raise LookupError("this call is not signed")
        return self.signer

    def market(self, name: str) -> Market:
        """Return a market by any of its names, or refuse it."""
        market = names.by_name(self.state.markets.values()).get(name)
        if market is None:
            raise refusal(UNKNOWN_PAIR)
        return market

    def asked_markets(self) -> list[Market]:
        """Return the markets that `pair` names, or all of them."""
        if self.arguments.text("pair") is None:
            return list(self.state.markets.values())
        by_name = names.by_name(self.state.markets.values())
        asked = self.arguments.listed("pair", len(by_name))
        if any(name not in by_name for name in asked):
            raise refusal(UNKNOWN_PAIR)
        return [by_name[name] for name in asked]
