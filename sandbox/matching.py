"""Placing, filling and cancelling orders; the only code that moves balances by trading.

Amounts of quote and fees are cut to eight decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sandbox import books
from sandbox.amounts import ZERO, cut, floor_to
from sandbox.books import BUY, SELL, Level
from sandbox.fees import Fees, Trade, commission_of
from sandbox.markets import TRADING, Market
from sandbox.records import (
    CANCELED,
    EXPIRED,
    FILLED,
    LIMIT_ORDER,
    MARKET_ORDER,
    NEW,
    OPEN_STATUSES,
    PARTIALLY_FILLED,
    Account,
    Order,
)
from sandbox.rules import Rules
from sandbox.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An order as it was asked for; exactly one of `quantity` and `quote_quantity` is set."""

    symbol: str
    side: str
    type: str
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    time_in_force: str = "GTC"
    client_order_id: str | None = None
    userref: int | None = None


class Matching:
    """The matching engine over one state, under one protocol's rules."""

    def __init__(self, state: State, fees: Fees, rules: Rules) -> None:
        self._state = state
        self.fees = fees
        self._rules = rules

    def levels(
        self, market: Market, side: str, opened: Sequence[Order] | None = None
    ) -> list[Level]:
        """Return one side of the book, synthetic depth and resting orders merged.

        Whoever asks for many books gives each market's open orders, read at once.
        """
        if opened is None:
            opened = self._state.open_orders("symbol = ?", market.symbol)
        resting = [
            Level(price=order.price, quantity=order.left, order_id=order.order_id)
            for order in opened
            if order.side == side
        ]
        return books.merge(books.synthetic_levels(market, side), resting, side)

    def check(self, account: Account, ticket: Ticket) -> tuple[Market, Decimal]:
        """Return market and quantity of a ticket, or raise the Refusal placing it would meet."""
        market = self._state.markets.get(ticket.symbol)
        if market is None:
            raise self._rules.bad_symbol()
        if market.status != TRADING:
            raise self._rules.market_closed()
        is_market = ticket.type == MARKET_ORDER
        if ticket.quantity is not None:
            quantity = ticket.quantity
            self._rules.check_quantity(market, quantity, is_market_order=is_market)
            if ticket.price is not None:
                self._rules.check_price(market, ticket.price, is_buy=ticket.side == BUY)
            self._rules.check_notional(market, quantity, ticket.price)
        else:
            quote_quantity = ticket.quote_quantity or ZERO
            self._rules.check_quote_quantity(market, quote_quantity)
            quantity = books.quantity_for_quote(
                self.levels(market, books.opposite(ticket.side)), quote_quantity, market.step
            )
            if quantity:
                self._rules.check_quantity(market, quantity, is_market_order=True)
        opened = self._state.open_orders(
            "api_key = ? AND symbol = ?", account.api_key, market.symbol
        )
        if not is_market:
            self._rules.check_open_orders(len(opened))
        if ticket.client_order_id in {order.client_order_id for order in opened}:
            raise self._rules.duplicate_order()
        if self._cost(market, ticket, quantity) > self._free(account, market, ticket.side):
            raise self._rules.insufficient_balance()
        return market, quantity

    def place(
        self,
        account: Account,
        ticket: Ticket,
        *,
        now_ms: int,
        origin: str = "api",
        fraction: Decimal | None = None,
    ) -> Order:
        """Match a ticket and return the order, open or closed; raise Refusal if it can't be.

        `fraction` fills only that part of the quantity and lets the rest expire.
        """
        market, quantity = self.check(account, ticket)
        order = self._insert(account, ticket, quantity, now_ms, origin)
        wanted = quantity
        if fraction is not None:
            wanted = floor_to(quantity * fraction, market.step)
        takes = books.walk(
            self.levels(market, books.opposite(ticket.side)),
            wanted,
            worst=ticket.price,
            side=ticket.side,
        )
        if ticket.time_in_force == "FOK" and sum(take.quantity for take in takes) < wanted:
            takes = []
        for take in takes:
            order = self._fill(market, order, take, is_maker=False, now_ms=now_ms)
            if take.order_id is not None:
                maker = self.order(take.order_id)
                self._fill(market, maker, take, is_maker=True, now_ms=now_ms)
        # A quote amount below one step buys nothing: that is no fill.
        if order.left == 0 and quantity > 0:
            return self._close(market, order, FILLED, now_ms)
        rests = ticket.type == LIMIT_ORDER and ticket.time_in_force == "GTC"
        if not rests or fraction is not None:
            return self._close(market, order, EXPIRED, now_ms)
        return self._rest(market, order, now_ms)

    def cancel(self, order: Order, *, now_ms: int) -> Order:
        """Close an open order and give back what it locked."""
        if order.status not in OPEN_STATUSES:
            raise self._rules.unknown_order()
        return self._close(self._state.markets[order.symbol], order, CANCELED, now_ms)

    def match_resting(self, market: Market, *, now_ms: int) -> None:
        """Fill the resting orders that a new price has reached, at their own price."""
        for order in self._state.open_orders("symbol = ?", market.symbol):
            best = market.bid if order.side == SELL else market.ask
            if best is None or market.status != TRADING:
                continue
            if order.price <= best if order.side == SELL else order.price >= best:
                take = Level(price=order.price, quantity=order.left)
                self._fill(market, order, take, is_maker=True, now_ms=now_ms)

    def order(self, order_id: int) -> Order:
        """Return an order by its id."""
        return self._state.orders("order_id = ?", order_id)[0]

    # Money
    def _free(self, account: Account, market: Market, side: str) -> Decimal:
        asset = market.base if side == SELL else market.quote
        return self._state.balance(account.api_key, asset).free

    def _cost(self, market: Market, ticket: Ticket, quantity: Decimal) -> Decimal:
        """Return what the order needs: base for a sell, quote for a buy."""
        if ticket.side == SELL:
            return quantity
        if ticket.price is not None:
            return self.fees.with_fee(cut(ticket.price * quantity))
        takes = books.walk(self.levels(market, SELL), quantity, worst=None, side=BUY)
        return self.fees.with_fee(sum((cut(take.price * take.quantity) for take in takes), ZERO))

    def _fill(
        self, market: Market, order: Order, take: Level, *, is_maker: bool, now_ms: int
    ) -> Order:
        """Book one trade of one order: both assets, the fee, the order's totals."""
        quote_quantity = cut(take.price * take.quantity)
        if order.side == SELL:
            paid_asset, paid = market.base, take.quantity
            got_asset, got = market.quote, quote_quantity
        else:
            paid_asset, paid = market.quote, quote_quantity
            got_asset, got = market.base, take.quantity
        shift = self._state.shift
        shift(order.api_key, got_asset, free=got)
        commission, commission_asset = commission_of(
            self._state,
            self.fees,
            Trade(
                api_key=order.api_key,
                quote=market.quote,
                paid_asset=paid_asset,
                got_asset=got_asset,
                got=got,
                quote_quantity=quote_quantity,
                is_maker=is_maker,
            ),
        )
        if commission_asset == paid_asset:
            paid += commission
        else:
            shift(order.api_key, commission_asset, free=-commission)
        # A resting order pays from what it locked, a taker from what is free.
        from_lock = paid if is_maker else ZERO
        shift(order.api_key, paid_asset, free=from_lock - paid, locked=-from_lock)
        self._state.add(
            "fills",
            order_id=order.order_id,
            api_key=order.api_key,
            symbol=order.symbol,
            side=order.side,
            price=take.price,
            quantity=take.quantity,
            quote_quantity=quote_quantity,
            commission=commission,
            commission_asset=commission_asset,
            is_maker=is_maker,
            at_ms=now_ms,
            txid=self._rules.txid("T"),
        )
        order = replace(
            order,
            filled_quantity=order.filled_quantity + take.quantity,
            filled_quote=order.filled_quote + quote_quantity,
            locked=order.locked - from_lock,
        )
        if is_maker and order.left == 0:
            return self._close(market, order, FILLED, now_ms)
        status = PARTIALLY_FILLED if is_maker else order.status
        return self._save(replace(order, status=status, updated_ms=now_ms))

    # Order rows
    def _insert(
        self, account: Account, ticket: Ticket, quantity: Decimal, now_ms: int, origin: str
    ) -> Order:
        order_id = self._state.add(
            "orders",
            api_key=account.api_key,
            symbol=ticket.symbol,
            client_order_id=ticket.client_order_id or self._rules.client_order_id(),
            side=ticket.side,
            type=ticket.type,
            time_in_force=ticket.time_in_force,
            price=ticket.price or ZERO,
            quantity=quantity,
            quote_quantity=ticket.quote_quantity or ZERO,
            filled_quantity=ZERO,
            filled_quote=ZERO,
            locked=ZERO,
            status=NEW,
            origin=origin,
            created_ms=now_ms,
            updated_ms=now_ms,
            txid=self._rules.txid("O"),
            userref=ticket.userref,
        )
        return self.order(order_id)

    def _rest(self, market: Market, order: Order, now_ms: int) -> Order:
        if order.side == SELL:
            asset, amount = market.base, order.left
        else:
            asset = market.quote
            amount = self.fees.with_fee(cut(order.price * order.left))
        self._state.shift(order.api_key, asset, free=-amount, locked=amount)
        status = PARTIALLY_FILLED if order.filled_quantity else NEW
        return self._save(replace(order, status=status, locked=amount, updated_ms=now_ms))

    def _close(self, market: Market, order: Order, status: str, now_ms: int) -> Order:
        if order.locked:
            asset = market.base if order.side == SELL else market.quote
            self._state.shift(order.api_key, asset, free=order.locked, locked=-order.locked)
        return self._save(replace(order, status=status, locked=ZERO, updated_ms=now_ms))

    def _save(self, order: Order) -> Order:
        self._state.change(
            "orders",
            "order_id",
            order.order_id,
            filled_quantity=order.filled_quantity,
            filled_quote=order.filled_quote,
            locked=order.locked,
            status=order.status,
            updated_ms=order.updated_ms,
        )
        return order
