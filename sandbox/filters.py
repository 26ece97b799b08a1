"""Binance's symbol filters: one function a filter, in the order the exchange checks them.

Source: filters.md of binance-spot-api-docs, 07550e7. The average of the last minutes is what a
control call says it is, else the last price.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox import refusals
from sandbox.amounts import wire
from sandbox.markets import NOTIONAL, PERCENT_PRICE, Market

AVERAGE_MINUTES = 5


MAX_PRICE = Decimal(1000000)
MAX_OPEN_ORDERS = 200


def check_quantity(market: Market, quantity: Decimal, *, is_market_order: bool) -> None:
    """Refuse a quantity outside LOT_SIZE or, for market orders, MARKET_LOT_SIZE."""
    if not market.smallest_quantity <= quantity <= market.max_quantity or quantity % market.step:
        raise refusals.filter_failure("LOT_SIZE")
    if is_market_order:
        if not market.market_min_quantity <= quantity <= market.market_max_quantity:
            raise refusals.filter_failure("MARKET_LOT_SIZE")
        # Binance publishes a step of zero where only LOT_SIZE's counts.
        if market.market_step and quantity % market.market_step:
            raise refusals.filter_failure("MARKET_LOT_SIZE")


def check_price(market: Market, price: Decimal, *, is_buy: bool) -> None:
    """Refuse a limit price off the tick or too far from the average; market orders have none."""
    if not 0 < price <= MAX_PRICE or price % market.tick:
        raise refusals.filter_failure("PRICE_FILTER")
    average = market.average_price
    if average is None:
        return
    low, high = market.percent_range(is_buy=is_buy)
    if not average * low <= price <= average * high:
        raise refusals.filter_failure(market.percent_filter)


def check_notional(market: Market, quantity: Decimal, price: Decimal | None) -> None:
    """Refuse an order worth too little or too much; None means a market order."""
    # Market orders are valued at the average price, not at what they would get.
    reference = market.average_price if price is None else price
    if reference is not None:
        _check_value(market, quantity * reference, is_market_order=price is None)


def check_quote_quantity(market: Market, quote_quantity: Decimal) -> None:
    """Refuse a market order over an amount of quote that is too small."""
    _check_value(market, quote_quantity, is_market_order=True)


def _check_value(market: Market, value: Decimal, *, is_market_order: bool) -> None:
    has_minimum = market.min_applies_to_market or not is_market_order
    has_maximum = market.notional_filter == NOTIONAL and not is_market_order
    if (has_minimum and value < market.min_notional) or (
        has_maximum and value > market.max_notional
    ):
        raise refusals.filter_failure(market.notional_filter)


def check_open_orders(count: int) -> None:
    """Refuse another limit order beside `count` open ones of the account in this market."""
    if count >= MAX_OPEN_ORDERS:
        raise refusals.filter_failure("MAX_NUM_ORDERS")


def as_wire(market: Market) -> list[dict[str, object]]:
    """Return the filters as exchangeInfo lists them."""
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": wire(market.tick),
            "maxPrice": wire(MAX_PRICE),
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
            "minQty": wire(market.market_min_quantity),
            "maxQty": wire(market.market_max_quantity),
            "stepSize": wire(market.market_step),
        },
        _percent_as_wire(market),
        _notional_as_wire(market),
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_OPEN_ORDERS},
    ]


def _percent_as_wire(market: Market) -> dict[str, object]:
    low, high = market.percent_range(is_buy=False)
    shared: dict[str, object] = {
        "filterType": market.percent_filter,
        "avgPriceMins": AVERAGE_MINUTES,
    }
    if market.percent_filter == PERCENT_PRICE:
        return shared | {"multiplierUp": wire(high), "multiplierDown": wire(low)}
    buy_low, buy_high = market.percent_range(is_buy=True)
    return shared | {
        "bidMultiplierUp": wire(buy_high),
        "bidMultiplierDown": wire(buy_low),
        "askMultiplierUp": wire(high),
        "askMultiplierDown": wire(low),
    }


def _notional_as_wire(market: Market) -> dict[str, object]:
    shared: dict[str, object] = {
        "filterType": market.notional_filter,
        "minNotional": wire(market.min_notional),
        "avgPriceMins": AVERAGE_MINUTES,
    }
    if market.notional_filter != NOTIONAL:
        return shared | {"applyToMarket": market.min_applies_to_market}
    return shared | {
        "applyMinToMarket": market.min_applies_to_market,
        "maxNotional": wire(market.max_notional),
        "applyMaxToMarket": False,
    }
