"""Check a plan before it starts: each check with its measured value and its limit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from positions.domain.amounts import canonical, floor_to_step
from positions.domain.enforcement import Excess, excess_of
from positions.domain.markets import SaleMarket
from positions.domain.policies import Policy
from positions.models import CleanupPlan, CloseOrder, Position, Snapshot
from positions.selectors.acceptance import waits_for_acceptance
from positions.selectors.halts import halt_that_stops
from positions.selectors.holds import assets_in_flight
from positions.selectors.memory import as_counted
from positions.selectors.snapshots import latest_good, remembers, shows_all_orders

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
    orders: Sequence[CloseOrder]
    newest: Snapshot | None  # the newest good snapshot
    before: Mapping[str, Position]  # by asset, in the plan's own snapshot
    after: Mapping[str, Position]  # by asset, in the newest good snapshot
    stopped: bool
    excess: Excess | None = None  # of an enforcement plan, beside its own orders
    shows_all_orders: bool = True  # whether the newest snapshot does


def read_facts(plan: CleanupPlan) -> Facts:
    """Return the facts for one plan, in five queries; seven for one that enforces the cap."""
    newest = latest_good(plan.account)
    wanted = {plan.snapshot_id} | ({newest.pk} if newest else set())
    orders = list(plan.orders.all())
    rows = Position.objects.filter(snapshot__in=wanted)
    if not plan.enforces_cap:
        rows = rows.filter(asset__in=[order.asset for order in orders])
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
        orders=orders,
        newest=newest,
        before=before,
        after=after,
        stopped=halt_that_stops(plan.account) is not None,
        **excess_facts(plan, newest, after.values()),
    )


def excess_facts(
    plan: CleanupPlan, newest: Snapshot | None, held: Iterable[Position]
) -> dict[str, Any]:
    """Return by how much the cap is exceeded now, for a plan that enforces it; else nothing.

    `held` is everything that the newest snapshot holds.
    """
    if not plan.enforces_cap or newest is None:
        return {}
    return {
        "excess": excess_of(
            as_counted(
                (row.as_domain() for row in held), remembered=remembers(newest, plan.policy)
            ),
            policy=plan.policy.as_domain(),
            leaving=assets_in_flight(plan.account, beside=plan),
        ),
        "shows_all_orders": shows_all_orders(newest),
    }


def plan_checks(plan: CleanupPlan, *, now: datetime, facts: Facts | None = None) -> list[Check]:
    """Return every check of the plan's start, in the order in which a failure is told."""
    facts = facts or read_facts(plan)
    checks = [
        _in_time(plan, now=now),
        _same_policy(plan, facts),
        _prices_and_balances_hold(plan, facts),
        _rules_hold(plan, facts),
        *_still_over_the_cap(facts),
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
    for asset in sorted(order.asset for order in facts.orders):
        before = facts.before[asset]
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


def _rules_hold(plan: CleanupPlan, facts: Facts) -> Check:
    """Compare each sale with what its market takes now; a conversion is asked for its own terms."""
    policy, problem, sales = plan.policy.as_domain(), "", 0
    for order in facts.orders:
        row = facts.after.get(order.asset)
        if order.symbol and row is not None:
            sales += 1
            problem = problem or _no_longer_taken(order, row, policy)
    return Check(
        name="The exchange still takes every sale",
        passed=not problem,
        measured=f"{sales} compared",
        sentence=problem,
        expires=True,
    )


def _no_longer_taken(order: CloseOrder, row: Position, policy: Policy) -> str:
    sales = [item for item in row.as_domain().sales if item.market.symbol == order.symbol]
    if not sales or not sales[0].market.active:
        return f"{order.symbol} is not traded any more."
    if _takes(sales[0], order, policy):
        return ""
    return (
        f"The exchange's rules have changed: {order.symbol} does not take "
        f"{canonical(order.quantity)} {order.asset} any more."
    )


def _takes(sale: SaleMarket, order: CloseOrder, policy: Policy) -> bool:
    rule, quantity = sale.market.rule, order.quantity
    return bool(
        rule.min_quantity <= quantity <= (rule.max_quantity or quantity)
        and floor_to_step(quantity, rule.step_size) == quantity
        and quantity * order.price >= rule.min_notional * (1 + policy.minimum_margin)
    )


def _still_over_the_cap(facts: Facts) -> list[Check]:
    """Let no more be closed than is over the cap now, for a plan that enforces it."""
    if facts.excess is None:
        return []
    over, orders = facts.excess.to_close, len(facts.orders)
    return [
        Check(
            name="Still so many over the cap",
            passed=over >= orders,
            measured=f"{over} over, {orders} to close",
            sentence=f"Only {over} position{'' if over == 1 else 's'} still to be closed for the "
            f"cap of {facts.excess.cap}; the plan would close {orders}.",
            expires=True,
        ),
        Check(
            name="The newest snapshot shows every order",
            passed=facts.shows_all_orders,
            measured="yes" if facts.shows_all_orders else "no",
            sentence="Orders of another plan have ended since the newest snapshot. Take one first.",
        ),
    ]


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
