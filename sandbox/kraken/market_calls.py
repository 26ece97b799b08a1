"""The public calls: time, status, assets, markets, tickers and books."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from sandbox.books import BUY, SELL
from sandbox.kraken import names, wire
from sandbox.kraken.call import Call
from sandbox.kraken.refusals import UNKNOWN_ASSET, refusal


def time(call: Call) -> object:
    """Return the exchange's clock, in whole seconds."""
    moment = datetime.fromtimestamp(call.now_ms // 1000, UTC)
    return {"unixtime": call.now_ms // 1000, "rfc1123": format_datetime(moment)}


def system_status(call: Call) -> object:
    """Return that the exchange trades."""
    moment = datetime.fromtimestamp(call.now_ms // 1000, UTC)
    return {"status": "online", "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def assets(call: Call) -> object:
    """Return the assets that are traded or named, and with them those of earn products."""
    markets = call.state.markets.values()
    listed = {name for market in markets for name in (market.base, market.quote)}
    listed |= set(call.asset_names)
    known = {name: asset for asset in listed for name in _names(asset)}
    asked = sorted(listed)
    if call.arguments.text("asset") is not None:
        given = call.arguments.listed("asset", len(known))
        if any(name not in known for name in given):
            raise refusal(UNKNOWN_ASSET)
        asked = [known[name] for name in given]
    return {names.asset_id(asset): wire.asset(asset) for asset in asked}


def _names(asset: str) -> tuple[str, str]:
    return names.asset_id(asset), names.asset_altname(asset)


def asset_pairs(call: Call) -> object:
    """Return the markets with their rules and fees."""
    fees = call.matching.fees
    return {names.pair_id(market): wire.pair(market, fees) for market in call.asked_markets()}


def ticker(call: Call) -> object:
    """Return the tickers of the asked markets, or of all."""
    opened = call.state.open_orders("1")
    found = {}
    for market in call.asked_markets():
        own = [order for order in opened if order.symbol == market.symbol]
        bids, asks = (call.matching.levels(market, side, own) for side in (BUY, SELL))
        found[names.pair_id(market)] = wire.ticker(market, bids, asks)
    return found


def depth(call: Call) -> object:
    """Return both sides of a book."""
    market = call.market(call.arguments.required("pair"))
    count = call.arguments.integer("count") or 100
    return {
        names.pair_id(market): {
            name: wire.book(market, call.matching.levels(market, side), count, call.now_ms)
            for name, side in (("asks", SELL), ("bids", BUY))
        }
    }
