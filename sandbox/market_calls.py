"""The public calls: time, rules, tickers and books."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sandbox import refusals, wire
from sandbox.amounts import wire as text
from sandbox.books import BUY, SELL, Level
from sandbox.call import Call
from sandbox.filters import AVERAGE_MINUTES
from sandbox.markets import Market
from sandbox.params import SYMBOL
from sandbox.records import Order


def ping(call: Call) -> object:
    """Answer with nothing."""
    return {}


def time(call: Call) -> object:
    """Return the exchange's clock."""
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> object:
    """Return the markets with their filters, and the rate limits."""
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": wire.rate_limits(call.limits),
        "exchangeFilters": [],
        "symbols": [wire.symbol(market) for market in asked_markets(call)],
    }


def ticker_24hr(call: Call) -> object:
    """Return one, some or all 24 hour tickers."""
    tickers = [wire.ticker(market, top, call.now_ms) for market, top in _book_tops(call)]
    return tickers[0] if call.params.text("symbol") else tickers


def book_ticker(call: Call) -> object:
    """Return best bid and ask of one, some or all markets."""
    tickers: list[Any] = [{"symbol": market.symbol, **top} for market, top in _book_tops(call)]
    return tickers[0] if call.params.text("symbol") else tickers


def average_price(call: Call) -> object:
    """Return the price by which filters value market orders."""
    average = call.market().average_price
    return {"mins": AVERAGE_MINUTES, "price": text(average), "closeTime": call.now_ms}


def depth(call: Call) -> object:
    """Return both sides of a book."""
    market = call.market()
    limit = call.params.limit(100, 5000)

    def side(name: str) -> list[list[str]]:
        totals: dict[str, list[Level]] = {}
        for level in call.matching.levels(market, name):
            totals.setdefault(text(level.price), []).append(level)
        rows = [
            [price, text(sum((level.quantity for level in levels), start=levels[0].quantity * 0))]
            for price, levels in totals.items()
        ]
        return rows[:limit]

    return {"lastUpdateId": call.now_ms, "bids": side(BUY), "asks": side(SELL)}


def asked_markets(call: Call) -> list[Market]:
    """Return the markets named by symbol or symbols, or all of them."""
    symbol = call.params.text("symbol", SYMBOL)
    listed = call.params.text("symbols")
    if symbol is not None and listed is not None:
        raise refusals.bad_combination(
            "Combination of optional parameters invalid: 'symbol' and 'symbols'."
        )
    if symbol is not None:
        return [call.listed(symbol)]
    if listed is None:
        return list(call.state.markets.values())
    try:
        symbols = json.loads(listed)
    except ValueError:
        raise refusals.illegal(
            "symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\\]$'
        ) from None
    if not isinstance(symbols, list) or not symbols:
        raise refusals.missing("symbols")
    return [call.listed(str(item)) for item in symbols]


def _book_tops(call: Call) -> Iterator[tuple[Market, wire.BookTop]]:
    """Yield the asked markets, each with the best of both sides."""
    markets = asked_markets(call)
    opened: defaultdict[str, list[Order]] = defaultdict(list)
    for order in call.state.open_orders("1"):
        opened[order.symbol].append(order)
    for market in markets:
        bids, asks = (
            call.matching.levels(market, side, opened[market.symbol]) for side in (BUY, SELL)
        )
        # An empty side is reported as zero, not left out.
        yield (
            market,
            {
                "bidPrice": text(bids[0].price if bids else None),
                "bidQty": text(bids[0].quantity if bids else None),
                "askPrice": text(asks[0].price if asks else None),
                "askQty": text(asks[0].quantity if asks else None),
            },
        )
