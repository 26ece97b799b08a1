"""Press and release the kill switch: for one account, or for all of them."""

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from positions.models import Environment, ExchangeAccount, Halt
from positions.services import audit
from positions.services.actors import Actor
from positions.services.permissions import Permission, require


def in_force(account: ExchangeAccount | None = None) -> Halt | None:
    """Return the halt that stops this account (or everything), if there is one."""
    scope = Q(account=None) if account is None else Q(account=None) | Q(account=account)
    return Halt.objects.filter(scope, released_at=None).first()


def why_nothing_may_leave(account: ExchangeAccount) -> str:
    """Return why no order of the account may be sent now; empty if it may. Read it late."""
    facts = ExchangeAccount.objects.only("slug", "is_enabled", "environment")
    fresh = facts.get(pk=account.pk)
    if (halt := in_force(fresh)) is not None:
        return f"{halt.placed_by_name} stopped {fresh.slug if halt.account_id else 'everything'}."
    if not fresh.is_enabled:
        return f"{fresh.slug} is disabled."
    if fresh.environment == Environment.LIVE and not settings.DUSTADMIN_LIVE_TRADING:
        return "Live trading is off."
    return ""


def press(*, account: ExchangeAccount | None, reason: str, actor: Actor, now: datetime) -> Halt:
    """Stop everything that would be sent from now on; pressing twice changes nothing."""
    require(actor, Permission.STOP)
    what = account.slug if account else "all accounts"
    try:
        with transaction.atomic():
            halt = Halt.objects.create(
                account=account,
                reason=reason[:200],
                placed_by=actor.user,
                placed_by_name=actor.name,
                placed_at=now,
            )
            audit.record(
                "halt.pressed",
                f"{actor.name} stopped {what}" + (f": {reason}" if reason else ""),
                actor=actor,
                at=now,
                account=account,
                data={"reason": reason},
            )
    except IntegrityError:
        return Halt.objects.get(account=account, released_at=None)
    return halt


def release(*, account: ExchangeAccount | None, actor: Actor, now: datetime) -> bool:
    """Let requests leave again; return False if nothing was stopped."""
    require(actor, Permission.RELEASE)
    what = account.slug if account else "all accounts"
    with transaction.atomic():
        released = Halt.objects.filter(account=account, released_at=None).update(
            released_at=now, released_by_name=actor.name
        )
        if released:
            audit.record(
                "halt.released",
                f"{actor.name} released the stop of {what}",
                actor=actor,
                at=now,
                account=account,
            )
    return bool(released)
