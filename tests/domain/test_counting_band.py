"""What was counted stays so within a band below the threshold, and nothing else changes."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.domain.balances import Holding, Kind
from positions.domain.classification import counted_at
from positions.domain.verdicts import Category
from positions.domain.what_if import WhatIf
from tests.domain.builders import make_holding, make_policy

ONE = Decimal(1)
POLICY = make_policy()  # a threshold of 1.00, a band of 0.05


def worth(value: str, **facts: object) -> Holding:
    """Return a holding of this value."""
    return make_holding(free="1", price=value, **facts)


@pytest.mark.parametrize(
    ("value", "before", "counts"),
    [
        ("1.01", None, True),
        ("1", None, True),
        ("0.99", None, False),
        ("0.95", None, False),
        ("1", ONE, True),
        ("0.99999999", ONE, True),
        ("0.951", ONE, True),
        ("0.95", ONE, True),
        ("0.94999999", ONE, False),
        ("0.5", ONE, False),
        ("0.97", Decimal("0.9"), False),
        ("0.97", Decimal(2), False),
    ],
)
def test_both_edges_of_the_band(value: str, before: Decimal | None, counts: bool) -> None:
    found = counted_at(worth(value), before=before, policy=POLICY)
    assert found == (ONE if counts else None)


def test_the_band_is_the_policys() -> None:
    assert counted_at(worth("0.97"), before=ONE, policy=make_policy(counting_band="0.03")) == ONE
    assert counted_at(worth("0.97"), before=ONE, policy=make_policy(counting_band="0.02")) is None
    assert counted_at(worth("0.99"), before=ONE, policy=make_policy(counting_band="0")) is None


@pytest.mark.parametrize(
    "held",
    [
        worth("0.97", kind=Kind.EARN),
        worth("0.97", step_size="2"),  # less than one step: residue, in no count
        make_holding("WIF", free="1", price="0.97"),
    ],
)
def test_what_takes_no_slot_anyway_remembers_none(held: Holding) -> None:
    assert counted_at(held, before=ONE, policy=make_policy(ignored_assets=["WIF"])) is None


def test_what_had_no_price_keeps_its_slot_within_the_band() -> None:
    before = counted_at(make_holding(price=None), before=None, policy=POLICY)
    assert counted_at(worth("0.96"), before=before, policy=POLICY) == ONE
    assert counted_at(worth("0.94"), before=before, policy=POLICY) is None


def test_the_memory_changes_nothing_but_what_counts_at_the_policys_threshold() -> None:
    what_if = WhatIf([worth("0.97", counted_at="1")], policy=POLICY, cap=8)
    by_value = WhatIf([worth("0.97")], policy=POLICY, cap=8)
    (position,) = what_if.classified(ONE).positions
    assert position.counted
    assert position.category is Category.DUST
    assert position.verdict == by_value.classified(ONE).positions[0].verdict
    assert what_if.slots(ONE).counted == 1
    assert what_if.at(ONE) == by_value.at(ONE)
    assert what_if.at(ONE).counted == 0
    for other in (Decimal("0.98"), Decimal("0.5"), Decimal(2)):
        assert what_if.slots(other) == by_value.slots(other)
        assert what_if.classified(other).positions[0].counted is (other < Decimal("0.97"))


values = st.decimals(min_value="0.90", max_value="1.10", places=3)


@settings(deadline=None)
@given(st.lists(values, max_size=30))
def test_it_counts_from_the_threshold_until_it_leaves_the_band(path: list[Decimal]) -> None:
    before, expected = None, False
    for value in path:
        before = counted_at(worth(str(value)), before=before, policy=POLICY)
        expected = value >= ONE or (expected and value >= Decimal("0.95"))
        assert (before is not None) is expected
