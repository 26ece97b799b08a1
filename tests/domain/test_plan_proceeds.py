"""What dust becomes counts in the slots after a plan, and one batch takes what it can."""

from decimal import Decimal
from typing import Any

import pytest

from positions.domain.balances import Holding
from positions.domain.conversions import Terms
from positions.domain.planning import NothingToClose, PlanDraft, draw_plan
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Reason, Route
from tests.domain.builders import (
    at_threshold,
    make_holding,
    make_offer,
    make_policy,
    make_sale,
    make_terms,
)


def plan_for(
    *holdings: Holding, threshold: str = "1", terms: Terms | None = None, **policy: Any
) -> PlanDraft:
    rules = make_policy(**policy)
    classified = at_threshold(
        list(holdings), threshold, policy=rules, circumstances=Circumstances(terms=terms)
    )
    return draw_plan(classified, threshold=Decimal(threshold), policy=rules, terms=terms)


def convertible(asset: str = "DOGE", *, net: str = "0.0008", **facts: Any) -> Holding:
    """Return $0.50 of an asset that no order may be so small for; 0.0008 BNB are $0.48."""
    return make_holding(
        asset, min_notional="5", offer=make_offer(asset, gross=net, fee="0"), **facts
    )


def counted(plan: PlanDraft) -> tuple[int, int]:
    return plan.slots_before.counted, plan.slots_after.counted


def positions(plan: PlanDraft) -> tuple[int, int]:
    return plan.positions_before, plan.positions_after


# Proceeds


def test_proceeds_in_cash_are_no_position() -> None:
    plan = plan_for(make_holding())
    assert (positions(plan), counted(plan)) == ((1, 0), (0, 0))


@pytest.mark.parametrize(("net", "after"), [("0.00083", 0), ("0.00084", 1)])
def test_a_fee_asset_that_was_not_held_counts_once_its_proceeds_reach_the_threshold(
    net: str, after: int
) -> None:
    # Two of them become $0.996, or $1.008.
    plan = plan_for(convertible(net=net), convertible("XRP", net=net), terms=make_terms())
    assert [order.into for order in plan.orders] == ["BNB", "BNB"]
    assert (positions(plan), counted(plan)) == ((2, 1), (0, after))


@pytest.mark.parametrize(("free", "after"), [("0.00086", 0), ("0.00087", 1)])
def test_proceeds_are_added_to_what_is_held_of_it(free: str, after: int) -> None:
    # $0.516 or $0.522 of BNB, and $0.48 more.
    bnb = make_holding("BNB", free=free, price="600", step_size="0.00001")
    plan = plan_for(convertible(), bnb, terms=make_terms())
    assert (positions(plan), counted(plan)) == ((2, 1), (0, after))


def test_a_counted_asset_takes_no_second_slot() -> None:
    bnb = make_holding("BNB", free="1", price="600")
    plan = plan_for(convertible(), bnb, terms=make_terms())
    assert (positions(plan), counted(plan)) == ((2, 1), (1, 1))


def test_residue_that_proceeds_are_added_to_becomes_a_position() -> None:
    bnb = make_holding("BNB", free="0.0005", price="600", step_size="0.001")
    plan = plan_for(convertible(), bnb, terms=make_terms())
    assert (positions(plan), counted(plan)) == ((1, 1), (0, 0))


def test_residue_stays_residue_where_too_little_is_added() -> None:
    bnb = make_holding("BNB", free="0.0001", price="600", step_size="0.001")
    plan = plan_for(convertible(), bnb, terms=make_terms())
    assert (positions(plan), counted(plan)) == ((1, 0), (0, 0))


def test_a_target_without_a_price_keeps_the_slot_that_it_took() -> None:
    bnb = make_holding("BNB", price=None)
    plan = plan_for(convertible(), bnb, terms=make_terms())
    assert (positions(plan), counted(plan)) == ((2, 1), (1, 1))


def test_an_ignored_target_takes_a_slot_from_the_threshold_on() -> None:
    many = [convertible(f"DUST{number}", net="0.0008") for number in range(3)]
    plan = plan_for(*many, terms=make_terms(), fee_assets=[], ignored_assets=["BNB"])
    assert (positions(plan), counted(plan)) == ((3, 1), (0, 1))
    assert plan_for(*many[:2], terms=make_terms(), ignored_assets=["BNB"]).slots_after.counted == 0


def test_several_routes_into_one_asset_are_added_up() -> None:
    in_bnb = make_sale("ADA", "BNB", last="0.0001667", quote_price_usd="600")
    sold = make_holding("ADA", sales=(in_bnb,))  # 5 at $0.10
    plan = plan_for(convertible(net="0.00085"), sold, terms=make_terms())
    assert {order.route for order in plan.orders} == {Route.SELL, Route.CONVERT}
    assert {order.into for order in plan.orders} == {"BNB"}
    assert counted(plan) == (0, 1)  # $0.51 and $0.4996


def test_a_fully_converted_asset_without_a_market_is_gone() -> None:
    held = make_holding(quote=None, offer=make_offer())
    assert positions(plan_for(held, terms=make_terms("USDT", price="600"))) == (1, 0)


def test_what_a_conversion_leaves_of_an_asset_without_a_market_stays() -> None:
    held = make_holding(free="5.1", quote=None, offer=make_offer())
    assert positions(plan_for(held, terms=make_terms("USDT", price="600"))) == (1, 1)


@pytest.mark.parametrize(("most", "after"), [("20", 1), ("20.01", 0), ("29.99", 0)])
def test_a_position_sold_in_part_counts_by_what_is_left(most: str, after: int) -> None:
    # $3 at a plan's threshold of $5; the policy counts from $1 on.
    plan = plan_for(make_holding(free="30", price="0.1", max_quantity=most), threshold="5")
    assert (positions(plan), counted(plan)) == ((1, 1), (1, after))


def test_dust_never_becomes_what_the_same_plan_closes() -> None:
    # BTC is worth $3: it counts, and a plan at $5 closes it.
    btc = make_holding("BTC", free="0.00006", price="50000", step_size="0.00001", min_quantity="0")
    in_btc = make_sale("ADA", "BTC", last="0.000002", quote_price_usd="50000")
    plan = plan_for(btc, make_holding("ADA", sales=(in_btc,)), threshold="5")
    assert [(order.asset, order.into) for order in plan.orders] == [("BTC", "USDT")]
    assert [(item.asset, item.reason) for item in plan.skipped] == [("ADA", Reason.NO_MARKET)]


# One batch


def three() -> list[Holding]:
    nets = {"DOGE": "0.0006", "XRP": "0.0008", "ADA": "0.0007"}
    return [convertible(asset, net=net) for asset, net in nets.items()]


@pytest.mark.parametrize(
    ("most", "planned"),
    [
        (1, {"XRP"}),
        (2, {"XRP", "ADA"}),
        (3, {"XRP", "ADA", "DOGE"}),
        (None, {"XRP", "ADA", "DOGE"}),
    ],
)
def test_one_batch_takes_the_number_that_the_exchange_allows_those_that_bring_most(
    most: int | None, planned: set[str]
) -> None:
    plan = plan_for(*three(), terms=make_terms(most_assets=most))
    assert {order.asset for order in plan.orders} == planned
    assert all(item.reason is Reason.CONVERT_WINDOW_CLOSED for item in plan.skipped)
    assert all(item.remedy == "Plan again after this one." for item in plan.skipped)


@pytest.mark.parametrize(
    ("most", "planned"),
    [
        ("0.0006", {"DOGE"}),  # what is too much is passed over for what fits
        ("0.0013", {"XRP"}),
        ("0.0014", {"XRP", "DOGE"}),
        ("0.0015", {"XRP", "ADA"}),
        ("0.0020", {"XRP", "ADA"}),
        ("0.0021", {"XRP", "ADA", "DOGE"}),
    ],
)
def test_one_batch_is_worth_no_more_than_the_exchange_allows(most: str, planned: set[str]) -> None:
    plan = plan_for(*three(), terms=make_terms(most_gross=most))
    assert {order.asset for order in plan.orders} == planned


def test_what_is_passed_over_takes_no_place_in_the_batch() -> None:
    plan = plan_for(*three(), terms=make_terms(most_assets=1, most_gross="0.0006"))
    assert [order.asset for order in plan.orders] == ["DOGE"]


def test_a_batch_that_can_take_nothing_is_no_plan() -> None:
    with pytest.raises(NothingToClose):
        plan_for(*three(), terms=make_terms(most_gross="0.0005"))


def test_sales_take_no_place_in_the_batch() -> None:
    plan = plan_for(*three(), make_holding("SOL"), terms=make_terms(most_assets=1))
    assert {order.asset for order in plan.orders} == {"XRP", "SOL"}
