"""What Kraken refuses, in its words; all of it with HTTP status 200."""

from __future__ import annotations

from sandbox.refusals import Refusal

PERMISSION_DENIED = "EGeneral:Permission denied"
INTERNAL_ERROR = "EGeneral:Internal error"
INVALID_ARGUMENTS = "EGeneral:Invalid arguments"
TEMPORARY_LOCKOUT = "EGeneral:Temporary lockout"
TOO_MANY_REQUESTS = "EGeneral:Too many requests"
UNKNOWN_METHOD = "EGeneral:Unknown method"
INVALID_KEY = "EAPI:Invalid key"
INVALID_NONCE = "EAPI:Invalid nonce"
INVALID_SIGNATURE = "EAPI:Invalid signature"
RATE_LIMIT = "EAPI:Rate limit exceeded"
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
UNKNOWN_ASSET = "EQuery:Unknown asset"
CANCEL_ONLY = "EService:Market in cancel_only mode"
DEADLINE_ELAPSED = "EService:Deadline elapsed"
INSUFFICIENT_FUNDS = "EOrder:Insufficient funds"
ORDER_MINIMUM = "EOrder:Order minimum not met"
COST_MINIMUM = "EOrder:Cost minimum not met"
TICK_SIZE = "EOrder:Tick size check failed"
ORDERS_LIMIT = "EOrder:Orders limit exceeded"
ORDER_RATE_LIMIT = "EOrder:Rate limit exceeded"
INVALID_ORDER = "EOrder:Invalid order"
UNKNOWN_ORDER = "EOrder:Unknown order"


def refusal(word: str) -> Refusal:
    """Return the refusal that says a word."""
    return Refusal(word, word, 200)


def invalid(name: str) -> Refusal:
    """Return the refusal of one argument."""
    return refusal(f"{INVALID_ARGUMENTS}:{name}")
