"""Let bots claim assets: no plan touches them until they are given back or their time is over."""

from datetime import datetime, timedelta

from django.db import transaction

from positions.models import Claim, ExchangeAccount
from positions.models.bots import LONGEST_REASON
from positions.services import audit
from positions.services.actors import Actor
from positions.services.holds import (
    BadHold,
    asset_code,
    check_exists,
    check_free,
    check_owner,
    for_each_account,
    locked_for,
    moment_after_wait,
    plain_text,
    token_of,
)
from positions.services.permissions import Permission, require

LONGEST_CLAIM = timedelta(days=30)
SCHEDULER = Actor.service("scheduler")


def claim(
    account: ExchangeAccount,
    *,
    asset: str,
    until: datetime,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Claim:
    """Make an asset the bot's until then; its own claim gets the new end and the new reason.

    Raise `NotPermitted`, or a `HoldRefused`: `OrderInFlight` while an order on it is under way.
    """
    require(actor, Permission.CLAIM)
    token = token_of(actor, Permission.CLAIM)
    wanted = asset_code(asset)
    reason = plain_text("reason", reason, longest=LONGEST_REASON)
    _check_until(until, now=now)
    with transaction.atomic():
        locked = locked_for(account, actor, Permission.CLAIM, now=now)
        now = moment_after_wait(now)
        check_exists(locked, wanted)
        _end_expired_of(locked, now=now)
        check_free(locked, wanted, bot=token.bot, for_lease=False, now=now)
        made = locked.claims.filter(asset=wanted, ended_at=None).first()
        kind = "claim.made" if made is None else "claim.changed"
        if made is None:
            made = Claim(account=locked, asset=wanted, bot=token.bot, created_at=now)
        made.token, made.until, made.reason = token, until, reason
        made.save()
        _record(kind, f"claimed {wanted}: {reason}", made, actor=actor, now=now)
    return made


def _check_until(until: datetime, *, now: datetime) -> None:
    if until.tzinfo is None:
        raise BadHold("until", "Write until with its time zone, for example 2030-01-31T12:00:00Z.")
    if not now < until <= now + LONGEST_CLAIM:
        raise BadHold(
            "until", f"Write until as a moment from now on, at most {LONGEST_CLAIM.days} days away."
        )


def give_back(claim: Claim, *, actor: Actor, now: datetime) -> Claim:
    """End a claim; twice changes nothing."""
    require(actor, Permission.CLAIM)
    with transaction.atomic():
        account = locked_for(claim.account, actor, Permission.CLAIM, now=now)
        fresh = account.claims.select_related("account").get(pk=claim.pk)
        check_owner(fresh, actor)
        now = moment_after_wait(now)
        if fresh.ended_at is None:
            fresh.ended_at = min(now, fresh.until)
            fresh.save(update_fields=["ended_at"])
            _record("claim.given_back", f"gave {fresh.asset} back", fresh, actor=actor, now=now)
    return fresh


def end_expired(*, now: datetime) -> None:
    """Write down the end of every claim whose time is over; it has ended, written down or not."""
    over = Claim.objects.filter(ended_at=None, until__lte=now)
    for_each_account(over, lambda account: _end_expired_of(account, now=now))


def _end_expired_of(account: ExchangeAccount, *, now: datetime) -> None:
    for claim in account.claims.filter(ended_at=None, until__lte=now).order_by("pk"):
        claim.ended_at = claim.until
        claim.save(update_fields=["ended_at"])
        summary = f"found the claim of {claim.asset} by {claim.bot} expired"
        _record("claim.expired", summary, claim, actor=SCHEDULER, now=now)


def _record(kind: str, done: str, claim: Claim, *, actor: Actor, now: datetime) -> None:
    audit.record(
        kind,
        f"{actor.name} {done}",
        actor=actor,
        at=now,
        account=claim.account,
        data={
            "claim": claim.pk,
            "asset": claim.asset,
            "bot": claim.bot,
            "token": claim.token.prefix,
            "until": claim.until,
            "reason": claim.reason,
        },
    )
