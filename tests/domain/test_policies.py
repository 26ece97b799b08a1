"""The policy's defaults are the team's, its guards refuse with the facts, nonsense is named."""

from decimal import Decimal
from typing import Any

import pytest

from positions.domain.policies import (
    DEFAULT_CASH_ASSETS,
    SHOWN_THRESHOLDS,
    GuardBroken,
    Policy,
    check_threshold,
    problems,
)
from tests.domain.builders import make_policy


def test_the_defaults_are_those_the_team_agreed_on_and_make_sense() -> None:
    policy = Policy()
    assert policy.dust_threshold == Decimal("1.00")
    assert policy.winning_threshold == Decimal("5.00")
    assert policy.position_cap == 8
    assert policy.max_threshold == Decimal("10.00")
    assert policy.max_plan_value == Decimal("50.00")
    assert policy.max_plan_orders == 300
    assert policy.snapshot_max_age == 300
    assert policy.check_max_age == 5
    assert policy.price_drift == Decimal("0.02")
    assert policy.max_slippage == Decimal("0.01")
    assert policy.minimum_margin == Decimal("0.02")
    assert policy.limit_share == Decimal("0.5")
    assert policy.plan_ttl == 900
    assert policy.snapshot_interval == 60
    assert policy.approval_above is None
    assert problems(policy) == {}


def test_stablecoins_and_fiat_are_cash_and_coins_are_not() -> None:
    assert {"USDT", "USDC", "DAI", "USD", "EUR"} <= DEFAULT_CASH_ASSETS
    assert not {"BTC", "BNB", "DOGE"} & DEFAULT_CASH_ASSETS


def test_the_thresholds_always_shown_are_the_five_of_the_team() -> None:
    assert [str(item) for item in SHOWN_THRESHOLDS] == ["0.001", "0.01", "0.50", "1", "5"]


def test_one_order_may_be_worth_the_threshold_and_five_percent_unless_the_policy_says_more() -> (
    None
):
    assert make_policy().order_value_limit(Decimal("2")) == Decimal("2.10")
    assert make_policy(max_order_value="3").order_value_limit(Decimal("2")) == Decimal("3")
    assert make_policy(max_order_value="0").order_value_limit(Decimal("2")) == 0


@pytest.mark.parametrize("threshold", ["0.001", "9.99", "10", "10.00"])
def test_a_threshold_up_to_the_guard_is_allowed(threshold: str) -> None:
    check_threshold(Decimal(threshold), make_policy())


@pytest.mark.parametrize("threshold", ["10.000000001", "5000"])
def test_a_threshold_above_the_guard_is_refused_with_field_value_and_what_was_asked(
    threshold: str,
) -> None:
    with pytest.raises(GuardBroken) as refusal:
        check_threshold(Decimal(threshold), make_policy())
    assert refusal.value.field_name == "max_threshold"
    assert refusal.value.limit == "10"
    assert refusal.value.asked == threshold
    assert str(refusal.value) == f"The policy's max_threshold is 10; this asks for {threshold}."


AMOUNTS = (
    "dust_threshold",
    "winning_threshold",
    "max_threshold",
    "max_order_value",
    "max_plan_value",
    "price_drift",
    "max_slippage",
    "minimum_margin",
    "limit_share",
    "approval_above",
)


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_an_amount_must_be_finite(name: str, value: str) -> None:
    assert problems(make_policy(**{name: value}))[name] == "It must be a finite number."


@pytest.mark.parametrize("name", [*AMOUNTS, "position_cap", "max_plan_orders", "snapshot_interval"])
def test_nothing_may_be_negative(name: str) -> None:
    value: Any = "-0.01" if name in AMOUNTS else -1
    assert problems(make_policy(**{name: value}))[name] == "It can't be negative."


@pytest.mark.parametrize(
    ("name", "sound", "broken"),
    [
        ("dust_threshold", "0.000001", "0"),
        ("winning_threshold", "0.000001", "0"),
        ("max_threshold", "1", "0"),
        ("max_plan_value", "0.000001", "0"),
        ("dust_threshold", "10.00", "10.01"),
        ("max_threshold", "1.00", "0.99"),
        ("price_drift", "0.99", "1"),
        ("price_drift", "0", "1.01"),
        ("max_slippage", "0.99", "1"),
        ("minimum_margin", "0.99", "1"),
        ("limit_share", "1", "1.01"),
        ("limit_share", "0.01", "0"),
        ("position_cap", 1, 0),
        ("position_cap", 10_000, 10_001),
        ("max_plan_orders", 1, 0),
        ("max_plan_orders", 10_000, 10_001),
        ("snapshot_max_age", 1, 0),
        ("snapshot_max_age", 86_400, 86_401),
        ("check_max_age", 1, 0),
        ("check_max_age", 60, 61),
        ("plan_ttl", 1, 0),
        ("plan_ttl", 86_400, 86_401),
        ("snapshot_interval", 0, 86_401),
        ("snapshot_interval", 86_400, 86_401),
    ],
)
def test_each_limit_of_a_policy_holds_at_its_edge(name: str, sound: Any, broken: Any) -> None:
    assert problems(make_policy(**{name: sound})) == {}
    # A dust threshold above the guard is the dust threshold's problem, whichever was changed.
    named = problems(make_policy(**{name: broken}))
    assert named
    assert named.keys() <= {name, "dust_threshold"}


def test_every_problem_is_reported_at_once() -> None:
    policy = make_policy(dust_threshold="-1", position_cap=0, limit_share="2")
    assert problems(policy).keys() == {"dust_threshold", "position_cap", "limit_share"}
