"""Check a plan before it starts: each check with its measured value and its limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings

from positions.domain.amounts import canonical
from positions.models import CleanupPlan, Position, Snapshot
from positions.selectors.acceptance import waits_for_acceptance
from positions.selectors.halts import halt_that_stops
from positions.selectors.snapshots import latest_good

ANCHOR_STOPS_AT = Decimal("0.03")
ANCHOR_WARNS_AT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of a start: what it demands, what was measured, and what a failure means."""

    name: str
    passed: bool
    measured: str
    sentence: str  # why it refuses
    expires: bool = False  # a failure ends the plan instead of delaying it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the checks compare the plan with, read once."""

    newest_policy: int
    newest: Snapshot | None  # the newest good snapshot
    before: Mapping[str, Position]  # by asset, in the plan's own snapshot
    after: Mapping[str, Position]  # by asset, in the newest good snapshot
    stopped: bool


def read_facts(plan: CleanupPlan) -> Facts:
    """Return the facts for one plan, in four queries."""
    newest = latest_good(plan.account)
    wanted = {plan.snapshot_id} | ({newest.pk} if newest else set())
    rows = Position.objects.filter(
        snapshot__in=wanted, asset__in=plan.orders.order_by().values("asset")
    )
    before, after = {}, {}
    for row in rows:
        if row.snapshot_id == plan.snapshot_id:
            before[row.asset] = row
        if newest is not None and row.snapshot_id == newest.pk:
            after[row.asset] = row
    return Facts(
        newest_policy=plan.account.policies.order_by("-version").values_list("version", flat=True)[
            0
        ],
        newest=newest,
        before=before,
        after=after,
        stopped=halt_that_stops(plan.account) is not None,
    )


def plan_checks(plan: CleanupPlan, *, now: datetime, facts: Facts | None = None) -> list[Check]:
    """Return every check of the plan's start, in the order in which a failure is told."""
    facts = facts or read_facts(plan)
    checks = [
        _in_time(plan, now=now),
        _same_policy(plan, facts),
        _prices_and_balances_hold(plan, facts),
        _snapshot_is_fresh(plan, facts, now=now),
        _anchor_holds(plan, facts),
        _exchange_is_verified(plan),
        _nothing_stopped(facts),
        _enabled(plan),
    ]
    if plan.account.environment == "live":
        checks.append(_live_is_on())
    return checks


def _in_time(plan: CleanupPlan, *, now: datetime) -> Check:
    left = int((plan.expires_at - now).total_seconds())
    return Check(
        name="Not expired",
        passed=left > 0,
        measured=f"{max(0, left)} s left",
        sentence="The plan was not started in time.",
        expires=True,
    )


def _same_policy(plan: CleanupPlan, facts: Facts) -> Check:
    newest = facts.newest_policy
    return Check(
        name="Policy has not changed",
        passed=newest == plan.policy.version,
        measured=f"v{newest}",
        sentence=f"The policy has changed from v{plan.policy.version} to v{newest}.",
        expires=True,
    )


def _prices_and_balances_hold(plan: CleanupPlan, facts: Facts) -> Check:
    """Compare the newest snapshot with the plan's own: nothing may have moved beyond the drift."""
    drift = plan.policy.price_drift
    name = f"Prices within {canonical(drift * 100)}% of the snapshot"
    if facts.newest is None or facts.newest.pk == plan.snapshot_id:
        return Check(name=name, passed=True, measured="no newer prices", sentence="")
    most = (Decimal(0), "")
    for asset, before in sorted(facts.before.items()):
        problem = _difference(before, facts.after.get(asset))
        if problem is not None:
            return Check(name=name, passed=False, measured=asset, sentence=problem, expires=True)
        moved = _moved(before, facts.after[asset])
        most = max(most, (moved, asset))
    measured = f"{most[1]} {canonical((most[0] * 100).quantize(Decimal('0.01')))}%".strip()
    return Check(
        name=name,
        passed=most[0] <= drift,
        measured=measured,
        sentence=f"Prices have moved: {measured}, more than {canonical(drift * 100)}%.",
        expires=True,
    )


def _difference(before: Position, after: Position | None) -> str | None:
    if after is None:
        return f"{before.asset} is no longer held."
    if after.price_usd is None:
        return f"{before.asset} has no trustworthy price any more."
    if after.free != before.free or after.locked != before.locked:
        return f"The balance of {before.asset} has changed."
    return None


def _moved(before: Position, after: Position) -> Decimal:
    old, new = before.price_usd, after.price_usd
    if not old or new is None:
        return Decimal(0)
    return Decimal(abs(new - old) / old)


def _snapshot_is_fresh(plan: CleanupPlan, facts: Facts, *, now: datetime) -> Check:
    newest = facts.newest or plan.snapshot
    age, limit = int((now - newest.taken_at).total_seconds()), plan.policy.snapshot_max_age
    return Check(
        name="Snapshot is fresh",
        passed=age <= limit,
        measured=f"{age} s of {limit} s",
        sentence=f"The newest snapshot is {age} s old, more than {limit} s. Take one first.",
    )


def _anchor_holds(plan: CleanupPlan, facts: Facts) -> Check:
    newest = facts.newest or plan.snapshot
    deviation = newest.anchor_deviation
    known = deviation is not None
    return Check(
        name=f"{newest.anchor} is worth a dollar",
        passed=not known or deviation <= ANCHOR_STOPS_AT,
        measured=f"{canonical((deviation * 100).quantize(Decimal('0.01')))}% off"
        if known
        else "no other stablecoin to compare with",
        sentence=f"{newest.anchor} is more than 3% off the other stablecoins; values can't be "
        "trusted.",
    )


def _exchange_is_verified(plan: CleanupPlan) -> Check:
    account, waits = plan.account, waits_for_acceptance(plan.account)
    accepted = account.unverified_accepted_at is not None
    return Check(
        name="Orders are verified at this exchange, or a person accepted that they are not",
        passed=not waits,
        measured="not verified, accepted" if accepted else account.exchange,
        sentence=f"Orders at {account.exchange} are not verified; reading and dry runs work. "
        f"Somebody who may connect accounts can accept that on the page of {account.slug}, under "
        "“Accept unverified orders”.",
    )


def _nothing_stopped(facts: Facts) -> Check:
    stopped = facts.stopped
    return Check(
        name="Nothing is stopped",
        passed=not stopped,
        measured="stopped" if stopped else "no stop in force",
        sentence="The kill switch is on. Release it first.",
    )


def _enabled(plan: CleanupPlan) -> Check:
    return Check(
        name="Account is enabled",
        passed=plan.account.is_enabled,
        measured="enabled" if plan.account.is_enabled else "disabled",
        sentence=f"{plan.account.slug} is disabled.",
    )


def _live_is_on() -> Check:
    on = bool(settings.DUSTADMIN_LIVE_TRADING)
    return Check(
        name="Live trading is on",
        passed=on,
        measured="on" if on else "off",
        sentence="Live trading is off: DUSTADMIN_LIVE_TRADING is not true.",
    )
