"""A holding's total includes what is locked; its value is unknown without a price."""

import dataclasses
from decimal import Decimal

import pytest

from positions.domain.balances import Balance
from tests.domain.builders import make_holding, make_sale


def test_the_total_is_free_and_locked_together() -> None:
    balance = Balance(asset="DOGE", free=Decimal("1.5"), locked=Decimal("0.25"))
    assert balance.total == Decimal("1.75")
    assert make_holding(free="1.5", locked="0.25").total == Decimal("1.75")


def test_a_holding_is_valued_from_its_total() -> None:
    assert make_holding(free="3", locked="2", price="0.1").value_usd == Decimal("0.5")


def test_without_a_price_the_value_is_unknown_and_not_zero() -> None:
    assert make_holding(price=None).value_usd is None


def test_a_price_of_zero_is_a_known_value() -> None:
    assert make_holding(price="0").value_usd == 0


def test_the_smallest_step_of_all_its_markets_is_the_holdings_step() -> None:
    sales = (make_sale(step_size="1"), make_sale("DOGE", "BTC", step_size="0.1"))
    assert make_holding(sales=sales).step_size == Decimal("0.1")
    assert make_holding(quote=None).step_size is None


def test_a_holding_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_holding().free = Decimal(6)  # type: ignore[misc]
