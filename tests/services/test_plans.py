"""Plans: what was seen is what is started, and only while it is still true."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction

from positions.domain.orders import OrderState as S
from positions.domain.planning import NothingToClose
from positions.domain.plans import IllegalPlanStep
from positions.domain.plans import PlanState as P
from positions.domain.policies import GuardBroken
from positions.models import CleanupPlan, CloseOrder
from positions.services import dispatch, drafts, halts, starts, stops
from positions.services.actors import Actor
from positions.services.permissions import NotPermitted
from positions.services.plans import BadReason, NeedsApproval, PlanRefused
from tests.services.conftest import Hire
from tests.trading import TEST, World, connect, fresh, order_of

pytestmark = pytest.mark.django_db
D = Decimal


def start(world: World, plan: CleanupPlan, *, actor: Actor = TEST, seen: str = "") -> CleanupPlan:
    return starts.start_plan(plan, hash_seen=seen or plan.hash, actor=actor, now=world.now)


def approve(world: World, plan: CleanupPlan, *, actor: Actor, seen: str = "") -> CleanupPlan:
    return starts.approve_plan(plan, hash_seen=seen or plan.hash, actor=actor, now=world.now)


# --- Drafts -------------------------------------------------------------------------------------


def test_a_draft_names_its_orders_and_its_effect_and_sends_nothing(world: World) -> None:
    plan = world.draft()
    assert plan.state is P.DRAFT
    assert [order.asset for order in plan.orders.order_by("number")] == [
        "DOGE",
        "XRP",
        "ADA",
        "ONE",
        "SHIB",
        "PEPE",
    ]
    assert (plan.positions_before, plan.positions_after) == (8, 2)
    assert (plan.slots_before, plan.slots_after) == (6, 6)
    assert plan.value_usd == D("2.11")
    assert {item["asset"]: item["reason"] for item in plan.skipped} == {
        "SOL": "NOT_DUST",
        "BNB": "FEE_ASSET",
    }
    assert world.sent() == []
    assert not list(dispatch.due_orders(now=world.now + timedelta(days=1)))


def test_the_hash_is_of_exactly_these_orders(world: World) -> None:
    first, second = world.draft(), world.draft()
    assert len(first.hash) == 64
    assert first.hash != second.hash


def test_a_newer_draft_replaces_the_older_one(world: World) -> None:
    first = world.draft()
    second = world.draft()
    first = fresh(first)
    assert first.state is P.EXPIRED
    assert {order.state for order in first.orders.all()} == {S.DENIED}
    assert {order.reason for order in first.orders.all()} == {"PLAN_EXPIRED"}
    assert second.state is P.DRAFT
    with pytest.raises(PlanRefused):
        start(world, first)


def test_a_draft_that_fails_leaves_the_older_one_alone(world: World) -> None:
    first = world.draft()
    with pytest.raises(GuardBroken):
        drafts.draft_plan(world.account, threshold=D(5000), actor=TEST, now=world.now)
    assert fresh(first).state is P.DRAFT


@pytest.mark.parametrize(
    ("changes", "threshold", "field"),
    [
        ({}, "10.01", "max_threshold"),
        ({}, "5000", "max_threshold"),
        ({"max_plan_orders": 5}, None, "max_plan_orders"),
        ({"max_plan_value": D("2.10")}, None, "max_plan_value"),
    ],
)
def test_a_draft_beyond_a_guard_is_refused(
    world: World, changes: dict[str, Any], threshold: str | None, field: str
) -> None:
    if changes:
        world.change_policy(**changes)
    with pytest.raises(GuardBroken) as broken:
        world.draft(threshold)
    assert broken.value.field_name == field
    assert CleanupPlan.objects.count() == 0


def test_a_draft_at_its_guards_is_allowed(world: World) -> None:
    world.change_policy(max_plan_orders=6, max_plan_value=D("2.11"))
    assert world.draft().orders.count() == 6


@pytest.mark.parametrize("threshold", ["0.001", "0.01"])
def test_a_threshold_below_everything_has_nothing_to_close(world: World, threshold: str) -> None:
    with pytest.raises(NothingToClose):
        world.draft(threshold)


def test_a_stablecoin_below_a_dollar_is_never_dust(world: World) -> None:
    world.exchange.control("POST", "balances", {"USDC": {"free": "0.5"}})
    assert "USDC" not in [order.asset for order in world.draft().orders.all()]


def test_an_asset_without_a_price_is_never_sold(world: World) -> None:
    world.exchange.control("POST", "prices", {"DOGEUSDT": None})
    plan = world.draft()
    assert "DOGE" not in [order.asset for order in plan.orders.all()]
    (doge,) = [item for item in plan.skipped if item["asset"] == "DOGE"]
    assert (doge["reason"], doge["category"]) == ("UNPRICED", "UNPRICED")


@pytest.mark.parametrize(("age", "allowed"), [(299, True), (302, False)])
def test_a_draft_needs_a_fresh_snapshot(world: World, age: int, allowed: bool) -> None:
    world.snapshot()
    later = world.now + timedelta(seconds=age)
    if allowed:
        assert drafts.draft_plan(world.account, threshold=None, actor=TEST, now=later)
        return
    with pytest.raises(PlanRefused, match="snapshot_max_age"):
        drafts.draft_plan(world.account, threshold=None, actor=TEST, now=later)


def test_without_any_snapshot_there_is_no_draft(world: World) -> None:
    with pytest.raises(PlanRefused, match="no snapshot"):
        drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)


def test_a_failed_snapshot_is_not_planned_from(world: World) -> None:
    world.snapshot()
    world.clock.ahead += timedelta(seconds=301)
    world.exchange.fault("status_before", method="GET", path="/api/v3/account", status=503)
    with pytest.raises(PlanRefused):
        world.draft()


# --- Start --------------------------------------------------------------------------------------


def test_a_started_plan_is_due_at_once(world: World) -> None:
    plan = start(world, world.draft())
    assert plan.state is P.RUNNING
    assert (plan.started_by_name, plan.approved_by_name) == ("test", "test")
    due = list(dispatch.due_orders(now=world.now))
    assert [item.task for item in due] == ["run_order"] * 6
    assert list(dispatch.due_orders(now=world.now)) == []  # each is woken once


@pytest.mark.parametrize("seen", ["0" * 64, "", "x"])
def test_another_plan_than_the_one_seen_is_not_started(world: World, seen: str) -> None:
    plan = world.draft()
    with pytest.raises(PlanRefused, match="not the plan that you saw"):
        starts.start_plan(plan, hash_seen=seen, actor=TEST, now=world.now)
    assert fresh(plan).state is P.DRAFT


def test_a_plan_is_started_once(world: World) -> None:
    plan = world.draft()
    start(world, plan)
    with pytest.raises(PlanRefused, match="running"):
        start(world, plan)


def refused_and_expired(world: World, plan: CleanupPlan) -> str:
    with pytest.raises(PlanRefused) as refused:
        start(world, plan)
    found = fresh(plan)
    assert found.state is P.EXPIRED
    assert {order.state for order in found.orders.all()} == {S.DENIED}
    return str(refused.value)


def test_a_plan_under_an_old_policy_expires(world: World) -> None:
    plan = world.draft()
    world.change_policy(position_cap=9)
    assert "policy has changed from v1 to v2" in refused_and_expired(world, plan)


@pytest.mark.parametrize(("seconds", "expires"), [(898, False), (901, True)])
def test_a_plan_that_nobody_started_in_time_expires(
    world: World, seconds: int, expires: bool
) -> None:
    plan = world.draft()
    world.clock.ahead += timedelta(seconds=seconds)
    world.snapshot()
    if expires:
        assert "not started in time" in refused_and_expired(world, plan)
    else:
        assert start(world, plan).state is P.RUNNING


def test_the_scheduler_expires_old_plans(world: World) -> None:
    plan = world.draft()
    list(dispatch.due_now(now=world.now + timedelta(seconds=901)))
    assert fresh(plan).state is P.EXPIRED


@pytest.mark.parametrize(("price", "moved"), [("0.1855", False), ("0.1784", False), ("0.19", True)])
def test_a_plan_whose_prices_moved_beyond_the_drift_expires(
    world: World, price: str, moved: bool
) -> None:
    plan = world.draft()
    world.exchange.control("POST", "prices", {"DOGEUSDT": price})
    world.snapshot()
    if moved:
        assert "Prices have moved" in refused_and_expired(world, plan)
    else:
        assert start(world, plan).state is P.RUNNING


@pytest.mark.parametrize("free", ["4", "6", "5.00000001", "0"])
def test_a_plan_whose_balance_changed_expires(world: World, free: str) -> None:
    plan = world.draft()
    world.exchange.control("POST", "balances", {"DOGE": {"free": free}})
    world.snapshot()
    assert "DOGE" in refused_and_expired(world, plan)


def test_another_assets_balance_does_not_matter(world: World) -> None:
    plan = world.draft()
    world.exchange.control("POST", "balances", {"SOL": {"free": "7"}})
    world.snapshot()
    assert start(world, plan).state is P.RUNNING


def test_a_stale_snapshot_delays_a_start_and_does_not_end_the_plan(world: World) -> None:
    plan = world.draft()
    world.clock.ahead += timedelta(seconds=310)
    with pytest.raises(PlanRefused, match="old"):
        start(world, plan)
    assert fresh(plan).state is P.DRAFT
    world.snapshot()
    assert start(world, plan).state is P.RUNNING


@pytest.mark.parametrize("everything", [True, False])
def test_a_plan_is_not_started_while_the_kill_switch_is_on(world: World, everything: bool) -> None:
    plan = world.draft()
    account = None if everything else world.account
    halts.press(account=account, reason="stop", actor=TEST, now=world.now)
    with pytest.raises(PlanRefused, match="kill switch"):
        start(world, plan)
    assert fresh(plan).state is P.DRAFT


def test_a_disabled_account_starts_nothing(world: World) -> None:
    plan = world.draft()
    type(world.account).objects.update(is_enabled=False)
    with pytest.raises(PlanRefused, match="disabled"):
        start(world, plan)


@pytest.mark.parametrize(("bid", "stopped"), [("0.9799", False), ("0.9600", True)])
def test_a_dollar_that_is_no_dollar_stops_the_start(world: World, bid: str, stopped: bool) -> None:
    prices = {"bid": bid, "ask": "0.9850", "last": bid}
    world.exchange.control("POST", "prices", {"USDCUSDT": prices})
    plan = world.draft()
    if stopped:
        with pytest.raises(PlanRefused, match="3%"):
            start(world, plan)
    else:
        assert start(world, plan).state is P.RUNNING


# --- Approval -----------------------------------------------------------------------------------


def test_a_plan_above_the_approval_limit_waits_for_a_second_person(
    world: World, hire: Hire
) -> None:
    world.change_policy(approval_above=D(2))
    author, second = hire("Approver", "ann"), hire("Approver", "bob")
    world.snapshot()
    plan = drafts.draft_plan(world.account, threshold=None, actor=author, now=world.now)
    with pytest.raises(NeedsApproval):
        start(world, plan, actor=author)
    assert fresh(plan).state is P.AWAITING_APPROVAL
    with pytest.raises(PlanRefused, match="somebody else"):
        approve(world, plan, actor=author)
    with pytest.raises(PlanRefused):
        approve(world, plan, actor=second, seen="0" * 64)
    plan = approve(world, plan, actor=second)
    assert (plan.state, plan.approved_by_name) == (P.APPROVED, "bob")
    assert start(world, plan, actor=author).state is P.RUNNING


@pytest.mark.parametrize(("limit", "waits"), [("2.10", True), ("2.11", False), ("2.12", False)])
def test_the_approval_limit_is_exact(world: World, limit: str, waits: bool) -> None:
    world.change_policy(approval_above=D(limit))
    plan = world.draft()
    if waits:
        with pytest.raises(NeedsApproval):
            start(world, plan)
    else:
        assert start(world, plan).state is P.RUNNING


def test_a_service_never_approves(world: World) -> None:
    world.change_policy(approval_above=D(1))
    plan = world.draft()
    with pytest.raises(NeedsApproval):
        start(world, plan)
    with pytest.raises(NotPermitted):
        approve(world, plan, actor=TEST)


def test_an_approval_of_a_plan_that_drifted_is_refused(world: World, hire: Hire) -> None:
    world.change_policy(approval_above=D(1))
    plan = world.draft()
    with pytest.raises(NeedsApproval):
        start(world, plan)
    world.exchange.control("POST", "prices", {"DOGEUSDT": "0.25"})
    world.snapshot()
    with pytest.raises(PlanRefused):
        approve(world, plan, actor=hire("Approver"))
    assert fresh(plan).state is P.EXPIRED


def test_an_approved_plan_that_drifted_is_not_started(world: World, hire: Hire) -> None:
    world.change_policy(approval_above=D(1))
    plan = approve(world, world.draft(), actor=hire("Approver"))
    world.exchange.control("POST", "prices", {"DOGEUSDT": "0.25"})
    world.snapshot()
    refused_and_expired(world, plan)


def test_a_plan_is_rejected_with_a_reason(world: World, hire: Hire) -> None:
    plan = world.draft()
    with pytest.raises(NotPermitted):
        stops.reject_plan(plan, reason="no", actor=hire("Operator"), now=world.now)
    approver = hire("Approver")
    with pytest.raises(BadReason, match="Say why"):
        stops.reject_plan(plan, reason="", actor=approver, now=world.now)
    stops.reject_plan(plan, reason="not today", actor=approver, now=world.now)
    plan = fresh(plan)
    assert (plan.state, plan.status_note) == (P.REJECTED, "approver: not today")
    assert {order.state for order in plan.orders.all()} == {S.DENIED}
    with pytest.raises(PlanRefused):
        start(world, plan)


# --- Live accounts ------------------------------------------------------------------------------


@pytest.fixture
def live(world: World) -> World:
    """Return a live account; its exchange is the sandbox all the same."""
    keys = world.exchange.control("POST", "accounts", {"balances": {"PEPE": "5000"}})
    account = connect(world.exchange, slug="live", environment="live", keys=keys)
    return World(exchange=world.exchange, valkey=world.valkey, account=account)


def test_live_trading_is_off_by_default(live: World, hire: Hire) -> None:
    plan = live.draft()
    with pytest.raises(PlanRefused, match="DUSTADMIN_LIVE_TRADING"):
        start(live, plan, actor=hire("Approver"))
    assert fresh(plan).state is P.DRAFT


def test_a_live_plan_needs_a_person_who_may_approve(live: World, hire: Hire, settings: Any) -> None:
    settings.DUSTADMIN_LIVE_TRADING = True
    plan = live.draft()
    for actor in (TEST, hire("Operator")):
        if fresh(plan).state is P.AWAITING_APPROVAL:
            break
        with pytest.raises(NeedsApproval):
            start(live, plan, actor=actor)
    approver = hire("Approver")
    plan = approve(live, plan, actor=approver)
    assert start(live, plan, actor=approver).state is P.RUNNING


def test_an_approver_starts_a_small_live_plan_alone(live: World, hire: Hire, settings: Any) -> None:
    settings.DUSTADMIN_LIVE_TRADING = True
    assert start(live, live.draft(), actor=hire("Approver")).state is P.RUNNING


def test_an_operator_does_not_start_an_approved_live_plan(
    live: World, hire: Hire, settings: Any
) -> None:
    """The right to start is for accounts without live money, as its description says."""
    settings.DUSTADMIN_LIVE_TRADING = True
    plan = approve(live, live.draft(), actor=hire("Approver"))
    with pytest.raises(NotPermitted):
        start(live, plan, actor=hire("Operator"))


def test_a_paused_live_plan_is_not_resumed_by_an_operator_or_with_live_trading_off(
    live: World, hire: Hire, settings: Any
) -> None:
    settings.DUSTADMIN_LIVE_TRADING = True
    approver = hire("Approver")
    plan = start(live, live.draft(), actor=approver)
    stops.pause_plan(plan, actor=approver, now=live.now)
    with pytest.raises(NotPermitted):
        stops.resume_plan(plan, actor=hire("Operator"), now=live.now)
    settings.DUSTADMIN_LIVE_TRADING = False
    with pytest.raises(PlanRefused):
        stops.resume_plan(plan, actor=approver, now=live.now)


# --- Stop ---------------------------------------------------------------------------------------


def test_pause_and_resume(world: World) -> None:
    plan = start(world, world.draft())
    plan = stops.pause_plan(plan, actor=TEST, now=world.now)
    assert plan.state is P.PAUSED
    assert list(dispatch.due_orders(now=world.now)) == []
    plan = stops.resume_plan(plan, actor=TEST, now=world.now)
    assert len(list(dispatch.due_orders(now=world.now))) == 6


@pytest.mark.parametrize("step", [stops.pause_plan, stops.resume_plan, stops.halt_plan])
def test_a_plan_that_does_not_run_can_not_be_paused_resumed_or_halted(
    world: World, step: Any
) -> None:
    plan = world.draft()
    with pytest.raises(IllegalPlanStep):
        step(plan, actor=TEST, now=world.now)


def test_a_paused_plan_is_not_resumed_under_the_kill_switch(world: World) -> None:
    plan = start(world, world.draft())
    stops.pause_plan(plan, actor=TEST, now=world.now)
    halts.press(account=world.account, reason="", actor=TEST, now=world.now)
    with pytest.raises(PlanRefused, match="stop"):
        stops.resume_plan(plan, actor=TEST, now=world.now)


def test_a_halt_ends_the_plan_and_asks_for_a_snapshot(world: World) -> None:
    plan = start(world, world.draft())
    plan = stops.halt_plan(plan, actor=TEST, now=world.now, note="enough")
    assert (plan.state, plan.status_note) == (P.HALTED, "enough")
    assert {order.reason for order in plan.orders.all()} == {"PLAN_HALTED"}
    assert fresh(world.account).snapshot_due_at is not None


def test_the_kill_switch_of_everything_halts_every_live_plan(world: World) -> None:
    keys = world.exchange.control("POST", "accounts", {"balances": {"PEPE": "5000"}})
    other = World(
        exchange=world.exchange,
        valkey=world.valkey,
        account=connect(world.exchange, slug="other", keys=keys),
    )
    mine, theirs = start(world, world.draft()), start(other, other.draft())
    assert stops.halt_everything(world.account, reason="", actor=TEST, now=world.now) == 1
    assert (fresh(mine).state, fresh(theirs).state) == (P.HALTED, P.RUNNING)
    assert stops.halt_everything(None, reason="", actor=TEST, now=world.now) == 1
    assert fresh(theirs).state is P.HALTED
    assert stops.halt_everything(None, reason="", actor=TEST, now=world.now) == 0


# --- One open order per asset -------------------------------------------------------------------


def test_the_database_allows_one_open_order_per_asset(world: World) -> None:
    plan = start(world, world.draft())
    doge = order_of(plan, "DOGE")
    copy = {
        field.name: getattr(doge, field.name)
        for field in CloseOrder._meta.concrete_fields
        if not field.primary_key
    }
    copy |= {"number": 99, "client_order_id": "f" * 32}
    for status in (S.PLANNED, S.SUBMITTING, S.UNKNOWN, S.ACCEPTED, S.PARTIALLY_FILLED):
        with pytest.raises(IntegrityError), transaction.atomic():
            CloseOrder.objects.create(**{**copy, "status": status})
    for number, status in enumerate((S.FILLED, S.DENIED, S.REJECTED, S.EXPIRED, S.CANCELED)):
        closed = {"status": status, "number": 100 + number, "client_order_id": f"{number:032x}"}
        CloseOrder.objects.create(**{**copy, **closed})


def test_a_second_plan_leaves_out_what_the_first_one_is_closing(world: World) -> None:
    start(world, world.draft("0.10"))
    second = world.draft()
    assert {order.asset for order in second.orders.all()} == {"DOGE", "XRP", "ADA", "ONE"}
    assert {item["asset"] for item in second.skipped if item["reason"] == "ORDER_IN_FLIGHT"} == {
        "SHIB",
        "PEPE",
    }


def test_a_plan_that_waits_for_approval_keeps_its_assets(world: World) -> None:
    world.change_policy(approval_above=D("0.05"))
    first = world.draft("0.10")
    with pytest.raises(NeedsApproval):
        start(world, first)
    assert {order.asset for order in world.draft().orders.all()} == {"DOGE", "XRP", "ADA", "ONE"}
    assert fresh(first).state is P.AWAITING_APPROVAL


def test_a_person_without_a_group_may_do_nothing(world: World) -> None:
    nobody = Actor.person(User.objects.create_user("nobody"))
    world.snapshot()
    with pytest.raises(NotPermitted):
        drafts.draft_plan(world.account, threshold=None, actor=nobody, now=world.now)
    assert Group.objects.count() == 4
    assert Permission.objects.filter(codename="start_plan").exists()
