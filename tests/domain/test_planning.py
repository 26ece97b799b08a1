"""A plan holds only what may be sold, within the rules and the guards; its hash names it."""

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.balances import Holding
from positions.domain.planning import (
    NothingToClose,
    PlanDraft,
    PlannedOrder,
    draw_plan,
    plan_hash,
)
from positions.domain.policies import GuardBroken, Policy
from positions.domain.verdicts import Category, Reason, Route
from positions.domain.what_if import Slots
from tests.domain.builders import (
    at_threshold,
    make_holding,
    make_order,
    make_policy,
    reference_holdings,
)


def plan_for(
    holdings: list[Holding],
    threshold: str = "1",
    policy: Policy | None = None,
    leased: frozenset[str] = frozenset(),
) -> PlanDraft:
    policy = policy or make_policy()
    return draw_plan(
        at_threshold(holdings, threshold, policy=policy),
        threshold=Decimal(threshold),
        policy=policy,
        leased=leased,
    )


def dust(count: int, *, price: str = "0.1") -> list[Holding]:
    return [make_holding(f"DUST{number}", free="5", price=price) for number in range(count)]


# The reference account


def test_the_reference_account_is_closed_with_six_orders_and_two_positions_stay() -> None:
    plan = plan_for(reference_holdings(), "1.00")
    assert [order.asset for order in plan.orders] == ["DOGE", "XRP", "ADA", "ONE", "SHIB", "PEPE"]
    assert [item.asset for item in plan.skipped] == ["SOL", "BNB"]
    assert (plan.positions_before, plan.positions_after) == (8, 2)
    assert plan.slots_after.available == 6
    assert plan.value_usd == Decimal("2.11")
    assert plan.expected_net_usd == Decimal("2.10789")


def test_at_a_tenth_of_a_cent_the_reference_account_has_nothing_to_close() -> None:
    assert sum(item.counted for item in at_threshold(reference_holdings(), "0.001").positions) == 8
    with pytest.raises(NothingToClose, match=r"no position below \$0.001 can be closed now"):
        plan_for(reference_holdings(), "0.001")


# What a plan says


def test_an_order_carries_what_its_verdict_expects() -> None:
    plan = plan_for([make_holding(free="5.019", bid="0.099", ask="0.101", last="0.1")])
    (order,) = plan.orders
    assert order == PlannedOrder(
        asset="DOGE",
        symbol="DOGE/USDT",
        into="USDT",
        route=Route.SELL,
        quantity=Decimal("5.01"),
        price=Decimal("0.099"),
        value_usd=Decimal("0.5019"),
        expected_fee_usd=Decimal("0.00049599"),
        expected_slippage_usd=Decimal("0.00501"),
        expected_net_usd=Decimal("0.49549401"),
    )


def test_what_stays_is_listed_with_its_reason() -> None:
    held = [
        make_holding(),
        make_holding("XRP", free="0", locked="3", price="0.1"),
        make_holding("GONE", price=None),
    ]
    plan = plan_for(held)
    assert [(item.asset, item.category, item.reason) for item in plan.skipped] == [
        ("GONE", Category.UNPRICED, Reason.UNPRICED),
        ("XRP", Category.DUST, Reason.LOCKED),
    ]
    assert plan.skipped[0].value_usd is None
    assert all(item.message for item in plan.skipped)


def test_leases_take_slots_before_and_after() -> None:
    counted = reference_holdings()[0].asset
    plan = plan_for(reference_holdings(), leased=frozenset("ABCDE") | {counted})
    assert plan.slots_before.leased == plan.slots_after.leased == 5
    assert plan.slots_after.available == 1


def test_a_position_that_can_be_sold_only_in_part_is_still_there_afterwards() -> None:
    # The largest market order is 3 of 5; the other 2 are more than a step.
    plan = plan_for([make_holding(free="5", max_quantity="3")])
    assert plan.orders[0].quantity == 3
    assert (plan.positions_before, plan.positions_after) == (1, 1)


def test_a_rest_below_one_step_is_no_position_afterwards() -> None:
    plan = plan_for([make_holding(free="5.009")])
    assert (plan.positions_before, plan.positions_after) == (1, 0)


# Guards, at their edges


@pytest.mark.parametrize("threshold", ["9.99", "10"])
def test_a_threshold_up_to_the_guard_can_be_planned(threshold: str) -> None:
    assert plan_for([make_holding()], threshold).threshold == Decimal(threshold)


def test_a_threshold_above_the_guard_plans_nothing() -> None:
    with pytest.raises(GuardBroken) as refusal:
        plan_for([make_holding()], "10.01")
    assert (refusal.value.field_name, refusal.value.limit, refusal.value.asked) == (
        "max_threshold",
        "10",
        "10.01",
    )


def test_a_threshold_of_5000_does_not_sell_everything() -> None:
    with pytest.raises(GuardBroken):
        plan_for(reference_holdings(), "5000")


@pytest.mark.parametrize(("most", "allowed"), [(2, False), (3, True), (4, True)])
def test_a_plan_has_at_most_the_policys_number_of_orders(most: int, allowed: bool) -> None:
    policy = make_policy(max_plan_orders=most)
    if allowed:
        assert len(plan_for(dust(3), policy=policy).orders) == 3
        return
    with pytest.raises(GuardBroken) as refusal:
        plan_for(dust(3), policy=policy)
    assert (refusal.value.field_name, refusal.value.limit, refusal.value.asked) == (
        "max_plan_orders",
        "2",
        "3 orders",
    )


@pytest.mark.parametrize(("most", "allowed"), [("1.49", False), ("1.50", True), ("1.51", True)])
def test_a_plan_is_worth_at_most_the_policys_value(most: str, allowed: bool) -> None:
    policy = make_policy(max_plan_value=most)
    if allowed:
        assert plan_for(dust(3), policy=policy).value_usd == Decimal("1.5")
        return
    with pytest.raises(GuardBroken) as refusal:
        plan_for(dust(3), policy=policy)
    assert (refusal.value.field_name, refusal.value.limit, refusal.value.asked) == (
        "max_plan_value",
        "$1.49",
        "orders worth $1.5",
    )


@pytest.mark.parametrize(("limit", "planned"), [("0.49", 1), ("0.50", 2), ("0.51", 2)])
def test_an_order_above_the_policys_value_is_left_out_and_the_others_stay(
    limit: str, planned: int
) -> None:
    policy = make_policy(max_order_value=limit)
    plan = plan_for([make_holding(), make_holding("XRP", free="1", price="0.1")], policy=policy)
    assert len(plan.orders) == planned
    assert [item.reason for item in plan.skipped] == [Reason.OVER_ORDER_LIMIT] * (2 - planned)


def test_an_account_without_closable_dust_has_no_plan() -> None:
    for held in ([], [make_holding(free="0", locked="5")], [make_holding(free="500")]):
        with pytest.raises(NothingToClose):
            plan_for(held)


# The hash


def draft(*orders: PlannedOrder, **facts: Any) -> PlanDraft:
    slots = Slots(cap=8, counted=0)
    known: dict[str, Any] = {
        "threshold": Decimal(1),
        "skipped": (),
        "positions_before": 2,
        "positions_after": 0,
        "slots_before": slots,
        "slots_after": slots,
    }
    return PlanDraft(orders=orders, **(known | facts))


def hashed(plan: PlanDraft, **facts: Any) -> str:
    known: dict[str, Any] = {
        "account": "demo",
        "snapshot": 1,
        "policy_version": 1,
        "drafted_at": "2025-01-01T00:00:00Z",
    }
    return plan_hash(draft=plan, **(known | facts))


def test_the_same_plan_has_the_same_hash_however_its_amounts_are_written() -> None:
    first = hashed(draft(make_order(quantity=Decimal("5"))))
    assert len(first) == 64
    assert first == hashed(draft(make_order(quantity=Decimal("5.000"))))
    assert first == hashed(draft(make_order(), threshold=Decimal("1.00")))


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(PlannedOrder)])
def test_the_hash_changes_with_every_field_of_an_order(name: str) -> None:
    order = make_order()
    value = getattr(order, name)
    if name == "route":
        changed: Any = Route.CONVERT
    else:
        changed = value + "X" if isinstance(value, str) else value + Decimal("1E-28")
    other = dataclasses.replace(order, **{name: changed})
    assert hashed(draft(other)) != hashed(draft(order))


@pytest.mark.parametrize(
    "facts",
    [
        {"account": "other"},
        {"snapshot": 2},
        {"policy_version": 2},
        {"drafted_at": "2025-01-01T00:00:01Z"},
    ],
)
def test_the_hash_changes_with_what_the_plan_was_drawn_from(facts: dict[str, Any]) -> None:
    plan = draft(make_order())
    assert hashed(plan, **facts) != hashed(plan)


def test_the_hash_changes_with_the_threshold_and_the_set_and_order_of_orders() -> None:
    doge, ripple = make_order(), make_order("XRP")
    hashes = [
        hashed(draft(doge)),
        hashed(draft(doge, threshold=Decimal("1.01"))),
        hashed(draft(doge, ripple)),
        hashed(draft(ripple, doge)),
        hashed(draft()),
    ]
    assert len(set(hashes)) == len(hashes)
