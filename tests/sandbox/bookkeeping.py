"""The ledger, added up independently of the exchange."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
Totals = dict[tuple[str, str], Decimal]


def assert_explained(ledger: dict[str, Any], markets: dict[str, tuple[str, str]]) -> None:
    """Fail unless every balance is the exact sum of what happened, and every lock has an order."""
    totals: Totals = defaultdict(Decimal)
    locks: Totals = defaultdict(Decimal)
    for key, held in ledger["initial_balances"].items():
        for asset, amount in held.items():
            totals[key, asset] += Decimal(amount)
    for change in ledger["external_changes"]:
        where = change["api_key"], change["asset"]
        totals[where] += Decimal(change["free_change"]) + Decimal(change["locked_change"])
        locks[where] += Decimal(change["locked_change"])
    for fill in ledger["fills"]:
        key = fill["api_key"]
        base, quote = markets[fill["symbol"]]
        sign = 1 if fill["side"] == "BUY" else -1
        totals[key, base] += sign * Decimal(fill["quantity"])
        totals[key, quote] -= sign * Decimal(fill["quote_quantity"])
        totals[key, fill["commission_asset"]] -= Decimal(fill["commission"])
    for conversion in ledger["conversions"]:
        key = conversion["api_key"]
        totals[key, conversion["from_asset"]] -= Decimal(conversion["amount"])
        totals[key, "BNB"] += Decimal(conversion["transferred"])
    for order in ledger["orders"]:
        base, quote = markets[order["symbol"]]
        locks[order["api_key"], base if order["side"] == "SELL" else quote] += Decimal(
            order["locked"]
        )
        if order["status"] not in ("NEW", "PARTIALLY_FILLED"):
            assert Decimal(order["locked"]) == 0
    for key, held in ledger["balances"].items():
        for asset, balance in held.items():
            free, locked = Decimal(balance["free"]), Decimal(balance["locked"])
            assert free >= 0
            assert locked >= 0
            assert totals.pop((key, asset), ZERO) == free + locked, (key, asset)
            assert locks.pop((key, asset), ZERO) == locked, (key, asset)
    assert not any(totals.values())
    assert not any(locks.values())
