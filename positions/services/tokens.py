"""Issue, check and revoke the tokens that bots come in with.

A token reads `dust_<prefix>_<secret>`. Of the secret only the SHA-256 is kept: it has 256 random
bits, so nobody can try it out, and a slower hash would only slow the bots.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from positions.models import BotToken, ExchangeAccount, Scope
from positions.models.bots import LONGEST_BOT
from positions.services import audit
from positions.services.actors import Actor
from positions.services.permissions import Permission, require

MARK = "dust"
LONGEST_LIFE = timedelta(days=366)


class BadToken(Exception):
    """What was asked of a token makes no sense; nothing was issued."""


class TokenRefused(Exception):
    """The token opens nothing: unknown, expired or revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token; `text` is shown once and kept nowhere."""

    token: BotToken
    text: str


def issue(
    bot: str,
    *,
    accounts: Iterable[ExchangeAccount],
    scopes: Iterable[Scope],
    expires_at: datetime,
    actor: Actor,
    now: datetime,
) -> Issued:
    """Issue a token for a bot; raise `BadToken` or `NotPermitted`."""
    require(actor, Permission.CONNECT)
    accounts, granted = list(accounts), sorted(set(scopes))
    name = bot.strip()
    if not name or len(name) > LONGEST_BOT or not name.isprintable():
        raise BadToken(f"Name the bot, in at most {LONGEST_BOT} characters.")
    if not accounts:
        raise BadToken("Choose at least one account.")
    if not granted:
        raise BadToken("Choose what the bot may do.")
    if not now < expires_at <= now + LONGEST_LIFE:
        raise BadToken("A token expires in the future, within a year.")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    with transaction.atomic():
        token = BotToken.objects.create(
            bot=name,
            prefix=prefix,
            secret_hash=_hash(secret),
            scopes=[scope.value for scope in granted],
            created_by=actor.user,
            created_by_name=actor.name,
            created_at=now,
            expires_at=expires_at,
        )
        token.accounts.set(accounts)
        audit.record(
            "token.issued",
            f"{actor.name} issued the token {prefix} for {name}",
            actor=actor,
            at=now,
            data={
                "bot": name,
                "prefix": prefix,
                "accounts": sorted(account.slug for account in accounts),
                "scopes": token.scopes,
                "expires_at": expires_at.isoformat(),
            },
        )
    return Issued(token=token, text=f"{MARK}_{prefix}_{secret}")


def revoke(token: BotToken, *, actor: Actor, now: datetime) -> None:
    """Let the token open nothing from now on; what its bot holds goes on until its end."""
    require(actor, Permission.CONNECT)
    with transaction.atomic():
        revoked = BotToken.objects.filter(pk=token.pk, revoked_at=None).update(
            revoked_at=now, revoked_by_name=actor.name
        )
        if revoked:
            audit.record(
                "token.revoked",
                f"{actor.name} revoked the token {token.prefix} of {token.bot}",
                actor=actor,
                at=now,
                data={"bot": token.bot, "prefix": token.prefix},
            )


def token_of(text: str, *, now: datetime) -> BotToken:
    """Return the token that this text is; raise `TokenRefused` with a sentence."""
    return checked(BotToken.objects.filter(prefix=prefix_of(text)).first(), text, now=now)


def prefix_of(text: str) -> str:
    """Return the part of a token's text that finds its row; empty if it is no token's."""
    mark, _, rest = text.partition("_")
    return rest.partition("_")[0] if mark == MARK else ""


def checked(token: BotToken | None, text: str, *, now: datetime) -> BotToken:
    """Return the token that was found for this text; raise `TokenRefused` with a sentence."""
    secret = text.split("_", 2)[-1]
    if token is None or not hmac.compare_digest(token.secret_hash, _hash(secret)):
        raise TokenRefused("There is no such token.")
    if token.revoked_at is not None:
        raise TokenRefused(f"The token {token.prefix} was revoked.")
    if token.expires_at <= now:
        raise TokenRefused(f"The token {token.prefix} has expired.")
    return token


def note_use(token_pk: int, *, now: datetime) -> None:
    """Note when the token was used last."""
    BotToken.objects.filter(pk=token_pk).update(last_used_at=now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
