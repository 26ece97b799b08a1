"""Any threshold's effect agrees with the full classification, and more never frees less."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.domain.balances import Holding
from positions.domain.classification import classify
from positions.domain.policies import Policy
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Category
from positions.domain.what_if import Slots, WhatIf
from tests.domain.builders import (
    accounts,
    circumstances,
    make_holding,
    make_policy,
    policies,
    reference_holdings,
    thresholds,
)


@pytest.mark.parametrize(
    ("cap", "counted", "leased", "available", "over_cap"),
    [
        (8, 0, 0, 8, 0),
        (8, 7, 0, 1, 0),
        (8, 8, 0, 0, 0),
        (8, 9, 0, 0, 1),
        (8, 6, 1, 1, 0),
        (8, 6, 2, 0, 0),
        (8, 6, 3, 0, 1),
    ],
)
def test_slots_are_cap_minus_counted_minus_leased_and_never_negative(
    cap: int, counted: int, leased: int, available: int, over_cap: int
) -> None:
    slots = Slots(cap=cap, counted=counted, leased=leased)
    assert slots.used == counted + leased
    assert slots.available == available
    assert slots.over_cap == over_cap


@given(st.integers(1, 20), st.integers(0, 50), st.integers(0, 50))
def test_free_slots_and_excess_are_never_both_there(cap: int, counted: int, leased: int) -> None:
    slots = Slots(cap=cap, counted=counted, leased=leased)
    assert slots.available >= 0
    assert slots.over_cap >= 0
    assert slots.available - slots.over_cap == cap - counted - leased


@pytest.mark.parametrize(
    ("threshold", "dust", "value", "counted", "available"),
    [
        ("0.001", 0, "0", 8, 0),
        ("0.04", 0, "0", 8, 0),  # PEPE is worth exactly this
        ("0.05", 1, "0.04", 7, 1),
        ("0.5", 4, "0.58", 4, 4),
        ("0.91", 5, "1.2", 3, 5),  # DOGE is worth exactly this
        ("1.00", 6, "2.11", 2, 6),
        ("5", 6, "2.11", 2, 6),
        ("12.4", 6, "2.11", 2, 6),  # BNB is worth exactly this
        ("12.41", 7, "14.51", 1, 7),
    ],
)
def test_the_reference_account_frees_six_of_eight_slots_at_one_dollar(
    threshold: str, dust: int, value: str, counted: int, available: int
) -> None:
    effect = WhatIf(reference_holdings(), policy=make_policy(), cap=8).at(Decimal(threshold))
    assert effect.threshold == Decimal(threshold)
    assert effect.dust == dust
    assert effect.dust_value_usd == Decimal(value)
    assert effect.counted == counted
    assert effect.available == available
    assert effect.over_cap == 0
    assert effect.closable == min(dust, 6)  # BNB pays the fees


def test_an_empty_account_has_all_its_slots() -> None:
    effect = WhatIf([], policy=make_policy(), cap=8).at(Decimal(1))
    assert (effect.dust, effect.counted, effect.available, effect.closable) == (0, 0, 8, 0)
    assert effect.dust_value_usd == effect.closable_net_usd == 0


def test_more_positions_than_the_cap_read_as_an_excess() -> None:
    effect = WhatIf(reference_holdings(), policy=make_policy(), cap=5).at(Decimal("0.001"))
    assert (effect.available, effect.over_cap) == (0, 3)


def test_an_unpriced_position_keeps_its_slot_at_every_threshold() -> None:
    what_if = WhatIf([make_holding(price=None)], policy=make_policy(), cap=8)
    for threshold in ("0.001", "1", "10000"):
        effect = what_if.at(Decimal(threshold))
        assert (effect.dust, effect.counted) == (0, 1)


def test_cash_is_in_no_count() -> None:
    effect = WhatIf([make_holding("USDC", free="0.1", price="1")], policy=make_policy(), cap=8).at(
        Decimal(1)
    )
    assert (effect.dust, effect.counted, effect.dust_value_usd) == (0, 0, 0)


def test_residue_is_not_counted_as_dust() -> None:
    held = [make_holding(free="0.5", step_size="1"), make_holding("XRP", free="2", step_size="1")]
    effect = WhatIf(held, policy=make_policy(), cap=8).at(Decimal(1))
    assert effect.dust == 1
    assert effect.dust_value_usd == Decimal("0.2")


def test_dust_in_a_running_order_is_dust_but_not_closable_again() -> None:
    held, policy = [make_holding()], make_policy()
    assert WhatIf(held, policy=policy, cap=8).at(Decimal(1)).closable == 1
    busy = WhatIf(
        held, policy=policy, cap=8, circumstances=Circumstances(in_flight=frozenset(["DOGE"]))
    ).at(Decimal(1))
    assert (busy.dust, busy.closable, busy.closable_net_usd) == (1, 0, 0)


@st.composite
def accounts_with_thresholds(draw: st.DrawFn) -> tuple[list[Holding], list[Decimal]]:
    """Return an account and thresholds, its own values among them: the edges matter most."""
    holdings = draw(accounts())
    values = [item.value_usd for item in holdings if item.value_usd]
    drawn = draw(st.lists(thresholds(), min_size=2, max_size=4))
    edges = draw(st.lists(st.sampled_from(values), max_size=3)) if values else []
    return holdings, sorted([*drawn, *edges])


@settings(deadline=None, max_examples=80)
@given(accounts_with_thresholds(), policies(), circumstances(), st.integers(1, 10))
def test_the_effect_of_a_threshold_is_what_classifying_at_it_says(
    case: tuple[list[Holding], list[Decimal]],
    policy: Policy,
    now: Circumstances,
    cap: int,
) -> None:
    holdings, asked = case
    what_if = WhatIf(holdings, policy=policy, cap=cap, circumstances=now)
    for threshold in asked:
        effect = what_if.at(threshold)
        full = classify(holdings, threshold=threshold, policy=policy, circumstances=now)
        dust = [item for item in full.positions if item.category is Category.DUST]
        closable = [item.verdict for item in full.positions if item.verdict.route is not None]
        # Smallest first, as they are summed up: an expected price may have no last digit.
        closable.reverse()
        counted = sum(item.counted for item in full.positions)
        assert what_if.classified(threshold) == full
        assert what_if.dust(threshold) == dust
        assert what_if.categories(threshold) == Counter(item.category for item in full.positions)
        assert effect.positions == len(full.positions)
        assert effect.positions_value_usd == sum(item.value_usd or 0 for item in full.positions)
        assert effect.dust == len(dust)
        assert effect.dust_value_usd == sum(item.value_usd or 0 for item in dust)
        assert effect.counted == counted
        assert effect.available == max(0, cap - counted)
        assert effect.over_cap == max(0, counted - cap)
        assert effect.closable == len(closable)
        assert effect.stuck == len(dust) - len(closable)
        assert effect.stuck_value_usd == sum(
            item.value_usd or 0 for item in dust if item.verdict.route is None
        )
        assert effect.closable_net_usd == sum(item.expected_net_usd or 0 for item in closable)
        assert effect.closing_fee_usd == sum(item.expected_fee_usd or 0 for item in closable)
        assert effect.closing_slippage_usd == sum(
            item.expected_slippage_usd or 0 for item in closable
        )


@settings(deadline=None, max_examples=80)
@given(accounts_with_thresholds(), policies(), st.integers(1, 10))
def test_the_steps_lead_from_no_dust_to_any_threshold(
    case: tuple[list[Holding], list[Decimal]], policy: Policy, cap: int
) -> None:
    holdings, asked = case
    what_if = WhatIf(holdings, policy=policy, cap=cap)
    start = what_if.at(Decimal(0)).counted
    values = [step.value_usd for step in what_if.steps]
    assert values == sorted(values)
    for threshold in asked:
        below = what_if.steps_below(threshold)
        assert all(value < threshold for value in values[:below])
        assert all(value >= threshold for value in values[below:])
        freed = sum(step.frees for step in what_if.steps[:below])
        assert start - freed == what_if.at(threshold).counted
        faces = [step.below for step in what_if.steps[:below] if not step.is_residue]
        faces += [step.from_on for step in what_if.steps[below:]]
        told = {
            item.asset: (item.category, item.counted, item.closing)
            for item in what_if.classified(threshold).positions
            if item.value_usd is not None
        }
        assert told == {item.asset: (item.category, item.counted, item.closing) for item in faces}


@settings(deadline=None, max_examples=80)
@given(accounts_with_thresholds(), policies())
def test_more_threshold_never_means_fewer_free_slots(
    case: tuple[list[Holding], list[Decimal]], policy: Policy
) -> None:
    holdings, asked = case
    what_if = WhatIf(holdings, policy=policy, cap=policy.position_cap)
    effects = [what_if.at(threshold) for threshold in asked]
    for lower, higher in pairwise(effects):
        assert higher.available >= lower.available >= 0
        assert higher.over_cap <= lower.over_cap
        assert higher.counted <= lower.counted
