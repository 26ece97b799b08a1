"""What Kraken demands of an order: ordermin, costmin, lot_decimals and tick_size.

A market order's cost is counted at the best bid (assumed; Kraken says "price * volume").
"""

from __future__ import annotations

import secrets
from decimal import Decimal

from sandbox.kraken.refusals import (
    CANCEL_ONLY,
    COST_MINIMUM,
    INSUFFICIENT_FUNDS,
    ORDER_MINIMUM,
    ORDERS_LIMIT,
    TICK_SIZE,
    UNKNOWN_ORDER,
    UNKNOWN_PAIR,
    invalid,
    refusal,
)
from sandbox.markets import Market
from sandbox.refusals import Refusal

# Those of the tier with the fewest.
MAX_OPEN_ORDERS = 60
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class KrakenRules:
    """Kraken's minimums, and its words for what it refuses."""

    def check_quantity(self, market: Market, quantity: Decimal, *, is_market_order: bool) -> None:
        """Refuse a volume with too many decimals, too small or too large."""
        if quantity % market.step or quantity > market.max_quantity:
            raise invalid("volume")
        if quantity < market.smallest_quantity:
            raise refusal(ORDER_MINIMUM)

    def check_price(self, market: Market, price: Decimal, *, is_buy: bool) -> None:
        """Refuse a limit price off the tick."""
        if price <= 0:
            raise invalid("price")
        if price % market.tick:
            raise refusal(TICK_SIZE)

    def check_notional(self, market: Market, quantity: Decimal, price: Decimal | None) -> None:
        """Refuse an order that costs too little; None means a market order."""
        reference = price or market.bid or market.last
        if reference is not None:
            self.check_quote_quantity(market, quantity * reference)

    def check_quote_quantity(self, market: Market, quote_quantity: Decimal) -> None:
        """Refuse an amount of quote below costmin."""
        if quote_quantity < market.min_notional:
            raise refusal(COST_MINIMUM)

    def check_open_orders(self, count: int) -> None:
        """Refuse another limit order beside `count` open ones of the account in this market."""
        if count >= MAX_OPEN_ORDERS:
            raise refusal(ORDERS_LIMIT)

    def bad_symbol(self) -> Refusal:
        """Return what is said about a market that is not listed."""
        return refusal(UNKNOWN_PAIR)

    def market_closed(self) -> Refusal:
        """Return what is said about a market that does not trade."""
        return refusal(CANCEL_ONLY)

    def insufficient_balance(self) -> Refusal:
        """Return what is said when the free balance does not cover the order."""
        return refusal(INSUFFICIENT_FUNDS)

    def duplicate_order(self) -> Refusal:
        """Return what is said about a `cl_ord_id` that an open order carries (assumed)."""
        return invalid("cl_ord_id")

    def unknown_order(self) -> Refusal:
        """Return what is said when the order to cancel is not open."""
        return refusal(UNKNOWN_ORDER)

    def client_order_id(self) -> str:
        """Return nothing: an order that came without one has none."""
        return ""

    def txid(self, prefix: str) -> str:
        """Return a new id such as OQCLML-BW3P3-BUCMWZ."""
        letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
        return f"{prefix}{letters[:5]}-{letters[5:10]}-{letters[10:]}"
