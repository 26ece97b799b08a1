"""What is to happen in a soak, as data that follows from the seed alone.

The same seed and length give the same script. When each real process gets to what it does is its
own matter: the script says what happens to it, not what it does about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

from tests.journeys.faults.points import Action, Point

ACCOUNTS = 4
ASSETS = 12  # of each account
WORKERS = 2
# Held of an asset, by its number, at 0.1 USDT: some are dust at one threshold only.
QUANTITIES = ("5", "2", "8", "3.3")
THRESHOLDS = (None, "0.25", "0.60", "1.00")  # None: the policy's
PRICE = "0.1"
A_SECOND = 1.7  # things that happen, on average


class Kind(StrEnum):
    """What can happen."""

    PLAN = "plan"
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    STOP_ACCOUNT = "stop account"
    RELEASE_ACCOUNT = "release account"
    STOP_EVERYTHING = "stop everything"
    RELEASE_EVERYTHING = "release everything"
    FAULT = "fault"
    REVOKE_KEY = "revoke key"
    RETURN_KEY = "return key"
    CLOCK = "clock"
    PRICE = "price"
    REFILL = "refill"
    BOT_TRADE = "bot trade"
    BOT_ORDER = "bot order"
    POINT = "point"
    KILL_WORKER = "kill worker"
    KILL_SCHEDULER = "kill scheduler"
    STOP_WORKER = "stop worker"
    WAKE_WORKER = "wake worker"
    STOP_SCHEDULER = "stop scheduler"
    WAKE_SCHEDULER = "wake scheduler"
    RESTART_VALKEY = "restart valkey"
    END_VALKEY = "end valkey"
    START_VALKEY = "start valkey"


K = Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens, so many seconds after the start."""

    at: float
    kind: Kind
    account: int | None = None  # None: it concerns no single one
    what: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it on one line."""
        whose = "" if self.account is None else f"account {self.account}"
        details = " ".join(f"{name}={value}" for name, value in self.what.items())
        return f"{self.at:7.2f} s  {self.kind:<18} {whose} {details}".rstrip()


WEIGHTS: dict[Kind, float] = {
    K.FAULT: 38,
    K.PLAN: 24,
    K.REFILL: 18,
    K.POINT: 8,
    K.PRICE: 6,
    K.BOT_TRADE: 4,
    K.PAUSE: 2.5,
    K.HALT: 0.7,
    K.KILL_WORKER: 1.2,
    K.STOP_WORKER: 1.5,
    K.CLOCK: 1.2,
    K.BOT_ORDER: 1,
    K.REVOKE_KEY: 1,
    K.KILL_SCHEDULER: 1,
    K.STOP_SCHEDULER: 1,
    K.RESTART_VALKEY: 1,
    K.STOP_ACCOUNT: 0.4,
    K.STOP_EVERYTHING: 0.25,
    K.END_VALKEY: 0.6,
}
# What ends again after so many seconds, and what the end is called.
ENDS: dict[Kind, tuple[Kind, float, float]] = {
    K.PAUSE: (K.RESUME, 1, 8),
    K.STOP_ACCOUNT: (K.RELEASE_ACCOUNT, 2, 8),
    K.STOP_EVERYTHING: (K.RELEASE_EVERYTHING, 2, 6),
    K.REVOKE_KEY: (K.RETURN_KEY, 1, 6),
    K.CLOCK: (K.CLOCK, 2, 8),
    K.STOP_WORKER: (K.WAKE_WORKER, 1, 8),
    K.STOP_SCHEDULER: (K.WAKE_SCHEDULER, 2, 8),
    K.END_VALKEY: (K.START_VALKEY, 1, 5),
}
_OF_ACCOUNT = frozenset(
    {
        *(K.PLAN, K.PAUSE, K.HALT, K.STOP_ACCOUNT, K.FAULT, K.REVOKE_KEY),
        *(K.REFILL, K.BOT_TRADE, K.BOT_ORDER, K.PRICE, K.POINT),
    }
)

ORDER = ("POST", "/api/v3/order")
READS = (
    ("GET", "/api/v3/order"),
    ("GET", "/api/v3/allOrders"),
    ("GET", "/api/v3/myTrades"),
    ("GET", "/api/v3/account"),
    ("GET", "/api/v3/openOrders"),
    ("GET", "/api/v3/ticker/bookTicker"),
    ("GET", "/api/v3/time"),
)
# These carry no key, so their faults are anybody's.
PUBLIC = ("/api/v3/ticker/bookTicker", "/api/v3/time")
LISTS = ("/api/v3/allOrders", "/api/v3/myTrades", "/api/v3/openOrders")
OF_ORDERS = (
    *("drop_before", "drop_after", "drop_after", "drop_midway", "status_before", "status_after"),
    *(
        "delay_before",
        "delay_after",
        "hang_before",
        "hang_after",
        "rate_limit",
        "ban",
        "garbage_before",
        "garbage_after",
    ),
    *("cut_json_after", "no_order_id", "other_order", "error", "error", "partial_fill"),
    *("partial_fill", "zero_fill"),
)
OF_READS = (
    *("drop_before", "drop_after", "drop_midway", "status_before", "status_after", "delay_before"),
    *(
        "delay_after",
        "hang_before",
        "rate_limit",
        "ban",
        "garbage_before",
        "garbage_after",
        "cut_json_after",
        "error",
    ),
)
ERRORS_OF_ORDERS = (
    (-1000, "An unknown error occurred while processing the request."),
    (-1001, "Internal error; unable to process your request. Please try again."),
    (-1007, "Timeout waiting for response from backend server."),
    (-1015, "Too many new orders."),
    (-1021, "Timestamp for this request is outside of the recvWindow."),
    (-2010, "Account has insufficient balance for requested action."),
    (-2010, "Duplicate order sent."),
    (-2015, "Invalid API-key, IP, or permissions for action."),
)
ERRORS_OF_READS = (
    (-1000, "An unknown error occurred while processing the request."),
    (-1001, "Internal error; unable to process your request. Please try again."),
    (-1021, "Timestamp for this request is outside of the recvWindow."),
)


def write_script(seed: int, *, seconds: float) -> list[Step]:
    """Return what happens within so many seconds, in order."""
    chance = Random(seed)
    steps = [
        Step(at=round(0.3 * account, 2), kind=K.PLAN, account=account, what={"threshold": None})
        for account in range(ACCOUNTS)
    ]
    at = chance.expovariate(A_SECOND)
    while at < seconds:
        kind = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]
        steps += _happening(kind, round(at, 2), chance, seconds=seconds)
        at += chance.expovariate(A_SECOND)
    return sorted(steps, key=lambda step: step.at)


def _happening(kind: Kind, at: float, chance: Random, *, seconds: float) -> list[Step]:
    account = chance.randrange(ACCOUNTS) if kind in _OF_ACCOUNT else None
    what = _details(kind, chance)
    steps = [Step(at=at, kind=kind, account=account, what=what)]
    if kind in ENDS:
        ending, least, most = ENDS[kind]
        after = {"skew_ms": 0} if kind is K.CLOCK else what
        ends_at = round(min(at + chance.uniform(least, most), seconds), 2)
        steps.append(Step(at=ends_at, kind=ending, account=account, what=after))
    return steps


def _details(kind: Kind, chance: Random) -> dict[str, Any]:
    asset = chance.randrange(ASSETS)
    match kind:
        case K.PLAN:
            return {"threshold": chance.choice(THRESHOLDS)}
        case K.FAULT:
            return _fault(chance)
        case K.CLOCK:
            return {"skew_ms": chance.choice((-1, 1)) * chance.randint(1_500, 40_000)}
        case K.PRICE:
            # Back to where it was as often as away from it.
            prices = (PRICE, PRICE, PRICE, "0.05", "0.13", "0.4", None)
            return {"asset": asset, "price": chance.choice(prices)}
        case K.REFILL:
            return {"assets": sorted(chance.sample(range(ASSETS), 6))}
        case K.BOT_TRADE:
            quantity = chance.choice(("0.7", "1.5", "3"))
            return {"asset": asset, "side": chance.choice(("BUY", "SELL")), "quantity": quantity}
        case K.BOT_ORDER:
            side, price = chance.choice((("SELL", "0.12"), ("SELL", "0.3"), ("BUY", "0.06")))
            return {"asset": asset, "side": side, "quantity": "1.2", "price": price}
        case K.POINT:
            action = chance.choice((*Action, Action.HOLD, Action.DISCONNECT))
            lasts = round(chance.uniform(0.5, 6), 2)
            return {
                "asset": asset,
                "point": chance.choice(list(Point)).value,
                "action": action.value,
                "lasts": lasts,
            }
        case K.KILL_WORKER | K.STOP_WORKER:
            return {"worker": chance.randrange(WORKERS)}
        case K.RESTART_VALKEY | K.END_VALKEY:
            return {"keeps": chance.random() < 0.5}
    return {}


def _fault(chance: Random) -> dict[str, Any]:
    """Return a fault of an order's request, or of one that only reads."""
    is_order = chance.random() < 0.6
    method, path = ORDER if is_order else chance.choice(READS)
    kinds = OF_ORDERS if is_order else OF_READS
    if path == "/api/v3/account":
        kinds = (*kinds, "empty_balances")
    elif path in LISTS:
        kinds = (*kinds, "empty_list")
    elif path == "/api/v3/order" and not is_order:
        kinds = (*kinds, "other_order")
    fault: dict[str, Any] = {
        "kind": chance.choice(kinds),
        "method": method,
        "path": path,
        "after_count": chance.choice((0, 0, 1, 2)),
        "times": chance.choice((1, 1, 1, 2, 3)),
    }
    match fault["kind"]:
        case "status_before" | "status_after":
            fault["status"] = chance.choice((500, 502, 503, 504))
        case "delay_before" | "delay_after":
            fault["seconds"] = chance.choice(("0.4", "1.5", "3"))
        case "hang_before" | "hang_after":
            fault["seconds"] = chance.choice(("3", "12"))  # less than we wait for, and more
        case "rate_limit" | "ban":
            fault["retry_after"] = chance.randint(1, 3)
            fault["times"] = 1
        case "error":
            errors = ERRORS_OF_ORDERS if is_order else ERRORS_OF_READS
            fault["code"], fault["msg"] = chance.choice(errors)
        case "partial_fill":
            fault["fraction"] = chance.choice(("0.1", "0.4", "0.9"))
    return fault
