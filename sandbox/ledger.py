"""The ledger: everything that happened, as plain data; the oracle of tests."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sandbox.amounts import ZERO, plain
from sandbox.books import SELL
from sandbox.records import Fill, Order
from sandbox.state import State


def everything(state: State, *, since: int) -> dict[str, Any]:
    """Return the ledger with the requests after the id `since`."""
    keys = [account.api_key for account in state.accounts()]
    initial: dict[str, dict[str, str]] = {key: {} for key in keys}
    for row in state.rows("SELECT * FROM initial_balances ORDER BY asset"):
        initial[row["api_key"]][row["asset"]] = row["amount"]
    return {
        "requests": [
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
        ],
        "orders": [order_data(order) for order in state.orders("1")],
        "fills": [fill_data(fill) for fill in state.fills("1")],
        "conversions": [dict(row) for row in state.rows("SELECT * FROM conversions")],
        "external_changes": [dict(row) for row in state.rows("SELECT * FROM external_changes")],
        "changes": [
            dict(row) | {"body": json.loads(row["body"])}
            for row in state.rows("SELECT * FROM changes ORDER BY id")
        ],
        "balances": {
            key: {
                asset: {"free": plain(balance.free), "locked": plain(balance.locked)}
                for asset, balance in state.balances(key).items()
            }
            for key in keys
        },
        "initial_balances": initial,
        "violations": [_violation(dict(row)) for row in state.rows("SELECT * FROM violations")],
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


def _violation(row: dict[str, Any]) -> dict[str, Any]:
    row["limit"] = row.pop("allowed")
    return row
