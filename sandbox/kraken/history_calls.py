"""Looking orders and trades up: open, closed, by id, and the account's history."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sandbox.kraken import wire
from sandbox.kraken.call import Call
from sandbox.kraken.refusals import INVALID_ORDER, refusal
from sandbox.records import Fill, Order

PAGE = 50
MOST_ORDERS, MOST_TRADES = 50, 20
_TXID = re.compile(r"[OT][A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")
Row = TypeVar("Row", Order, Fill)


def open_orders(call: Call) -> object:
    """Return the account's open orders, of a client id or all."""
    found = [order for order in _orders(call) if order.is_open]
    return {"open": _shown(call, found)}


def closed_orders(call: Call) -> object:
    """Return a page of the account's closed orders, the most recently closed first."""
    which = call.arguments.chosen("closetime", "both", "open", "close")

    def moments(order: Order) -> tuple[int, ...]:
        times = {"open": (order.created_ms,), "close": (order.updated_ms,)}
        return times.get(which, (order.created_ms, order.updated_ms))

    found = [order for order in _orders(call) if not order.is_open]
    found = _within(call, found, moments)
    found.sort(key=lambda order: (order.updated_ms, order.order_id), reverse=True)
    return {"closed": _shown(call, _page(call, found)), "count": len(found)}


def query_orders(call: Call) -> object:
    """Return the account's orders of these ids; unknown ones are left out."""
    found, asked = _orders(call), call.arguments.listed("txid", MOST_ORDERS)
    _check_ids(asked)
    return _shown(call, [order for order in found if order.txid in asked])


def trades_history(call: Call) -> object:
    """Return a page of the account's trades, the newest first."""
    fills = call.state.fills("api_key = ?", call.account.api_key)
    found = _within(call, fills, lambda fill: (fill.at_ms,))
    found.reverse()
    return {"trades": _trades(call, _page(call, found)), "count": len(found)}


def query_trades(call: Call) -> object:
    """Return the account's trades of these ids; unknown ones are left out."""
    asked = call.arguments.listed("txid", MOST_TRADES)
    _check_ids(asked)
    fills = call.state.fills("api_key = ?", call.account.api_key)
    return _trades(call, [fill for fill in fills if fill.txid in asked])


def _orders(call: Call) -> list[Order]:
    """Return the account's orders, of the `cl_ord_id` or `userref` that the call names, or all."""
    where, values = "api_key = ?", [call.account.api_key]
    client_order_id, userref = call.arguments.text("cl_ord_id"), call.arguments.integer("userref")
    found = call.state.orders(where, *values)
    if client_order_id is not None:
        found = [order for order in found if order.client_order_id == client_order_id]
    if userref is not None:
        found = [order for order in found if order.userref == userref]
    return found


def _check_ids(asked: Sequence[str]) -> None:
    if not all(_TXID.fullmatch(txid) for txid in asked):
        raise refusal(INVALID_ORDER)


def _within(
    call: Call, rows: Sequence[Row], moments: Callable[[Row], tuple[int, ...]]
) -> list[Row]:
    """Return the rows after `start` and until `end`, each a moment or an order's id."""
    start_ms, end_ms = _moment_ms(call, "start"), _moment_ms(call, "end")
    return [
        row
        for row in rows
        if any(
            (start_ms is None or moment > start_ms) and (end_ms is None or moment <= end_ms)
            for moment in moments(row)
        )
    ]


def _moment_ms(call: Call, name: str) -> int | None:
    txid = call.arguments.text(name)
    if txid is None or not _TXID.fullmatch(txid):
        return call.arguments.moment_ms(name)
    orders = call.state.orders("api_key = ? AND txid = ?", call.account.api_key, txid)
    fills = call.state.fills("api_key = ? AND txid = ?", call.account.api_key, txid)
    moments = [order.created_ms for order in orders] + [fill.at_ms for fill in fills]
    if not moments:
        raise refusal(INVALID_ORDER)
    return moments[0]


def _page(call: Call, rows: list[Row]) -> list[Row]:
    first = call.arguments.integer("ofs") or 0
    return rows[first : first + PAGE]


def _shown(call: Call, orders: Sequence[Order]) -> dict[str, Any]:
    trades = call.arguments.boolean("trades")
    return {
        order.txid: wire.order(
            call.state.markets[order.symbol],
            order,
            call.state.fills("order_id = ?", order.order_id),
            trades=trades,
        )
        for order in orders
    }


def _trades(call: Call, fills: Sequence[Fill]) -> dict[str, Any]:
    orders = call.state.orders("api_key = ?", call.account.api_key)
    by_id = {order.order_id: order for order in orders}
    return {
        fill.txid: wire.trade(call.state.markets[fill.symbol], fill, by_id[fill.order_id])
        for fill in fills
    }
