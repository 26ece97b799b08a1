"""Checking who sent a request: key, HMAC-SHA512 and a nonce that increases."""

from __future__ import annotations

import base64
import hashlib
import hmac

from sandbox.kraken.refusals import INVALID_KEY, INVALID_NONCE, INVALID_SIGNATURE, refusal
from sandbox.params import MAX_INTEGER
from sandbox.records import Account
from sandbox.request import Request
from sandbox.state import State


def sign(secret: str, path: str, nonce: str, body: str) -> str:
    """Return API-Sign: over the path and SHA-256 of nonce and body, with the decoded secret."""
    digest = hashlib.sha256((nonce + body).encode()).digest()
    signed = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512)
    return base64.b64encode(signed.digest()).decode()


def authenticate(state: State, request: Request, nonce: str) -> Account:
    """Return the account that signed, and use its nonce up; refuse everybody else."""
    account = state.account(request.api_key or "")
    if account is None or account.revoked:
        raise refusal(INVALID_KEY)
    expected = sign(account.api_secret, request.path, nonce, request.body)
    if not hmac.compare_digest(expected.encode(), (request.signature or "").encode()):
        raise refusal(INVALID_SIGNATURE)
    _use(state, account, nonce)
    return account


def last_nonce(state: State, account: Account) -> int:
    """Return the highest nonce that the key used; zero before the first."""
    sql = "SELECT coalesce(max(nonce), 0) AS last FROM nonces WHERE api_key = ?"
    return int(state.rows(sql, account.api_key)[0]["last"])


def _use(state: State, account: Account, nonce: str) -> None:
    """Use a nonce up: above the last one, or within the key's window below it and never before."""
    if not (nonce.isascii() and nonce.isdigit() and 0 < int(nonce) <= MAX_INTEGER):
        raise refusal(INVALID_NONCE)
    number, last = int(nonce), last_nonce(state, account)
    if number <= last:
        sql = "SELECT 1 FROM nonces WHERE api_key = ? AND nonce = ?"
        used = state.rows(sql, account.api_key, number)
        if number <= last - account.nonce_window or used:
            raise refusal(INVALID_NONCE)
    state.add("nonces", api_key=account.api_key, nonce=number)
    oldest = max(number, last) - account.nonce_window
    state.run("DELETE FROM nonces WHERE api_key = ? AND nonce < ?", account.api_key, oldest)
