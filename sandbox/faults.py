"""Faults to order: what goes wrong, for which request, how often, and what changes around it.

A fault is meant for the requests that fit its `method`, `path`, `api_key` and `match` (parameters
by name); without one, any fits. It lets `after_count` of them pass and then fires `times` times
(null: for ever). `first` and `afterwards` are changes (see `changes`) made just before and right
after its request, in the same transaction. Kinds, with parameters:

change           nothing goes wrong: for `first` and `afterwards` alone

Not processed, nothing happened:
drop_before      the connection closes without an answer
hang_before      no answer; ends when the client leaves, or after `seconds` (an hour)
status_before    HTML with `status` (502), or `body`
garbage_before   HTML with status 200, or `body`
rate_limit       429 and -1003 with Retry-After `retry_after` (1 s); at Kraken its words for it
ban              418 and -1003 with Retry-After `retry_after`; at Kraken a temporary lockout
error            any `code`, `msg` and `status` (400): -1007, -1021, -2013 for a look-up, …;
                 at Kraken any `msg` (200): EService:Unavailable, EGeneral:Internal error, …

Processed, and the answer goes wrong:
drop_after       the connection closes without an answer
drop_midway      the connection closes in the middle of the answer
hang_after       no answer; ends when the client leaves, or after `seconds` (an hour)
delay_after      the answer comes after `seconds` (1 s)
status_after     HTML with `status` (502), or `body`
garbage_after    HTML with status 200, or `body`
cut_json_after   the first half of the JSON, with status 200
no_order_id      the order's answer without its id
other_order      the answer describes another order
empty_balances   the account looks empty
empty_list       a list (orders, fills, what was converted) looks empty

Processed otherwise than asked:
delay_before     processed after `seconds` (1 s), when its timestamp may be too old
partial_fill     `fraction` (0.5) of the order fills, the rest expires
zero_fill        the order expires without a fill

What needs no fault: a market that halts, a price that jumps, a minimum that is raised, a balance
that a bot changes, a bot's order, a revoked key and a wrong clock are changes; so is `listening`,
for connections refused or not answered. A client order id of an open order is refused with -2010
and accepted again once that order is closed, always, as Binance does.

A broken TLS handshake belongs to the client's base URL: this process speaks plain HTTP, so a
client sent to `https://` at the same port gets an answer that is no TLS, and nothing is processed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sandbox.amounts import BadValue, parse_amount
from sandbox.changes import Change, parse_changes
from sandbox.state import State

NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body></html>"
)
BAD_GATEWAY = NGINX.format("502 Bad Gateway")
GARBAGE = "<!DOCTYPE html><html><body>We are performing maintenance.</body></html>"

# Kind -> the parameters it takes. "before" kinds leave the request unprocessed.
KINDS: dict[str, frozenset[str]] = {
    "change": frozenset(),
    "drop_before": frozenset(),
    "drop_after": frozenset(),
    "drop_midway": frozenset(),
    "status_before": frozenset({"status", "body"}),
    "status_after": frozenset({"status", "body"}),
    "delay_before": frozenset({"seconds"}),
    "delay_after": frozenset({"seconds"}),
    "hang_before": frozenset({"seconds"}),
    "hang_after": frozenset({"seconds"}),
    "rate_limit": frozenset({"retry_after"}),
    "ban": frozenset({"retry_after"}),
    "garbage_before": frozenset({"body"}),
    "garbage_after": frozenset({"body"}),
    "cut_json_after": frozenset(),
    "empty_balances": frozenset(),
    "empty_list": frozenset(),
    "no_order_id": frozenset(),
    "other_order": frozenset(),
    "error": frozenset({"code", "msg", "status"}),
    "partial_fill": frozenset({"fraction"}),
    "zero_fill": frozenset(),
}
# What the protocol itself says; the other kinds are the same for all.
REFUSALS = frozenset({"rate_limit", "ban", "error"})
UNPROCESSED = REFUSALS | {"drop_before", "status_before", "hang_before", "garbage_before"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; None for method, path, api_key or times means any or for ever."""

    kind: str
    method: str | None = None
    path: str | None = None
    api_key: str | None = None
    match: Mapping[str, str]
    times: int | None = 1
    after_count: int = 0
    status: int | None = None
    body: str | None = None
    seconds: Decimal | None = None
    retry_after: int = 1
    code: int | None = None
    msg: str | None = None
    fraction: Decimal = Decimal("0.5")
    first: tuple[Change, ...] = ()
    afterwards: tuple[Change, ...] = ()
    number: int = 0

    def fits(self, method: str, path: str, api_key: str | None, params: Mapping[str, str]) -> bool:
        """Return whether a request is one this fault is meant for."""
        return (
            self.method in (None, method)
            and self.path in (None, path)
            and self.api_key in (None, api_key)
            and all(params.get(name) == value for name, value in self.match.items())
        )


_TYPES: dict[str, tuple[type, str]] = {
    "method": (str, "a string"),
    "path": (str, "a string"),
    "api_key": (str, "a string"),
    "body": (str, "a string"),
    "msg": (str, "a string"),
    "status": (int, "an integer"),
    "code": (int, "an integer"),
    "retry_after": (int, "an integer"),
    "after_count": (int, "an integer"),
}
_CHANGES = ("first", "afterwards")
_COMMON = {"kind", "method", "path", "api_key", "match", "times", "after_count", *_CHANGES}


def parse_fault(data: Mapping[str, Any]) -> Fault:
    """Return the fault that plain data describes; raise BadValue naming what is wrong."""
    kind = data.get("kind")
    if kind not in KINDS:
        raise BadValue(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    for name in data:
        if name not in _COMMON | KINDS[kind]:
            raise BadValue(f"a fault of kind {kind} has no field {name!r}")
    values = dict(data)
    values.setdefault("match", {})
    match, times = values["match"], values.get("times", 1)
    if not isinstance(match, dict) or not all(isinstance(v, str) for v in match.values()):
        raise BadValue("match must be an object of strings")
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise BadValue("times must be a whole number above zero, or null for ever")
    for name, (expected, words) in _TYPES.items():
        value = values.get(name)
        if name in values and (not isinstance(value, expected) or isinstance(value, bool)):
            raise BadValue(f"{name} must be {words}")
    if values.get("after_count", 0) < 0:
        raise BadValue("after_count must not be negative")
    for name in _CHANGES:
        if name in values:
            values[name] = parse_changes(name, values[name])
    for name in ("seconds", "fraction"):
        if name in values:
            values[name] = parse_amount(values[name])
    if not 0 <= values.get("fraction", 0) <= 1:
        raise BadValue("fraction must be between 0 and 1")
    if not 100 <= values.get("status", 200) <= 599:
        raise BadValue("status must be an HTTP status")
    return Fault(**values)


def add(state: State, data: Mapping[str, Any]) -> int:
    """Store a fault and return its id."""
    parse_fault(data)
    return state.add("faults", spec=dict(data))


def listing(state: State) -> list[dict[str, Any]]:
    """Return all faults with how often each was met and fired; cleared ones stay out."""
    rows = state.rows("SELECT * FROM faults WHERE cleared = 0 ORDER BY id")
    return [
        {
            "id": row["id"],
            **json.loads(row["spec"]),
            "seen": row["seen"],
            "fired": row["fired"],
            "refused": row["refused"],
        }
        for row in rows
    ]


def clear(state: State) -> None:
    """Switch all faults off."""
    state.run("UPDATE faults SET cleared = 1")


def take(
    state: State, method: str, path: str, api_key: str | None, params: Mapping[str, str]
) -> Fault | None:
    """Return the oldest fault due for a request and count it as fired."""
    for row in state.rows("SELECT * FROM faults WHERE cleared = 0 ORDER BY id"):
        fault = parse_fault(json.loads(row["spec"]))
        if not fault.fits(method, path, api_key, params):
            continue
        if fault.times is not None and row["fired"] >= fault.times:
            continue
        state.run("UPDATE faults SET seen = seen + 1 WHERE id = ?", row["id"])
        if row["seen"] < fault.after_count:
            continue
        state.run("UPDATE faults SET fired = fired + 1 WHERE id = ?", row["id"])
        return replace(fault, number=row["id"])
    return None


def refuse_change(state: State, number: int, sentence: str) -> None:
    """Note why a change of a fault could not be made."""
    state.run("UPDATE faults SET refused = ? WHERE id = ?", sentence, number)
