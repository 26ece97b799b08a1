"""The signed calls about the account itself: balances, assets and what the key may do."""

from __future__ import annotations

from decimal import Decimal

from sandbox import wire
from sandbox.amounts import ZERO
from sandbox.amounts import wire as text
from sandbox.call import Call
from sandbox.records import Balance

_FIAT = frozenset({"EUR", "TRY", "BRL", "GBP"})


def account(call: Call) -> object:
    """Return the account with all assets of the exchange, or only those it holds."""
    held = call.state.balances(call.account.api_key)
    if call.params.boolean("omitZeroBalances"):
        shown = {asset: balance for asset, balance in held.items() if _total(balance) > 0}
    else:
        shown = {asset: held.get(asset, Balance()) for asset in sorted(_assets(call) | set(held))}
    return wire.account(call.account, shown.items(), call.matching.fees, call.now_ms)


def api_restrictions(call: Call) -> object:
    """Return what the key may do."""
    return {
        "ipRestrict": call.account.permissions["ipRestrict"],
        "createTime": call.account.created_ms,
        **call.account.permissions,
    }


def all_coins(call: Call) -> object:
    """Return the exchange's assets with their names and the account's balances."""
    held = call.state.balances(call.account.api_key)
    return [
        {
            "coin": asset,
            "name": call.asset_names.get(asset, asset),
            "free": text(held.get(asset, Balance()).free),
            "locked": text(held.get(asset, Balance()).locked),
            "freeze": text(ZERO),
            "ipoable": text(ZERO),
            "ipoing": text(ZERO),
            "storage": text(ZERO),
            "withdrawing": text(ZERO),
            "depositAllEnable": True,
            "withdrawAllEnable": True,
            "isLegalMoney": asset in _FIAT,
            "trading": True,
            "networkList": [],
        }
        for asset in sorted(_assets(call) | set(held))
    ]


def _assets(call: Call) -> set[str]:
    traded = {
        asset for market in call.state.markets.values() for asset in (market.base, market.quote)
    }
    return traded | set(call.asset_names)


def _total(balance: Balance) -> Decimal:
    return balance.free + balance.locked
