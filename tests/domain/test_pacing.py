"""Requests are spaced so that no window, wherever it starts, holds more than is allowed."""

from decimal import Decimal
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.domain.pacing import Limit, reserve, strictest
from tests.domain.builders import decimals

NOW = Decimal("1700000000")


def reserved_at(
    arrivals: list[Decimal],
    *,
    interval: Decimal,
    window: Decimal,
    burst: Decimal = Decimal(0),
    next_free: Decimal | None = NOW,
) -> list[Decimal]:
    """Return the moments given to requests that arrive at these moments, one after the other."""
    moments = []
    for now in arrivals:
        slot = reserve(next_free=next_free, now=now, interval=interval, window=window, burst=burst)
        assert slot.at >= now
        moments.append(slot.at)
        next_free = slot.next_free
    return moments


def most_in_any_window(moments: list[Decimal], window: Decimal) -> int:
    """Return the largest count in any half-open window; one that starts at a moment suffices."""
    return max(sum(start <= moment < start + window for moment in moments) for start in moments)


@pytest.mark.parametrize(
    ("allowed", "window", "share", "seconds"),
    [
        (10, 1, "0.5", "0.21"),
        (10, 1, "1", "0.105"),
        (1, 1, "1", "1.05"),
        (1200, 60, "0.5", "0.105"),
        (1, 1, "0.5", "2.1"),
    ],
)
def test_the_interval_is_the_stretched_window_over_our_share(
    allowed: int, window: int, share: str, seconds: str
) -> None:
    assert Limit(allowed=allowed, window=window).interval(Decimal(share)) == Decimal(seconds)


def test_the_first_request_leaves_at_once_and_the_next_one_interval_later() -> None:
    moments = reserved_at([NOW] * 3, interval=Decimal("0.21"), window=Decimal(1))
    assert moments == [NOW, NOW + Decimal("0.21"), NOW + Decimal("0.42")]


def test_unused_time_is_not_caught_up_without_a_burst() -> None:
    late = NOW + 60
    moments = reserved_at([late, late], interval=Decimal("0.21"), window=Decimal(1))
    assert moments == [late, late + Decimal("0.21")]


def test_a_burst_catches_up_only_its_own_seconds() -> None:
    late = NOW + 60
    moments = reserved_at(
        [late] * 5, interval=Decimal("0.25"), window=Decimal(1), burst=Decimal("0.5")
    )
    offsets = [moment - late for moment in moments]
    assert offsets == [0, 0, 0, Decimal("0.25"), Decimal("0.5")]


def test_a_clock_that_is_behind_gets_no_earlier_moment() -> None:
    moments = reserved_at([NOW, NOW - 5], interval=Decimal("0.21"), window=Decimal(1))
    assert moments == [NOW, NOW + Decimal("0.21")]


@pytest.mark.parametrize("burst", ["0", "0.5"])
def test_lost_reservations_count_as_a_whole_window_used(burst: str) -> None:
    slot = reserve(
        next_free=None,
        now=NOW,
        interval=Decimal("0.21"),
        window=Decimal(1),
        burst=Decimal(burst),
    )
    assert slot.at == NOW + 1
    assert slot.next_free == NOW + 1 + Decimal("0.21")


arrivals = st.lists(
    st.one_of(
        st.just(Decimal(0)), decimals("-0.5", "0.5", places=3), decimals("0", "70", places=3)
    ),
    min_size=1,
    max_size=60,
)


def clock(steps: list[Decimal]) -> list[Decimal]:
    """Return arrival moments from steps; small steps back are workers whose clocks differ."""
    now, moments = NOW, []
    for step in steps:
        now += step
        moments.append(now)
    return moments


@settings(deadline=None)
@given(
    arrivals,
    st.integers(1, 50),
    st.sampled_from([1, 10, 60]),
    st.sampled_from(["0.1", "0.25", "0.5", "1"]),
)
def test_no_window_ever_holds_more_than_our_share_of_the_limit(
    steps: list[Decimal], allowed: int, window: int, share: str
) -> None:
    interval = Limit(allowed=allowed, window=window).interval(Decimal(share))
    moments = reserved_at(clock(steps), interval=interval, window=Decimal(window))
    # A share below one request still lets that one through.
    most = ceil(allowed * Decimal(share))
    assert most_in_any_window(moments, Decimal(window)) <= most <= allowed
    steady = Decimal(window) / (allowed * Decimal(share))
    assert all(later - earlier > steady for earlier, later in pairwise(moments))


@settings(deadline=None)
@given(st.integers(1, 50), st.sampled_from([1, 10, 60]))
def test_a_queue_that_asks_at_once_for_the_whole_limit_gets_no_more(
    allowed: int, window: int
) -> None:
    interval = Limit(allowed=allowed, window=window).interval(Decimal(1))
    moments = reserved_at(
        [NOW] * min(120, 2 * allowed + 1), interval=interval, window=Decimal(window)
    )
    assert most_in_any_window(moments, Decimal(window)) <= allowed


@settings(deadline=None)
@given(arrivals, arrivals, st.integers(1, 50), st.sampled_from([1, 10, 60]))
def test_lost_reservations_never_put_more_into_a_window_than_is_allowed(
    before: list[Decimal], after: list[Decimal], allowed: int, window: int
) -> None:
    interval = Limit(allowed=allowed, window=window).interval(Decimal("0.5"))
    seconds = Decimal(window)
    sent = reserved_at(clock(before), interval=interval, window=seconds)
    # All of them have left when the reservations are lost.
    restart = max(sent)
    lost = reserved_at(
        [restart + max(step, Decimal(0)) for step in after],
        interval=interval,
        window=seconds,
        next_free=None,
    )
    assert most_in_any_window(sent + lost, seconds) <= allowed


@settings(deadline=None)
@given(arrivals, st.integers(1, 50), decimals("0", "5", places=2))
def test_a_burst_adds_no_more_than_its_seconds_allow(
    steps: list[Decimal], allowed: int, burst: Decimal
) -> None:
    window = Decimal(10)
    interval = Limit(allowed=allowed, window=10).interval(Decimal("0.5"))
    moments = reserved_at(clock(steps), interval=interval, window=window, burst=burst)
    assert most_in_any_window(moments, window) <= (window + burst) // interval + 1


def test_the_strictest_limit_has_the_longest_interval() -> None:
    fast, slow = Limit(allowed=10, window=1), Limit(allowed=100, window=60)
    assert strictest([fast, slow]) == slow
    assert strictest([slow, fast]) == slow
    assert strictest([fast]) == fast


def test_nothing_limited_has_no_strictest_limit() -> None:
    assert strictest([]) is None
