"""When an exchange's own conversion may be made again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions.domain.conversions import Budget, ConversionRule, budget_at

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WINDOW = timedelta(hours=6)
DAY = timedelta(days=1)


def rule(**changes: Any) -> ConversionRule:
    facts: dict[str, Any] = {
        "target": "BNB",
        "charge": Decimal("0.02"),
        "source": "a test",
        "read": "2026-11",
    }
    return ConversionRule(**(facts | changes))


def budget(*ages: timedelta, **changes: Any) -> Budget:
    return budget_at(rule(**changes), made_at=[NOW - age for age in ages], now=NOW)


def test_an_account_that_never_converted_may() -> None:
    assert budget(window=WINDOW) == Budget(is_open=True, next_at=None, left_today=None)


@pytest.mark.parametrize(
    ("age", "next_at"),
    [
        (WINDOW - SECOND, NOW + SECOND),
        (WINDOW, None),
        (WINDOW + SECOND, None),
        (timedelta(0), NOW + WINDOW),
    ],
)
def test_a_window_opens_when_it_has_passed(age: timedelta, next_at: datetime | None) -> None:
    found = budget(age, window=WINDOW)
    assert found == Budget(is_open=next_at is None, next_at=next_at, left_today=None)


def test_only_the_latest_conversion_holds_the_window_whatever_the_order_of_the_history() -> None:
    ages = (timedelta(hours=7), timedelta(hours=5), timedelta(hours=30))
    assert budget(*ages, window=WINDOW).next_at == NOW + timedelta(hours=1)


def test_a_conversion_dated_after_our_clock_holds_the_window_too() -> None:
    assert budget(-SECOND, window=WINDOW).next_at == NOW + SECOND + WINDOW


def test_without_a_window_a_second_conversion_may_follow_at_once() -> None:
    assert budget(timedelta(0)).is_open


@pytest.mark.parametrize(("made", "left"), [(0, 3), (2, 1), (3, 0), (4, 0)])
def test_a_daily_budget_counts_what_was_made(made: int, left: int) -> None:
    found = budget(*[timedelta(hours=hours) for hours in range(1, made + 1)], per_day=3)
    assert (found.left_today, found.is_open) == (left, left > 0)


@pytest.mark.parametrize(
    ("oldest", "next_at", "left"),
    [(DAY - SECOND, NOW + SECOND, 0), (DAY, None, 1), (DAY + SECOND, None, 1)],
)
def test_a_daily_budget_frees_a_conversion_when_the_oldest_is_a_day_old(
    oldest: timedelta, next_at: datetime | None, left: int
) -> None:
    found = budget(timedelta(hours=1), timedelta(hours=2), oldest, per_day=3)
    assert found == Budget(is_open=next_at is None, next_at=next_at, left_today=left)


def test_more_than_the_daily_budget_waits_until_enough_of_them_are_old() -> None:
    ages = [timedelta(hours=hours) for hours in (1, 2, 3, 23)]
    assert budget(*ages, per_day=2).next_at == NOW + timedelta(hours=22)


def test_the_later_of_window_and_daily_budget_counts() -> None:
    made = (timedelta(hours=5), timedelta(hours=23))
    assert budget(*made, window=WINDOW, per_day=2).next_at == NOW + timedelta(hours=1)
    made = (timedelta(hours=1), timedelta(hours=23, minutes=30))
    assert budget(*made, window=WINDOW, per_day=2).next_at == NOW + timedelta(hours=5)


@given(
    ages=st.lists(st.integers(-60, 3 * 24 * 60), max_size=12),
    window=st.integers(0, 36 * 60),
    per_day=st.none() | st.integers(1, 6),
)
def test_the_next_moment_is_the_first_that_is_open(
    ages: list[int], window: int, per_day: int | None
) -> None:
    limits = rule(window=timedelta(minutes=window), per_day=per_day)
    made_at = [NOW - timedelta(minutes=age) for age in ages]
    found = budget_at(limits, made_at=made_at, now=NOW)
    assert found.is_open is (found.next_at is None)
    if found.next_at is not None:
        just_before = found.next_at - timedelta(microseconds=1)
        assert not budget_at(limits, made_at=made_at, now=just_before).is_open
        assert budget_at(limits, made_at=made_at, now=found.next_at).is_open


@given(window=st.integers(1, 36 * 60), per_day=st.integers(1, 6))
def test_whoever_converts_whenever_it_is_open_never_breaks_the_rule(
    window: int, per_day: int
) -> None:
    limits, now = rule(window=timedelta(minutes=window), per_day=per_day), NOW
    made_at: list[datetime] = []
    for _ in range(3 * per_day):
        now = budget_at(limits, made_at=made_at, now=now).next_at or now
        assert all(now - made >= limits.window for made in made_at)
        assert sum(now - made < DAY for made in made_at) < per_day
        made_at.append(now)
