"""Find what is held of accounts: by orders, and by bots that lease slots and claim assets."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import BooleanField, CharField, DateTimeField, F, Q, QuerySet, Value

from positions.domain.leases import Hold, LeaseTime, leased_assets
from positions.domain.orders import CLOSED
from positions.domain.plans import PlanState
from positions.models import Claim, CleanupPlan, CloseOrder, ExchangeAccount, Lease, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHold:
    """A lease or a claim as people are shown it, so that they can end it."""

    pk: int
    is_lease: bool
    asset: str
    bot: str
    reason: str  # of a claim
    until: datetime
    ended_at: datetime | None  # of a lease that has ended, and whose slot still counts
    opened: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What orders and bots hold of one account at one moment."""

    in_flight: frozenset[str] = frozenset()  # assets with an order that is not closed
    holds: frozenset[Hold] = frozenset()  # leases and claims in force
    leased: frozenset[str] = frozenset()  # assets that leases keep a slot for
    shown: Sequence[ShownHold] = ()  # what is in force or keeps a slot; of each asset once


NOTHING_HELD = Held()


def held_of(asked_at: Mapping[int, datetime], *, now: datetime) -> Mapping[int, Held]:
    """Return what is held of each account, in one query.

    `asked_at`: by account, when the balances of its newest good snapshot were asked for; now if
    there is none, so that only what is in force counts.
    """
    if not asked_at:
        return {}
    ours = Q(account__in=list(asked_at))
    # What ended before every snapshot was asked for is told by the snapshots.
    told = Q(ended_at=None) | Q(ended_at__gte=min(asked_at.values()))
    found: defaultdict[int, list[_Row]] = defaultdict(list)
    for row in _rows(
        _leases(Lease.objects.filter(ours & told)),
        _claims(Claim.objects.filter(ours, Claim.in_force(now))),
        _orders(_in_flight().filter(ours)),
    ):
        found[row.account].append(row)
    return {
        account: _held(found[account], asked_at=asked, now=now)
        for account, asked in asked_at.items()
    }


def _held(rows: list["_Row"], *, asked_at: datetime, now: datetime) -> Held:
    leases = [row.as_lease() for row in rows if row.kind == _LEASE]
    newest: dict[tuple[str, str], _Row] = {}  # several leases of an asset are one slot
    for row in sorted(rows, key=lambda row: row.pk):
        keeps = row.kind == _LEASE and row.as_lease().takes_slot(asked_at=asked_at, now=now)
        if keeps or row.is_in_force(now=now):
            newest[row.kind, row.asset] = row
    return Held(
        in_flight=frozenset(row.asset for row in rows if row.kind == _ORDER),
        holds=frozenset(row.as_hold() for row in rows if row.is_in_force(now=now)),
        leased=leased_assets(leases, asked_at=asked_at, now=now),
        shown=[row.as_shown(now=now) for row in newest.values()],
    )


def held_on(account: ExchangeAccount, snapshot: Snapshot, *, now: datetime) -> Held:
    """Return what is held of one account, beside its newest good snapshot."""
    return held_of({account.pk: snapshot.asked_at}, now=now)[account.pk]


def holds_on(
    account_pk: int, assets: Collection[str], *, now: datetime, since: datetime | None = None
) -> Mapping[str, list[Hold]]:
    """Return the leases and claims in force on these assets, by asset.

    With `since` also those that have ended from that moment on.
    """
    ours = Q(account=account_pk, asset__in=assets)
    leases, claims = Lease.in_force(since or now), Claim.in_force(since or now)
    if since is not None:
        leases |= Q(ended_at__gte=since)
        claims |= Q(ended_at__gte=since)
    found: defaultdict[str, list[Hold]] = defaultdict(list)
    for row in _rows(
        _leases(Lease.objects.filter(ours, leases)), _claims(Claim.objects.filter(ours, claims))
    ):
        found[row.asset].append(row.as_hold())
    return found


def _in_flight() -> QuerySet[CloseOrder]:
    """Return the orders that are not closed, of plans that are no mere drafts."""
    return CloseOrder.objects.exclude(status__in=CLOSED).exclude(plan__status=PlanState.DRAFT)


def assets_in_flight(account: ExchangeAccount, *, beside: CleanupPlan) -> frozenset[str]:
    """Return the assets with an order that is not closed, of other plans than this one."""
    orders = _in_flight().filter(account=account).exclude(plan=beside)
    return frozenset(orders.values_list("asset", flat=True))


def leases_in_force(account: ExchangeAccount, *, now: datetime) -> QuerySet[Lease]:
    """Return the leases that bots have now, the newest first."""
    return account.leases.filter(Lease.in_force(now))


def claims_in_force(account: ExchangeAccount, *, now: datetime) -> QuerySet[Claim]:
    """Return the claims that bots have now, the newest first."""
    return account.claims.filter(Claim.in_force(now))


# --- Three tables in one query -------------------------------------------------------------------

_LEASE, _CLAIM, _ORDER = "lease", "claim", "order"


class _Row(NamedTuple):
    """What is held of one asset; the columns that leases, claims and orders share."""

    kind: str
    pk: int
    account: int
    asset: str
    bot: str
    note: str
    ends_at: datetime
    ended_at: datetime | None
    opened: bool | None

    def as_lease(self) -> LeaseTime:
        """Return the lease."""
        return LeaseTime(
            asset=self.asset, expires_at=self.ends_at, ended_at=self.ended_at, opened=self.opened
        )

    def as_hold(self) -> Hold:
        """Return whose the asset is."""
        until = self.ends_at if self.kind == _CLAIM else None
        return Hold(asset=self.asset, bot=self.bot, note=self.note, until=until)

    def as_shown(self, *, now: datetime) -> ShownHold:
        """Return it with what it takes to end it."""
        return ShownHold(
            pk=self.pk,
            is_lease=self.kind == _LEASE,
            asset=self.asset,
            bot=self.bot,
            reason=self.note,
            until=self.ends_at,
            ended_at=self.as_lease().ended(now=now),
            opened=self.opened,
        )

    def is_in_force(self, *, now: datetime) -> bool:
        """Tell whether the asset is a bot's by it."""
        return self.kind != _ORDER and self.as_lease().ended(now=now) is None


def _rows(*parts: QuerySet[Any, Any]) -> Iterator[_Row]:
    first, *others = parts
    return (_Row(*values) for values in first.union(*others, all=True))


def _leases(found: QuerySet[Lease]) -> QuerySet[Any, Any]:
    note = Value("", output_field=CharField())
    return _columns(found, _LEASE, F("bot"), note, F("expires_at"), F("ended_at"), F("opened"))


def _claims(found: QuerySet[Claim]) -> QuerySet[Any, Any]:
    opened = Value(None, output_field=BooleanField(null=True))
    return _columns(found, _CLAIM, F("bot"), F("reason"), F("until"), F("ended_at"), opened)


def _orders(found: QuerySet[CloseOrder]) -> QuerySet[Any, Any]:
    empty = Value("", output_field=CharField())
    never = Value(None, output_field=DateTimeField(null=True))
    opened = Value(None, output_field=BooleanField(null=True))
    return _columns(found, _ORDER, empty, empty, never, never, opened)


def _columns(found: QuerySet[Any], kind: str, *columns: Any) -> QuerySet[Any, Any]:
    # Names of their own, so that none of a model's columns is in the way.
    named = {f"column_{number}": column for number, column in enumerate(columns)}
    kind_of = Value(kind, output_field=CharField())
    shared = found.order_by().annotate(column_kind=kind_of, **named)
    rows: QuerySet[Any, Any] = shared.values_list(
        "column_kind", "pk", "account_id", "asset", *named
    )
    return rows
