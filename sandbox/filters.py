"""Binance's symbol filters: one function a filter, in the order the exchange checks them."""

from __future__ import annotations

from decimal import Decimal

from sandbox import refusals
from sandbox.amounts import wire
from sandbox.markets import Market


def check_quantity(market: Market, quantity: Decimal, *, is_market_order: bool) -> None:
    """Refuse a quantity outside LOT_SIZE or, for market orders, MARKET_LOT_SIZE."""
    if not market.smallest_quantity <= quantity <= market.max_quantity or quantity % market.step:
        raise refusals.filter_failure("LOT_SIZE")
    if is_market_order:
        if quantity > market.market_max_quantity:
            raise refusals.filter_failure("MARKET_LOT_SIZE")
        # Binance publishes a step of zero where only LOT_SIZE's counts.
        if market.market_step and quantity % market.market_step:
            raise refusals.filter_failure("MARKET_LOT_SIZE")


def check_price(market: Market, price: Decimal) -> None:
    """Refuse a limit price off the tick or too far from the average."""
    if price <= 0 or price % market.tick:
        raise refusals.filter_failure("PRICE_FILTER")
    average = market.average_price
    if average is None:
        return
    # Binance publishes a pair of multipliers for each side; here both sides share one pair.
    low, high = average * market.percent_down, average * market.percent_up
    if not low <= price <= high:
        raise refusals.filter_failure("PERCENT_PRICE_BY_SIDE")


def check_notional(market: Market, quantity: Decimal, price: Decimal | None) -> None:
    """Refuse an order worth too little or too much; None means a market order."""
    # Market orders are valued at the average price, not at what they would get.
    is_market_order = price is None
    reference = market.average_price if price is None else price
    if reference is None:
        return
    notional = quantity * reference
    if notional < market.min_notional:
        raise refusals.filter_failure("NOTIONAL")
    if not is_market_order and notional > market.max_notional:
        raise refusals.filter_failure("NOTIONAL")


def as_wire(market: Market) -> list[dict[str, object]]:
    """Return the filters as exchangeInfo lists them."""

    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": wire(market.tick),
            "maxPrice": wire(Decimal(1000000)),
            "tickSize": wire(market.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": wire(market.smallest_quantity),
            "maxQty": wire(market.max_quantity),
            "stepSize": wire(market.step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": wire(Decimal(0)),
            "maxQty": wire(market.market_max_quantity),
            "stepSize": wire(market.market_step),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": wire(market.percent_up),
            "bidMultiplierDown": wire(market.percent_down),
            "askMultiplierUp": wire(market.percent_up),
            "askMultiplierDown": wire(market.percent_down),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": wire(market.min_notional),
            "applyMinToMarket": True,
            "maxNotional": wire(market.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ]
