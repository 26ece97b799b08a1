"""Read an account for a command that needs to know what it holds now."""

from datetime import timedelta
from typing import NoReturn

from django.core.management import CommandError
from django.utils import timezone

from positions.exchanges.port import BadConfiguration, KeyRefused, PacerUnavailable
from positions.management.command import NOT_DONE, WRONG_USE
from positions.models import ExchangeAccount, Snapshot, SnapshotStatus
from positions.selectors.snapshots import latest_good
from positions.services import policies, snapshots
from positions.services.actors import Actor
from positions.services.permissions import Permission, require

# A person has to change something before the next reading can work.
_CONFIGURATION = {KeyRefused.code, BadConfiguration.code, PacerUnavailable.code, "CREDENTIALS"}


def read_now(account: ExchangeAccount, *, actor: Actor) -> Snapshot:
    """Return a snapshot of this moment; end the command if the reading fails."""
    require(actor, Permission.SNAPSHOT)
    snapshot = snapshots.take_snapshot(account, trigger=actor, clock=timezone.now)
    if snapshot.status == SnapshotStatus.FAILED:
        _refuse(account, snapshot)
    return snapshot


def read_if_old(account: ExchangeAccount, *, actor: Actor) -> Snapshot:
    """Return the newest good snapshot, or a new one if it is older than the policy allows.

    Raise `AccountDisabled`: what was read before says nothing about slots then.
    """
    snapshots.check_enabled(account)
    newest = latest_good(account)
    oldest = timedelta(seconds=policies.in_force(account).snapshot_max_age)
    if newest is not None and timezone.now() - newest.taken_at <= oldest:
        return newest
    return read_now(account, actor=actor)


def _refuse(account: ExchangeAccount, failed: Snapshot) -> NoReturn:
    """Say why there is no reading; old numbers are never passed off as the present."""
    code = WRONG_USE if failed.failure_code in _CONFIGURATION else NOT_DONE
    raise CommandError(f"{account.slug} could not be read: {failed.failure}", returncode=code)
