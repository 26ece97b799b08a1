"""Ask Dust Admin for position slots. One file, needs `requests`; copy it beside your bot.

    DustAdminError
        Unreachable     no answer, or none that makes sense: what was asked may have happened or not
        Refused         Dust Admin answered no; nothing was changed
            SlotsUnknown    nobody knows how many slots are free: open nothing, ask again later
            NoSlotFree      every slot is taken: open nothing
            AssetHeld       the asset is another bot's, or leased already: choose another one
            OrderInFlight   Dust Admin is selling the asset, by the plan `plan`: wait for its end
            HoldOver        the lease or claim has ended: ask for a new one
            KeyReused       the idempotency key stands for another request: use a new one
            AccountDisabled the account is disabled: open nothing
            RateLimited     too many requests: wait `retry_after` seconds
            NotAllowed      the token is unknown, over or revoked, or may not do this: ask a person
            BadRequest      what was asked makes no sense: repair the bot

The address comes from DUST_ADMIN_URL, the token from DUST_ADMIN_TOKEN; neither is ever logged.
"""

from __future__ import annotations

import os
import random
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.auth import AuthBase

# Seconds that are waited for a rate limit before it becomes the caller's.
PATIENCE = 5.0


class DustAdminError(Exception):
    """Nothing may be opened."""


class Unreachable(DustAdminError):
    """No answer, or none that makes sense; what was asked may have happened or not."""


class Refused(DustAdminError):
    """Dust Admin answered no, with a sentence that says why."""

    def __init__(
        self, sentence: str, *, plan: int | None = None, retry_after: float | None = None
    ) -> None:
        """Keep what the answer told besides."""
        super().__init__(sentence)
        self.plan = plan
        self.retry_after = retry_after  # seconds


class SlotsUnknown(Refused):
    """Nobody knows how many slots are free; unknown never means free."""


class NoSlotFree(Refused):
    """Every slot is taken."""


class AssetHeld(Refused):
    """The asset is another bot's, or leased already."""


class OrderInFlight(Refused):
    """Dust Admin is selling the asset; `plan` is the number of its plan."""


class HoldOver(Refused):
    """The lease or claim has ended."""


class KeyReused(Refused):
    """The idempotency key was used for another request."""


class AccountDisabled(Refused):
    """The account is disabled."""


class RateLimited(Refused):
    """Too many requests; wait `retry_after` seconds."""


class NotAllowed(Refused):
    """The token opens nothing, or not this; no retry helps."""


class BadRequest(Refused):
    """What was asked makes no sense; no retry helps."""


REFUSALS: Mapping[str, type[Refused]] = {
    "slots_unknown": SlotsUnknown,
    "no_slot_free": NoSlotFree,
    "asset_held": AssetHeld,
    "order_in_flight": OrderInFlight,
    "hold_over": HoldOver,
    "key_reused": KeyReused,
    "account_disabled": AccountDisabled,
    "rate_limited": RateLimited,
    "unauthorized": NotAllowed,
    "forbidden": NotAllowed,
    "not_yours": NotAllowed,
    "bad_request": BadRequest,
    "not_found": BadRequest,
    "method_not_allowed": BadRequest,
    "too_large": BadRequest,
    "invalid": BadRequest,
}


@dataclass(frozen=True, kw_only=True)
class Slots:
    """The slots of an account, known for certain until `fresh_until`."""

    available: int
    cap: int
    counted: int
    leased: int
    over_cap: int
    dust_threshold: str  # US dollars
    fresh_until: str


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A slot that is reserved for an asset until `expires_at`."""

    id: int
    bot: str
    asset: str
    status: str
    expires_at: str

    @property
    def is_active(self) -> bool:
        """Tell whether it was in force when Dust Admin answered."""
        return self.status == "active"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An asset that no plan of Dust Admin touches until `until`."""

    id: int
    bot: str
    asset: str
    status: str
    until: str


class DustAdmin:
    """One account at Dust Admin. Every method returns what was answered, or raises."""

    def __init__(
        self,
        account: str,
        *,
        environ: Mapping[str, str] = os.environ,
        timeout: float = 5.0,
        attempts: int = 3,
    ) -> None:
        """Take address and token from the environment; raise `KeyError` or `ValueError` otherwise.

        A request waits `timeout` seconds for a connection and as long for an answer, and is sent
        at most `attempts` times.
        """
        token = environ["DUST_ADMIN_TOKEN"]
        if not re.fullmatch(r"[A-Za-z0-9_-]+", token):
            # Sent as it is, it would stand in the message of an error.
            raise ValueError("DUST_ADMIN_TOKEN is no token: it has letters, digits, - and _ only.")
        self._base = f"{environ['DUST_ADMIN_URL'].rstrip('/')}/api/v1/accounts/{quote(account)}"
        self._timeout = timeout
        self._attempts = attempts
        self._session = requests.Session()
        # As `auth`, because a .netrc for the same host would replace a plain header.
        self._session.auth = _Bearer(token)
        self._slots: tuple[str, Slots] | None = None  # with their ETag

    def slots(self) -> Slots:
        """Return the slots; raise `SlotsUnknown` while nobody knows them."""
        headers = {"If-None-Match": self._slots[0]} if self._slots else {}
        answer = self._send("GET", "slots", headers=headers)
        if answer.status_code == 304 and self._slots:
            return self._slots[1]
        self._slots = None
        body = _body(answer)
        if body.get("status") != "known":
            raise SlotsUnknown(str(body.get("detail") or "Slots are unknown."))
        seen = _read(Slots, body)
        if isinstance(seen.available, bool) or not isinstance(seen.available, int):
            raise Unreachable("The answer names no number of free slots.")
        if etag := answer.headers.get("ETag"):
            self._slots = (etag, seen)
        return seen

    def lease(self, asset: str, *, ttl: int = 300, bot: str = "") -> Lease:
        """Reserve a slot for an asset for `ttl` seconds; open the trade only when this returns.

        A lost answer is asked for again under the same idempotency key, so that one call never
        takes two slots. With `bot` a token of another bot is refused.
        """
        wanted = {"asset": asset, "ttl": ttl, "idempotency_key": uuid.uuid4().hex}
        lease = self._post(Lease, "leases", wanted | ({"bot": bot} if bot else {}))
        if not lease.is_active:
            raise HoldOver("The lease ended before its answer arrived.")
        return lease

    def leases(self) -> list[Lease]:
        """Return the leases in force, of every bot."""
        found = _body(self._send("GET", "leases")).get("leases")
        if not isinstance(found, list):
            raise Unreachable("The answer names no leases.")
        return [_read(Lease, item) for item in found]

    def renew(self, lease: Lease, *, ttl: int = 300) -> Lease:
        """Let a lease last `ttl` seconds from now; raise `HoldOver` if it has ended."""
        return self._post(Lease, f"leases/{lease.id}/renew", {"ttl": ttl})

    def release(self, lease: Lease, *, opened: bool | None = None) -> Lease:
        """End a lease. `opened` False frees the slot at once: say it only if you are certain."""
        return self._post(Lease, f"leases/{lease.id}/release", {"opened": opened})

    def claim(self, asset: str, *, until: datetime, reason: str) -> Claim:
        """Keep an asset out of every plan until then; again for the same asset: a new end."""
        moment = until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return self._post(Claim, "claims", {"asset": asset, "until": moment, "reason": reason})

    def give_back(self, claim: Claim) -> Claim:
        """End a claim."""
        return self._post(Claim, f"claims/{claim.id}/release", {})

    def snapshot(self) -> None:
        """Ask for the account to be read soon; slots of released leases are free after that."""
        _body(self._send("POST", "snapshots", json={}))

    def _post(self, kind: type[Any], path: str, body: dict[str, Any]) -> Any:
        return _read(kind, _body(self._send("POST", path, json=body)))

    def _send(self, method: str, path: str, **content: Any) -> requests.Response:
        """Return a good answer; every request here may be sent twice and changes nothing then."""
        for left in reversed(range(self._attempts)):
            try:
                # No redirects: one would turn a POST into a GET.
                answer = self._session.request(
                    method,
                    f"{self._base}/{path}",
                    timeout=self._timeout,
                    allow_redirects=False,
                    **content,
                )
                if answer.status_code < 300 or answer.status_code == 304:
                    return answer
                refusal = _refusal(answer)
            except requests.RequestException as error:
                refusal = Unreachable(f"Dust Admin did not answer: {type(error).__name__}.")
            pause = random.uniform(0.1, 0.3) * 2 ** (self._attempts - left - 1)
            if isinstance(refusal, RateLimited):
                pause = 1.0 if refusal.retry_after is None else refusal.retry_after
            may_retry = isinstance(refusal, Unreachable | RateLimited) and pause <= PATIENCE
            if not left or not may_retry:
                raise refusal
            time.sleep(pause)
        raise ValueError("attempts must be 1 or more.")


class _Bearer(AuthBase):
    """Put the token on a request, and into nothing else."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _refusal(answer: requests.Response) -> DustAdminError:
    """Return what an answer that is not good means; a server in trouble has not answered."""
    try:
        told = _body(answer)
    except Unreachable:
        told = {}
    kind = REFUSALS.get(str(told.get("code")))
    if kind is None and 400 <= answer.status_code < 500:
        kind = {401: NotAllowed, 403: NotAllowed, 429: RateLimited}.get(
            answer.status_code, BadRequest
        )
    if kind is None:
        return Unreachable(f"Dust Admin answered with status {answer.status_code}.")
    try:
        retry_after = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        retry_after = None
    sentence = str(told.get("detail") or f"Refused with status {answer.status_code}.")
    return kind(sentence, plan=told.get("plan"), retry_after=retry_after)


def _body(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        raise Unreachable("The answer is no JSON: is this Dust Admin?") from None
    if not isinstance(body, dict):
        raise Unreachable("The answer is no JSON object: is this Dust Admin?")
    return body


def _read(kind: type[Any], body: Any) -> Any:
    try:
        return kind(**{name: body[name] for name in kind.__dataclass_fields__})
    except (KeyError, TypeError):
        raise Unreachable(f"The answer is no {kind.__name__.lower()}.") from None
