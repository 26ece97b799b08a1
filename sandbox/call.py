"""One call of the Binance protocol on its way to its handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sandbox import refusals
from sandbox.limits import Limits
from sandbox.markets import Market
from sandbox.matching import Matching
from sandbox.params import SYMBOL, Params
from sandbox.records import Account
from sandbox.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler may know and use; `fraction` is a fault's partial fill."""

    state: State
    matching: Matching
    limits: Limits
    asset_names: Mapping[str, str]
    params: Params
    now_ms: int
    signer: Account | None = None
    fraction: Decimal | None = None

    @property
    def account(self) -> Account:
        """Return the account that signed; only for signed endpoints."""
        if self.signer is None:
            raise LookupError("this endpoint is not signed")
        return self.signer

    def market(self) -> Market:
        """Return the market named by the mandatory symbol."""
        return self.listed(self.params.required("symbol", SYMBOL))

    def listed(self, symbol: str) -> Market:
        """Return a market, or refuse its symbol."""
        market = self.state.markets.get(symbol)
        if market is None:
            raise refusals.bad_symbol()
        return market
