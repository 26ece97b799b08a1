"""Changes of one account: what its key may do, its balances, and orders of a bot beside us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox import dust, fields, ledger
from sandbox.amounts import BadValue, parse_amount, plain
from sandbox.books import BUY, SELL
from sandbox.fields import Data
from sandbox.matching import Ticket
from sandbox.records import LIMIT_ORDER, MARKET_ORDER, Account, Order

if TYPE_CHECKING:
    from sandbox.service import Service


def set_permissions(service: Service, key: str | None, data: Data) -> object:
    """Change what a key may do."""
    account = account_of(service, key)
    permissions = account.permissions | checked_permissions(data, account.permissions)
    service.state.change("accounts", "number", account.number, permissions=permissions)
    return permissions


def revoke_key(service: Service, key: str | None, data: Data) -> object:
    """Revoke a key, or give it back with `revoked` false."""
    fields.only(data, "revoked")
    account = account_of(service, key)
    revoked = fields.boolean(data, "revoked", True)
    service.state.change("accounts", "number", account.number, revoked=revoked)
    return {"api_key": account.api_key, "revoked": revoked}


def set_balances(service: Service, key: str | None, data: Data) -> object:
    """Let something outside of this exchange change balances; recorded as such."""
    account = account_of(service, key)
    state, owner = service.state, account.api_key
    result = {}
    for asset, wanted in data.items():
        if not isinstance(wanted, dict):
            raise BadValue(f'{asset} needs {{"free": "…", "locked": "…"}}')
        fields.only(wanted, "free", "locked")
        old = state.balance(owner, fields.asset(asset))
        free = parse_amount(wanted["free"]) if "free" in wanted else old.free
        locked = parse_amount(wanted["locked"]) if "locked" in wanted else old.locked
        held = ledger.locked_in_orders(state, owner, asset)
        if locked < held:
            raise BadValue(f"open orders lock {plain(held)} {asset}; locked can't be less")
        new = state.shift(owner, asset, free=free - old.free, locked=locked - old.locked)
        state.add(
            "external_changes",
            api_key=owner,
            asset=asset,
            free_change=free - old.free,
            locked_change=locked - old.locked,
            at_ms=service.now_ms(),
        )
        result[asset] = {"free": plain(new.free), "locked": plain(new.locked)}
    return result


def trade(service: Service, key: str | None, data: Data) -> object:
    """Place a market order on the account that did not come through its API."""
    fields.only(data, "symbol", "side", "quantity", "client_order_id")
    return _place(service, key, data, MARKET_ORDER)


def open_order(service: Service, key: str | None, data: Data) -> object:
    """Place a limit order on the account that did not come through its API."""
    fields.only(data, "symbol", "side", "quantity", "price", "client_order_id")
    return _place(service, key, data, LIMIT_ORDER)


def convert(service: Service, key: str | None, data: Data) -> object:
    """Convert small balances on the account by somebody at Binance's own pages."""
    fields.only(data, "assets")
    assets = data.get("assets")
    if not isinstance(assets, list) or not all(isinstance(asset, str) for asset in assets):
        raise BadValue("assets must be a list of strings")
    account = account_of(service, key)
    return dust.converted(service.state, account.api_key, assets, now_ms=service.now_ms())


def _place(service: Service, key: str | None, data: Data, kind: str) -> object:
    side = data.get("side")
    if side not in (BUY, SELL):
        raise BadValue("side must be BUY or SELL")
    ticket = Ticket(
        symbol=fields.text(data, "symbol", ""),
        side=side,
        type=kind,
        quantity=parse_amount(data.get("quantity")),
        price=parse_amount(data.get("price")) if kind == LIMIT_ORDER else None,
        client_order_id=fields.text(data, "client_order_id", "") or None,
    )
    order: Order = service.matching.place(
        account_of(service, key), ticket, now_ms=service.now_ms(), origin="bot"
    )
    return ledger.order_data(order)


def account_of(service: Service, key: str | None) -> Account:
    """Return the account of a key, or the first one without a key."""
    account = service.state.accounts()[0] if key is None else service.state.account(key)
    if account is None:
        raise BadValue("no account has this key")
    return account


def checked_permissions(data: Data, known: Mapping[str, bool]) -> dict[str, bool]:
    """Return what a key shall be allowed or denied."""
    for name in data:
        if name not in known:
            raise BadValue(f"unknown permission {name!r}")
        fields.boolean(data, name, False)
    return dict(data)
