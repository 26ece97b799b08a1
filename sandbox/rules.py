"""What a protocol demands of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from sandbox.markets import Market
from sandbox.refusals import Refusal


class Rules(Protocol):
    """What an order has to meet, and what is said to one that does not."""

    def check_quantity(self, market: Market, quantity: Decimal, *, is_market_order: bool) -> None:
        """Refuse a quantity outside the market's bounds or off its step."""

    def check_price(self, market: Market, price: Decimal, *, is_buy: bool) -> None:
        """Refuse a limit price that the market does not take."""

    def check_notional(self, market: Market, quantity: Decimal, price: Decimal | None) -> None:
        """Refuse an order worth too little or too much; None means a market order."""

    def check_quote_quantity(self, market: Market, quote_quantity: Decimal) -> None:
        """Refuse a market order over an amount of quote that is too small."""

    def check_open_orders(self, count: int) -> None:
        """Refuse another limit order beside `count` open ones of the account in this market."""

    def bad_symbol(self) -> Refusal:
        """Return what is said about a market that is not listed."""

    def market_closed(self) -> Refusal:
        """Return what is said about a market that does not trade."""

    def insufficient_balance(self) -> Refusal:
        """Return what is said when the free balance does not cover the order."""

    def duplicate_order(self) -> Refusal:
        """Return what is said about a client order id that an open order carries."""

    def unknown_order(self) -> Refusal:
        """Return what is said when the order to cancel is not open."""

    def client_order_id(self) -> str:
        """Return the client order id of an order that came without one."""

    def txid(self, prefix: str) -> str:
        """Return a new order's (O) or trade's (T) id on the wire; empty: its number is its id."""
