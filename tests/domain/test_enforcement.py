"""The cap is enforced on real positions: the smallest first, and never one too many."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings

from positions.domain.balances import Holding, Kind
from positions.domain.classification import classify
from positions.domain.enforcement import Excess, WithinCap, draw_enforcement, excess_of
from positions.domain.planning import NothingToClose, PlanDraft, plan_hash
from positions.domain.plans import Purpose
from positions.domain.policies import GuardBroken, Policy
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Reason, Route
from tests.domain.builders import (
    CASH,
    FEES,
    IGNORED,
    IN_FLIGHT,
    PROTECTED,
    accounts,
    circumstances,
    make_holding,
    make_offer,
    make_policy,
    make_sale,
    make_terms,
    policies,
)

D = Decimal


def worth(asset: str, usd: str, **facts: Any) -> Holding:
    """Return ten units of an asset worth so much, with a market that takes all of it."""
    price = str(D(usd) / 10)
    sales = facts.pop("sales", (make_sale(asset, last=price),))
    return make_holding(asset, free="10", price=price, sales=sales, **facts)


def account() -> list[Holding]:
    """Return five counted positions and one of dust."""
    values = {"A": "2", "B": "3", "C": "5", "D": "8", "E": "13", "TINY": "0.5"}
    return [worth(asset, usd) for asset, usd in values.items()]


def enforce(holdings: list[Holding], *, cap: int, **facts: Any) -> PlanDraft:
    """Return the plan for an account under a cap; `in_flight` are assets with running orders."""
    now = Circumstances(
        in_flight=frozenset(facts.pop("in_flight", ())), terms=facts.pop("terms", None)
    )
    policy = make_policy(position_cap=cap, **facts)
    return draw_enforcement(holdings, policy=policy, circumstances=now)


def sold(plan: PlanDraft) -> list[str]:
    return [order.asset for order in plan.orders]


def reasons(plan: PlanDraft) -> dict[str, Reason]:
    return {item.asset: item.reason for item in plan.skipped}


@pytest.mark.parametrize(("cap", "closed"), [(4, ["A"]), (3, ["A", "B"]), (2, ["A", "B", "C"])])
def test_the_smallest_are_closed_until_the_cap_is_kept(cap: int, closed: list[str]) -> None:
    plan = enforce(account(), cap=cap)
    assert sold(plan) == closed
    assert plan.purpose is Purpose.ENFORCE
    assert (plan.slots_before.over_cap, plan.slots_after.over_cap) == (5 - cap, 0)
    assert plan.slots_after.counted == cap
    assert plan.threshold == 1
    stay = reasons(plan)
    assert stay.pop("TINY") is Reason.NOT_COUNTED
    assert set(stay) == {"A", "B", "C", "D", "E"} - set(closed)
    assert set(stay.values()) == {Reason.WITHIN_CAP}


@pytest.mark.parametrize("cap", [5, 6])
def test_an_account_within_its_cap_has_nothing_to_enforce(cap: int) -> None:
    with pytest.raises(WithinCap, match=f"5 positions count, the cap is {cap}"):
        enforce(account(), cap=cap)


@pytest.mark.parametrize(
    ("facts", "policy", "reason"),
    [
        ({}, {"protected_assets": ["A"]}, Reason.PROTECTED),
        ({}, {"fee_assets": ["A"]}, Reason.FEE_ASSET),
        ({}, {"ignored_assets": ["A"]}, Reason.IGNORED),
        ({"has_open_order": True}, {}, Reason.OPEN_ORDER),
        ({"debt": D(1)}, {}, Reason.MARGIN_DEBT),
        ({"kind": Kind.LEVERAGED}, {}, Reason.LEVERAGED),
        ({"sales": ()}, {}, Reason.NO_MARKET),
        ({"sales": (make_sale("A", last="0.2", active=False),)}, {}, Reason.MARKET_HALTED),
        ({"sales": (make_sale("A", last="0.2", min_notional="5"),)}, {}, Reason.BELOW_MIN_NOTIONAL),
        ({"sales": (make_sale("A", last="0.2", max_quantity="4"),)}, {}, Reason.FREES_NO_SLOT),
        ({"locked": D(5)}, {}, Reason.FREES_NO_SLOT),
    ],
)
def test_what_stays_is_listed_and_the_next_larger_one_is_taken(
    facts: dict[str, Any], policy: dict[str, Any], reason: Reason
) -> None:
    holdings = account()
    holdings[0] = worth("A", "2", **facts)
    plan = enforce(holdings, cap=4, **policy)
    assert sold(plan) == ["B"]
    assert reasons(plan)["A"] is reason


@pytest.mark.parametrize(("limit", "closed"), [("1.99", []), ("2", ["A"]), ("2.01", ["A"])])
def test_a_limit_that_a_person_set_holds_for_real_positions_too(
    limit: str, closed: list[str]
) -> None:
    if closed:
        assert sold(enforce(account(), cap=4, max_order_value=limit)) == closed
    else:
        with pytest.raises(NothingToClose):
            enforce(account(), cap=4, max_order_value=limit)


def test_what_has_no_price_counts_and_is_never_sold() -> None:
    plan = enforce([*account(), make_holding("GHOST", free="10", price=None)], cap=5)
    assert sold(plan) == ["A"]
    assert plan.slots_before.over_cap == 1


def test_nothing_is_planned_where_nothing_can_be_closed() -> None:
    holdings = [worth(asset, "5", has_open_order=True) for asset in ("A", "B")]
    with pytest.raises(NothingToClose, match="none of the 2 counted positions"):
        enforce(holdings, cap=1)


def test_a_position_that_a_running_order_closes_is_one_less_to_close() -> None:
    assert sold(enforce(account(), cap=3, in_flight=["D"])) == ["A"]
    with pytest.raises(WithinCap, match="Wait for them"):
        enforce(account(), cap=3, in_flight=["A", "B"])
    # An order on dust frees nothing.
    assert sold(enforce(account(), cap=3, in_flight=["TINY"])) == ["A", "B"]


def test_what_keeps_its_slot_within_the_band_counts_and_is_the_smallest() -> None:
    plan = enforce([*account(), worth("EDGE", "0.97", counted_at=D(1))], cap=5)
    assert sold(plan) == ["EDGE"]
    assert (plan.slots_before.counted, plan.slots_after.counted) == (6, 5)


def test_what_is_left_within_the_band_still_takes_its_slot() -> None:
    """Of 10 worth $2 no more than 5.2 can be sold: $0.96 would stay and go on counting."""
    holdings = account()
    holdings[0] = worth("A", "2", sales=(make_sale("A", last="0.2", max_quantity="5.2"),))
    assert reasons(enforce(holdings, cap=4))["A"] is Reason.FREES_NO_SLOT
    holdings[0] = worth("A", "2", sales=(make_sale("A", last="0.2", max_quantity="5.3"),))
    assert sold(enforce(holdings, cap=4)) == ["A"]


def test_an_enforcement_order_is_never_a_conversion() -> None:
    offer = make_offer("A", quantity="10", gross="0.0034", fee="0")
    holdings = account()
    holdings[0] = worth("A", "2", offer=offer)
    assert [order.route for order in enforce(holdings, cap=4, terms=make_terms()).orders] == [
        Route.SELL
    ]
    holdings[0] = worth("A", "2", offer=offer, sales=())
    plan = enforce(holdings, cap=4, terms=make_terms())
    assert (sold(plan), reasons(plan)["A"]) == (["B"], Reason.NO_MARKET)


def into_btc(asset: str, usd: str) -> Holding:
    price = str(D(usd) / 10 / 50000)
    return worth(asset, usd, sales=(make_sale(asset, "BTC", last=price, quote_price_usd="50000"),))


def test_nothing_is_sold_into_what_would_take_a_slot_of_its_own() -> None:
    """A fee asset that is not held would be a position once A has become it."""
    sales = (make_sale("A", "BNB", last="0.0003", quote_price_usd="600"),)
    plan = enforce([worth("A", "2", sales=sales), *account()[1:]], cap=4)
    assert (sold(plan), reasons(plan)["A"]) == (["B"], Reason.NO_MARKET)


def test_what_becomes_a_counted_asset_frees_a_slot_and_that_asset_is_not_sold_beside_it() -> None:
    btc = worth("BTC", "12")
    plan = enforce([into_btc("A", "2"), btc, worth("Z", "13")], cap=1)
    assert sold(plan) == ["A", "Z"]
    assert reasons(plan)["BTC"] is Reason.FREES_NO_SLOT
    assert plan.slots_after.counted == 1


@pytest.mark.parametrize(("value", "allowed"), [("4.99", False), ("5", True), ("5.01", True)])
def test_the_guards_of_a_plan_hold(value: str, allowed: bool) -> None:
    """A and B together are worth $5."""
    if allowed:
        assert sold(enforce(account(), cap=3, max_plan_value=value)) == ["A", "B"]
    else:
        with pytest.raises(GuardBroken, match="max_plan_value"):
            enforce(account(), cap=3, max_plan_value=value)
    with pytest.raises(GuardBroken, match="max_plan_orders"):
        enforce(account(), cap=3, max_plan_orders=1)


def test_the_excess_leaves_out_what_leaves_anyway() -> None:
    policy = make_policy(position_cap=3)
    assert excess_of(account(), policy=policy) == Excess(cap=3, counted=5)
    leaving = excess_of(account(), policy=policy, leaving=frozenset({"A", "TINY", "GONE"}))
    assert (leaving.leaving, leaving.to_close) == (1, 1)
    assert Excess(cap=3, counted=4, leaving=2).to_close == 0


def test_the_hash_names_what_the_plan_is_for() -> None:
    plan = enforce(account(), cap=4)
    facts: dict[str, Any] = {"account": "a", "snapshot": 1, "policy_version": 1, "drafted_at": "x"}
    other = replace(plan, purpose=Purpose.DUST)
    assert plan_hash(draft=plan, **facts) != plan_hash(draft=other, **facts)


def strict(policy: Policy) -> Policy:
    """Let nearly everything count, and little of it be allowed."""
    return replace(policy, dust_threshold=D("0.05"), position_cap=1 + policy.position_cap % 3)


@settings(deadline=None, max_examples=60)
@given(accounts(), policies().map(strict), circumstances())
def test_whatever_an_account_holds_enforcement_keeps_to_the_rules(
    holdings: list[Holding], policy: Policy, now: Circumstances
) -> None:
    try:
        plan = draw_enforcement(holdings, policy=policy, circumstances=now)
    except (GuardBroken, NothingToClose, WithinCap):
        plan = None
    assume(plan is not None)
    assert plan is not None
    found = classify(holdings, threshold=policy.dust_threshold, policy=policy)
    counted = {item.asset: item for item in found.positions if item.counted}
    excess = excess_of(holdings, policy=policy, leaving=now.in_flight)
    # Never more than the excess, and each order frees a slot.
    assert 0 < len(plan.orders) <= excess.to_close <= plan.slots_before.over_cap
    assert plan.slots_before.counted == len(counted)
    assert plan.slots_after.counted == len(counted) - len(plan.orders)
    # Never one of the kinds that stay.
    by_asset = {item.asset: item for item in holdings}
    for order in plan.orders:
        held = by_asset[order.asset]
        assert order.asset in counted
        assert order.asset not in {*CASH, *PROTECTED, *IGNORED, *FEES, *IN_FLIGHT}
        assert held.kind in {Kind.SPOT, Kind.AIRDROP}
        assert held.price_usd is not None
        assert held.debt == 0
        assert not held.has_open_order
        assert order.route is Route.SELL
        assert order.value_usd == held.value_usd
        assert policy.max_order_value is None or order.value_usd <= policy.max_order_value
        assert order.into in policy.cash_assets | (set(counted) - set(sold(plan)))
    # The smallest first; a smaller one that stays has its own reason.
    values = [order.value_usd for order in plan.orders]
    assert values == sorted(values)
    for item in plan.skipped:
        if item.reason is Reason.WITHIN_CAP:
            assert len(plan.orders) == excess.to_close
            assert item.value_usd is None or item.value_usd >= values[-1]
        elif item.asset not in counted:
            assert item.reason is Reason.NOT_COUNTED
    named = [*sold(plan), *(item.asset for item in plan.skipped)]
    assert sorted(named) == sorted(item.asset for item in found.positions)
