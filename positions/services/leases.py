"""Let bots reserve slots: never more than are free, whoever asks at the same moment.

HoldRefused             (services/holds.py) and besides:
    SlotsUnknown        nobody knows how many slots are free; open nothing, ask again later
    NoSlotFree          none is free
    KeyReused           the idempotency key stands for another request of this token
"""

import hashlib
import json
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from positions.models import BotToken, ExchangeAccount, Lease, LeaseEnd
from positions.models.bots import LONGEST_KEY
from positions.selectors.slots import slots_now
from positions.services import audit
from positions.services.actors import Actor
from positions.services.holds import (
    BadHold,
    HoldOver,
    HoldRefused,
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

LONGEST_LEASE = timedelta(hours=24)
SCHEDULER = Actor.service("scheduler")


class SlotsUnknown(HoldRefused):
    """Nobody knows how many slots are free; unknown never means free."""


class NoSlotFree(HoldRefused):
    """Every slot is taken."""


class KeyReused(HoldRefused):
    """The idempotency key was used for another request."""

    def __init__(self, key: str) -> None:
        """Name the key."""
        super().__init__(f"The idempotency key {key} was used for another request. Use a new one.")


def reserve(
    account: ExchangeAccount, *, asset: str, ttl: int, key: str, actor: Actor, now: datetime
) -> Lease:
    """Reserve a slot for an asset for so many seconds; the asset is the bot's as long.

    The same key with the same request returns the same lease, however it stands now. Raise
    `NotPermitted`, or a `HoldRefused`.
    """
    require(actor, Permission.LEASE)
    token = token_of(actor, Permission.LEASE)
    wanted, lasting = asset_code(asset), _lasting(ttl)
    key = plain_text("idempotency_key", key, longest=LONGEST_KEY)
    digest = _digest(account, wanted, ttl)
    with transaction.atomic():
        locked = locked_for(account, actor, Permission.LEASE, now=now)
        now = moment_after_wait(now)
        known = _known(token, key, digest=digest)
        if known is not None:
            return known
        check_exists(locked, wanted)
        _end_expired_of(locked, now=now)
        check_free(locked, wanted, bot=token.bot, for_lease=True, now=now)
        _check_slot(locked, wanted, now=now)
        try:
            with transaction.atomic():
                lease = Lease.objects.create(
                    account=locked,
                    asset=wanted,
                    bot=token.bot,
                    token=token,
                    idempotency_key=key,
                    body_digest=digest,
                    created_at=now,
                    expires_at=now + lasting,
                )
        except IntegrityError:
            # On another account, where its lock does not keep us: the key was used this moment.
            raise KeyReused(key) from None
        _record("lease.reserved", f"leased a slot for {wanted}", lease, actor=actor, now=now)
    return lease


def _lasting(ttl: int) -> timedelta:
    if not 0 < ttl <= LONGEST_LEASE.total_seconds():
        most = int(LONGEST_LEASE.total_seconds())
        raise BadHold("ttl", f"Write ttl as a whole number of seconds from 1 to {most}.")
    return timedelta(seconds=ttl)


def _digest(account: ExchangeAccount, asset: str, ttl: int) -> str:
    body = json.dumps([account.pk, asset, ttl], separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def _known(token: BotToken, key: str, *, digest: str) -> Lease | None:
    known = Lease.objects.filter(token=token, idempotency_key=key).select_related("account").first()
    if known is not None and known.body_digest != digest:
        raise KeyReused(key)
    return known


def _check_slot(account: ExchangeAccount, asset: str, *, now: datetime) -> None:
    """Raise unless a slot is free for certain; must run while the account is held."""
    seen = slots_now(account, now=now)
    if asset in seen.policy.cash_assets:
        raise BadHold("asset", f"{asset} is cash by the policy: it takes no slot.")
    if seen.slots is None or seen.available is None:
        raise SlotsUnknown(f"Slots are unknown. {seen.why_unknown}")
    if seen.available == 0:
        slots = seen.slots
        raise NoSlotFree(
            f"No slot of {slots.cap} is free: {slots.counted} counted, {slots.leased} leased."
        )


def renew(lease: Lease, *, ttl: int, actor: Actor, now: datetime) -> Lease:
    """Let a lease in force last so many seconds from now; raise `HoldOver` if it has ended.

    `OrderInFlight` if it was over when an order of ours was sent, and this came late to the lock.
    """
    require(actor, Permission.LEASE)
    lasting = _lasting(ttl)
    with transaction.atomic():
        fresh = _locked(lease, actor=actor, now=now)
        now = moment_after_wait(now)
        if fresh.ended_at is not None or fresh.expires_at <= now:
            raise HoldOver("The lease has ended. Reserve a new one.")
        check_free(fresh.account, fresh.asset, bot=fresh.bot, for_lease=False, now=now)
        fresh.expires_at = now + lasting
        fresh.save(update_fields=["expires_at"])
        _record("lease.renewed", f"renewed the lease of {fresh.asset}", fresh, actor=actor, now=now)
    return fresh


def release(lease: Lease, *, opened: bool | None, actor: Actor, now: datetime) -> Lease:
    """End a lease; `opened`: whether a trade was, None if that is not said. Twice changes nothing.

    With `opened` False its slot is free at once, else once a good snapshot was asked for after its
    end. It may also be said later, of a lease that has ended or expired. Raise `HoldOver` if the
    opposite was said before.
    """
    require(actor, Permission.LEASE)
    with transaction.atomic():
        fresh = _locked(lease, actor=actor, now=now)
        now = moment_after_wait(now)
        if fresh.ended_at is None and fresh.expires_at <= now:
            _expire(fresh, now=now)
        if fresh.ended_at is not None and opened in {None, fresh.opened}:
            return fresh
        if fresh.opened is not None:
            raise HoldOver("The lease has ended, and the opposite of `opened` was said then.")
        fresh.opened = opened
        if fresh.ended_at is None:
            fresh.ended_at, fresh.ended_how = now, LeaseEnd.RELEASED
        if opened is False:
            fresh.ended_how = LeaseEnd.NOT_OPENED
        fresh.save(update_fields=["opened", "ended_at", "ended_how"])
        told = {True: ": a trade was opened", False: ": nothing was opened", None: ""}[opened]
        summary = f"released the lease of {fresh.asset}{told}"
        _record("lease.released", summary, fresh, actor=actor, now=now)
    return fresh


def _locked(lease: Lease, *, actor: Actor, now: datetime) -> Lease:
    """Return a lease as it is now, its account first."""
    account = locked_for(lease.account, actor, Permission.LEASE, now=now)
    fresh = account.leases.select_related("account").get(pk=lease.pk)
    check_owner(fresh, actor)
    return fresh


def end_expired(*, now: datetime) -> None:
    """Write down the end of every lease whose time is over; it has ended, written down or not."""
    over = Lease.objects.filter(ended_at=None, expires_at__lte=now)
    for_each_account(over, lambda account: _end_expired_of(account, now=now))


def _end_expired_of(account: ExchangeAccount, *, now: datetime) -> None:
    for lease in account.leases.filter(ended_at=None, expires_at__lte=now).order_by("pk"):
        _expire(lease, now=now)


def _expire(lease: Lease, *, now: datetime) -> None:
    lease.ended_at, lease.ended_how = lease.expires_at, LeaseEnd.EXPIRED
    lease.save(update_fields=["ended_at", "ended_how"])
    summary = f"found the lease of {lease.asset} by {lease.bot} expired"
    _record("lease.expired", summary, lease, actor=SCHEDULER, now=now)


def _record(kind: str, done: str, lease: Lease, *, actor: Actor, now: datetime) -> None:
    audit.record(
        kind,
        f"{actor.name} {done}",
        actor=actor,
        at=now,
        account=lease.account,
        data={
            "lease": lease.pk,
            "asset": lease.asset,
            "bot": lease.bot,
            "token": lease.token.prefix,
            "expires_at": lease.expires_at,
            "ended_how": lease.ended_how,
            "opened": lease.opened,
        },
    )
