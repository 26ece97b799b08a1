"""Every holding is in one list, every position has one category and one verdict."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from positions.domain.balances import Holding
from positions.domain.classification import Classified, closing_verdict
from positions.domain.policies import Policy
from positions.domain.verdicts import Category, Reason, Route, Verdict
from tests.domain.builders import (
    IN_FLIGHT,
    accounts,
    at_threshold,
    make_holding,
    make_policy,
    policies,
    reference_holdings,
    thresholds,
)


def only(classified: Classified) -> Any:
    (position,) = classified.positions
    return position


def verdict_of(holding: Holding, *, threshold: str = "1", **facts: Any) -> Verdict:
    in_flight = facts.pop("in_flight", frozenset())
    return closing_verdict(
        holding, threshold=Decimal(threshold), policy=make_policy(**facts), in_flight=in_flight
    )


# Categories and what counts


@pytest.mark.parametrize(
    ("value", "category", "counted"),
    [
        ("0", Category.DUST, False),
        ("0.99999999", Category.DUST, False),
        ("1", Category.SMALL, True),
        ("1.00000001", Category.SMALL, True),
        ("4.99999999", Category.SMALL, True),
        ("5", Category.WINNING, True),
        ("5000", Category.WINNING, True),
        (None, Category.UNPRICED, True),
    ],
)
def test_the_category_follows_the_value_at_the_thresholds(
    value: str | None, category: Category, counted: bool
) -> None:
    position = only(at_threshold([make_holding(free="1", price=value)]))
    assert position.category is category
    assert position.counted is counted


def test_below_the_dust_threshold_wins_over_winning() -> None:
    held = [make_holding(free="1", price="7"), make_holding("XRP", free="1", price="8")]
    dear, cheap = at_threshold(held, "8").positions
    assert (dear.category, cheap.category) == (Category.WINNING, Category.DUST)


def test_a_position_is_valued_with_what_is_locked() -> None:
    position = only(at_threshold([make_holding(free="5", locked="5", price="0.1")]))
    assert position.value_usd == 1
    assert position.category is Category.SMALL


def test_the_reference_account_has_two_winning_positions_and_six_of_dust() -> None:
    classified = at_threshold(reference_holdings())
    assert [item.asset for item in classified.positions] == [
        "SOL",
        "BNB",
        "DOGE",
        "XRP",
        "ADA",
        "ONE",
        "SHIB",
        "PEPE",
    ]
    assert [item.counted for item in classified.positions] == [True] * 2 + [False] * 6
    assert [item.category for item in classified.positions] == [Category.WINNING] * 2 + [
        Category.DUST
    ] * 6
    assert all(item.verdict.route is Route.SELL for item in classified.positions[2:])


def test_unpriced_positions_stand_first_then_the_largest() -> None:
    held = [
        make_holding("XRP", free="1", price="0.1"),
        make_holding("GONE", price=None),
        make_holding("ADA", free="1", price="7"),
    ]
    assert [item.asset for item in at_threshold(held).positions] == ["GONE", "ADA", "XRP"]


def test_a_stablecoin_is_cash_whatever_it_is_worth() -> None:
    held = [
        make_holding("USDC", free="0.2", price="1"),
        make_holding("DAI", price=None),
        make_holding("USDT", free="900", price="1"),
    ]
    classified = at_threshold(held)
    assert list(classified.cash) == held
    assert not classified.positions
    assert not classified.residue


def test_staked_balances_are_positions_that_take_no_slot() -> None:
    position = only(at_threshold([make_holding(free="1000", earn=True)]))
    assert position.category is Category.WINNING
    assert not position.counted
    assert position.verdict.reason is Reason.STAKED


def test_a_protected_position_above_the_threshold_counts() -> None:
    policy = make_policy(protected_assets=["DOGE"])
    position = only(at_threshold([make_holding(free="100")], policy=policy))
    assert position.counted
    assert position.verdict.reason is Reason.PROTECTED


@pytest.mark.parametrize(
    ("value", "ignored"),
    [(None, True), ("0.99999999", True), ("1", False), ("1.00000001", False), ("5000", False)],
)
def test_an_ignored_asset_comes_back_by_itself_at_the_threshold(
    value: str | None, ignored: bool
) -> None:
    policy = make_policy(ignored_assets=["DOGE"])
    position = only(at_threshold([make_holding(free="1", price=value)], policy=policy))
    assert position.counted is not ignored
    assert (position.verdict.reason is Reason.IGNORED) is ignored


def test_without_being_ignored_an_unpriced_asset_counts() -> None:
    position = only(at_threshold([make_holding(price=None, price_problem="Its book is empty.")]))
    assert position.counted
    assert position.verdict.reason is Reason.UNPRICED
    assert "Its book is empty." in position.verdict.message


# Residue


@pytest.mark.parametrize(
    ("free", "listed"), [("0.99999999", "residue"), ("1", "positions"), ("1.00000001", "positions")]
)
def test_less_than_one_step_below_the_threshold_is_residue(free: str, listed: str) -> None:
    held = make_holding(free=free, step_size="1", price="0.1")
    classified = at_threshold([held])
    assert len(classified.residue) == (listed == "residue")
    assert len(classified.positions) == (listed == "positions")


def test_locked_quantity_counts_towards_the_step() -> None:
    assert not at_threshold([make_holding(free="0.5", locked="0.5", step_size="1")]).residue


@pytest.mark.parametrize(
    "facts", [{"price": "2"}, {"price": None}, {"earn": True}, {"step_size": None}]
)
def test_valuable_unpriced_staked_or_unlisted_holdings_are_never_residue(
    facts: dict[str, Any],
) -> None:
    held = make_holding(**({"free": "0.5", "step_size": "1", "price": "0.1"} | facts))
    assert not at_threshold([held]).residue


# Verdicts: every reason, at its edge


def test_liquid_dust_is_sold_with_its_fee_and_its_slippage_shown() -> None:
    verdict = verdict_of(make_holding(free="5.019", bid="0.099", ask="0.101", last="0.1"))
    assert verdict.route is Route.SELL
    assert verdict.reason is None
    assert verdict.quantity == Decimal("5.01")
    assert verdict.expected_fee_usd == Decimal("0.00049599")
    assert verdict.expected_slippage_usd == Decimal("0.00501")
    assert verdict.expected_net_usd == Decimal("0.49549401")


def test_expected_money_is_in_dollars_and_not_in_the_quote() -> None:
    holding = make_holding("ALT", free="5", price="0.05", bid="0.1", last="0.1")
    dollars = verdict_of(holding)
    euros = verdict_of(make_holding("ALT", free="5", bid="0.1", last="0.1", quote_price_usd="0.5"))
    assert dollars.expected_net_usd == Decimal("0.4995")
    assert euros.expected_net_usd == Decimal("0.24975")
    assert euros.expected_fee_usd == Decimal("0.00025")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"earn": True}, Reason.STAKED),
        ({"price": None}, Reason.UNPRICED),
        ({"price": None, "bid": "1", "last": "1"}, Reason.UNPRICED),
        ({"symbol": None}, Reason.NO_MARKET),
        ({"step_size": None}, Reason.NO_MARKET),
        ({"quote_price_usd": None}, Reason.NO_MARKET),
        ({"market_active": False}, Reason.MARKET_HALTED),
        ({"bid": None}, Reason.ILLIQUID),
        ({"bid": "0"}, Reason.ILLIQUID),
        ({"has_open_order": True}, Reason.OPEN_ORDER),
        ({"free": "0", "locked": "5"}, Reason.LOCKED),
        ({"free": "0.009", "locked": "0.001"}, Reason.LOCKED),
        ({"free": "0", "locked": "5", "price": None}, Reason.LOCKED),
        ({"min_quantity": "5.01"}, Reason.BELOW_MIN_QUANTITY),
        ({"max_quantity": "0.5", "min_quantity": "1"}, Reason.BELOW_MIN_QUANTITY),
        ({"min_notional": "5"}, Reason.BELOW_MIN_NOTIONAL),
        ({"taker_fee": "1"}, Reason.UNECONOMIC),
    ],
)
def test_a_position_that_can_not_be_closed_says_why(facts: dict[str, Any], reason: Reason) -> None:
    verdict = verdict_of(make_holding(**facts))
    assert verdict.reason is reason
    assert verdict.route is None
    assert verdict.message.endswith(".")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"protected_assets": ["DOGE"]}, Reason.PROTECTED),
        ({"fee_assets": ["DOGE"]}, Reason.FEE_ASSET),
        ({"ignored_assets": ["DOGE"]}, Reason.IGNORED),
        ({"sell_enabled": False}, Reason.ROUTE_OFF),
        ({"in_flight": frozenset(["DOGE"])}, Reason.ORDER_IN_FLIGHT),
    ],
)
def test_what_the_team_chose_or_a_plan_holds_is_not_closed(
    facts: dict[str, Any], reason: Reason
) -> None:
    assert verdict_of(make_holding(), **facts).reason is reason
    assert verdict_of(make_holding("XRP"), **{**facts, "sell_enabled": True}).route is Route.SELL


def test_the_teams_reasons_come_before_the_exchanges() -> None:
    hopeless = make_holding(free="0", locked="1", price=None, market_active=False)
    assert verdict_of(hopeless, protected_assets=["DOGE"]).reason is Reason.PROTECTED
    assert verdict_of(hopeless, ignored_assets=["DOGE"]).reason is Reason.IGNORED


@pytest.mark.parametrize(
    ("free", "reason"),
    [("4.99", Reason.BELOW_MIN_QUANTITY), ("5", None), ("5.01", None)],
)
def test_the_minimum_quantity_holds_at_its_edge(free: str, reason: Reason | None) -> None:
    assert verdict_of(make_holding(free=free, min_quantity="5")).reason is reason


def test_a_quantity_that_meets_the_minimum_only_before_flooring_is_kept() -> None:
    held = make_holding(free="5.9", step_size="3", min_quantity="5", locked="1")
    assert verdict_of(held).reason is Reason.BELOW_MIN_QUANTITY


def test_what_is_missing_to_the_smallest_order_is_a_sum_above_zero() -> None:
    # Eleven are held, but only nine or twelve can be sold: one more is needed.
    verdict = verdict_of(make_holding(free="11", price="0.01", step_size="3", min_quantity="10"))
    assert verdict.reason is Reason.BELOW_MIN_QUANTITY
    assert verdict.remedy == "Needs 1 DOGE more."


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("0.1", Reason.BELOW_MIN_NOTIONAL),  # exactly the minimum, without the margin
        ("0.10199999", Reason.BELOW_MIN_NOTIONAL),
        ("0.102", None),
        ("0.10200001", None),
    ],
)
def test_the_minimum_notional_needs_its_margin(price: str, reason: Reason | None) -> None:
    assert verdict_of(make_holding(free="5", price=price, min_notional="0.5")).reason is reason


def test_the_minimum_is_met_by_what_is_free_and_not_by_what_is_locked() -> None:
    held = make_holding(free="5", locked="4", price="0.1", min_notional="0.6")
    assert verdict_of(held).reason is Reason.BELOW_MIN_NOTIONAL


def test_a_position_below_the_minimum_says_how_much_is_missing() -> None:
    verdict = verdict_of(make_holding(free="5", price="0.1", min_notional="5"))
    assert (
        verdict.sentence
        == "Below the exchange minimum of $5.00. Needs $4.60 more, 2% room included."
    )


@pytest.mark.parametrize(
    ("bid", "reason"), [("0.0990001", None), ("0.099", None), ("0.0989999", Reason.ILLIQUID)]
)
def test_slippage_up_to_the_limit_is_accepted(bid: str, reason: Reason | None) -> None:
    assert verdict_of(make_holding(bid=bid, last="0.1")).reason is reason


def test_a_bid_above_the_last_trade_costs_no_slippage() -> None:
    verdict = verdict_of(make_holding(bid="0.11", ask="0.12", last="0.1"))
    assert verdict.route is Route.SELL
    assert verdict.expected_slippage_usd == 0


def test_a_sale_never_exceeds_the_largest_market_order() -> None:
    assert verdict_of(make_holding(max_quantity="3.005")).quantity == Decimal("3")
    assert verdict_of(make_holding(max_quantity=None)).quantity == Decimal("5")
    assert verdict_of(make_holding(max_quantity="0")).quantity == Decimal("5")


@pytest.mark.parametrize("value", ["1", "4", "5", "500"])
def test_a_position_that_is_not_dust_stays_and_says_so(value: str) -> None:
    position = only(at_threshold([make_holding(free="1", price=value)]))
    assert position.verdict.reason is Reason.NOT_DUST
    assert "$1.00" in position.verdict.message
    assert position.closing.route is Route.SELL


def test_a_position_that_is_not_dust_keeps_the_reason_that_would_hold_it_anyway() -> None:
    position = only(at_threshold([make_holding(free="0", locked="900")]))
    assert position.verdict.reason is Reason.LOCKED


# Properties


@settings(deadline=None, max_examples=120)
@given(accounts(), policies(), thresholds())
def test_every_holding_is_in_exactly_one_list_with_one_category_and_one_verdict(
    holdings: list[Holding], policy: Policy, threshold: Decimal
) -> None:
    classified = at_threshold(
        holdings, str(threshold), policy=policy, in_flight=frozenset(IN_FLIGHT)
    )
    listed = [
        *(item.holding for item in classified.positions),
        *classified.residue,
        *classified.cash,
    ]
    assert len(listed) == len(holdings)
    assert {id(item) for item in listed} == {id(item) for item in holdings}
    assert {item.asset for item in classified.cash} == {
        item.asset for item in holdings if item.asset in policy.cash_assets
    }
    by_category = [
        [item for item in classified.positions if item.category is category]
        for category in Category
    ]
    assert sum(len(items) for items in by_category) == len(classified.positions)
    for position in classified.positions:
        for verdict in (position.verdict, position.closing):
            assert (verdict.route is None) != (verdict.reason is None)
            assert verdict.message
        if position.verdict.route is not None:
            assert position.category is Category.DUST
        if position.category is Category.UNPRICED:
            assert position.value_usd is None
        if position.category is Category.DUST:
            assert not position.counted


@settings(deadline=None, max_examples=120)
@given(accounts(), policies(), thresholds())
def test_no_expected_net_is_above_what_the_bid_would_pay(
    holdings: list[Holding], policy: Policy, threshold: Decimal
) -> None:
    for position in at_threshold(holdings, str(threshold), policy=policy).positions:
        verdict, holding = position.verdict, position.holding
        if verdict.route is None:
            continue
        assert verdict.quantity is not None
        assert holding.bid is not None
        assert holding.quote_price_usd is not None
        gross = verdict.quantity * holding.bid * holding.quote_price_usd
        assert verdict.expected_net_usd == gross - (verdict.expected_fee_usd or 0)
        assert 0 < (verdict.expected_net_usd or 0) <= gross
