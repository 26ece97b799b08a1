"""Kraken's names for assets and markets; the books use everybody's.

The books say BTC and BTCUSD, the wire says XXBT (altname XBT) and XXBTZUSD (altname XBTUSD,
wsname XBT/USD). Assets of Kraken's first years have an X or a Z before their name; a market of
two such assets is named by their ids, any other one by their altnames. Balances in earn products
end in .S, .F and the like and have no such letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sandbox.markets import Market

_OWN_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
_EARLY_COINS = frozenset(
    {"BTC", "DOGE", "ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC"}
)
_EARLY_MONEY = frozenset({"AUD", "CAD", "EUR", "GBP", "JPY", "USD"})
_EXCEPTIONS = {"DOGEUSD": "XDGUSD", "DOGEEUR": "XDGEUR", "USDTUSD": "USDTZUSD"}


def asset_altname(asset: str) -> str:
    """Return an asset's common name at Kraken: XBT, USD, DOT.S."""
    name, dot, product = asset.partition(".")
    return _OWN_NAMES.get(name, name) + dot + product


def asset_id(asset: str) -> str:
    """Return the id that balances go by: XXBT, ZUSD, DOT.S."""
    letter = "X" if asset in _EARLY_COINS else "Z" if asset in _EARLY_MONEY else ""
    return letter + asset_altname(asset)


def pair_altname(market: Market) -> str:
    """Return a market's short name: XBTUSD."""
    return asset_altname(market.base) + asset_altname(market.quote)


def pair_wsname(market: Market) -> str:
    """Return a market's name with a slash: XBT/USD."""
    return f"{asset_altname(market.base)}/{asset_altname(market.quote)}"


def pair_id(market: Market) -> str:
    """Return the id that tickers go by: XXBTZUSD, ADAUSD."""
    early = _EARLY_COINS | _EARLY_MONEY
    if market.symbol in _EXCEPTIONS:
        return _EXCEPTIONS[market.symbol]
    if market.base in early and market.quote in early:
        return asset_id(market.base) + asset_id(market.quote)
    return pair_altname(market)


def by_name(markets: Iterable[Market]) -> Mapping[str, Market]:
    """Return markets by each of their names."""
    return {
        name: market
        for market in markets
        for name in (pair_id(market), pair_altname(market), pair_wsname(market))
    }
