"""Say how many slots a bot may count on now: two queries, and unknown where nobody can know."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from positions.domain.leases import LeaseTime, leased_assets
from positions.domain.routes import NOTHING_SPECIAL
from positions.domain.what_if import Slots
from positions.models import DustPolicy, ExchangeAccount, Lease, Snapshot
from positions.selectors.accounts import with_snapshots
from positions.selectors.memory import what_if_of
from positions.selectors.prepared import Prepared, Row


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What an account's slots depend on beside leases: its policy in force and newest readings."""

    policy: DustPolicy
    good: Snapshot | None  # the newest good one: its key and its moments
    newest_failed: bool


@dataclass(frozen=True, kw_only=True)
class SlotsNow:
    """The slots of one account, from its newest good snapshot under the policy in force."""

    policy: DustPolicy
    slots: Slots | None  # as they were then; None if it was never read
    as_of: datetime | None  # when the balances were asked for
    taken_at: datetime | None  # when the reading had been made, from which its age is counted
    newest_failed: bool
    now: datetime

    @property
    def fresh_until(self) -> datetime | None:
        """Return from when on nobody knows, unless it is read again; None: nobody knows now."""
        if self.taken_at is None or self.newest_failed or not self.policy.account.is_enabled:
            return None
        return self.taken_at + timedelta(seconds=self.policy.snapshot_max_age)

    @property
    def is_fresh(self) -> bool:
        """Tell whether the slots are known. Unknown never means free."""
        return self.fresh_until is not None and self.now <= self.fresh_until

    @property
    def available(self) -> int | None:
        """Return the free slots; None while they are unknown."""
        return self.slots.available if self.slots is not None and self.is_fresh else None

    @property
    def why_unknown(self) -> str:
        """Return why nobody knows, as a sentence; empty if they are known."""
        account = self.policy.account
        if self.is_fresh:
            return ""
        if not account.is_enabled:
            return f"{account.slug} is disabled: it is not read."
        if self.taken_at is None:
            return f"{account.slug} has not been read yet."
        if self.newest_failed:
            return f"The newest reading of {account.slug} failed."
        age = int((self.now - self.taken_at).total_seconds())
        return (
            f"The newest snapshot of {account.slug} is {age} s old; "
            f"snapshot_max_age is {self.policy.snapshot_max_age} s."
        )


def slots_now(account: ExchangeAccount, *, now: datetime) -> SlotsNow:
    """Return an account's slots, counted as the pages count them and read anew every time."""
    (row,) = _GROUNDS.rows(account=account.pk)
    return slots_on(grounds_from(row), now=now)


def slots_on(grounds: Grounds, *, now: datetime) -> SlotsNow:
    """Return the slots on these grounds, and read the leases anew."""
    good = grounds.good
    return SlotsNow(
        policy=grounds.policy,
        slots=None if good is None else _slots(grounds.policy, good, now=now),
        as_of=None if good is None else good.asked_at,
        taken_at=None if good is None else good.taken_at,
        newest_failed=grounds.newest_failed,
        now=now,
    )


def _slots(policy: DustPolicy, snapshot: Snapshot, *, now: datetime) -> Slots:
    # What is counted depends on no circumstances, so every lease finds it remembered.
    counted = what_if_of(snapshot, row=policy, circumstances=NOTHING_SPECIAL).counted_assets
    asked_at = snapshot.asked_at
    leases = [
        LeaseTime(**row) for row in _LEASES.rows(account=policy.account_id, asked_at=asked_at)
    ]
    leased = leased_assets(leases, asked_at=asked_at, now=now)
    return Slots.of(counted, leased=leased, cap=policy.position_cap)


# --- Rows ----------------------------------------------------------------------------------------

_POLICY = [field.attname for field in DustPolicy._meta.concrete_fields]
_ACCOUNT = ["id", "slug", "exchange", "environment", "is_enabled"]  # its key is nobody's business


def grounds_of(policies: QuerySet[DustPolicy], **more: Any) -> QuerySet[Any, Any]:
    """Return what `grounds_from` reads: one account's policy in force, and more columns of it."""
    good = Snapshot.objects.filter(pk=OuterRef("good_pk"))
    found = with_snapshots(policies).annotate(
        good_asked_at=Subquery(good.values("asked_at")),
        good_taken_at=Subquery(good.values("taken_at")),
        **more,
    )
    told = (*_POLICY, *(f"account__{name}" for name in _ACCOUNT))
    moments = ("newest_pk", "good_pk", "good_asked_at", "good_taken_at")
    return found.order_by("-version").values_list(*told, *moments, *more)[:1]


def grounds_from(row: Row) -> Grounds:
    """Return the grounds that a row tells."""
    policy = DustPolicy(**{name: row[name] for name in _POLICY})
    policy.account = ExchangeAccount.from_db(
        None, _ACCOUNT, [row[f"account__{name}"] for name in _ACCOUNT]
    )
    good = None
    if row["good_pk"] is not None:
        good = Snapshot(
            pk=row["good_pk"], asked_at=row["good_asked_at"], taken_at=row["good_taken_at"]
        )
    return Grounds(policy=policy, good=good, newest_failed=row["newest_pk"] != row["good_pk"])


_GROUNDS = Prepared(
    lambda account: grounds_of(DustPolicy.objects.filter(account=account)), account=int
)
# Those that a snapshot whose balances were asked for then does not tell of.
_LEASES = Prepared(
    lambda account, asked_at: (
        Lease.objects.filter(Q(ended_at=None) | Q(ended_at__gte=asked_at), account=account)
        .order_by()
        .values_list("asset", "expires_at", "ended_at", "opened")
    ),
    account=int,
    asked_at=datetime,
)
