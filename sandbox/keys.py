"""Give an account a new key in place of its old one; everything it has stays its own."""

from __future__ import annotations

from sandbox.records import Account
from sandbox.scenario import new_secret
from sandbox.state import State

# What belongs to whoever holds the key; requests and violations stay under the key they came with.
_OWNED = (
    "accounts",
    "balances",
    "initial_balances",
    "orders",
    "fills",
    "conversions",
    "external_changes",
    "nonces",
)


def replace(state: State, account: Account) -> Account:
    """Return the account with fresh credentials; the old key opens nothing any more."""
    api_key = new_secret()
    for table in _OWNED:
        sql = f"UPDATE {table} SET api_key = ? WHERE api_key = ?"  # noqa: S608  names are ours
        state.run(sql, api_key, account.api_key)
    state.change("accounts", "number", account.number, api_secret=new_secret(), revoked=False)
    replaced = state.account(api_key)
    if replaced is None:
        raise LookupError("the account whose key was replaced is not there")
    return replaced
