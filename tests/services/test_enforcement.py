"""The cap is enforced on real positions: by two people, for no more than the excess."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.planning import NothingToClose
from positions.domain.plans import PlanState as P
from positions.domain.plans import Purpose
from positions.domain.policies import GuardBroken
from positions.domain.what_if import Slots
from positions.models import CleanupPlan
from positions.selectors.slots import slots_now
from positions.services import drafts, starts, stops
from positions.services.actors import Actor
from positions.services.permissions import NotPermitted
from positions.services.plans import NeedsApproval, PlanRefused
from tests.services.conftest import Hire
from tests.trading import TEST, World, fresh, order_of

pytestmark = pytest.mark.django_db
D = Decimal


@dataclass
class Desk:
    """An account with six counted positions and a cap of four, and the people who look after it."""

    world: World
    ann: Actor  # drafts; may approve what others drafted
    bob: Actor  # approves

    def draft(self) -> CleanupPlan:
        return drafts.draft_enforcement_plan(self.world.account, actor=self.ann, now=self.world.now)

    def approve(self, plan: CleanupPlan, *, actor: Actor | None = None) -> CleanupPlan:
        return starts.approve_plan(
            plan, hash_seen=plan.hash, actor=actor or self.bob, now=self.world.now
        )

    def start(self, plan: CleanupPlan, *, actor: Actor | None = None) -> CleanupPlan:
        return starts.start_plan(
            plan, hash_seen=plan.hash, actor=actor or self.ann, now=self.world.now
        )


@pytest.fixture
def desk(world: World, hire: Hire) -> Desk:
    """From $0.10 SOL, BNB, DOGE, XRP, ADA and ONE count."""
    world.change_policy(dust_threshold=D("0.10"), position_cap=4)
    world.snapshot()
    return Desk(world=world, ann=hire("Administrator", "ann"), bob=hire("Approver", "bob"))


# --- Drafts -------------------------------------------------------------------------------------


def test_a_draft_takes_the_smallest_and_says_why_the_others_stay(desk: Desk) -> None:
    plan = desk.draft()
    assert (plan.purpose, plan.state, plan.created_by_name) == (Purpose.ENFORCE, P.DRAFT, "ann")
    assert [order.asset for order in plan.orders.order_by("number")] == ["ONE", "ADA"]
    assert plan.value_usd == D("0.48")
    assert (plan.slots_before, plan.slots_after) == (0, 0)
    assert {item["asset"]: item["reason"] for item in plan.skipped} == {
        "XRP": "WITHIN_CAP",
        "DOGE": "WITHIN_CAP",
        "BNB": "WITHIN_CAP",
        "SOL": "WITHIN_CAP",
        "SHIB": "NOT_COUNTED",
        "PEPE": "NOT_COUNTED",
    }
    drafted = plan.events.get(kind="plan.drafted")
    assert (drafted.data["purpose"], drafted.actor_name) == ("ENFORCE", "ann")
    assert desk.world.sent() == []


def test_a_protected_one_stays_and_the_next_is_taken(desk: Desk) -> None:
    desk.world.change_policy(protected_assets=frozenset({"ONE"}))
    plan = desk.draft()
    assert [order.asset for order in plan.orders.order_by("number")] == ["ADA", "XRP"]
    assert plan.skipped[0]["asset"] == "ONE"
    assert plan.skipped[0]["reason"] == "PROTECTED"


def test_an_account_within_its_cap_is_left_alone(desk: Desk) -> None:
    desk.world.change_policy(position_cap=6)
    with pytest.raises(PlanRefused, match="not over its cap: 6 positions count, the cap is 6"):
        desk.draft()
    assert not CleanupPlan.objects.exists()


def test_what_still_counts_is_in_excess_and_what_is_forgotten_is_not(desk: Desk) -> None:
    world = desk.world
    world.change_policy(dust_threshold=D("0.15"), position_cap=5)
    world.later(1)
    world.snapshot()
    world.exchange.control("POST", "prices", {"ONEUSDT": "0.0148"})  # ten are held
    world.later(1)
    world.snapshot()
    assert slots_now(world.account, now=world.now).slots == Slots(cap=5, counted=6)
    assert [order.asset for order in desk.draft().orders.all()] == ["ONE"]
    world.later(1)
    for threshold in ("0.20", "0.15"):
        world.change_policy(dust_threshold=D(threshold))
    assert slots_now(world.account, now=world.now).slots == Slots(cap=5, counted=5)
    with pytest.raises(PlanRefused, match="not over its cap"):
        desk.draft()


def test_a_stale_snapshot_is_not_planned_from(desk: Desk) -> None:
    desk.world.clock.ahead += timedelta(seconds=301)
    with pytest.raises(PlanRefused, match="snapshot_max_age"):
        desk.draft()


def test_a_draft_in_which_nothing_can_be_closed_leaves_the_older_one_alone(desk: Desk) -> None:
    older = desk.draft()
    desk.world.change_policy(sell_enabled=False)
    with pytest.raises(NothingToClose):
        desk.draft()
    assert fresh(older).state is P.DRAFT


def test_the_guards_of_a_plan_hold(desk: Desk) -> None:
    desk.world.change_policy(max_plan_value=D("0.47"))
    with pytest.raises(GuardBroken, match="max_plan_value"):
        desk.draft()


def test_only_a_person_with_the_right_drafts_it(desk: Desk, hire: Hire) -> None:
    desk.ann = hire("Viewer")
    with pytest.raises(NotPermitted):
        desk.draft()
    desk.ann = TEST
    with pytest.raises(PlanRefused, match="Only a person"):
        desk.draft()


def test_what_another_plan_closes_already_is_not_closed_twice(desk: Desk) -> None:
    waiting = desk.draft()
    with pytest.raises(NeedsApproval):
        desk.start(waiting)
    with pytest.raises(PlanRefused, match="Wait for them"):
        desk.draft()


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_from_before_a_sale_is_not_planned_from(desk: Desk) -> None:
    plan = desk.start(desk.approve(desk.draft()))
    desk.world.work(plan)
    with pytest.raises(PlanRefused, match="ended since the newest snapshot"):
        desk.draft()
    desk.world.snapshot()
    with pytest.raises(PlanRefused, match="4 positions count, the cap is 4"):
        desk.draft()


# --- Approval -----------------------------------------------------------------------------------


def test_nobody_approves_their_own_draft_an_administrator_included(desk: Desk) -> None:
    """`approval_above` is off here: every enforcement plan needs two people all the same."""
    plan = desk.draft()
    with pytest.raises(PlanRefused, match="somebody else"):
        desk.approve(plan, actor=desk.ann)
    with pytest.raises(NeedsApproval):
        desk.start(plan)
    assert fresh(plan).state is P.AWAITING_APPROVAL
    with pytest.raises(PlanRefused, match="somebody else"):
        desk.approve(plan, actor=desk.ann)
    assert fresh(plan).state is P.AWAITING_APPROVAL


def test_a_superuser_does_not_approve_their_own_draft(desk: Desk) -> None:
    user = desk.ann.user
    assert user is not None
    user.is_superuser = True
    user.save()
    with pytest.raises(PlanRefused, match="somebody else"):
        desk.approve(desk.draft(), actor=desk.ann)


def test_an_operator_does_not_approve(desk: Desk, hire: Hire) -> None:
    plan = desk.draft()
    operator = hire("Operator")
    with pytest.raises(NotPermitted):
        desk.approve(plan, actor=operator)
    with pytest.raises(NeedsApproval):
        desk.start(plan, actor=operator)


def test_another_approver_may_approve_with_the_start(desk: Desk) -> None:
    plan = desk.start(desk.draft(), actor=desk.bob)
    assert (plan.state, plan.approved_by_name, plan.started_by_name) == (P.RUNNING, "bob", "bob")


def test_the_approval_is_recorded_with_the_hash(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    approved = plan.events.get(kind="plan.approved")
    assert (approved.data["hash"], approved.actor_name) == (plan.hash, "bob")


def test_nothing_but_a_person_sets_it_in_motion(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    with pytest.raises(PlanRefused, match="only a person"):
        desk.start(plan, actor=TEST)
    plan = desk.start(plan)
    stops.pause_plan(plan, actor=TEST, now=desk.world.now)
    with pytest.raises(PlanRefused, match="only a person"):
        stops.resume_plan(plan, actor=TEST, now=desk.world.now)
    assert stops.resume_plan(plan, actor=desk.ann, now=desk.world.now).state is P.RUNNING


@pytest.mark.parametrize(("seconds", "goes_on"), [(899, True), (900, False)])
def test_a_paused_plan_does_not_outlive_its_approval(
    desk: Desk,
    seconds: int,
    goes_on: bool,
) -> None:
    plan = desk.start(desk.approve(desk.draft()))
    stops.pause_plan(plan, actor=desk.ann, now=desk.world.now)
    then = plan.created_at + timedelta(seconds=seconds)
    if goes_on:
        assert stops.resume_plan(plan, actor=desk.ann, now=then).state is P.RUNNING
    else:
        with pytest.raises(PlanRefused, match="has lapsed"):
            stops.resume_plan(plan, actor=desk.ann, now=then)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("why", ["the cap was raised", "others left", "hours have passed"])
def test_what_is_no_longer_needed_is_not_sold(desk: Desk, why: str) -> None:
    plan, world = desk.start(desk.approve(desk.draft())), desk.world
    if why == "the cap was raised":
        world.change_policy(position_cap=5)
    elif why == "others left":
        world.exchange.control("POST", "balances", {"XRP": {"free": "0"}})
        world.snapshot()
    else:
        world.later(3600)
    world.work(plan)
    sold = [order.asset for order in plan.orders.filter(status=S.FILLED)]
    denied = set(plan.orders.exclude(status=S.FILLED).values_list("status", "reason"))
    if why == "hours have passed":
        assert (sold, denied) == ([], {(S.DENIED, "PLAN_HALTED")})
    else:
        assert (len(sold), denied) == (1, {(S.DENIED, "WITHIN_CAP")})


@pytest.mark.django_db(transaction=True)
def test_what_takes_no_slot_any_more_is_not_sold(desk: Desk) -> None:
    plan = desk.start(desk.approve(desk.draft()))
    desk.world.change_policy(dust_threshold=D("0.16"), position_cap=3)
    desk.world.work(plan)
    assert order_of(plan, "ONE").reason == "FREES_NO_SLOT"
    assert desk.world.sold("ONE") == 0


@pytest.mark.django_db(transaction=True)
def test_a_price_that_fell_after_the_approval_sells_nothing(desk: Desk) -> None:
    plan = desk.start(desk.approve(desk.draft()))
    desk.world.exchange.control("POST", "prices", {"ADAUSDT": "0.60"})
    desk.world.work(plan)
    assert order_of(plan, "ADA").reason == "DRIFTED"
    assert desk.world.sold("ADA") == 0


def test_an_approved_plan_for_dust_is_not_resumed_after_its_approval(desk: Desk) -> None:
    world = desk.world
    world.change_policy(dust_threshold=D(1), position_cap=8, approval_above=D("0.5"))
    world.snapshot()
    plan = drafts.draft_plan(world.account, threshold=None, actor=desk.ann, now=world.now)
    plan = desk.start(desk.approve(plan))
    stops.pause_plan(plan, actor=desk.ann, now=world.now)
    world.later(3 * 86_400)
    with pytest.raises(PlanRefused, match="has lapsed"):
        stops.resume_plan(plan, actor=desk.ann, now=world.now)


# --- An approval lapses -------------------------------------------------------------------------


def lapsed(desk: Desk, plan: CleanupPlan, why: str) -> None:
    """Expect that neither the author nor the approver can start it, and that it has expired."""
    with pytest.raises(PlanRefused, match=why):
        desk.start(plan, actor=desk.bob)
    ended = fresh(plan)
    assert ended.state is P.EXPIRED
    assert {order.state for order in plan.orders.all()} == {S.DENIED}
    with pytest.raises(PlanRefused, match="is expired"):
        desk.start(plan)


def test_an_approval_lapses_with_a_price(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    desk.world.exchange.control("POST", "prices", {"ADAUSDT": "0.70"})
    desk.world.snapshot()
    lapsed(desk, plan, "Prices have moved: ADA")


def test_an_approval_lapses_with_a_balance(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    desk.world.exchange.control("POST", "balances", {"ADA": {"free": "0.4"}})
    desk.world.snapshot()
    lapsed(desk, plan, "balance of ADA has changed")


def test_an_approval_lapses_with_the_policy(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    desk.world.change_policy(max_slippage=D("0.02"))
    lapsed(desk, plan, "The policy has changed")


def test_an_approval_lapses_with_the_exchanges_rules(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    desk.world.exchange.control("POST", "markets", {"ADAUSDT": {"min_notional": "5"}})
    desk.world.valkey_forgets_markets()
    desk.world.snapshot()
    lapsed(desk, plan, "ADA/USDT does not take 0.5 ADA any more")


@pytest.mark.parametrize(("seconds", "holds"), [(899, True), (900, False)])
def test_an_approval_lapses_with_the_plans_time(
    desk: Desk,
    seconds: int,
    holds: bool,
) -> None:
    desk.world.change_policy(snapshot_max_age=3600)
    plan = desk.approve(desk.draft())
    then = plan.created_at + timedelta(seconds=seconds)
    desk.world.clock.stopped_at, desk.world.clock.ahead = then, timedelta(0)
    if holds:
        assert desk.start(plan).state is P.RUNNING
    else:
        lapsed(desk, plan, "not started in time")


def test_an_approval_lapses_when_the_account_is_no_longer_so_far_over_its_cap(desk: Desk) -> None:
    """Somebody sold DOGE: one order would be enough now, two were approved."""
    plan = desk.approve(desk.draft())
    desk.world.exchange.control("POST", "balances", {"DOGE": {"free": "0"}})
    desk.world.snapshot()
    lapsed(desk, plan, "Only 1 position still to be closed for the cap of 4")


def test_a_drift_within_the_guards_does_not_end_an_approval(desk: Desk) -> None:
    plan = desk.approve(desk.draft())
    desk.world.exchange.control("POST", "prices", {"ADAUSDT": "0.665"})
    desk.world.snapshot()
    assert desk.start(plan).state is P.RUNNING


# --- Execution ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_approved_plan_is_filled_and_brings_the_account_to_its_cap(desk: Desk) -> None:
    world = desk.world
    plan = world.work(desk.start(desk.approve(desk.draft())))
    assert plan.state is P.COMPLETED
    assert {order.asset: order.state for order in plan.orders.all()} == {
        "ONE": S.FILLED,
        "ADA": S.FILLED,
    }
    assert (world.sold("ONE"), world.sold("ADA"), world.sold("XRP")) == (D(10), D("0.5"), D(0))
    counted = world.snapshot().positions.exclude(counted_at=None).exclude(asset="USDT")
    assert {row.asset for row in counted} == {"SOL", "BNB", "DOGE", "XRP"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("price", "state"), [("0.673", S.FILLED), ("0.6732", S.FILLED), ("0.674", S.DENIED)]
)
def test_an_order_whose_price_rose_above_its_ceiling_is_not_sent(
    desk: Desk, price: str, state: Any
) -> None:
    """ADA was planned at 0.66: 2 % more is 0.6732."""
    plan = desk.start(desk.approve(desk.draft()))
    desk.world.exchange.control("POST", "prices", {"ADAUSDT": price})
    desk.world.work(plan)
    ada = order_of(plan, "ADA")
    assert ada.state is state
    if state is S.DENIED:
        assert (ada.reason, desk.world.sold("ADA")) == ("DRIFTED", D(0))
        assert "above its ceiling of $0.3366" in ada.message
    assert order_of(plan, "ONE").state is S.FILLED


@pytest.mark.django_db(transaction=True)
def test_what_was_bought_meanwhile_is_not_sold(desk: Desk) -> None:
    plan = desk.start(desk.approve(desk.draft()))
    desk.world.exchange.control("POST", "balances", {"ADA": {"free": "0.6"}})
    desk.world.work(plan)
    assert (order_of(plan, "ADA").state, order_of(plan, "ADA").reason) == (S.DENIED, "DRIFTED")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("cap", "sold"), [(4, {"ONE", "ADA"}), (5, {"ONE"}), (6, set())])
def test_under_a_raised_cap_the_smallest_are_still_sold_first(
    desk: Desk, cap: int, sold: set[str]
) -> None:
    plan = desk.start(desk.approve(desk.draft()))
    desk.world.change_policy(position_cap=cap)
    desk.world.work(plan)
    assert {asset for asset in ("ONE", "ADA", "XRP") if desk.world.sold(asset)} == sold
