"""Read accounts with their newest policy and snapshots: one, or all of them, in few queries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, QuerySet, Subquery

from positions.models import (
    DustPolicy,
    ExchangeAccount,
    Position,
    Snapshot,
    SnapshotStatus,
)
from positions.selectors.analysis import Analysis
from positions.selectors.snapshots import assets_in_flight, of_this_account


@dataclass(frozen=True, kw_only=True)
class AccountReading:
    """One account with its policy in force, and its analysis if it was ever read."""

    account: ExchangeAccount
    policy_row: DustPolicy
    newest: Snapshot | None
    failures: int  # failed readings since the last good one
    analysis: Analysis | None
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
    snapshots = of_this_account(Snapshot.objects.filter(account=OuterRef("account")))
    snapshots = snapshots.order_by("-taken_at", "-pk")
    good = snapshots.filter(status=SnapshotStatus.GOOD)
    return (
        DustPolicy.objects.filter(pk=Subquery(versions.values("pk")[:1]))
        .select_related("account")
        .annotate(
            newest_pk=Subquery(snapshots.values("pk")[:1]),
            good_pk=Subquery(good.values("pk")[:1]),
        )
    )


def snapshots_of(rows: Sequence[DustPolicy]) -> dict[int, Snapshot]:
    """Return the newest and the newest good snapshots of all of them, by primary key."""
    wanted = {pk for row in rows for pk in (row.newest_pk, row.good_pk) if pk}  # type: ignore[attr-defined]  # annotated above
    later = (
        Snapshot.objects.filter(account=OuterRef("account"), taken_at__gt=OuterRef("taken_at"))
        .order_by()
        .values("account")
        .annotate(count=Count("pk"))
        .values("count")
    )
    found = Snapshot.objects.filter(pk__in=wanted).annotate(later=Subquery(later))
    return {snapshot.pk: snapshot for snapshot in found}


def reading_of(
    row: DustPolicy,
    *,
    snapshots: dict[int, Snapshot],
    positions: dict[int, list[Position]],
    in_flight: frozenset[str],
    now: datetime,
) -> AccountReading:
    """Return one account from rows that were read already."""
    good = snapshots.get(row.good_pk)  # type: ignore[attr-defined]  # annotated
    newest = snapshots.get(row.newest_pk)  # type: ignore[attr-defined]  # annotated
    analysis = None
    if good is not None and newest is not None:
        policy = row.as_domain()
        analysis = Analysis(
            account=row.account,
            policy_row=row,
            policy=policy,
            snapshot=good,
            newest=newest,
            holdings=[item.as_domain() for item in positions[good.pk]],
            threshold=policy.dust_threshold,
            in_flight=in_flight,
            now=now,
        )
    return AccountReading(
        account=row.account,
        policy_row=row,
        newest=newest,
        failures=(getattr(good, "later", 0) or 0) if good else 0,
        analysis=analysis,
        now=now,
    )


def positions_of(snapshots: Sequence[int]) -> dict[int, list[Position]]:
    """Return the positions of each snapshot, in one query."""
    found: defaultdict[int, list[Position]] = defaultdict(list)
    for position in Position.objects.filter(snapshot__in=snapshots):
        found[position.snapshot_id].append(position)
    return found


def account_reading(slug: str, *, now: datetime) -> AccountReading:
    """Return one account as it was last read; raise `ExchangeAccount.DoesNotExist`."""
    row = policies_in_force().filter(account__slug=slug).first()
    if row is None:
        raise ExchangeAccount.DoesNotExist(f"There is no account {slug}.")
    good = row.good_pk  # type: ignore[attr-defined]  # annotated
    return reading_of(
        row,
        snapshots=snapshots_of([row]),
        positions=positions_of([good] if good else []),
        in_flight=assets_in_flight(row.account),
        now=now,
    )
