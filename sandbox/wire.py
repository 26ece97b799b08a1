"""Binance's JSON for orders, fills, markets and accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sandbox import filters
from sandbox.amounts import ZERO, wire
from sandbox.fees import Fees
from sandbox.limits import Limit, Limits
from sandbox.markets import Market, PerMarket
from sandbox.records import Account, Balance, Fill, Order

PRECISION = 8
BookTop = dict[str, str]


def placed_order(order: Order, fills: Sequence[Fill], kind: str) -> dict[str, Any]:
    """Return the answer to a new order: ACK, RESULT or FULL."""
    data: dict[str, Any] = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }
    if kind == "ACK":
        return data
    data |= _amounts(order)
    data["workingTime"] = order.created_ms
    if kind == "FULL":
        data["fills"] = [
            {
                "price": wire(fill.price),
                "qty": wire(fill.quantity),
                "commission": wire(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    data["selfTradePreventionMode"] = "NONE"
    return data


def queried_order(order: Order) -> dict[str, Any]:
    """Return an order as look-ups and lists show it."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **_amounts(order),
        "stopPrice": wire(ZERO),
        "icebergQty": wire(ZERO),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "NONE",
    }


def canceled_order(order: Order, cancel_id: str) -> dict[str, Any]:
    """Return the answer to a cancellation."""
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
        **_amounts(order),
        "selfTradePreventionMode": "NONE",
    }


def _amounts(order: Order) -> dict[str, Any]:
    return {
        "price": wire(order.price),
        "origQty": wire(order.quantity),
        "executedQty": wire(order.filled_quantity),
        "origQuoteOrderQty": wire(order.quote_quantity),
        "cummulativeQuoteQty": wire(order.filled_quote),  # Binance's spelling
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def trade(fill: Fill) -> dict[str, Any]:
    """Return a fill as myTrades lists it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": wire(fill.price),
        "qty": wire(fill.quantity),
        "quoteQty": wire(fill.quote_quantity),
        "commission": wire(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.at_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


@PerMarket
def symbol(market: Market) -> dict[str, Any]:
    """Return a market as exchangeInfo lists it."""
    return {
        "symbol": market.symbol,
        "status": market.status,
        "baseAsset": market.base,
        "baseAssetPrecision": PRECISION,
        "quoteAsset": market.quote,
        "quotePrecision": PRECISION,
        "quoteAssetPrecision": PRECISION,
        "baseCommissionPrecision": PRECISION,
        "quoteCommissionPrecision": PRECISION,
        "orderTypes": ["LIMIT", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters.as_wire(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def rate_limits(limits: Limits) -> list[dict[str, Any]]:
    """Return the published limits."""

    def entry(kind: str, limit: Limit) -> dict[str, Any]:
        name, _, number = limit.interval
        return {
            "rateLimitType": kind,
            "interval": name,
            "intervalNum": number,
            "limit": limit.limit,
        }

    return [
        entry("REQUEST_WEIGHT", limits.weight),
        *(entry("ORDERS", limit) for limit in limits.orders),
        entry("RAW_REQUESTS", limits.raw),
    ]


def account(
    owner: Account, balances: Iterable[tuple[str, Balance]], fees: Fees, now_ms: int
) -> dict[str, Any]:
    """Return the account with the given balances."""
    return {
        "makerCommission": int(fees.maker * 10000),
        "takerCommission": int(fees.taker * 10000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": wire(fees.maker),
            "taker": wire(fees.taker),
            "buyer": wire(ZERO),
            "seller": wire(ZERO),
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": wire(held.free), "locked": wire(held.locked)}
            for asset, held in balances
        ],
        "permissions": ["SPOT"],
        "uid": 350000000 + owner.number,
    }


def ticker(market: Market, bid_ask: BookTop, now_ms: int) -> dict[str, Any]:
    """Return the 24 hour ticker; without quotes Binance sends zeros, not gaps."""
    last = wire(market.last)
    traded = market.last is not None
    volume = market.depth.level_quote * 100 if traded else ZERO
    return {
        "symbol": market.symbol,
        "priceChange": wire(ZERO),
        "priceChangePercent": "0.000",
        "weightedAvgPrice": last,
        "prevClosePrice": last,
        "lastPrice": last,
        "lastQty": wire(market.step if traded else ZERO),
        **bid_ask,
        "openPrice": last,
        "highPrice": last,
        "lowPrice": last,
        "volume": wire(volume / market.last if market.last else ZERO),
        "quoteVolume": wire(volume),
        "openTime": now_ms - 86_400_000,
        "closeTime": now_ms,
        "firstId": 1 if traded else -1,
        "lastId": 1000 if traded else -1,
        "count": 1000 if traded else 0,
    }
