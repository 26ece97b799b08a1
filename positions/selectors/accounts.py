"""Read accounts with their newest policy and snapshots: one, or all of them, in few queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, OuterRef, QuerySet, Subquery

from positions.domain.policies import Policy
from positions.domain.what_if import WhatIf
from positions.models import DustPolicy, ExchangeAccount, Snapshot, SnapshotStatus
from positions.selectors.analysis import Analysis
from positions.selectors.conversions import circumstances_of
from positions.selectors.holds import Held, held_of
from positions.selectors.memory import wanted, what_ifs_of
from positions.selectors.snapshots import of_this_account


@dataclass(frozen=True, kw_only=True)
class AccountReading:
    """One account with its policy in force, and its analysis if it was ever read."""

    account: ExchangeAccount
    policy_row: DustPolicy
    newest: Snapshot | None
    failures: int  # failed readings since the last good one
    failing_since: datetime | None  # the first of them
    analysis: Analysis | None
    held: Held
    now: datetime

    @property
    def slots_known(self) -> bool:
        """Tell whether the slots may be stated at all."""
        return self.analysis is not None and self.analysis.is_fresh

    @property
    def is_updating(self) -> bool:
        """Tell whether a snapshot was asked for or is being taken."""
        claimed = self.account.snapshot_claimed_until
        asked = self.account.snapshot_due_at
        awaited = asked is not None or (claimed is not None and claimed > self.now)
        return awaited and self.account.is_enabled


def policies_in_force() -> QuerySet[DustPolicy]:
    """Return every account's policy in force, with the keys of its newest snapshots."""
    versions = DustPolicy.objects.filter(account=OuterRef("account")).order_by("-version")
    return with_snapshots(DustPolicy.objects.filter(pk=Subquery(versions.values("pk")[:1])))


def with_snapshots(policies: QuerySet[DustPolicy]) -> QuerySet[DustPolicy]:
    """Return them with the keys of their account's newest snapshot and of its newest good one."""
    snapshots = of_this_account(Snapshot.objects.filter(account=OuterRef("account")))
    snapshots = snapshots.order_by("-taken_at", "-pk")
    good = snapshots.filter(status=SnapshotStatus.GOOD)
    return policies.select_related("account").annotate(
        newest_pk=Subquery(snapshots.values("pk")[:1]), good_pk=Subquery(good.values("pk")[:1])
    )


def snapshots_of(rows: Sequence[DustPolicy]) -> dict[int, Snapshot]:
    """Return the newest and the newest good snapshots of all of them, by primary key."""
    pairs = [(row.newest_pk, row.good_pk) for row in rows]  # type: ignore[attr-defined]  # annotated above
    found = Snapshot.objects.filter(pk__in={pk for pair in pairs for pk in pair if pk})
    if any(newest != good for newest, good in pairs):  # nothing has failed since, otherwise
        found = found.annotate(**_FAILED_SINCE)
    return {snapshot.pk: snapshot for snapshot in found}


_LATER = (
    Snapshot.objects.filter(account=OuterRef("account"), taken_at__gt=OuterRef("taken_at"))
    .order_by()
    .values("account")
    .annotate(count=Count("pk"), first=Min("taken_at"))
)
_FAILED_SINCE = {
    "failures": Subquery(_LATER.values("count")),
    "failing_since": Subquery(_LATER.values("first")),
}


def readings_of(rows: Sequence[DustPolicy], *, now: datetime) -> list[AccountReading]:
    """Return the accounts of these policies, in three queries."""
    snapshots = snapshots_of(rows)
    goods = {
        row.account_id: good
        for row in rows
        if (good := snapshots.get(row.good_pk)) is not None  # type: ignore[attr-defined]  # annotated
    }
    asked_at = {row.account_id: now for row in rows}
    held = held_of(asked_at | {pk: good.asked_at for pk, good in goods.items()}, now=now)
    policies = {row.account_id: row.as_domain() for row in rows}
    keys = {
        row.account_id: wanted(
            good,
            row=row,
            circumstances=circumstances_of(
                row.account,
                good,
                held=held[row.account_id],
                now=now,
            ),
        )
        for row in rows
        if (good := goods.get(row.account_id)) is not None
    }
    what_ifs = what_ifs_of(list(keys.values()))
    return [
        _reading_of(
            row,
            policy=policies[row.account_id],
            snapshots=snapshots,
            what_if=what_ifs[keys[row.account_id]] if row.account_id in keys else None,
            held=held[row.account_id],
            now=now,
        )
        for row in rows
    ]


def _reading_of(
    row: DustPolicy,
    *,
    policy: Policy,
    snapshots: Mapping[int, Snapshot],
    what_if: WhatIf | None,
    held: Held,
    now: datetime,
) -> AccountReading:
    good = snapshots.get(row.good_pk)  # type: ignore[attr-defined]  # annotated
    newest = snapshots.get(row.newest_pk)  # type: ignore[attr-defined]  # annotated
    analysis = None
    if good is not None and newest is not None and what_if is not None:
        analysis = Analysis(
            account=row.account,
            policy_row=row,
            policy=policy,
            snapshot=good,
            newest=newest,
            what_if=what_if,
            threshold=policy.dust_threshold,
            now=now,
        )
    return AccountReading(
        account=row.account,
        policy_row=row,
        newest=newest,
        failures=getattr(good, "failures", None) or 0,
        failing_since=getattr(good, "failing_since", None),
        analysis=analysis,
        held=held,
        now=now,
    )


def account_reading(slug: str, *, now: datetime) -> AccountReading:
    """Return one account as it was last read; raise `ExchangeAccount.DoesNotExist`."""
    versions = DustPolicy.objects.filter(account__slug=slug)
    row = with_snapshots(versions).order_by("-version").first()
    if row is None:
        raise ExchangeAccount.DoesNotExist(f"There is no account {slug}.")
    (reading,) = readings_of([row], now=now)
    return reading


def what_happened(reading: AccountReading) -> list[tuple[datetime, str]]:
    """Return how the slots became unknown, newest first: the tries, and the last good snapshot."""
    analysis = reading.analysis
    if analysis is None:
        return []
    good, failure = analysis.snapshot, analysis.failure
    told = [(good.taken_at, f"Last good snapshot, {analysis.effect.positions} positions")]
    too_old = good.taken_at + timedelta(seconds=analysis.policy.snapshot_max_age)
    if too_old <= reading.now:
        told.append((too_old, "From here on the slots are unknown"))
    if failure is not None:
        told.append((failure.taken_at, f"Try {reading.failures}: {failure.failure}"))
    if reading.failures > 1 and reading.failing_since is not None:
        told.append((reading.failing_since, "First try that failed"))
    return sorted(told, reverse=True)
