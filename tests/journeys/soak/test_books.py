"""When a change was can be told from the exchange's clock, unless that jumped meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from positions.models import CleanupPlan, Snapshot
from tests.journeys.soak.books import Change, moments

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def in_ms(at: datetime) -> int:
    """Return what a clock without skew shows."""
    return int(at.timestamp() * 1000)


def test_a_clock_that_never_jumped_tells_the_moment() -> None:
    assert moments(in_ms(NOON), []) == (NOON,)


def test_a_skew_is_taken_off_while_it_lasts() -> None:
    skews = [(NOON, 30_000), (NOON + 10 * SECOND, 0)]
    assert moments(in_ms(NOON + 35 * SECOND), skews) == (
        NOON + 5 * SECOND,
        NOON + 35 * SECOND,
    )
    assert moments(in_ms(NOON - SECOND), skews) == (NOON - SECOND,)
    assert moments(in_ms(NOON + 5 * SECOND), skews) == ()


@pytest.mark.parametrize(
    ("seconds", "lies_in"),
    [((-2,), False), ((0,), None), ((5,), True), ((10,), None), ((13,), False), ((5, 20), None)],
)
def test_what_happened_while_the_account_was_read_may_be_on_either_side(
    seconds: tuple[int, ...], lies_in: bool | None
) -> None:
    plan = CleanupPlan(
        snapshot=Snapshot(asked_at=NOON - SECOND, taken_at=NOON + SECOND),
        closing_snapshot=Snapshot(asked_at=NOON + 9 * SECOND, taken_at=NOON + 11 * SECOND),
    )
    at = tuple(NOON + second * SECOND for second in seconds)
    change = Change(asset="A", quantity=Decimal(1), moments=at)
    assert change.lies_in(plan) is lies_in
