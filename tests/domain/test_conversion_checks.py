"""The last look before a conversion lets through only dust that has not grown and still pays."""

from decimal import Decimal
from typing import Any

import pytest

from positions.domain.checks import Denied, Ready
from positions.domain.conversion_checks import ConversionLook, last_conversion_check
from positions.domain.verdicts import Reason
from tests.domain.builders import amounts, make_offer, make_policy


def checked(*, planned: str = "5", policy: dict[str, Any] | None = None, **facts: Any) -> Any:
    """Judge 5 DOGE at 0.1 for which the exchange would pay 0.0008 BNB at 600."""
    free = facts.get("free", "5")
    known: dict[str, Any] = {
        "free": free,
        "total": free,
        "has_open_order": False,
        "price_usd": "0.1",
        "offer": make_offer(quantity=free if free != "0" else "5"),
        "target_price_usd": "600",
    }
    return last_conversion_check(
        ConversionLook(**amounts(known | facts)),
        asset="DOGE",
        planned=Decimal(planned),
        threshold=Decimal(1),
        policy=make_policy(**(policy or {})),
    )


def reason_of(**facts: Any) -> Reason | None:
    answer = checked(**facts)
    if isinstance(answer, Denied):
        assert answer.message.endswith(".")
        return answer.reason
    return None


def test_dust_as_planned_may_be_converted() -> None:
    assert checked() == Ready(quantity=Decimal(5))


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"cash_assets": ["DOGE"]}, Reason.PROTECTED),
        ({"protected_assets": ["DOGE"]}, Reason.PROTECTED),
        ({"fee_assets": ["DOGE"]}, Reason.FEE_ASSET),
        ({"ignored_assets": ["DOGE"]}, Reason.IGNORED),
        ({"convert_enabled": False}, Reason.ROUTE_OFF),
        ({"sell_enabled": False}, None),
    ],
)
def test_what_the_team_decided_since_the_plan_is_respected(
    policy: dict[str, Any], reason: Reason | None
) -> None:
    assert reason_of(policy=policy) is reason


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"has_open_order": True}, Reason.OPEN_ORDER),
        ({"free": "0"}, Reason.NOT_HELD),
        ({"free": "0", "total": "5"}, Reason.LOCKED),
        ({"offer": None}, Reason.NOT_CONVERTIBLE),
        ({"offer": make_offer(fee="0.0008")}, Reason.UNECONOMIC),
        ({"offer": make_offer(fee="0.00079999")}, None),
        ({"price_usd": None}, Reason.UNPRICED),
        ({"target_price_usd": None}, Reason.UNPRICED),
    ],
)
def test_each_change_since_the_plan_is_denied_with_its_reason(
    facts: dict[str, Any], reason: Reason | None
) -> None:
    assert reason_of(**facts) is reason


@pytest.mark.parametrize(
    ("free", "reason"), [("4.99", None), ("5", None), ("5.00000001", Reason.DRIFTED)]
)
def test_a_conversion_takes_all_that_is_free_so_nothing_may_have_grown(
    free: str, reason: Reason | None
) -> None:
    assert reason_of(free=free) is reason


def test_what_the_exchange_would_take_may_not_have_grown_either() -> None:
    assert reason_of(offer=make_offer(quantity="5.00000001")) is Reason.DRIFTED


@pytest.mark.parametrize(
    ("price", "reason"),
    [("0.2039", None), ("0.204", Reason.NO_LONGER_DUST), ("0.2041", Reason.NO_LONGER_DUST)],
)
def test_the_value_must_stay_below_the_threshold_with_its_drift(
    price: str, reason: Reason | None
) -> None:
    assert reason_of(price_usd=price) is reason


@pytest.mark.parametrize(("gross", "reason"), [("0.0016", None), ("0.0017", Reason.NO_LONGER_DUST)])
def test_an_offer_of_more_than_dust_is_worth_believes_the_exchange(
    gross: str, reason: Reason | None
) -> None:
    # 0.0017 BNB are $1.02.
    assert reason_of(offer=make_offer(gross=gross)) is reason


@pytest.mark.parametrize(("total", "reason"), [("5", None), ("5.00000001", Reason.LOCKED)])
def test_nothing_is_converted_that_may_come_free_meanwhile(
    total: str, reason: Reason | None
) -> None:
    assert reason_of(total=total) is reason


@pytest.mark.parametrize(
    ("limit", "reason"), [("0.49", Reason.OVER_ORDER_LIMIT), ("0.50", None), ("0.51", None)]
)
def test_the_policys_order_limit_holds_at_its_edge(limit: str, reason: Reason | None) -> None:
    assert reason_of(policy={"max_order_value": limit}) is reason
