"""Where every unit of every asset came from and went to, added up from the records.

now = initial + external + traded + fees + converted, exactly; what is left over is `difference`.
locked = in_orders + locked_elsewhere likewise, with `locked_difference`. Both are zero unless
this exchange lies.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from sandbox.amounts import ZERO, plain
from sandbox.books import BUY, SELL
from sandbox.dust import TARGET
from sandbox.state import State

SOURCES = ("initial", "external", "traded", "fees", "converted")
LOCKS = ("in_orders", "locked_elsewhere")
Sums = dict[str, Decimal]


def sheet(state: State) -> dict[str, dict[str, dict[str, str]]]:
    """Return the sums of every account and asset that ever had any, as text."""
    sums = _sums(state)
    held = {account.api_key: state.balances(account.api_key) for account in state.accounts()}
    result: dict[str, dict[str, dict[str, str]]] = {key: {} for key in held}
    for key, balances in held.items():
        for asset in sorted(set(balances) | {asset for owner, asset in sums if owner == key}):
            row = sums[key, asset]
            balance = balances.get(asset)
            now = balance.free + balance.locked if balance else ZERO
            locked = balance.locked if balance else ZERO
            row |= {
                "now": now,
                "difference": now - sum((row[name] for name in SOURCES), ZERO),
                "locked": locked,
                "locked_difference": locked - sum((row[name] for name in LOCKS), ZERO),
            }
            result[key][asset] = {name: plain(value) for name, value in row.items()}
    return result


def _sums(state: State) -> defaultdict[tuple[str, str], Sums]:
    sums: defaultdict[tuple[str, str], Sums] = defaultdict(
        lambda: dict.fromkeys((*SOURCES, *LOCKS), ZERO)
    )
    for row in state.rows("SELECT * FROM initial_balances"):
        sums[row["api_key"], row["asset"]]["initial"] += Decimal(row["amount"])
    for row in state.rows("SELECT * FROM external_changes"):
        change = sums[row["api_key"], row["asset"]]
        change["external"] += Decimal(row["free_change"]) + Decimal(row["locked_change"])
        change["locked_elsewhere"] += Decimal(row["locked_change"])
    for fill in state.fills("1"):
        market, sign = state.markets[fill.symbol], 1 if fill.side == BUY else -1
        sums[fill.api_key, market.base]["traded"] += sign * fill.quantity
        sums[fill.api_key, market.quote]["traded"] -= sign * fill.quote_quantity
        sums[fill.api_key, fill.commission_asset]["fees"] -= fill.commission
    for row in state.rows("SELECT * FROM conversions"):
        sums[row["api_key"], row["from_asset"]]["converted"] -= Decimal(row["amount"])
        sums[row["api_key"], TARGET]["converted"] += Decimal(row["transferred"])
    for order in state.open_orders("1"):
        market = state.markets[order.symbol]
        asset = market.base if order.side == SELL else market.quote
        sums[order.api_key, asset]["in_orders"] += order.locked
    return sums
