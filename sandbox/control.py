"""The control surface under /_control/: what tests and demonstrations do to the exchange.

JSON in and out, amounts as strings; a wrong field or value is a 400 with a sentence. Loopback
only and without authentication, like the process it belongs to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from sandbox import faults, ledger
from sandbox.amounts import BadValue, parse_amount, plain
from sandbox.books import BUY, SELL
from sandbox.limits import limits_data, parse_limits
from sandbox.markets import changed, listed, priced
from sandbox.matching import Ticket
from sandbox.records import DEFAULT_PERMISSIONS, LIMIT_ORDER, MARKET_ORDER, Account, Order
from sandbox.refusals import Refusal
from sandbox.scenario import open_account, seed
from sandbox.service import Service, wall_us

PREFIX = "/_control/"
Query = dict[str, str]
Data = dict[str, Any]
_ASSET_LENGTH = 20


def handle(service: Service, method: str, path: str, query: str, body: str) -> tuple[int, object]:
    """Run one control request and return its status and JSON."""
    try:
        action = _ACTIONS.get((method, path.removeprefix(PREFIX)))
        if action is None:
            return 404, {"error": f"no control {method} {path}"}
        data = json.loads(body) if body else {}
        if not isinstance(data, dict):
            raise BadValue("the body must be a JSON object")
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        with service.state.transaction():
            return 200, action(service, asked, data)
    except json.JSONDecodeError as error:
        return 400, {"error": f"the body is not JSON: {error}"}
    except Refusal as refusal:
        return 400, {"error": refusal.message, "code": refusal.code}
    except (BadValue, ArithmeticError) as error:
        return 400, {"error": str(error)}


# Reading
def health(service: Service, query: Query, data: Data) -> object:
    """Say who is listening."""
    return {"scenario": service.scenario.name, "pid": os.getpid(), "now_ms": service.now_ms()}


def credentials(service: Service, query: Query, data: Data) -> object:
    """Return the keys of the first account."""
    account = service.state.accounts()[0]
    return {"api_key": account.api_key, "api_secret": account.api_secret}


def read_ledger(service: Service, query: Query, data: Data) -> object:
    """Return everything that happened, or the requests after `since`."""
    since = query.get("since", "0")
    if not since.isdigit():
        raise BadValue("since must be a request id")
    return ledger.everything(service.state, since=int(since))


# Accounts
def add_account(service: Service, query: Query, data: Data) -> object:
    """Open another account."""
    _only(data, "balances", "name", "permissions", "bnb_burn")
    balances = data.get("balances")
    if not isinstance(balances, dict):
        raise BadValue("balances must be an object of amounts")
    account = open_account(
        service.state,
        name=_text(data, "name", "account"),
        balances={_asset(name): parse_amount(value) for name, value in balances.items()},
        permissions=_permissions(data.get("permissions", {})),
        bnb_burn=_boolean(data, "bnb_burn", False),
        now_ms=service.now_ms(),
    )
    return {"api_key": account.api_key, "api_secret": account.api_secret}


def set_permissions(service: Service, query: Query, data: Data) -> object:
    """Change what a key may do."""
    account = _account(service, query)
    permissions = account.permissions | _permissions(data)
    service.state.change("accounts", "number", account.number, permissions=permissions)
    return permissions


def revoke_key(service: Service, query: Query, data: Data) -> object:
    """Revoke a key, or give it back with `revoked` false."""
    _only(data, "key", "revoked")
    account = _account(service, {"key": data["key"]} if "key" in data else query)
    revoked = _boolean(data, "revoked", True)
    service.state.change("accounts", "number", account.number, revoked=revoked)
    return {"api_key": account.api_key, "revoked": revoked}


def set_balances(service: Service, query: Query, data: Data) -> object:
    """Let something outside of this exchange change balances; recorded as such."""
    account = _account(service, query)
    state, key = service.state, account.api_key
    result = {}
    for asset, wanted in data.items():
        if not isinstance(wanted, dict):
            raise BadValue(f'{asset} needs {{"free": "…", "locked": "…"}}')
        _only(wanted, "free", "locked")
        old = state.balance(key, _asset(asset))
        free = parse_amount(wanted["free"]) if "free" in wanted else old.free
        locked = parse_amount(wanted["locked"]) if "locked" in wanted else old.locked
        held = ledger.locked_in_orders(state, key, asset)
        if locked < held:
            raise BadValue(f"open orders lock {plain(held)} {asset}; locked can't be less")
        new = state.shift(key, asset, free=free - old.free, locked=locked - old.locked)
        state.add(
            "external_changes",
            api_key=key,
            asset=asset,
            free_change=free - old.free,
            locked_change=locked - old.locked,
            at_ms=service.now_ms(),
        )
        result[asset] = {"free": plain(new.free), "locked": plain(new.locked)}
    return result


# Markets
def set_prices(service: Service, query: Query, data: Data) -> object:
    """Quote markets anew; resting orders that the price reaches are filled."""
    for symbol, spec in data.items():
        market = service.state.markets.get(symbol)
        if market is None:
            raise BadValue(f"unknown symbol {symbol!r}")
        market = priced(market, spec)
        service.state.put_market(market)
        service.matching.match_resting(market, now_ms=service.now_ms())
    return {}


def set_markets(service: Service, query: Query, data: Data) -> object:
    """Change the rules of markets; a new symbol with base and quote is listed."""
    for symbol, changes in data.items():
        if not isinstance(changes, dict):
            raise BadValue(f"the changes of {symbol} must be an object")
        market = service.state.markets.get(symbol)
        service.state.put_market(changed(market, changes) if market else listed(symbol, changes))
    return {}


# Another trader on the same account
def trade(service: Service, query: Query, data: Data) -> object:
    """Place a market order on the account that did not come through its API."""
    _only(data, "symbol", "side", "quantity", "client_order_id")
    return _place(service, query, data, MARKET_ORDER)


def open_order(service: Service, query: Query, data: Data) -> object:
    """Place a limit order on the account that did not come through its API."""
    _only(data, "symbol", "side", "quantity", "price", "client_order_id")
    return _place(service, query, data, LIMIT_ORDER)


def _place(service: Service, query: Query, data: Data, kind: str) -> object:
    side = data.get("side")
    if side not in (BUY, SELL):
        raise BadValue("side must be BUY or SELL")
    ticket = Ticket(
        symbol=_text(data, "symbol", ""),
        side=side,
        type=kind,
        quantity=parse_amount(data.get("quantity")),
        price=parse_amount(data.get("price")) if kind == LIMIT_ORDER else None,
        client_order_id=_text(data, "client_order_id", "") or None,
    )
    order: Order = service.matching.place(
        _account(service, query), ticket, now_ms=service.now_ms(), origin="bot"
    )
    return ledger.order_data(order)


# The exchange itself
def set_clock(service: Service, query: Query, data: Data) -> object:
    """Set the difference between the exchange's clock and the machine's."""
    _only(data, "skew_ms")
    skew_ms = data.get("skew_ms")
    if not isinstance(skew_ms, int) or isinstance(skew_ms, bool):
        raise BadValue("skew_ms must be an integer")
    service.state.set_meta("skew_ms", str(skew_ms))
    service.skew_ms = skew_ms
    return {"now_ms": service.now_ms()}


def set_latency(service: Service, query: Query, data: Data) -> object:
    """Set how long every request but control's takes at least."""
    _only(data, "seconds")
    service.latency = parse_amount(data.get("seconds"))
    service.state.set_meta("latency", plain(service.latency))
    return {"seconds": plain(service.latency)}


def set_limits(service: Service, query: Query, data: Data) -> object:
    """Change the rate limits; counting starts anew and bans end."""
    limits = parse_limits(service.gate.limits, data)
    service.state.set_meta("limits", json.dumps(limits_data(limits)))
    service.state.set_meta("bans", "{}")
    service.gate = service.new_gate(limits)
    return limits_data(limits)


def add_fault(service: Service, query: Query, data: Data) -> object:
    """Order a fault."""
    number = faults.add(service.state, data)
    service.has_faults = True
    return {"id": number}


def list_faults(service: Service, query: Query, data: Data) -> object:
    """List the ordered faults and how often each fired."""
    return {"faults": faults.listing(service.state)}


def clear_faults(service: Service, query: Query, data: Data) -> object:
    """Switch all faults off."""
    faults.clear(service.state)
    service.has_faults = False
    return {}


def reset(service: Service, query: Query, data: Data) -> object:
    """Start the scenario anew: same keys, empty ledger, no faults."""
    service.state.set_meta("skew_ms", "0")
    seed(service.state, service.scenario, now_ms=wall_us() // 1000)
    service.load_settings()
    return {}


Action = Callable[[Service, Query, Data], object]
_ACTIONS: dict[tuple[str, str], Action] = {
    ("GET", "health"): health,
    ("GET", "credentials"): credentials,
    ("GET", "ledger"): read_ledger,
    ("POST", "accounts"): add_account,
    ("POST", "permissions"): set_permissions,
    ("POST", "keys/revoke"): revoke_key,
    ("POST", "balances"): set_balances,
    ("POST", "prices"): set_prices,
    ("POST", "markets"): set_markets,
    ("POST", "trade"): trade,
    ("POST", "open-order"): open_order,
    ("POST", "clock"): set_clock,
    ("POST", "latency"): set_latency,
    ("POST", "limits"): set_limits,
    ("POST", "faults"): add_fault,
    ("GET", "faults"): list_faults,
    ("DELETE", "faults"): clear_faults,
    ("POST", "reset"): reset,
}


# Reading fields
def _account(service: Service, query: Query) -> Account:
    key = query.get("key")
    account = service.state.accounts()[0] if key is None else service.state.account(key)
    if account is None:
        raise BadValue("no account has this key")
    return account


def _only(data: Data, *known: str) -> None:
    for name in data:
        if name not in known:
            raise BadValue(f"unknown field {name!r}; known: {', '.join(known)}")


def _text(data: Data, name: str, default: str) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise BadValue(f"{name} must be a string")
    return value


def _boolean(data: Data, name: str, default: bool) -> bool:
    value = data.get(name, default)
    if not isinstance(value, bool):
        raise BadValue(f"{name} must be true or false")
    return value


def _asset(name: str) -> str:
    if not (name.isascii() and name.isalnum() and name.isupper() and len(name) <= _ASSET_LENGTH):
        raise BadValue(f"{name!r} is not the name of an asset")
    return name


def _permissions(data: object) -> dict[str, bool]:
    if not isinstance(data, dict):
        raise BadValue("permissions must be an object")
    for name, value in data.items():
        if name not in DEFAULT_PERMISSIONS:
            raise BadValue(f"unknown permission {name!r}")
        _boolean({name: value}, name, False)
    return dict(data)
