"""Kraken's JSON for assets, markets, tickers, orders and trades.

Like Kraken, orders state cost, fee and average price in no more decimals than the market's prices
have; trades state them in full. Money is kept with eight decimals (Kraken's dollars have four).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from sandbox.amounts import ZERO, plain
from sandbox.amounts import wire as text
from sandbox.books import Level
from sandbox.fees import Fees
from sandbox.kraken import names
from sandbox.markets import TRADING, Market, PerMarket
from sandbox.records import CANCELED, LIMIT_ORDER, Fill, Order

DECIMALS = 8
_SHOWN_DECIMALS = 5  # of prices, at least
_ONLINE, _CANCEL_ONLY = "online", "cancel_only"


def asset(name: str) -> dict[str, Any]:
    """Return an asset as Assets lists it."""
    return {
        "aclass": "currency",
        "altname": names.asset_altname(name),
        "decimals": DECIMALS,
        "display_decimals": 5,
        "status": "enabled",
    }


def pair(market: Market, fees: Fees) -> dict[str, Any]:
    """Return a market as AssetPairs lists it."""
    return {
        "altname": names.pair_altname(market),
        "wsname": names.pair_wsname(market),
        "aclass_base": "currency",
        "base": names.asset_id(market.base),
        "aclass_quote": "currency",
        "quote": names.asset_id(market.quote),
        "lot": "unit",
        "cost_decimals": DECIMALS,
        "pair_decimals": decimals(market.tick),
        "lot_decimals": decimals(market.step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, _percent(fees.taker)]],
        "fees_maker": [[0, _percent(fees.maker)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": plain(market.smallest_quantity),
        "costmin": plain(market.min_notional),
        "tick_size": plain(market.tick),
        "status": _ONLINE if market.status == TRADING else _CANCEL_ONLY,
    }


def _percent(rate: Decimal) -> float:
    # A JSON number, as Kraken sends it; nothing is calculated with it.
    return float(rate * 100)


@PerMarket
def _quiet_day(market: Market) -> dict[str, Any]:
    """Return the part of a ticker about the last day, in which nothing changed."""
    last = price(market, market.last)
    volume = market.depth.level_quote * 100 / market.last if market.last else ZERO
    trades = 1000 if market.last else 0
    return {
        "c": [last, text(market.step if market.last else ZERO)],
        "v": [text(volume), text(volume)],
        "p": [last, last],
        "t": [trades, trades],
        "l": [last, last],
        "h": [last, last],
        "o": last,
    }


def ticker(market: Market, bids: Sequence[Level], asks: Sequence[Level]) -> dict[str, Any]:
    """Return a ticker; an empty side is zero, not left out (assumed)."""
    return {"a": _best(market, asks), "b": _best(market, bids)} | _quiet_day(market)


def _best(market: Market, levels: Sequence[Level]) -> list[str]:
    if not levels:
        return [price(market, ZERO), "0", "0.000"]
    quantity = levels[0].quantity
    return [price(market, levels[0].price), str(int(quantity)), text(quantity)]


def price(market: Market, value: Decimal | None) -> str:
    """Write a price with the decimals of its market, five at least."""
    return _cut(value or ZERO, max(_SHOWN_DECIMALS, decimals(market.tick)))


def decimals(step: Decimal) -> int:
    """Return how many decimals a step has."""
    return len(plain(step).partition(".")[2])


def _cut(value: Decimal, places: int) -> str:
    return format(value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN), "f")


def seconds(at_ms: int) -> float:
    """Return a moment as Kraken writes it."""
    return at_ms / 1000


def description(market: Market, order: Order) -> dict[str, str]:
    """Return how an order describes itself."""
    is_limit = order.type == LIMIT_ORDER
    limit = price(market, order.price) if is_limit else "0"
    return {
        "pair": names.pair_altname(market),
        "type": order.side.lower(),
        "ordertype": order.type.lower(),
        "price": limit,
        "price2": "0",
        "leverage": "none",
        "order": sentence(market, order.side, order.quantity, order.price if is_limit else None),
        "close": "",
    }


def sentence(market: Market, side: str, quantity: Decimal, limit: Decimal | None) -> str:
    """Return an order in words, such as `sell 0.15000000 SOLUSD @ market`."""
    how = "market" if limit is None else f"limit {price(market, limit)}"
    return f"{side.lower()} {text(quantity)} {names.pair_altname(market)} @ {how}"


def order(market: Market, placed: Order, fills: Sequence[Fill], *, trades: bool) -> dict[str, Any]:
    """Return an order as look-ups and lists show it."""
    places = decimals(market.tick)
    average = placed.filled_quote / placed.filled_quantity if placed.filled_quantity else ZERO
    fee = sum((fill.commission for fill in fills), ZERO)
    data: dict[str, Any] = {
        "refid": None,
        "userref": placed.userref,
        "status": _status(placed),
        "opentm": seconds(placed.created_ms),
        "starttm": 0,
        "expiretm": 0,
        "descr": description(market, placed),
        "vol": text(placed.quantity),
        "vol_exec": text(placed.filled_quantity),
        "cost": _cut(placed.filled_quote, places),
        "fee": _cut(fee, places),
        "price": format(round(average, places), "f"),
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
    }
    if placed.client_order_id:
        data["cl_ord_id"] = placed.client_order_id
    if not placed.is_open:
        data["reason"] = "User requested" if placed.status == CANCELED else None
        data["closetm"] = seconds(placed.updated_ms)
    if trades:
        data["trades"] = [fill.txid for fill in fills]
    return data


def _status(placed: Order) -> str:
    if placed.is_open:
        return "open"
    return "closed" if placed.left == 0 else "canceled"


def trade(market: Market, fill: Fill, of: Order) -> dict[str, Any]:
    """Return a fill as TradesHistory lists it; its fee is in quote."""
    return {
        "ordertxid": of.txid,
        "postxid": f"TK{of.txid[2:]}",
        "pair": names.pair_id(market),
        "aclass": "forex",
        "time": seconds(fill.at_ms),
        "type": fill.side.lower(),
        "ordertype": of.type.lower(),
        "price": text(fill.price),
        "cost": text(fill.quote_quantity),
        "fee": text(fill.commission),
        "vol": text(fill.quantity),
        "margin": text(ZERO),
        "leverage": "0",
        "misc": "",
        "trade_id": fill.trade_id,
        "maker": fill.is_maker,
    }


def book(market: Market, levels: Sequence[Level], count: int, now_ms: int) -> list[list[Any]]:
    """Return one side of a book, orders at one price added up."""
    totals: dict[Decimal, Decimal] = {}
    for level in levels:
        totals[level.price] = totals.get(level.price, ZERO) + level.quantity
    rows = list(totals.items())[:count]
    return [[price(market, at), text(quantity), now_ms // 1000] for at, quantity in rows]
