"""Take an account out of use and back: a disabled one is not read, and nothing is sent for it."""

from datetime import datetime

from django.db import transaction

from positions.domain.plans import LIVE
from positions.models import ExchangeAccount
from positions.services import audit
from positions.services.accounts import BadAccount
from positions.services.actors import Actor
from positions.services.keys import put_out_of_use
from positions.services.permissions import Permission, require
from positions.services.stops import halt_all, halt_all_or_refuse


def disable_account(account: ExchangeAccount, *, reason: str, actor: Actor, now: datetime) -> int:
    """Disable an account and halt its live plans; return how many were halted.

    What was sent already is still looked up, even then. Raise `NotPermitted`, or `BadAccount`
    without a reason. Disabling twice changes nothing.
    """
    require(actor, Permission.CONNECT)
    reason = reason.strip()
    if not reason:
        raise BadAccount("Say why, so that the next person understands.", field="reason")
    with transaction.atomic():
        locked = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        if locked.is_enabled:
            put_out_of_use(locked, reason, actor=actor, now=now)
    # Nothing leaves from here on, so each plan ends by itself; the dispatcher halts what it misses.
    note = f"{actor.name} disabled {account.slug}: {reason}"
    return halt_all(account.plans.filter(status__in=LIVE), note=note, actor=actor, now=now)


def enable_account(account: ExchangeAccount, *, actor: Actor, now: datetime) -> None:
    """Enable an account: it is read at once, and its key's rights are checked with that.

    Halted plans stay ended. Raise `NotPermitted`, or `PlanRefused` if a plan that is still live
    can't be halted now. Enabling twice changes nothing.
    """
    require(actor, Permission.CONNECT)
    with transaction.atomic():
        locked = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        if locked.is_enabled:
            return
        # One may have outlived the disabling: whoever disabled it vanished before all were halted.
        live = account.plans.filter(status__in=LIVE)
        halt_all_or_refuse(live, note="The account was disabled.", actor=actor, now=now)
        ExchangeAccount.objects.filter(pk=account.pk).update(
            is_enabled=True,
            disabled_reason="",
            disabled_by=None,
            disabled_by_name="",
            disabled_at=None,
            key_checked_at=None,
            snapshot_due_at=now,
        )
        audit.record(
            "account.enabled",
            f"{actor.name} enabled {account.slug}",
            actor=actor,
            at=now,
            account=account,
        )
