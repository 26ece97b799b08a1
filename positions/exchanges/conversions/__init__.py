"""Convert small balances by an exchange's own calls: one file an exchange."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from positions.exchanges.ccxt_client import PacedClient
from positions.exchanges.conversions.binance import BinanceConversions
from positions.exchanges.conversions.bybit import BybitConversions
from positions.exchanges.conversions.calls import ConversionCalls
from positions.exchanges.conversions.okx import OkxConversions
from positions.exchanges.port import ConversionOutcome, ConversionQuote, ConversionRequest
from positions.exchanges.profiles import Profile


class Conversions(Protocol):
    """One exchange's calls; their contracts are those of `ExchangePort`."""

    def quote(self, assets: Collection[str]) -> ConversionQuote:
        """Return what these assets (none named: all that can be converted) would bring now."""

    def convert(
        self, request: ConversionRequest, *, may_leave: Callable[[], bool]
    ) -> ConversionOutcome:
        """Convert the batch."""

    def find(self, request: ConversionRequest) -> ConversionOutcome | None:
        """Return what the request became; None: it is not in the history."""

    def since(self, since_ms: int) -> Sequence[int]:
        """Return when the account converted since then, the latest last."""


_CALLS: dict[str, Callable[[ConversionCalls], Conversions]] = {
    "binance": BinanceConversions,
    "okx": OkxConversions,
    "bybit": BybitConversions,
}


def conversions_of(
    client: PacedClient, profile: Profile, *, signature_window_ms: int
) -> Conversions | None:
    """Return the exchange's conversion calls; None where its profile has no rule for them."""
    if profile.conversion is None:
        return None
    calls = ConversionCalls(client, profile.conversion, signature_window_ms=signature_window_ms)
    return _CALLS[profile.exchange](calls)
