"""The ledger: everything that happened, as plain data; the oracle of tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sandbox import conservation
from sandbox.amounts import ZERO, BadValue, plain
from sandbox.books import SELL
from sandbox.records import Fill, Order
from sandbox.state import State


def parts(state: State, names: Iterable[str], *, since: int) -> dict[str, Any]:
    """Return the named parts of the ledger; of the requests those after the id `since`."""
    for name in names:
        if name not in PARTS:
            raise BadValue(f"unknown part {name!r}; known: {', '.join(PARTS)}")
    return {name: PARTS[name](state, since) for name in names}


def _requests(state: State, since: int) -> object:
    """Return what came over the wire; a status of None was no whole answer."""
    return [
        {
            "id": row["id"],
            "at_ms": row["at_ms"],
            "wall_us": row["wall_us"],
            "method": row["method"],
            "path": row["path"],
            "params": json.loads(row["params"]),
            "api_key": row["api_key"],
            "address": row["address"],
            "status": row["status"],
            "code": row["code"],
            "weight": row["weight"],
            "counted_order": bool(row["counted_order"]),
            "fault": row["fault"],
        }
        for row in state.rows("SELECT * FROM requests WHERE id > ? ORDER BY id", since)
    ]


def _orders(state: State, since: int) -> object:
    """Return all orders; their origin is api or bot."""
    return [order_data(order) for order in state.orders("1")]


def _fills(state: State, since: int) -> object:
    """Return all fills with their fees."""
    return [fill_data(fill) for fill in state.fills("1")]


def _conversions(state: State, since: int) -> object:
    """Return what was converted into BNB."""
    return [dict(row) for row in state.rows("SELECT * FROM conversions")]


def _external_changes(state: State, since: int) -> object:
    """Return the changes of balances that no order or conversion made."""
    return [dict(row) for row in state.rows("SELECT * FROM external_changes")]


def _changes(state: State, since: int) -> object:
    """Return what control calls and faults changed, in its order."""
    rows = state.rows("SELECT * FROM changes ORDER BY id")
    return [dict(row) | {"body": json.loads(row["body"])} for row in rows]


def _balances(state: State, since: int) -> object:
    """Return what every account holds now."""
    return {
        account.api_key: {
            asset: {"free": plain(balance.free), "locked": plain(balance.locked)}
            for asset, balance in state.balances(account.api_key).items()
        }
        for account in state.accounts()
    }


def _initial_balances(state: State, since: int) -> object:
    """Return what every account began with."""
    initial: dict[str, dict[str, str]] = {account.api_key: {} for account in state.accounts()}
    for row in state.rows("SELECT * FROM initial_balances ORDER BY asset"):
        initial[row["api_key"]][row["asset"]] = row["amount"]
    return initial


def _violations(state: State, since: int) -> object:
    """Return the requests that came in spite of a limit."""
    rows = [dict(row) for row in state.rows("SELECT * FROM violations")]
    return [row | {"limit": row.pop("allowed")} for row in rows]


def _conservation(state: State, since: int) -> object:
    """Return the balance sheet of every account."""
    return conservation.sheet(state)


PARTS: dict[str, Callable[[State, int], object]] = {
    "requests": _requests,
    "orders": _orders,
    "fills": _fills,
    "conversions": _conversions,
    "external_changes": _external_changes,
    "changes": _changes,
    "balances": _balances,
    "initial_balances": _initial_balances,
    "violations": _violations,
    "conservation": _conservation,
}


def order_data(order: Order) -> dict[str, Any]:
    """Return an order with all its fields; amounts are strings."""
    return _plain(asdict(order))


def fill_data(fill: Fill) -> dict[str, Any]:
    """Return a fill with all its fields; amounts are strings."""
    return _plain(asdict(fill))


def locked_in_orders(state: State, api_key: str, asset: str) -> Decimal:
    """Return how much of an asset the account's open orders hold."""
    total = ZERO
    for order in state.open_orders("api_key = ?", api_key):
        market = state.markets[order.symbol]
        if asset == (market.base if order.side == SELL else market.quote):
            total += order.locked
    return total


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {
        name: plain(value) if isinstance(value, Decimal) else value for name, value in data.items()
    }
