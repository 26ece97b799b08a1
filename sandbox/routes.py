"""The calls this exchange answers, with the weights Binance documents for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from sandbox import account_calls, dust, market_calls, trading_calls
from sandbox.call import Call
from sandbox.params import Params

PUBLIC = ""
READ = "enableReading"
TRADE = "enableSpotAndMarginTrading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call: its handler, its weight, and the permission its key needs."""

    handler: Callable[[Call], object]
    weight: Callable[[Params], int]
    permission: str = PUBLIC
    counts_order: bool = False


def _fixed(weight: int) -> Callable[[Params], int]:
    return lambda params: weight


def _ticker_weight(params: Params) -> int:
    sent = dict(params.pairs)
    if "symbol" in sent:
        return 2
    try:
        symbols = json.loads(sent["symbols"])
        count = len(symbols) if isinstance(symbols, list) else 1
    except (KeyError, ValueError):
        return 80
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _depth_weight(params: Params) -> int:
    text = dict(params.pairs).get("limit", "100")
    limit = int(text) if text.isascii() and text.isdigit() else 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _with(name: str, present: int, absent: int) -> Callable[[Params], int]:
    return lambda params: present if name in dict(params.pairs) else absent


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/api/v3/ping"): Route(handler=market_calls.ping, weight=_fixed(1)),
    ("GET", "/api/v3/time"): Route(handler=market_calls.time, weight=_fixed(1)),
    ("GET", "/api/v3/exchangeInfo"): Route(handler=market_calls.exchange_info, weight=_fixed(20)),
    ("GET", "/api/v3/ticker/24hr"): Route(handler=market_calls.ticker_24hr, weight=_ticker_weight),
    ("GET", "/api/v3/ticker/bookTicker"): Route(
        handler=market_calls.book_ticker, weight=_with("symbol", 2, 4)
    ),
    ("GET", "/api/v3/avgPrice"): Route(handler=market_calls.average_price, weight=_fixed(2)),
    ("GET", "/api/v3/depth"): Route(handler=market_calls.depth, weight=_depth_weight),
    ("GET", "/api/v3/account"): Route(
        handler=account_calls.account, weight=_fixed(20), permission=READ
    ),
    ("POST", "/api/v3/order"): Route(
        handler=trading_calls.new_order, weight=_fixed(1), permission=TRADE, counts_order=True
    ),
    ("POST", "/api/v3/order/test"): Route(
        handler=trading_calls.check_order, weight=_fixed(1), permission=TRADE
    ),
    ("GET", "/api/v3/order"): Route(
        handler=trading_calls.query_order, weight=_fixed(4), permission=READ
    ),
    ("DELETE", "/api/v3/order"): Route(
        handler=trading_calls.cancel_order, weight=_fixed(1), permission=TRADE
    ),
    ("GET", "/api/v3/openOrders"): Route(
        handler=trading_calls.open_orders, weight=_with("symbol", 6, 80), permission=READ
    ),
    ("GET", "/api/v3/allOrders"): Route(
        handler=trading_calls.all_orders, weight=_fixed(20), permission=READ
    ),
    ("GET", "/api/v3/myTrades"): Route(
        handler=trading_calls.my_trades, weight=_with("orderId", 5, 20), permission=READ
    ),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(
        handler=account_calls.api_restrictions, weight=_fixed(1), permission=READ
    ),
    ("GET", "/sapi/v1/capital/config/getall"): Route(
        handler=account_calls.all_coins, weight=_fixed(10), permission=READ
    ),
    ("POST", "/sapi/v1/asset/dust-btc"): Route(
        handler=dust.preview, weight=_fixed(1), permission=READ
    ),
    ("POST", "/sapi/v1/asset/dust"): Route(
        handler=dust.convert, weight=_fixed(10), permission=TRADE
    ),
    ("POST", "/sapi/v1/asset/dust-convert/query-convertible-assets"): Route(
        handler=dust.newer_preview, weight=_fixed(1), permission=READ
    ),
    ("POST", "/sapi/v1/asset/dust-convert/convert"): Route(
        handler=dust.newer_convert, weight=_fixed(10), permission=TRADE
    ),
    ("GET", "/sapi/v1/asset/dribblet"): Route(
        handler=dust.history, weight=_fixed(1), permission=READ
    ),
}
