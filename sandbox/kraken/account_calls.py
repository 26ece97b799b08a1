"""The private calls about balances and the key itself."""

from __future__ import annotations

from sandbox.amounts import wire as text
from sandbox.kraken import names
from sandbox.kraken.call import Call
from sandbox.kraken.signing import last_nonce


def balance(call: Call) -> object:
    """Return what the account holds in all, what orders hold included."""
    held = call.state.balances(call.account.api_key)
    return {names.asset_id(name): text(each.free + each.locked) for name, each in held.items()}


def balance_ex(call: Call) -> object:
    """Return what the account holds, and what orders hold of it."""
    held = call.state.balances(call.account.api_key)
    return {
        names.asset_id(name): {
            "balance": text(each.free + each.locked),
            "hold_trade": text(each.locked),
        }
        for name, each in held.items()
    }


def api_key_info(call: Call) -> object:
    """Return what the key may do and how its nonces are checked."""
    account = call.account
    return {
        "apiKeyName": account.name,
        "apiKey": account.api_key,
        "nonce": str(last_nonce(call.state, account)),
        "nonceWindow": account.nonce_window,
        "permissions": [name for name, allowed in account.permissions.items() if allowed],
        "iban": f"AA00 N84G {account.number:04d} NMOI",
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": str(account.created_ms // 1000),
        "modifiedTime": str(account.created_ms // 1000),
        "ipAllowlist": [],
        "lastUsed": str(call.now_ms // 1000),
    }
