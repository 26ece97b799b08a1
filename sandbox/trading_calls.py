"""The signed calls around orders and fills."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox import refusals, wire
from sandbox.books import BUY, SELL
from sandbox.call import Call
from sandbox.matching import Ticket
from sandbox.params import CLIENT_ID, SYMBOL
from sandbox.records import LIMIT_ORDER, MARKET_ORDER, Order

DAY_MS = 86_400_000
_ANSWERS = ("ACK", "RESULT", "FULL")


def new_order(call: Call) -> object:
    """Place an order."""
    ticket, answer = parse_ticket(call)
    order = call.matching.place(call.account, ticket, now_ms=call.now_ms, fraction=call.fraction)
    fills = call.state.fills("order_id = ?", order.order_id)
    return wire.placed_order(order, fills, answer)


def check_order(call: Call) -> object:
    """Check an order without placing it."""
    ticket, _ = parse_ticket(call)
    call.matching.check(call.account, ticket)
    return {}


def parse_ticket(call: Call) -> tuple[Ticket, str]:
    """Return what was asked for and the kind of answer wanted, or refuse the parameters."""
    params = call.params
    symbol = params.required("symbol", SYMBOL)
    side = params.required("side")
    kind = params.required("type")
    if side not in (BUY, SELL):
        raise refusals.bad_side()
    if kind not in (MARKET_ORDER, LIMIT_ORDER):
        raise refusals.bad_order_type()
    time_in_force = params.text("timeInForce")
    quantity, quote_quantity = params.amount("quantity"), params.amount("quoteOrderQty")
    price = params.amount("price")
    if kind == LIMIT_ORDER:
        for name, value in (("timeInForce", time_in_force), ("quantity", quantity)):
            if value is None:
                raise refusals.missing(name)
        if price is None:
            raise refusals.missing("price")
        if quote_quantity is not None:
            raise refusals.not_required("quoteOrderQty")
        if time_in_force not in ("GTC", "IOC", "FOK"):
            raise refusals.bad_time_in_force()
    else:
        for name, value in (("timeInForce", time_in_force), ("price", price)):
            if value is not None:
                raise refusals.not_required(name)
        if quantity is None and quote_quantity is None:
            raise refusals.missing("quantity")
        if quantity is not None and quote_quantity is not None:
            raise refusals.not_required("quoteOrderQty")
    answer = params.text("newOrderRespType") or "FULL"
    if answer not in _ANSWERS:
        raise refusals.missing("newOrderRespType")
    ticket = Ticket(
        symbol=symbol,
        side=side,
        type=kind,
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=price,
        time_in_force=time_in_force or "GTC",
        client_order_id=params.text("newClientOrderId", CLIENT_ID),
    )
    return ticket, answer


def query_order(call: Call) -> object:
    """Look one order up by its id or client order id."""
    found = _find(call)
    if found is None:
        raise refusals.no_such_order()
    return wire.queried_order(found)


def cancel_order(call: Call) -> object:
    """Cancel one open order."""
    found = _find(call)
    if found is None:
        raise refusals.unknown_order()
    canceled = call.matching.cancel(found, now_ms=call.now_ms)
    cancel_id = call.params.text("newClientOrderId", CLIENT_ID) or secrets.token_urlsafe(16)
    return wire.canceled_order(canceled, cancel_id)


def _find(call: Call) -> Order | None:
    """Return the account's order that the request names, the newest of a reused client id."""
    market = call.market()
    order_id = call.params.integer("orderId")
    client_order_id = call.params.text("origClientOrderId")
    if order_id is None and client_order_id is None:
        raise refusals.bad_combination(
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    where, values = "api_key = ? AND symbol = ?", [call.account.api_key, market.symbol]
    if order_id is not None:
        found = call.state.orders(f"{where} AND order_id = ?", *values, order_id)
        if client_order_id is not None:
            found = [order for order in found if order.client_order_id == client_order_id]
    else:
        found = call.state.orders(f"{where} AND client_order_id = ?", *values, client_order_id)
    # An open order hides closed ones that carried its client id before.
    ranked = [order for order in found if order.is_open] or found
    return ranked[-1] if ranked else None


def open_orders(call: Call) -> object:
    """Return the account's open orders, of one market or all."""
    symbol = call.params.text("symbol", SYMBOL)
    where, values = "api_key = ?", [call.account.api_key]
    if symbol is not None:
        where, values = f"{where} AND symbol = ?", [*values, call.listed(symbol).symbol]
    return [wire.queried_order(order) for order in call.state.open_orders(where, *values)]


def all_orders(call: Call) -> object:
    """Return the account's orders in one market: from an id on, or the newest."""
    where, values = _period(call, "created_ms")
    first = call.params.integer("orderId")
    if first is not None:
        where, values = f"{where} AND order_id >= ?", [*values, first]
    found = call.state.orders(where, *values)
    return [wire.queried_order(order) for order in _page(call, found, first)]


def my_trades(call: Call) -> object:
    """Return the account's fills in one market: of an order, from an id on, or the newest."""
    where, values = _period(call, "at_ms")
    order_id, first = call.params.integer("orderId"), call.params.integer("fromId")
    if order_id is not None:
        where, values = f"{where} AND order_id = ?", [*values, order_id]
    if first is not None:
        where, values = f"{where} AND trade_id >= ?", [*values, first]
    found = call.state.fills(where, *values)
    return [wire.trade(fill) for fill in _page(call, found, first)]


def _period(call: Call, column: str) -> tuple[str, list[Any]]:
    where = "api_key = ? AND symbol = ?"
    values: list[Any] = [call.account.api_key, call.market().symbol]
    period = call.params.period()
    if period.is_longer_than(DAY_MS):
        raise refusals.period_too_long()
    for moment, comparison in ((period.start_ms, ">="), (period.end_ms, "<=")):
        if moment is not None:
            where, values = f"{where} AND {column} {comparison} ?", [*values, moment]
    return where, values


def _page(call: Call, rows: list[Any], first: int | None) -> list[Any]:
    """Return one page, ascending: the oldest from an id or moment on, else the newest."""
    limit = call.params.limit(500, 1000)
    from_start = first is not None or call.params.period().start_ms is not None
    return rows[:limit] if from_start else rows[-limit:]
