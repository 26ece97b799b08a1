"""The control surface under /_control/: what tests and demonstrations do to the exchange.

JSON in and out, amounts as strings; a wrong field or value is a 400 with a sentence. Loopback
only and without authentication, like the process it belongs to.

GET  health, credentials, faults, markets
GET  ledger         all of it; ?parts=orders,fills some parts; ?since=ID leaves the requests up
                    to that id out
POST accounts       {"balances"?, "name"?, "permissions"?, "bnb_burn"?, "nonce_window"?}; without
                    balances it starts with what the scenario's account starts with
POST faults         one fault; `faults` has the kinds. DELETE faults switches all off
POST reset          the scenario anew: same keys, empty ledger, no faults, one account
POST <change>       `changes` has them; ?key=API_KEY names another account than the first
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from urllib.parse import parse_qs

from sandbox import changes, faults, fields, keys, ledger
from sandbox.account_changes import account_of, checked_permissions
from sandbox.amounts import BadValue, parse_amount
from sandbox.changes import ACTIONS, Change
from sandbox.clock import wall_us
from sandbox.fields import Data
from sandbox.params import MAX_INTEGER
from sandbox.refusals import Refusal
from sandbox.scenario import open_account, seed
from sandbox.service import Service

PREFIX = "/_control/"
Query = dict[str, str]


def handle(service: Service, method: str, path: str, query: str, body: str) -> tuple[int, object]:
    """Run one control request and return its status and JSON."""
    name = path.removeprefix(PREFIX)
    command = _COMMANDS.get((method, name))
    if command is None and not (method == "POST" and name in ACTIONS):
        return 404, {"error": f"no control {method} {path}"}
    try:
        data = json.loads(body) if body else {}
        if not isinstance(data, dict):
            raise BadValue("the body must be a JSON object")
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        with service.state.transaction():
            if command is not None:
                return 200, command(service, asked, data)
            change = Change(path=name, key=asked.get("key"), body=data)
            return 200, changes.make(service, change)
    except json.JSONDecodeError as error:
        return 400, {"error": f"the body is not JSON: {error}"}
    except Refusal as refusal:
        return 400, {"error": refusal.message, "code": refusal.code}
    except (BadValue, ArithmeticError) as error:
        return 400, {"error": str(error)}


def health(service: Service, query: Query, data: Data) -> object:
    """Say who is listening."""
    return {
        "scenario": service.scenario.name,
        "protocol": service.dialect.name,
        "pid": os.getpid(),
        "now_ms": service.now_ms(),
    }


def credentials(service: Service, query: Query, data: Data) -> object:
    """Return the keys of the first account."""
    account = service.state.accounts()[0]
    return {"api_key": account.api_key, "api_secret": account.api_secret}


def read_ledger(service: Service, query: Query, data: Data) -> object:
    """Return everything that happened, or some parts of it, or the requests after `since`."""
    since = query.get("since", "0")
    if not (since.isascii() and since.isdigit() and int(since) <= MAX_INTEGER):
        raise BadValue("since must be a request id")
    names = query["parts"].split(",") if "parts" in query else list(ledger.PARTS)
    return ledger.parts(service.state, names, since=int(since))


def list_markets(service: Service, query: Query, data: Data) -> object:
    """Return base and quote of every market, as the books call them."""
    return {each.symbol: [each.base, each.quote] for each in service.state.markets.values()}


def add_account(service: Service, query: Query, data: Data) -> object:
    """Open another account."""
    fields.only(data, "balances", "name", "permissions", "bnb_burn", "nonce_window")
    balances = data.get("balances", service.scenario.account["balances"])
    if not isinstance(balances, dict):
        raise BadValue("balances must be an object of amounts")
    known = dict(service.dialect.permissions)
    account = open_account(
        service.state,
        name=fields.text(data, "name", "account"),
        balances={fields.asset(name): parse_amount(value) for name, value in balances.items()},
        permissions=known | checked_permissions(fields.mapping(data, "permissions"), known),
        bnb_burn=fields.boolean(data, "bnb_burn", False),
        nonce_window=fields.integer({"nonce_window": 0} | data, "nonce_window"),
        now_ms=service.now_ms(),
    )
    return {"api_key": account.api_key, "api_secret": account.api_secret}


def replace_key(service: Service, query: Query, data: Data) -> object:
    """Give an account a new key and secret; the old ones open nothing any more."""
    fields.only(data)
    account = keys.replace(service.state, account_of(service, query.get("key")))
    return {"api_key": account.api_key, "api_secret": account.api_secret}


def add_fault(service: Service, query: Query, data: Data) -> object:
    """Order a fault."""
    number = faults.add(service.state, data)
    service.has_faults = True
    return {"id": number}


def list_faults(service: Service, query: Query, data: Data) -> object:
    """List the ordered faults, how often each fired, and why a change of it was refused."""
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


Command = Callable[[Service, Query, Data], object]
_COMMANDS: dict[tuple[str, str], Command] = {
    ("GET", "health"): health,
    ("GET", "credentials"): credentials,
    ("GET", "ledger"): read_ledger,
    ("GET", "markets"): list_markets,
    ("POST", "accounts"): add_account,
    ("POST", "keys/replace"): replace_key,
    ("POST", "faults"): add_fault,
    ("GET", "faults"): list_faults,
    ("DELETE", "faults"): clear_faults,
    ("POST", "reset"): reset,
}
