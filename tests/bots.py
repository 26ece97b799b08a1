"""Bots with their tokens, for tests of what they lease and claim."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from positions.models import BotToken, Claim, ExchangeAccount, Lease, Listing, Scope
from positions.services import claims, leases
from positions.services.actors import Actor


def hire_bot(
    *accounts: ExchangeAccount,
    name: str = "grid-7",
    now: datetime,
    scopes: tuple[Scope, ...] = tuple(Scope),
) -> Actor:
    """Return a bot that may do all of that on these accounts for a day."""
    token = BotToken.objects.create(
        bot=name,
        prefix=uuid.uuid4().hex[:12],
        secret_hash=uuid.uuid4().hex * 2,
        scopes=list(scopes),
        created_by_name="test",
        created_at=now,
        expires_at=now + timedelta(days=1),
    )
    token.accounts.set(accounts)
    return Actor.bot(token)


def let_trade(account: ExchangeAccount, *assets: str) -> None:
    """Let the exchange trade these as well: the sandbox trades too few for many bots at once."""
    listing = Listing.objects.get(account=account)
    listing.assets += assets
    listing.save()


def lease(
    account: ExchangeAccount,
    asset: str,
    *,
    bot: Actor,
    now: datetime,
    ttl: int = 60,
    key: str = "",
) -> Lease:
    """Let a bot lease a slot under a new idempotency key, or under this one."""
    return leases.reserve(
        account, asset=asset, ttl=ttl, key=key or uuid.uuid4().hex, actor=bot, now=now
    )


def claim(account: ExchangeAccount, asset: str, *, bot: Actor, now: datetime) -> Claim:
    """Let a bot claim an asset for an hour."""
    until = now + timedelta(hours=1)
    return claims.claim(account, asset=asset, until=until, reason="Grid", actor=bot, now=now)
