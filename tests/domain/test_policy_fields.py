"""What people read about a policy's fields and their changes."""

from dataclasses import replace
from decimal import Decimal

import pytest

from positions.domain.policies import Policy
from positions.domain.policy_fields import FIELDS, differences, told, written

D = Decimal


@pytest.mark.parametrize(
    ("name", "value", "typed", "read"),
    [
        ("dust_threshold", D(1), "1.00", "$1.00"),
        ("dust_threshold", D("0.125"), "0.125", "$0.125"),
        ("position_cap", 8, "8", "8"),
        ("snapshot_max_age", 300, "300", "300 s"),
        ("price_drift", D("0.020"), "0.02", "0.02 (2%)"),
        ("sell_enabled", False, "false", "off"),
        ("protected_assets", frozenset({"XRP", "ADA"}), "ADA, XRP", "ADA, XRP"),
        ("protected_assets", frozenset(), "", "none"),
        ("max_order_value", None, "", "the threshold x 1.05"),
        ("approval_above", None, "", "never needed"),
        ("approval_above", D(20), "20.00", "$20.00"),
    ],
)
def test_a_value_is_written_for_typing_and_told_for_reading(
    name: str, value: object, typed: str, read: str
) -> None:
    assert written(FIELDS[name], value) == typed
    assert told(FIELDS[name], value) == read


def test_differences_are_sentences_in_the_order_of_the_page() -> None:
    before = Policy(protected_assets=frozenset({"XRP"}))
    after = replace(
        before,
        version=2,
        approval_above=D(20),
        protected_assets=frozenset({"ADA"}),
        dust_threshold=D("0.5"),
    )
    assert [item.sentence for item in differences(before, after)] == [
        "Dust threshold from $1.00 to $0.50",
        "Protected assets: ADA added, XRP taken off",
        "Second person above from never needed to $20.00",
    ]
    assert differences(before, replace(before, version=9)) == []
