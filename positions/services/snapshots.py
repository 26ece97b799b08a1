"""Read an account and keep what it said; a failed reading keeps its reason and nothing else."""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from django.db import transaction
from django.db.models import Q

from positions.domain.amounts import canonical
from positions.domain.balances import Holding
from positions.domain.classification import counted_at
from positions.exchanges.port import ExchangeError
from positions.models import ExchangeAccount, Listing, Position, Snapshot, SnapshotStatus
from positions.models.fields import rank_of
from positions.models.snapshots import columns_of
from positions.selectors.snapshots import latest_good, of_this_account, remembers
from positions.services import audit, keys, policies
from positions.services.actors import Actor
from positions.services.connections import open_exchange
from positions.services.credentials import CredentialsUnreadable
from positions.services.permissions import Permission, require
from positions.services.readings import Clock, Reading, read_account

COALESCE = timedelta(seconds=5)
CLAIM = timedelta(seconds=60)
WAIT_FOR_OTHERS = 60.0  # seconds
# An account that reads empty is believed after this many failed looks over this long.
EMPTY_LOOKS = 3
EMPTY_FOR = timedelta(seconds=60)
THIN_AFTER = timedelta(days=1)


class AccountDisabled(Exception):
    """The account is not read and nothing is sent for it until somebody enables it."""

    def __init__(self, account: ExchangeAccount) -> None:
        """Name the account."""
        super().__init__(f"{account.slug} is disabled: it is not read. Enable it first.")


class ReadsEmpty(ExchangeError):
    """The account held something and suddenly reads empty: a failed reading until it repeats."""

    code = "READS_EMPTY"


def take_snapshot(
    account: ExchangeAccount,
    *,
    trigger: Actor,
    clock: Clock,
    not_before: datetime | None = None,
) -> Snapshot:
    """Return a snapshot taken now, or one that somebody else began in the last five seconds.

    Whatever is begun while this waits for it will do as well. With `not_before`, only a snapshot
    whose balances were asked for after that moment will do. A failed reading is returned as
    a failed snapshot; only `AccountDisabled` is raised.
    """
    check_enabled(account)
    deadline = time.monotonic() + WAIT_FOR_OTHERS
    recently = clock() - COALESCE
    while True:
        now = clock()
        recent = newest_since(account, max(recently, not_before or recently))
        if recent is not None:
            return recent
        if _claim(account, now=now):
            # Somebody may have kept one and given up the claim since it was looked for.
            recent = newest_since(account, max(recently, not_before or recently))
            if recent is None:
                break
            _give_up_claim(account)
            return recent
        if time.monotonic() > deadline:
            return _failed(
                account,
                "BUSY",
                "Another process is reading the account and does not finish.",
                asked_at=now,
                trigger=trigger,
                clock=clock,
            )
        time.sleep(0.2)
    try:
        return _read_and_keep(account, trigger=trigger, clock=clock)
    finally:
        _give_up_claim(account)


def check_enabled(account: ExchangeAccount) -> None:
    """Raise `AccountDisabled` if the account is not to be read."""
    if not ExchangeAccount.objects.filter(pk=account.pk, is_enabled=True).exists():
        raise AccountDisabled(account)


def newest_since(account: ExchangeAccount, moment: datetime) -> Snapshot | None:
    """Return the newest snapshot whose balances were asked for after the moment."""
    after = account.snapshots.filter(asked_at__gt=moment)
    return of_this_account(after).order_by("-asked_at").first()


def _claim(account: ExchangeAccount, *, now: datetime) -> bool:
    claimed = ExchangeAccount.objects.filter(
        Q(snapshot_claimed_until=None) | Q(snapshot_claimed_until__lt=now), pk=account.pk
    ).update(snapshot_claimed_until=now + CLAIM)
    return claimed == 1


def _give_up_claim(account: ExchangeAccount) -> None:
    ExchangeAccount.objects.filter(pk=account.pk).update(snapshot_claimed_until=None)


def _read_and_keep(account: ExchangeAccount, *, trigger: Actor, clock: Clock) -> Snapshot:
    asked_at = clock()
    policy = policies.in_force(account).as_domain()
    try:
        exchange = open_exchange(account, policy)
        reading = read_account(exchange, account=account, policy=policy, clock=clock)
        _doubt_emptiness(account, reading, now=clock())
        keys.check_again(account, exchange, now=clock())
    except (ExchangeError, CredentialsUnreadable) as error:
        code = getattr(error, "code", "CREDENTIALS")
        return _failed(account, code, str(error), asked_at=asked_at, trigger=trigger, clock=clock)
    return _kept(account, reading, trigger=trigger, now=clock())


def _doubt_emptiness(account: ExchangeAccount, reading: Reading, *, now: datetime) -> None:
    if reading.holdings:
        return
    last_good = latest_good(account)
    if last_good is None or not last_good.positions.exists():
        return
    looks = list(account.snapshots.filter(taken_at__gt=last_good.taken_at)[:EMPTY_LOOKS])
    repeated = len(looks) == EMPTY_LOOKS and all(
        look.failure_code == ReadsEmpty.code for look in looks
    )
    if repeated and now - looks[-1].taken_at >= EMPTY_FOR:
        return
    raise ReadsEmpty(
        f"{account.exchange_name} says that the account is empty, which it was not before. "
        "The last good snapshot stays until this repeats."
    )


def _failed(
    account: ExchangeAccount,
    code: str,
    sentence: str,
    *,
    asked_at: datetime,
    trigger: Actor,
    clock: Clock,
) -> Snapshot:
    now = clock()
    with transaction.atomic():
        _no_longer_wanted(account, asked_at=asked_at)
        previous = account.snapshots.first()
        snapshot = Snapshot.objects.create(
            account=account,
            status=SnapshotStatus.FAILED,
            asked_at=asked_at,
            taken_at=now,
            failure_code=code,
            failure=sentence[:300],
            trigger=trigger.name,
        )
        # One event when it starts to fail, not one a minute.
        if previous is None or previous.failure_code != code:
            audit.record(
                "snapshot.failed",
                sentence,
                actor=trigger,
                at=now,
                account=account,
                data={"code": code},
            )
    return snapshot


def _kept(account: ExchangeAccount, reading: Reading, *, trigger: Actor, now: datetime) -> Snapshot:
    with transaction.atomic():
        _no_longer_wanted(account, asked_at=reading.asked_at)
        previous = account.snapshots.first()
        holdings = _with_what_counted(account, reading.holdings)
        snapshot = Snapshot.objects.create(
            account=account,
            status=SnapshotStatus.GOOD,
            asked_at=reading.asked_at,
            taken_at=now,
            anchor=reading.anchor,
            anchor_deviation=reading.anchor_deviation,
            prices={asset: canonical(price) for asset, price in reading.prices_usd.items()},
            conversion_problem=reading.conversion_problem[:200],
            requests=reading.requests,
            trigger=trigger.name,
        )
        Position.objects.bulk_create(
            Position(
                snapshot=snapshot,
                value_rank=rank_of(holding.value_usd),
                **columns_of(holding),
            )
            for holding in holdings
        )
        _keep_listing(account, reading)
        recovered = previous is not None and previous.status == SnapshotStatus.FAILED
        if recovered or trigger.user is not None:
            audit.record(
                "snapshot.taken",
                f"{account.slug} was read: {len(reading.holdings)} holdings",
                actor=trigger,
                at=now,
                account=account,
                data={"snapshot": snapshot.pk, "after_failure": recovered},
            )
    return snapshot


def _keep_listing(account: ExchangeAccount, reading: Reading) -> None:
    """Keep what is traded, if that has changed."""
    assets = sorted(reading.listed)
    if not Listing.objects.filter(account=account, assets=assets).exists():
        Listing.objects.update_or_create(
            account=account, defaults={"assets": assets, "read_at": reading.asked_at}
        )


def _with_what_counted(account: ExchangeAccount, holdings: Iterable[Holding]) -> list[Holding]:
    """Return the holdings with whether each counts, for which it matters whether it did."""
    row, last = policies.in_force(account), latest_good(account)
    policy, before = row.as_domain(), dict[str, Decimal | None]()
    if last is not None and remembers(last, row):
        counted = last.positions.exclude(counted_at=None)
        before = dict(counted.values_list("asset", "counted_at"))
    return [
        replace(
            holding,
            counted_at=counted_at(holding, before=before.get(holding.asset), policy=policy),
        )
        for holding in holdings
    ]


def _no_longer_wanted(account: ExchangeAccount, *, asked_at: datetime) -> None:
    """Take back the wish that this reading answers; before the chain, as everybody locks."""
    ExchangeAccount.objects.filter(pk=account.pk, snapshot_due_at__lte=asked_at).update(
        snapshot_due_at=None
    )


def ask_for_snapshot(account: ExchangeAccount, *, actor: Actor, now: datetime) -> None:
    """Note that a person wants a snapshot; raise `NotPermitted` or `AccountDisabled`."""
    require(actor, Permission.SNAPSHOT)
    check_enabled(account)
    with transaction.atomic():
        waited_for = ExchangeAccount.objects.exclude(snapshot_due_at=None).filter(pk=account.pk)
        is_first = not waited_for.exists()
        want_snapshot(account, now=now)  # anew: a reading under way may have begun before
        if is_first:  # a bot may ask all the time
            audit.record(
                "snapshot.asked",
                f"{actor.name} asked for a snapshot of {account.slug}",
                actor=actor,
                at=now,
                account=account,
            )


def want_snapshot(account: ExchangeAccount, *, now: datetime) -> None:
    """Note that a snapshot is due; the scheduler sees to it."""
    ExchangeAccount.objects.filter(pk=account.pk).update(snapshot_due_at=now)


def thin(account: ExchangeAccount, *, now: datetime) -> int:
    """Delete snapshots older than a day that nothing refers to.

    Each hour's first stays, and the last good one.
    """
    old = (
        account.snapshots.filter(taken_at__lt=now - THIN_AFTER, plans=None, closed_plans=None)
        .order_by("taken_at", "pk")
        .values_list("pk", "taken_at")
    )
    hours = groupby(old, key=lambda row: row[1].replace(minute=0, second=0, microsecond=0))
    kept = account.snapshots.filter(status=SnapshotStatus.GOOD).values_list("pk", flat=True).first()
    doomed = [pk for _, rows in hours for pk, _ in list(rows)[1:] if pk != kept]
    Snapshot.objects.filter(pk__in=doomed).delete()
    return len(doomed)
