"""The last look lets through only dust, only what is free and only what was planned."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.domain.checks import Approved, Denied, Look, Ready, last_check
from positions.domain.verdicts import Reason
from tests.domain.builders import decimals, make_look, make_market, make_policy, make_ticker


def checked(look: Look, *, planned: str = "5", threshold: str = "1", **policy: Any) -> Any:
    return last_check(
        look,
        asset="DOGE",
        planned=Decimal(planned),
        threshold=Decimal(threshold),
        policy=make_policy(**policy),
    )


def reason_of(look: Look, **facts: Any) -> Reason | None:
    answer = checked(look, **facts)
    if isinstance(answer, Denied):
        assert answer.message.endswith(".")
        return answer.reason
    return None


def at_price(price: str, **facts: Any) -> Look:
    return make_look(ticker=make_ticker(last=price), **facts)


def enforced(look: Look, planned_value: str, **policy: Any) -> Any:
    return last_check(
        look,
        asset="DOGE",
        planned=Decimal(5),
        threshold=Decimal(1),
        policy=make_policy(**policy),
        enforced=Approved(value_usd=Decimal(planned_value), price=Decimal(10)),
    )


@pytest.mark.parametrize(
    ("price", "policy", "reason"),
    [
        ("10", {}, None),  # worth $50, as planned, and far above the threshold
        ("10", {"price_drift": "0"}, None),
        ("10.2", {}, None),
        ("10.21", {}, Reason.DRIFTED),
        ("9.8", {}, None),
        ("9.79", {}, Reason.DRIFTED),
        ("9.79", {"price_drift": "0.03"}, None),
        ("10.21", {"price_drift": "0.03"}, None),
        ("10", {"max_order_value": "50"}, None),
        ("10", {"max_order_value": "49.99"}, Reason.OVER_ORDER_LIMIT),
    ],
)
def test_an_enforcement_order_leaves_within_the_drift_of_what_was_approved(
    price: str, policy: dict[str, Any], reason: Reason | None
) -> None:
    answer = enforced(at_price(price), "50", **policy)
    assert (answer.reason if isinstance(answer, Denied) else None) == reason


def test_a_thin_bid_hides_no_rise_above_the_ceiling() -> None:
    look = make_look(ticker=make_ticker(bid="10", ask="10.3", last="10.3"))
    answer = enforced(look, "50", max_slippage="0.5")
    assert answer.message == "Worth $51.50 now, above its ceiling of $51.00."


def test_dust_as_planned_may_leave() -> None:
    assert checked(make_look()) == Ready(quantity=Decimal(5))


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"cash_assets": ["DOGE"]}, Reason.PROTECTED),
        ({"protected_assets": ["DOGE"]}, Reason.PROTECTED),
        ({"fee_assets": ["DOGE"]}, Reason.FEE_ASSET),
        ({"ignored_assets": ["DOGE"]}, Reason.IGNORED),
        ({"sell_enabled": False}, Reason.ROUTE_OFF),
    ],
)
def test_what_the_team_decided_since_the_plan_is_respected(
    policy: dict[str, Any], reason: Reason
) -> None:
    assert reason_of(make_look(), **policy) is reason


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"has_open_order": True}, Reason.OPEN_ORDER),
        ({"market": None}, Reason.NO_MARKET),
        ({"market": make_market(active=False)}, Reason.MARKET_HALTED),
        ({"ticker": None}, Reason.UNPRICED),
        ({"ticker": make_ticker(bid=None)}, Reason.UNPRICED),
        ({"ticker": make_ticker(bid="0")}, Reason.UNPRICED),
        ({"ticker": make_ticker(ask=None)}, Reason.UNPRICED),
        ({"ticker": make_ticker(ask="0")}, Reason.UNPRICED),
        ({"quote_price_usd": None}, Reason.UNPRICED),
        ({"free": "0"}, Reason.NOT_HELD),
        ({"free": "0", "total": "5"}, Reason.LOCKED),
        ({"free": "0.009", "total": "0.009"}, Reason.BELOW_MIN_QUANTITY),
        ({"market": make_market(min_notional="5")}, Reason.BELOW_MIN_NOTIONAL),
        ({"ticker": make_ticker(bid="0.09", ask="0.1", last="0.1")}, Reason.ILLIQUID),
    ],
)
def test_each_change_since_the_plan_is_denied_with_its_reason(
    facts: dict[str, Any], reason: Reason
) -> None:
    assert reason_of(make_look(**facts)) is reason


def test_a_book_whose_sides_cross_is_no_trustworthy_price() -> None:
    assert reason_of(make_look(ticker=make_ticker(bid="0.11", ask="0.1"))) is Reason.UNPRICED


def test_a_market_without_a_last_trade_is_no_trustworthy_price() -> None:
    ticker = make_ticker(bid="0.1", ask="0.1", last=None)
    assert reason_of(make_look(ticker=ticker)) is Reason.UNPRICED


# The value, with 5 units: the ceiling of $1.02 is a price of 0.204


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("0.2", None),  # above the threshold, within the drift
        ("0.20399999", None),
        ("0.204", Reason.NO_LONGER_DUST),
        ("0.20400001", Reason.NO_LONGER_DUST),
        ("200", Reason.NO_LONGER_DUST),
    ],
)
def test_the_value_must_stay_below_the_threshold_with_its_drift(
    price: str, reason: Reason | None
) -> None:
    assert reason_of(at_price(price)) is reason


@pytest.mark.parametrize(
    "ticker",
    [
        make_ticker(bid="0.1", ask="0.3", last="0.3"),  # a thin bid
        make_ticker(bid="0.3", ask="0.31", last="0.1"),  # an old trade
    ],
)
def test_the_higher_of_bid_and_last_decides_the_value(ticker: Any) -> None:
    assert reason_of(make_look(ticker=ticker), max_slippage="0.9") is Reason.NO_LONGER_DUST


def test_what_is_locked_is_part_of_the_value() -> None:
    assert reason_of(make_look(free="5", total="10.2")) is Reason.NO_LONGER_DUST
    assert reason_of(make_look(free="5", total="10.19")) is None


def test_a_quote_that_is_no_dollar_is_converted() -> None:
    assert reason_of(make_look(quote_price_usd="2.04")) is Reason.NO_LONGER_DUST
    assert reason_of(make_look(quote_price_usd="2.039")) is None


@pytest.mark.parametrize(
    ("price", "reason"),
    [("0.21", None), ("0.2100001", Reason.OVER_ORDER_LIMIT), ("0.22", Reason.NO_LONGER_DUST)],
)
def test_with_a_wide_drift_the_order_limit_still_holds(price: str, reason: Reason | None) -> None:
    assert reason_of(at_price(price), price_drift="0.10") is reason


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("0.49", Reason.OVER_ORDER_LIMIT), ("0.50", None), ("0.51", None)],
)
def test_the_policys_order_limit_holds_at_its_edge(limit: str, reason: Reason | None) -> None:
    assert reason_of(make_look(), max_order_value=limit) is reason


# The quantity


@pytest.mark.parametrize(
    ("free", "reason"), [("5", None), ("5.0099", None), ("5.01", Reason.DRIFTED)]
)
def test_more_held_than_planned_means_that_somebody_buys_it(
    free: str, reason: Reason | None
) -> None:
    assert reason_of(make_look(free=free), planned="5") is reason


def test_more_free_than_one_order_may_hold_is_no_sign_of_a_buyer() -> None:
    look = make_look(free="9", market=make_market(max_quantity="5"))
    assert checked(look, planned="5") == Ready(quantity=Decimal(5))


def test_less_free_than_planned_sells_only_what_is_free_in_whole_steps() -> None:
    assert checked(make_look(free="4.999"), planned="5") == Ready(quantity=Decimal("4.99"))


def test_what_is_locked_is_never_sold() -> None:
    assert checked(make_look(free="3", total="5"), planned="5") == Ready(quantity=Decimal(3))


@pytest.mark.parametrize(
    ("free", "reason"), [("1.99", Reason.BELOW_MIN_QUANTITY), ("2", None), ("2.01", None)]
)
def test_the_minimum_quantity_holds_at_its_edge(free: str, reason: Reason | None) -> None:
    assert reason_of(make_look(free=free, market=make_market(min_quantity="2"))) is reason


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("0.1", Reason.BELOW_MIN_NOTIONAL),
        ("0.10199999", Reason.BELOW_MIN_NOTIONAL),
        ("0.102", None),
        ("0.10200001", None),
    ],
)
def test_the_minimum_notional_needs_its_margin_at_the_bid(
    price: str, reason: Reason | None
) -> None:
    assert reason_of(at_price(price, market=make_market(min_notional="0.5"))) is reason


@pytest.mark.parametrize(
    ("bid", "reason"), [("0.0990001", None), ("0.099", None), ("0.0989999", Reason.ILLIQUID)]
)
def test_slippage_up_to_the_limit_is_accepted(bid: str, reason: Reason | None) -> None:
    ticker = make_ticker(bid=bid, ask="0.1", last="0.1")
    assert reason_of(make_look(ticker=ticker)) is reason


@pytest.mark.parametrize(
    ("deep_bid", "reason"),
    [("0.099", None), ("0.0989999", Reason.ILLIQUID), ("0", Reason.ILLIQUID)],
)
def test_what_the_whole_order_would_bring_decides_where_the_book_was_read(
    deep_bid: str, reason: Reason | None
) -> None:
    assert reason_of(make_look(deep_bid=deep_bid)) is reason


def test_the_minimum_notional_is_met_by_what_the_whole_order_would_bring() -> None:
    market = make_market(min_notional="0.489")  # with its margin $0.49878
    assert reason_of(make_look(market=market)) is None
    assert reason_of(make_look(market=market, deep_bid="0.0995")) is Reason.BELOW_MIN_NOTIONAL


def test_a_bid_above_the_last_trade_is_no_slippage() -> None:
    assert reason_of(make_look(ticker=make_ticker(bid="0.11", ask="0.12", last="0.1"))) is None


def test_a_step_of_zero_in_the_exchanges_rules_is_denied_and_raises_nothing() -> None:
    assert isinstance(checked(make_look(market=make_market(step_size="0"))), Denied)


def test_a_largest_order_that_shrank_since_the_plan_is_respected() -> None:
    look = make_look(market=make_market(max_quantity="3"))
    assert checked(look, planned="5") == Ready(quantity=Decimal(3))


# Properties


@settings(deadline=None, max_examples=100)
@given(
    free=decimals("0", "20"),
    locked=st.one_of(st.just(Decimal(0)), decimals("0", "5")),
    planned=decimals("0", "20"),
    bid=decimals("0.000001", "0.5"),
    spread=st.sampled_from(["0.95", "0.99", "1", "1.005", "1.01", "1.2"]),
    step=st.sampled_from(["0.00000001", "0.01", "1", "3"]),
    minimum=st.sampled_from(["0", "0.5", "5"]),
    threshold=decimals("0.01", "10", places=2),
)
def test_what_may_leave_is_never_more_than_dust_than_free_or_than_planned(
    free: Decimal,
    locked: Decimal,
    planned: Decimal,
    bid: Decimal,
    spread: str,
    step: str,
    minimum: str,
    threshold: Decimal,
) -> None:
    last = bid * Decimal(spread)
    look = make_look(
        free=str(free),
        total=free + locked,
        market=make_market(step_size=step, min_quantity="0.5", min_notional=minimum),
        ticker=make_ticker(bid=str(bid), ask=str(max(bid, last)), last=str(last)),
    )
    policy = make_policy()
    answer = last_check(look, asset="DOGE", planned=planned, threshold=threshold, policy=policy)
    if isinstance(answer, Denied):
        assert answer.message
        return
    quantity = answer.quantity
    assert 0 < quantity <= min(free, planned)
    assert quantity % Decimal(step) == 0
    assert quantity >= Decimal("0.5")
    assert quantity * bid >= Decimal(minimum) * (1 + policy.minimum_margin)
    assert look.total * max(bid, last) < threshold * (1 + policy.price_drift)
    assert bid >= last * (1 - policy.max_slippage)


@pytest.mark.parametrize(
    ("held", "policy", "reason"),
    [
        ("9.99", {}, Reason.DRIFTED),
        ("10", {}, None),
        ("1", {"protected_assets": ["BTC"]}, None),
        ("0.99", {"protected_assets": ["BTC"]}, Reason.DRIFTED),
        ("0", {"fee_assets": ["BTC"]}, None),
        ("0", {"ignored_assets": ["BTC"]}, None),
    ],
)
def test_a_sale_becomes_no_new_dust(
    held: str, policy: dict[str, Any], reason: Reason | None
) -> None:
    verdict = last_check(
        make_look(market=make_market(quote="BTC"), quote_total=held),
        asset="DOGE",
        planned=Decimal(5),
        threshold=Decimal(1),
        policy=make_policy(**policy),
    )
    assert getattr(verdict, "reason", None) is reason
