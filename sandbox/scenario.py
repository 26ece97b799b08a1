"""Scenarios: the exchange's world as plain data, and how it is written into an empty state."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox import crowd
from sandbox.amounts import BadValue, parse_amount
from sandbox.binance import Binance
from sandbox.dialect import Dialect
from sandbox.fees import Fees
from sandbox.kraken.desk import Kraken
from sandbox.markets import Market, listed
from sandbox.matching import Matching, Ticket
from sandbox.records import LIMIT_ORDER, Account
from sandbox.state import State

# The wire protocols by the name that a scenario's file gives.
DIALECTS: dict[str, Dialect] = {each.name: each for each in (Binance(), Kraken())}
FOLDER = Path(__file__).parent / "scenarios"
_ALPHABET = string.ascii_letters + string.digits
KEY_LENGTH = 64


class ScenarioError(Exception):
    """There is no such scenario, or its file is wrong; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What an exchange starts with."""

    name: str
    fees: Fees
    limits: Mapping[str, Any]
    dialect: Dialect
    markets: tuple[Market, ...]
    asset_names: Mapping[str, str]
    account: Mapping[str, Any]


def names() -> list[str]:
    """Return the names of all scenarios."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(text: str) -> Scenario:
    """Read a scenario by its name, which may carry arguments: NAME:positions=1000,seed=b."""
    name, _, arguments = text.partition(":")
    if name not in names():
        raise ScenarioError(f"unknown scenario {name!r}; known: {', '.join(names())}")
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    defaults = data.get("market_defaults", {})
    try:
        dialect = DIALECTS[data.get("protocol", Binance.name)]
        if "crowd" in data:
            crowd.join(data, crowd.described(data["crowd"], arguments))
        elif arguments:
            raise BadValue("takes no arguments")
        markets = tuple(
            listed(symbol, defaults.get(rules["quote"], {}) | rules)
            for symbol, rules in data["markets"].items()
        )
        return Scenario(
            name=text,
            fees=Fees(
                **{key: parse_amount(value) for key, value in data["fees"].items()},
                in_quote=dialect.fees_in_quote,
            ),
            limits=dialect.limits({}, data.get("limits", {})),
            dialect=dialect,
            markets=markets,
            asset_names=data.get("asset_names", {}),
            account=data["account"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"scenario {name}: {error}") from error


def seed(state: State, scenario: Scenario, *, now_ms: int) -> None:
    """Write a scenario into a state; the credentials of a known first account are kept."""
    known = state.accounts()
    state.clear()
    state.run("DELETE FROM accounts")
    state.set_meta("scenario", scenario.name)
    state.set_meta("limits", json.dumps(dict(scenario.limits)))
    state.set_meta("latency", "0")
    state.set_meta("bans", "{}")
    for market in scenario.markets:
        state.put_market(market)
    spec = scenario.account
    account = open_account(
        state,
        name=spec["name"],
        balances={asset: parse_amount(amount) for asset, amount in spec["balances"].items()},
        permissions=scenario.dialect.permissions | spec.get("permissions", {}),
        bnb_burn=spec.get("bnb_burn", False),
        nonce_window=spec.get("nonce_window", 0),
        now_ms=now_ms,
        credentials=(known[0].api_key, known[0].api_secret) if known else None,
    )
    matching = Matching(state, scenario.fees, scenario.dialect.rules)
    for order in spec.get("open_orders", []):
        ticket = Ticket(
            symbol=order["symbol"],
            side=order["side"],
            type=LIMIT_ORDER,
            quantity=parse_amount(order["quantity"]),
            price=parse_amount(order["price"]),
            client_order_id=order["client_order_id"],
        )
        matching.place(account, ticket, now_ms=now_ms, origin="bot")


def open_account(
    state: State,
    *,
    name: str,
    balances: Mapping[str, Decimal],
    permissions: Mapping[str, bool],
    bnb_burn: bool,
    nonce_window: int,
    now_ms: int,
    credentials: tuple[str, str] | None = None,
) -> Account:
    """Add an account with fresh credentials (or the given ones) and return it."""
    api_key, api_secret = credentials or (new_secret(), new_secret())
    state.add(
        "accounts",
        api_key=api_key,
        api_secret=api_secret,
        name=name,
        permissions=dict(permissions),
        bnb_burn=bnb_burn,
        revoked=False,
        created_ms=now_ms,
        nonce_window=nonce_window,
    )
    for asset, amount in balances.items():
        state.shift(api_key, asset, free=amount)
        state.add("initial_balances", api_key=api_key, asset=asset, amount=amount)
    account = state.account(api_key)
    if account is None:
        raise LookupError("the account just written is not there")
    return account


def new_secret() -> str:
    """Return random text as long as Binance's keys and secrets."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH))
