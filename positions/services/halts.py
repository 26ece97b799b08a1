"""Press and release the kill switch: for one account, or for all of them."""

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from positions.models import Environment, ExchangeAccount, Halt
from positions.selectors.halts import halt_that_stops
from positions.services import audit
from positions.services.actors import Actor
from positions.services.permissions import Permission, require


def why_nothing_may_leave(account: ExchangeAccount) -> str:
    """Return why no order of the account may be sent now; empty if it may. Read it late."""
    facts = ExchangeAccount.objects.only("slug", "is_enabled", "environment")
    fresh = facts.get(pk=account.pk)
    if (halt := halt_that_stops(fresh)) is not None:
        return f"{halt.placed_by_name} stopped {fresh.slug if halt.account_id else 'everything'}."
    if not fresh.is_enabled:
        return f"{fresh.slug} is disabled."
    if fresh.environment == Environment.LIVE and not settings.DUSTADMIN_LIVE_TRADING:
        return "Live trading is off."
    return ""


def press(*, account: ExchangeAccount | None, reason: str, actor: Actor, now: datetime) -> Halt:
    """Stop everything that would be sent from now on; pressing twice is one stop, told twice."""
    require(actor, Permission.STOP)
    try:
        return _pressed(account, reason=reason, actor=actor, now=now)
    except IntegrityError:
        pressed = _pressed_again(account, reason=reason, actor=actor, now=now)
    # Released between the two.
    return pressed or _pressed(account, reason=reason, actor=actor, now=now)


def _pressed(account: ExchangeAccount | None, *, reason: str, actor: Actor, now: datetime) -> Halt:
    with transaction.atomic():
        halt = Halt.objects.create(
            account=account,
            reason=reason[:200],
            placed_by=actor.user,
            placed_by_name=actor.name,
            placed_at=now,
        )
        _record("halt.pressed", "stopped", halt, reason=reason, actor=actor, now=now)
    return halt


def _pressed_again(
    account: ExchangeAccount | None, *, reason: str, actor: Actor, now: datetime
) -> Halt | None:
    """Count another press of a stop in force, so that a release which has begun notices it."""
    in_force = Halt.objects.filter(account=account, released_at=None)
    with transaction.atomic():
        if not in_force.update(presses=F("presses") + 1):
            return None
        halt = in_force.get()
        _record("halt.pressed_again", "stopped", halt, reason=reason, actor=actor, now=now)
    return halt


def release(halt: Halt, *, actor: Actor, now: datetime) -> bool:
    """Let requests leave again; return False if it was released or pressed since it was read."""
    require(actor, Permission.RELEASE)
    with transaction.atomic():
        released = Halt.objects.filter(pk=halt.pk, released_at=None, presses=halt.presses).update(
            released_at=now, released_by_name=actor.name
        )
        if released:
            _record("halt.released", "released the stop of", halt, actor=actor, now=now)
    return bool(released)


def _record(
    kind: str, verb: str, halt: Halt, *, actor: Actor, now: datetime, reason: str = ""
) -> None:
    what = halt.account.slug if halt.account else "all accounts"
    audit.record(
        kind,
        f"{actor.name} {verb} {what}" + (f": {reason}" if reason else ""),
        actor=actor,
        at=now,
        account=halt.account,
        data={"reason": reason} if kind != "halt.released" else None,
    )
