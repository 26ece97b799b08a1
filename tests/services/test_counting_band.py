"""Readings of a position that hovers around the dust threshold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from positions.selectors.analysis import Analysis, analyse
from positions.selectors.plan_pages import plan_page
from positions.selectors.slots import slots_now
from positions.services import drafts
from tests.trading import TEST, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def hovering(world: World) -> World:
    """Return an account that holds ten DOGE: at a price of 0.10 they are worth the threshold."""
    world.exchange.control("POST", "balances", {"DOGE": {"free": "10"}})
    return world


def read_at(world: World, price: str | None) -> Analysis:
    """Read the account with DOGE at this price."""
    world.exchange.control("POST", "prices", {"DOGEUSDT": price})
    world.later(1)
    world.snapshot()
    return analyse(world.account, now=world.now)


def counts(analysis: Analysis) -> bool:
    (doge,) = [item for item in analysis.positions if item.asset == "DOGE"]
    return doge.counted


def test_a_position_that_hovers_does_not_flip_its_slot_at_every_reading(hovering: World) -> None:
    prices = ["0.0990", "0.1001", "0.0990", "0.0951", "0.0949", "0.0990", "0.1001", "0.0990"]
    seen = [counts(read_at(hovering, price)) for price in prices]
    assert seen == [False, True, True, True, False, False, True, True]


def test_the_slots_have_what_still_counts_and_the_what_if_goes_by_value(hovering: World) -> None:
    by_value = read_at(hovering, "0.0990").slots.counted
    read_at(hovering, "0.1001")
    analysis = read_at(hovering, "0.0990")
    assert analysis.slots.counted == by_value + 1
    assert slots_now(hovering.account, now=hovering.now).slots == analysis.slots
    assert analysis.effect.counted == by_value
    assert "DOGE" in {item.asset for item in analysis.dust}


def test_a_plan_goes_by_value_in_its_numbers_and_in_its_gauges(hovering: World) -> None:
    read_at(hovering, "0.1001")
    seen = read_at(hovering, "0.0990")
    plan = drafts.draft_plan(hovering.account, threshold=None, actor=TEST, now=hovering.now)
    page = plan_page(plan.pk, now=hovering.now, halts=[])
    before = [item.asset for item in page.slots_by_policy.before if item.counted]
    assert "DOGE" not in before
    assert len(before) == seen.effect.counted == seen.slots.counted - 1
    assert plan.slots_before == seen.effect.available


def test_a_failed_reading_in_between_forgets_nothing(hovering: World) -> None:
    read_at(hovering, "0.1001")
    hovering.exchange.fault("status_before", status=503, method="GET", path="/api/v3/account")
    assert hovering.snapshot().status == "FAILED"
    assert counts(read_at(hovering, "0.0990"))


def test_what_lost_its_price_keeps_its_slot_within_the_band(hovering: World) -> None:
    assert not counts(read_at(hovering, "0.0990"))
    assert counts(read_at(hovering, None))
    assert counts(read_at(hovering, "0.0990"))
    assert not counts(read_at(hovering, "0.0940"))


def test_a_changed_threshold_forgets_at_once_even_if_it_is_changed_back(hovering: World) -> None:
    read_at(hovering, "0.1001")
    assert counts(read_at(hovering, "0.0990"))
    hovering.later(1)
    hovering.change_policy(position_cap=9)
    assert counts(analyse(hovering.account, now=hovering.now))
    hovering.change_policy(dust_threshold=Decimal("0.999"))
    assert not counts(analyse(hovering.account, now=hovering.now))
    hovering.change_policy(dust_threshold=Decimal(1))
    assert not counts(analyse(hovering.account, now=hovering.now))
    assert not counts(read_at(hovering, "0.0990"))
