"""What is done to the exchange from outside: by a control call, or by a fault at its request.

One mechanism for both. `POST /_control/<path>` makes a change now; a fault makes the same change
just `first` before, or `afterwards` right after, the request it was ordered for, in one
transaction with that request: nothing comes in between. Every change is in the ledger.

permissions    {right: true|false, …}
keys/revoke    {"revoked": true|false}
balances       {asset: {"free": "…", "locked": "…"}, …}: what a bot or a deposit did
trade          {"symbol", "side", "quantity", "client_order_id"?}: a bot's market order
open-order     {"symbol", "side", "quantity", "price", "client_order_id"?}: a bot's limit order
convert        {"assets": [asset, …]}: somebody's conversion of small balances, not by the API
prices         {symbol: "…" | null | {"bid", "ask", "last", "average"}, …}
markets        {symbol: {rule: value, …}, …}; a new symbol with base and quote is listed
clock          {"skew_ms": N}: the exchange's clock minus the machine's
latency        {"seconds": "…"}: how long every request takes at least
limits         {"weight", "sapi_weight", "raw", "orders", "ban_after", "ban_seconds"};
               at Kraken {"public", "private", "trading"}
listening      {"seconds": "…", "kind"?: "refused"|"silent"}: for so long, connections are
               refused (or time out), and those that are open close

The first six are about one account: `key` names it, else it is the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox import account_changes, exchange_changes, fields
from sandbox.amounts import BadValue
from sandbox.clock import wall_us
from sandbox.fields import Data

if TYPE_CHECKING:
    from sandbox.service import Service

Action = Callable[["Service", str | None, Data], object]
ACTIONS: dict[str, Action] = {
    "permissions": account_changes.set_permissions,
    "keys/revoke": account_changes.revoke_key,
    "balances": account_changes.set_balances,
    "trade": account_changes.trade,
    "open-order": account_changes.open_order,
    "convert": account_changes.convert,
    "prices": exchange_changes.set_prices,
    "markets": exchange_changes.set_markets,
    "clock": exchange_changes.set_clock,
    "latency": exchange_changes.set_latency,
    "limits": exchange_changes.set_limits,
    "listening": exchange_changes.stop_listening,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change to make; `key` names the account it is about."""

    path: str
    key: str | None = None
    body: Data = field(default_factory=dict)


def parse_changes(name: str, value: object) -> tuple[Change, ...]:
    """Return the changes that a list of plain data describes."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadValue(f'{name} must be a list of {{"path": "…", "body": {{…}}, "key": "…"}}')
    for item in value:
        fields.only(item, "path", "body", "key")
        if item.get("path") not in ACTIONS:
            raise BadValue(f"unknown path {item.get('path')!r}; known: {', '.join(ACTIONS)}")
    return tuple(
        Change(
            path=item["path"],
            key=fields.text(item, "key", "") or None,
            body=fields.mapping(item, "body"),
        )
        for item in value
    )


def make(service: Service, change: Change, *, fault_id: int | None = None) -> object:
    """Make one change, note it in the ledger and return its answer; refusals are raised."""
    at_us = wall_us()
    at_ms = service.now_ms()
    answer = ACTIONS[change.path](service, change.key, change.body)
    service.state.add(
        "changes",
        at_ms=at_ms,
        wall_us=at_us,
        path=change.path,
        api_key=change.key,
        body=change.body,
        fault_id=fault_id,
    )
    return answer
