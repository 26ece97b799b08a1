"""Requests are reserved so that no window of any limit, wherever it starts, holds too much."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.domain.pacing import (
    SECOND,
    Kind,
    Limit,
    Track,
    Tracks,
    counted,
    delayed,
    in_force,
    lost_track,
    own_use,
    reserve,
    tolerance,
    used_track,
)

NOW = 1_700_000_000 * SECOND
ONE = Decimal(1)
PER_SECOND = Limit(allowed=10, window=1)
PER_TEN = Limit(allowed=100, window=10)
PER_DAY = Limit(allowed=200_000, window=86_400)
WEIGHT = Limit(allowed=6000, window=60, kind=Kind.WEIGHT)
IDLE = Track(drained_at=0)

Charge = tuple[Limit, int]
Sent = list[tuple[int, int]]  # moment, units


def idle(*limits: Limit) -> Tracks:
    """Return the tracks of limits of which nothing was used for long."""
    return {limit.name: IDLE for limit in limits}


def reserved(
    arrivals: list[tuple[int, list[Charge]]], *, tracks: Tracks, share: Decimal = ONE
) -> dict[str, Sent]:
    """Return for each limit the moments and units given to requests, in the order they asked."""
    sent: dict[str, Sent] = {}
    for now, charges in arrivals:
        found = reserve(charges, tracks=tracks, share=share, earliest=now)
        assert found.at >= now
        tracks = found.tracks
        for limit, units in charges:
            sent.setdefault(limit.name, []).append((found.at, units))
    return sent


def most_in_a_window(sent: Sent, window_us: int) -> int:
    """Return the most units in any half-open window; one that starts at a moment suffices."""
    return max(
        sum(units for moment, units in sent if start <= moment < start + window_us)
        for start, _ in sent
    )


def moments(count: int, *limits: Limit, share: str = "1", now: int = NOW) -> list[int]:
    """Return the moments of so many orders that all ask at once."""
    charges: list[Charge] = [(limit, 1) for limit in limits]
    sent = reserved([(now, charges)] * count, tracks=idle(*limits), share=Decimal(share))
    return [moment for moment, _ in sent[limits[0].name]]


# --- Pace ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "window", "share", "microseconds"),
    [
        (10, 1, "0.5", 210_000),
        (10, 1, "1", 105_000),
        (1, 1, "1", 1_050_000),
        (100, 10, "0.5", 210_000),
        (1, 1, "0.5", 2_100_000),
        (60, 60, "1", 1_050_000),
    ],
)
def test_orders_are_spaced_by_the_stretched_window_over_our_share(
    allowed: int, window: int, share: str, microseconds: int
) -> None:
    found = moments(4, Limit(allowed=allowed, window=window), share=share)
    assert found[0] == NOW
    assert {later - earlier for earlier, later in pairwise(found)} == {microseconds}


def test_unused_time_is_not_caught_up() -> None:
    late = NOW + 60 * SECOND
    assert moments(2, PER_SECOND, now=late) == [late, late + 105_000]


def test_every_window_holds_when_there_are_several() -> None:
    """Ten a second, a hundred in ten seconds, 200,000 a day: the strictest at each moment."""
    found = moments(300, PER_SECOND, PER_TEN, PER_DAY)
    sent = [(moment, 1) for moment in found]
    for limit in (PER_SECOND, PER_TEN, PER_DAY):
        assert most_in_a_window(sent, limit.window_us) <= limit.allowed
    # The day does not slow the first orders down.
    assert found[1] - found[0] == 105_000


def test_a_day_that_is_used_up_slows_down_and_holds() -> None:
    tiny = Limit(allowed=40, window=86_400)
    found = moments(60, PER_SECOND, tiny)
    assert found[8] - found[0] < 2 * SECOND
    assert most_in_a_window([(moment, 1) for moment in found], tiny.window_us) <= tiny.allowed


def test_a_reading_leaves_at_once_and_the_share_flows_back() -> None:
    share = Decimal("0.5")
    reading: list[Charge] = [(WEIGHT, 80)]
    sent = reserved([(NOW, reading)] * 60, tracks=idle(WEIGHT), share=share)[WEIGHT.name]
    assert [moment for moment, _ in sent[:8]] == [NOW] * 8
    assert sent[20][0] > NOW
    assert most_in_a_window(sent, WEIGHT.window_us) <= WEIGHT.allowed * share


def test_an_order_waits_for_the_weight_that_its_address_lacks() -> None:
    first = reserve([(WEIGHT, 3000)], tracks=idle(WEIGHT, PER_SECOND), share=ONE, earliest=NOW)
    order: list[Charge] = [(PER_SECOND, 1), (WEIGHT, 1)]
    found = reserve(order, tracks=first.tracks, share=ONE, earliest=first.at)
    assert found.at > first.at + 10 * SECOND


def test_who_asks_first_leaves_first_however_heavy() -> None:
    tracks = idle(WEIGHT)
    last = 0
    for weight in [2000, 180, 1, 80, 1, 1, 180, 1]:
        found = reserve([(WEIGHT, weight)], tracks=tracks, share=ONE, earliest=NOW)
        assert found.at >= last
        last, tracks = found.at, found.tracks


def test_two_that_ask_alike_get_alike() -> None:
    """Two accounts at one address, each asking again as soon as it was served."""
    tracks = idle(WEIGHT)
    asks, served = {"one": NOW, "two": NOW}, {"one": 0, "two": 0}
    while min(asks.values()) < NOW + 600 * SECOND:
        who = min(asks, key=lambda name: asks[name])
        found = reserve([(WEIGHT, 140)], tracks=tracks, share=ONE, earliest=asks[who])
        served[who] += 1
        asks[who], tracks = found.at + 1, found.tracks
    assert abs(served["one"] - served["two"]) <= 1


# --- No window is exceeded ----------------------------------------------------------------------

limits_of_orders = st.lists(
    st.builds(Limit, allowed=st.integers(1, 60), window=st.sampled_from([1, 2, 10, 60, 3600])),
    min_size=1,
    max_size=4,
    unique_by=lambda limit: limit.name,
)
steps = st.lists(
    st.one_of(st.just(0), st.integers(0, SECOND // 2), st.integers(0, 70 * SECOND)),
    min_size=1,
    max_size=70,
)
shares = st.sampled_from(["0.1", "0.25", "0.5", "1"]).map(Decimal)


def clock(gaps: list[int]) -> list[int]:
    """Return the moments that lie these gaps apart."""
    found, now = [], NOW
    for gap in gaps:
        now += gap
        found.append(now)
    return found


@settings(deadline=None)
@given(limits_of_orders, steps, shares)
def test_no_window_of_any_limit_ever_holds_more_orders_than_our_share(
    limits: list[Limit], gaps: list[int], share: Decimal
) -> None:
    charges: list[Charge] = [(limit, 1) for limit in limits]
    arrivals = [(now, charges) for now in clock(gaps)]
    sent = reserved(arrivals, tracks=idle(*limits), share=share)
    for limit in limits:
        # A share below one order still lets that one through.
        most = ceil(limit.allowed * share)
        assert most_in_a_window(sent[limit.name], limit.window_us) <= most <= limit.allowed


@settings(deadline=None)
@given(
    st.integers(20, 6000),
    st.sampled_from([10, 60, 300]),
    st.lists(st.tuples(st.integers(0, 20 * SECOND), st.integers(1, 100)), min_size=1, max_size=60),
    shares,
)
def test_no_window_ever_holds_more_weight_than_our_share(
    allowed: int, window: int, requests: list[tuple[int, int]], share: Decimal
) -> None:
    limit = Limit(allowed=allowed, window=window, kind=Kind.WEIGHT)
    moments_of = clock([gap for gap, _ in requests])
    arrivals: list[tuple[int, list[Charge]]] = [
        (now, [(limit, weight)]) for now, (_, weight) in zip(moments_of, requests, strict=True)
    ]
    sent = reserved(arrivals, tracks=idle(limit), share=share)[limit.name]
    heaviest = max(weight for _, weight in requests)
    assert most_in_a_window(sent, limit.window_us) <= max(allowed * share, heaviest)


@settings(deadline=None)
@given(limits_of_orders, steps, steps, shares)
def test_lost_reservations_never_put_more_into_a_window_than_is_allowed(
    limits: list[Limit], before: list[int], after: list[int], share: Decimal
) -> None:
    limits = [limit for limit in limits if limit.is_spaced] or [PER_SECOND]
    charges: list[Charge] = [(limit, 1) for limit in limits]
    sent = reserved([(now, charges) for now in clock(before)], tracks=idle(*limits), share=share)
    # All of them have left when the reservations are lost.
    restart = max(moment for moment, _ in sent[limits[0].name])
    lost = {limit.name: lost_track(limit, share=share, now=restart) for limit in limits}
    later = reserved(
        [(restart + now - NOW, charges) for now in clock(after)], tracks=lost, share=share
    )
    for limit in limits:
        both = sent[limit.name] + later[limit.name]
        assert most_in_a_window(both, limit.window_us) <= limit.allowed


@settings(deadline=None)
@given(st.integers(1, 30), st.sampled_from([1, 10]), st.data())
def test_orders_that_leave_late_never_fill_a_window(
    allowed: int, window: int, data: st.DataObject
) -> None:
    """Whoever is late leaves at once if the later ones can still move; else it asks anew."""
    limit = Limit(allowed=allowed, window=window)
    bearable = tolerance([limit])
    assert bearable is not None
    tracks, number, left = idle(limit), 0, []
    now = NOW
    for _ in range(data.draw(st.integers(1, 40))):
        found = reserve([(limit, 1)], tracks=tracks, share=ONE, earliest=now)
        tracks, number = found.tracks, number + 1
        late = data.draw(st.sampled_from([0, 0, bearable, 2 * bearable, limit.window_us // 3]))
        now = found.at + late
        if late > bearable:
            track = delayed(limit, tracks[limit.name], share=ONE, now=now, reserved_since=0)
            assert track is not None
            tracks = {limit.name: track}
        left.append((now, 1))
    assert most_in_a_window(left, limit.window_us) <= allowed


# --- Lost, late, given ----------------------------------------------------------------------------


def test_lost_reservations_count_as_a_whole_window_used() -> None:
    lost = {limit.name: lost_track(limit, share=ONE, now=NOW) for limit in (PER_SECOND, PER_TEN)}
    charges: list[Charge] = [(PER_SECOND, 1), (PER_TEN, 1)]
    found = reserve(charges, tracks=lost, share=ONE, earliest=NOW)
    assert found.at == NOW + 10 * SECOND


def test_lost_weight_leaves_no_burst_until_the_exchange_tells() -> None:
    lost = {WEIGHT.name: lost_track(WEIGHT, share=ONE, now=NOW)}
    assert reserve([(WEIGHT, 80)], tracks=lost, share=ONE, earliest=NOW).at > NOW
    told = counted(WEIGHT, lost[WEIGHT.name], units=100, share=ONE, now=NOW, slack=0)
    tracks = {WEIGHT.name: told}
    assert reserve([(WEIGHT, 80)], tracks=tracks, share=ONE, earliest=NOW).at == NOW


def test_a_lost_day_is_made_up_from_what_is_known_of_it() -> None:
    share = Decimal("0.5")
    few = {PER_DAY.name: used_track(PER_DAY, 300, share=share, now=NOW)}
    assert reserve([(PER_DAY, 1)], tracks=few, share=share, earliest=NOW).at == NOW
    many = {PER_DAY.name: used_track(PER_DAY, 100_000, share=share, now=NOW)}
    assert reserve([(PER_DAY, 1)], tracks=many, share=share, earliest=NOW).at > NOW


def test_a_late_order_moves_the_next_ones_only_by_what_it_is_too_late() -> None:
    first = reserve([(PER_SECOND, 1)], tracks=idle(PER_SECOND), share=ONE, earliest=NOW)
    track = first.tracks[PER_SECOND.name]
    in_time = delayed(PER_SECOND, track, share=ONE, now=NOW + 25_000, reserved_since=0)
    late = delayed(PER_SECOND, track, share=ONE, now=NOW + 80_000, reserved_since=0)
    assert in_time is not None
    assert late is not None
    assert in_time.drained_at == track.drained_at
    assert late.drained_at == track.drained_at + 55_000


@pytest.mark.parametrize(("after", "may"), [(0, True), (9, True), (10, False)])
def test_a_late_order_may_not_leave_when_those_it_would_crowd_are_given_away(
    after: int, may: bool
) -> None:
    found = delayed(PER_SECOND, IDLE, share=ONE, now=NOW, reserved_since=after)
    assert (found is not None) is may


def test_half_of_the_stretch_of_the_shortest_window_is_how_late_an_order_may_be() -> None:
    assert tolerance([PER_TEN, PER_SECOND, PER_DAY, WEIGHT]) == 25_000
    assert tolerance([PER_TEN]) == 250_000
    assert tolerance([PER_DAY, WEIGHT]) is None


def test_a_clock_that_was_set_back_takes_the_tracks_with_it() -> None:
    found = reserve([(PER_SECOND, 1)], tracks=idle(PER_SECOND), share=ONE, earliest=NOW)
    hour = 3600 * SECOND
    moved = {PER_SECOND.name: found.tracks[PER_SECOND.name].moved(-hour)}
    again = reserve([(PER_SECOND, 1)], tracks=moved, share=ONE, earliest=NOW - hour)
    assert again.at == NOW - hour + 105_000


# --- Others -------------------------------------------------------------------------------------


def used(limit: Limit, count: int, *, share: Decimal = ONE) -> tuple[Track, int]:
    """Return the track after so many orders at full pace, and the last one's moment."""
    tracks, at = idle(limit), NOW
    for _ in range(count):
        found = reserve([(limit, 1)], tracks=tracks, share=share, earliest=at)
        tracks, at = found.tracks, found.at
    return tracks[limit.name], at


def test_our_own_use_is_known_as_exactly_as_the_stretch() -> None:
    track, now = used(PER_TEN, 300)
    assert 95 <= own_use(PER_TEN, track, now=now, slack=0) <= 100


def test_our_own_use_is_not_taken_for_others() -> None:
    track, now = used(PER_TEN, 300)
    told = counted(PER_TEN, track, units=96, share=ONE, now=now, slack=150_000)
    assert told.others_at(now) == 0


def test_what_others_use_slows_us_down_to_what_they_leave_for_one_window() -> None:
    track, now = used(PER_TEN, 300)
    told = counted(PER_TEN, track, units=150, share=ONE, now=now, slack=0)
    others = told.others_at(now)
    assert 40 <= others <= 60
    room = PER_TEN.room(ONE, others=others)
    assert room.unit_us >= 10 * SECOND / (100 - 40)
    assert told.others_at(now + 10 * SECOND) == 0


def test_others_that_keep_to_their_part_change_nothing() -> None:
    share = Decimal("0.5")
    track, now = used(PER_TEN, 100, share=share)
    told = counted(PER_TEN, track, units=95, share=share, now=now, slack=0)
    assert PER_TEN.room(share, others=told.others_at(now)) == PER_TEN.room(share)


def test_nothing_leaves_while_others_use_everything() -> None:
    told = counted(PER_TEN, IDLE, units=120, share=ONE, now=NOW, slack=0)
    found = reserve([(PER_TEN, 1)], tracks={PER_TEN.name: told}, share=ONE, earliest=NOW)
    assert found.at == NOW + 10 * SECOND


# --- In force -----------------------------------------------------------------------------------


def test_what_the_exchange_publishes_is_in_force_and_the_rest_is_what_we_know() -> None:
    found = in_force([PER_SECOND, PER_DAY], [PER_TEN, WEIGHT])
    assert set(found) == {PER_SECOND, PER_DAY, WEIGHT}


def test_the_stricter_of_both_wins_for_the_same_window() -> None:
    looser, stricter = Limit(allowed=200, window=10), Limit(allowed=50, window=10)
    assert in_force([looser], [PER_TEN]) == (PER_TEN,)
    assert in_force([stricter], [PER_TEN]) == (stricter,)
    assert in_force([looser, stricter], []) == (stricter,)


def test_without_a_published_limit_what_we_know_is_in_force() -> None:
    assert in_force([], [PER_TEN, WEIGHT]) == (PER_TEN, WEIGHT)
