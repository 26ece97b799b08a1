"""Checking who sent a request: key, timestamp and HMAC-SHA256 over the exact bytes."""

from __future__ import annotations

import hashlib
import hmac
import re
from decimal import Decimal

from sandbox import refusals
from sandbox.params import INTEGER, Params
from sandbox.records import Account

DEFAULT_RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60000
AHEAD_MS = 1000

_KEY = re.compile(r"[A-Za-z0-9]{64}")
_SIGNATURE = re.compile(r"(?:^|&)signature=[^&]*")


def is_key_format(api_key: str | None) -> bool:
    """Return whether a header value looks like an API key at all."""
    return api_key is not None and _KEY.fullmatch(api_key) is not None


def sign(secret: str, payload: str) -> str:
    """Return the hex signature of a payload."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def signed_payload(query: str, body: str) -> str:
    """Return what was signed: query and body joined without a separator, signature removed."""
    return _SIGNATURE.sub("", query) + _SIGNATURE.sub("", body)


def verify(account: Account, query: str, body: str, params: Params, *, now_ms: int) -> None:
    """Refuse a request that is too old, from the future or not signed with the account's secret."""
    timestamp = int(params.required("timestamp", INTEGER))
    signature = params.required("signature")
    window = params.text("recvWindow", r"^[0-9]{1,6}(\.[0-9]{1,3})?$")
    window_ms = Decimal(DEFAULT_RECV_WINDOW_MS if window is None else window)
    if window_ms > MAX_RECV_WINDOW_MS:
        raise refusals.window_too_wide()
    if timestamp >= now_ms + AHEAD_MS:
        raise refusals.ahead_of_time()
    if now_ms - timestamp > window_ms:
        raise refusals.outside_window()
    expected = sign(account.api_secret, signed_payload(query, body))
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise refusals.bad_signature()
