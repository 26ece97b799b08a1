"""Every holding is in one list, every position has one category and one verdict."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from positions.domain.balances import Holding, Kind
from positions.domain.classification import Classified, closing_verdict, landing_of
from positions.domain.policies import Policy
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Category, Reason, Route, Verdict
from tests.domain.builders import (
    accounts,
    at_threshold,
    circumstances,
    make_holding,
    make_offer,
    make_policy,
    make_terms,
    policies,
    reference_holdings,
    thresholds,
)


def only(classified: Classified) -> Any:
    (position,) = classified.positions
    return position


def verdict_of(
    holding: Holding, *, in_flight: frozenset[str] = frozenset(), **policy: Any
) -> Verdict:
    rules = make_policy(**policy)
    return closing_verdict(
        holding,
        threshold=Decimal(1),
        policy=rules,
        landing=landing_of([holding], policy=rules),
        circumstances=Circumstances(in_flight=in_flight, terms=make_terms()),
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
    position = only(at_threshold([make_holding(free="1000", kind=Kind.EARN)]))
    assert position.category is Category.WINNING
    assert not position.counted
    assert position.verdict.reason is Reason.STAKED


def test_an_airdrop_takes_a_slot_until_it_is_ignored_and_warns_of_its_site() -> None:
    held = make_holding("VISIT-GIFTS.COM", price=None, kind=Kind.AIRDROP)
    position = only(at_threshold([held]))
    assert position.counted
    assert "Never visit that site" in position.verdict.sentence
    ignoring = make_policy(ignored_assets=[held.asset])
    assert not only(at_threshold([held], policy=ignoring)).counted


def test_an_airdrop_that_has_a_price_is_judged_like_any_coin() -> None:
    position = only(at_threshold([make_holding("GIFTS.COM", kind=Kind.AIRDROP)]))
    assert position.closing.route is Route.SELL


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
    "facts", [{"price": "2"}, {"price": None}, {"kind": Kind.EARN}, {"quote": None}]
)
def test_valuable_unpriced_staked_or_unlisted_holdings_are_never_residue(
    facts: dict[str, Any],
) -> None:
    held = make_holding(**({"free": "0.5", "step_size": "1", "price": "0.1"} | facts))
    assert not at_threshold([held]).residue


# Verdicts before any way out is looked at; the ways out are in test_routes.py


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"kind": Kind.EARN}, Reason.STAKED),
        ({"kind": Kind.LEVERAGED}, Reason.LEVERAGED),
        ({"debt": "0.00000001"}, Reason.MARGIN_DEBT),
        ({"price": None}, Reason.UNPRICED),
        ({"price": None, "bid": "1", "last": "1"}, Reason.UNPRICED),
        ({"price": None, "price_is_stale": True}, Reason.STALE_PRICE),
        ({"price": None, "kind": Kind.AIRDROP}, Reason.UNPRICED),
        ({"has_open_order": True}, Reason.OPEN_ORDER),
        ({"free": "0", "locked": "5"}, Reason.LOCKED),
        ({"free": "0.009", "locked": "0.001"}, Reason.LOCKED),
        ({"free": "0", "locked": "5", "price": None}, Reason.LOCKED),
    ],
)
def test_what_a_balance_or_its_price_forbids_has_no_way_out(
    facts: dict[str, Any], reason: Reason
) -> None:
    verdict = verdict_of(make_holding(offer=make_offer(), **facts))
    assert verdict.reason is reason
    assert verdict.route is None
    assert verdict.message.endswith(".")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"protected_assets": ["DOGE"]}, Reason.PROTECTED),
        ({"fee_assets": ["DOGE"]}, Reason.FEE_ASSET),
        ({"ignored_assets": ["DOGE"]}, Reason.IGNORED),
        ({"in_flight": frozenset(["DOGE"])}, Reason.ORDER_IN_FLIGHT),
    ],
)
def test_what_the_team_chose_or_a_plan_holds_is_not_closed(
    facts: dict[str, Any], reason: Reason
) -> None:
    assert verdict_of(make_holding(offer=make_offer()), **facts).reason is reason
    assert verdict_of(make_holding("XRP"), **facts).route is Route.SELL


def test_the_teams_reasons_come_before_the_exchanges() -> None:
    hopeless = make_holding(free="0", locked="1", price=None, active=False)
    assert verdict_of(hopeless, protected_assets=["DOGE"]).reason is Reason.PROTECTED
    assert verdict_of(hopeless, ignored_assets=["DOGE"]).reason is Reason.IGNORED


@pytest.mark.parametrize("value", ["1", "4", "5", "500"])
def test_a_position_that_is_not_dust_stays_and_says_so(value: str) -> None:
    position = only(at_threshold([make_holding(free="1", price=value)]))
    assert position.verdict.reason is Reason.NOT_DUST
    assert "$1.00" in position.verdict.message
    assert position.closing.route is Route.SELL


def test_a_position_that_is_not_dust_keeps_the_reason_that_would_hold_it_anyway() -> None:
    position = only(at_threshold([make_holding(free="0", locked="900")]))
    assert position.verdict.reason is Reason.LOCKED


# What dust may become


@pytest.mark.parametrize(
    ("facts", "policy", "lands"),
    [
        ({"price": "1.9"}, {}, False),  # $9.50: it counts, and a plan up to $10 could close it
        ({"price": "2"}, {}, True),
        ({"price": "0.1"}, {}, False),
        ({"price": None}, {}, True),  # it counts, and nobody plans what has no price
        ({"price": "0.1"}, {"protected_assets": ["DOGE"]}, False),
        ({"price": "0.2"}, {"protected_assets": ["DOGE"]}, True),
        ({"price": "2", "kind": Kind.EARN}, {}, False),
        ({"price": "0.1"}, {"ignored_assets": ["DOGE"]}, True),
        ({"price": "0.1"}, {"fee_assets": ["DOGE"]}, True),
        ({"price": "0.1"}, {"cash_assets": ["DOGE"]}, True),
    ],
)
def test_dust_becomes_only_what_takes_no_other_slot_and_is_not_the_next_dust(
    facts: dict[str, Any], policy: dict[str, Any], lands: bool
) -> None:
    held = make_holding(free="5", **facts)
    assert ("DOGE" in landing_of([held], policy=make_policy(**policy))) is lands


def test_cash_fee_and_ignored_assets_are_landed_in_without_being_held() -> None:
    policy = make_policy(cash_assets=["USDT"], fee_assets=["BNB"], ignored_assets=["JUNK"])
    assert landing_of([], policy=policy) == {"USDT", "BNB", "JUNK"}


# Properties


@settings(deadline=None, max_examples=80)
@given(accounts(), policies(), circumstances(), thresholds())
def test_every_holding_is_in_exactly_one_list_with_one_category_and_one_verdict(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> None:
    classified = at_threshold(holdings, str(threshold), policy=policy, circumstances=now)
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
