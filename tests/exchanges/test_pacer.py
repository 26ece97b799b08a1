"""All workers share one pace, kept in a real Valkey."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from positions.domain.pacing import SECOND, Kind, Limit
from positions.exchanges.pacing import Pacer
from positions.exchanges.port import PacerUnavailable, RateLimited, Slot
from tests.exchange_process import wait_until
from tests.trading import at_once, forget_orders
from tests.valkey_process import ValkeyProcess

PER_TEN = Limit(allowed=100, window=10)
PER_DAY = Limit(allowed=200_000, window=86_400)
WEIGHT = Limit(allowed=6000, window=60, kind=Kind.WEIGHT)
LIMITS = (WEIGHT, PER_TEN, PER_DAY)
HALF = Decimal("0.5")
INTERVAL = PER_TEN.room(HALF).unit_us
NOW = Decimal(0)
FAR = Decimal(60)


def client_of(server: ValkeyProcess) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=5, retry=None)


@pytest.fixture
def client(valkey: ValkeyProcess) -> Iterator[redis.Redis]:
    """Return a client of its own."""
    with client_of(valkey) as made:
        yield made


def pacer_of(
    client: redis.Redis,
    *,
    place: str = "binance here",
    key: str = "k",
    share: Decimal = HALF,
    limits: tuple[Limit, ...] = LIMITS,
    sleep: Callable[[float], Any] | None = None,
) -> Pacer:
    wait = sleep or (lambda seconds: threading.Event().wait(seconds))
    return Pacer(client, place=place, key_fingerprint=key, share=share, limits=limits, sleep=wait)


def known(pacer: Pacer) -> Pacer:
    """Return the pacer with reservations that were never lost."""
    forget_orders(pacer)
    return pacer


def slot(pacer: Pacer, *, latest: Decimal = FAR, lead: str = "0.05") -> Slot:
    return pacer.take_order(lead=Decimal(lead), latest=latest)


def taken(pacer: Pacer) -> int:
    found = slot(pacer)
    assert found.is_reserved
    return found.at


def gaps(moments: list[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(moments)]


# --- One pace for all ---------------------------------------------------------------------------


def test_moments_of_one_worker_are_evenly_spaced(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    assert set(gaps([taken(pacer) for _ in range(20)])) == {INTERVAL}


def test_moments_of_eight_workers_are_never_closer_than_the_pace(valkey: ValkeyProcess) -> None:
    with client_of(valkey) as first:
        known(pacer_of(first))

    def reserve_ten() -> list[int]:
        with client_of(valkey) as own:
            pacer = pacer_of(own)
            return [taken(pacer) for _ in range(10)]

    results = at_once(*[reserve_ten] * 8)
    assert not [item for item in results if isinstance(item, Exception)]
    moments = sorted(moment for found in results for moment in found)
    assert len(moments) == 80
    assert set(gaps(moments)) == {INTERVAL}


def test_several_windows_hold_at_once(client: redis.Redis) -> None:
    limits = (Limit(allowed=5, window=1), Limit(allowed=20, window=10), PER_DAY, WEIGHT)
    pacer = known(pacer_of(client, share=Decimal(1), limits=limits))
    moments = [taken(pacer) for _ in range(60)]
    for limit in limits[:2]:
        for start in moments:
            inside = sum(start <= moment < start + limit.window_us for moment in moments)
            assert inside <= limit.allowed


def test_keys_have_a_pace_of_their_own_and_share_the_weight_of_their_address(
    client: redis.Redis,
) -> None:
    one, two = known(pacer_of(client, key="one")), known(pacer_of(client, key="two"))
    for _ in range(5):
        taken(one)
    assert slot(two).wait <= Decimal("0.06")
    heavy: list[float] = []
    one._sleep = two._sleep = heavy.append
    one.take_weight(1)
    one.note_counts({WEIGHT.name: 1}, took=NOW)
    heavy.clear()
    one.take_weight(700)
    two.take_weight(700)
    assert heavy
    heavy.clear()
    pacer_of(client, place="binance there").take_weight(1)
    assert sum(heavy) < 1  # only its own lost window


def test_two_accounts_at_one_address_get_alike(client: redis.Redis) -> None:
    """Each asks again as soon as it was served; who asks first is served first."""
    tight = (Limit(allowed=60, window=60, kind=Kind.WEIGHT),)
    waited: dict[str, Decimal] = {}
    for _ in range(6):
        for name in ("one", "two"):
            pacer = pacer_of(client, key=name, share=Decimal(1), limits=tight, sleep=lambda _: None)
            found = pacer._reserved(pacer._charges({Kind.WEIGHT: 5}), lead=NOW, latest=Decimal(600))
            assert found.wait > max(waited.values(), default=NOW - 1)
            waited[name] = found.wait
    assert waited["two"] - waited["one"] < Decimal(10)


def test_a_turn_that_comes_too_late_is_not_reserved_but_its_moment_is_told(
    client: redis.Redis,
) -> None:
    pacer = known(pacer_of(client))
    while slot(pacer, latest=Decimal(1)).is_reserved:
        pass
    before = pacer._memory.read().tracks[PER_TEN.name]
    late = slot(pacer, latest=Decimal(1))
    assert not late.is_reserved
    assert Decimal(1) < late.wait < Decimal(2)
    assert pacer._memory.read().tracks[PER_TEN.name] == before


# --- Given back, missed -------------------------------------------------------------------------


def test_a_moment_that_is_given_back_is_the_next_ones(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    slots = [slot(pacer) for _ in range(4)]
    pacer.give_back(slots[2])
    again = slot(pacer)
    assert (again.at, again.number) == (slots[2].at, slots[2].number)
    assert taken(pacer) == slots[3].at + INTERVAL


def test_a_moment_that_is_over_is_not_given_to_anybody(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    first = slot(pacer)
    wait_until(lambda: pacer._memory.read().now > first.at, what="the moment to pass")
    pacer.give_back(first)
    assert taken(pacer) == first.at + INTERVAL


def test_a_late_order_leaves_and_moves_those_after_it(client: redis.Redis) -> None:
    limits = (Limit(allowed=10, window=1), WEIGHT)
    pacer = known(pacer_of(client, share=Decimal(1), limits=limits))
    late = slot(pacer)
    wait_until(lambda: pacer._memory.read().now > late.at + 60_000, what="the moment to pass")
    assert pacer.delay(late)
    assert slot(pacer, lead="0").at > late.at + 105_000 + 30_000


def test_a_late_order_takes_a_new_moment_when_those_after_it_are_given_away(
    client: redis.Redis,
) -> None:
    limits = (Limit(allowed=2, window=1), WEIGHT)
    pacer = known(pacer_of(client, share=Decimal(1), limits=limits))
    late = slot(pacer)
    for _ in range(3):
        taken(pacer)
    assert not pacer.delay(late)


# --- Lost ---------------------------------------------------------------------------------------


def test_lost_reservations_count_as_a_full_window_used(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    assert not slot(pacer, latest=Decimal(2)).is_reserved
    found = slot(pacer)
    assert Decimal(9) < found.wait <= Decimal("10.05")


def test_a_lost_window_is_counted_once_and_not_with_every_question(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    pacer.prime()
    first = pacer._memory.read().tracks
    pacer.prime()
    assert not slot(pacer, latest=Decimal(2)).is_reserved
    assert pacer._memory.read().tracks[PER_TEN.name] == first[PER_TEN.name]


def test_a_lost_day_is_made_up_from_our_own_records(client: redis.Redis) -> None:
    tiny = Limit(allowed=10, window=86_400)
    asked: list[int] = []

    def sent(seconds: int) -> int:
        asked.append(seconds)
        return 9

    pacer = pacer_of(client, share=Decimal(1), limits=(tiny,))
    # Nine of ten are used: more than may be undrained at once, so the rest flows.
    assert pacer.take_order(lead=NOW, latest=Decimal(1), sent=sent).wait > 1000
    assert asked == [86_400]
    pacer.take_order(lead=NOW, latest=Decimal(1), sent=sent)
    assert asked == [86_400]


@pytest.mark.parametrize("keeps_data", [True, False])
def test_a_valkey_that_was_restarted_causes_no_burst(keeps_data: bool) -> None:
    """What it wakes up with says nothing about the orders since it was saved."""
    with ValkeyProcess() as server:
        with client_of(server) as client:
            pacer = known(pacer_of(client))
            for _ in range(5):
                taken(pacer)
            if keeps_data:
                client.save()
        assert server._process is not None
        server._process.kill()
        server._process.wait()
        server.start()
        with client_of(server) as client:
            again = pacer_of(client)
            assert bool(client.exists(again._memory._keys[0])) is keeps_data
            assert not slot(again, latest=Decimal(2)).is_reserved
            moments = [taken(again) for _ in range(3)]
            assert set(gaps(moments)) == {INTERVAL}


def test_a_clock_that_was_set_back_lets_nobody_wait_for_the_old_time(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    pacer.take_weight(1)
    taken(pacer)
    # As if all of it had been written an hour from now.
    for key in pacer._memory._keys:
        content = json.loads(client.get(key) or "{}")
        content["at"] += 3600 * SECOND
        for track in content["tracks"].values():
            track[0] += 3600 * SECOND
        client.set(key, json.dumps(content))
    assert slot(pacer).wait < Decimal(1)


def test_a_block_does_not_last_longer_because_the_clock_was_set_back(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    pacer.block(Decimal(3))
    client.pexpire(pacer._memory._place_block, 3_600_000)  # what a clock set back looks like
    assert slot(pacer, latest=Decimal(1)).wait <= Decimal("3.1")


# --- Asked to pause -----------------------------------------------------------------------------


def test_a_block_stops_orders_and_requests_of_the_whole_place(client: redis.Redis) -> None:
    one, two = pacer_of(client, key="one"), known(pacer_of(client, key="two"))
    one.block(Decimal(60))
    assert not slot(two, latest=Decimal(2)).is_reserved
    with pytest.raises(RateLimited) as limited:
        two.take_weight(1)
    assert limited.value.retry_after > Decimal(50)
    with pytest.raises(RateLimited):
        two.wait_until_open()
    pacer_of(client, place="binance there", sleep=lambda _: None).take_weight(1)


def test_a_block_of_a_key_leaves_the_others_alone(client: redis.Redis) -> None:
    one, two = known(pacer_of(client, key="one")), known(pacer_of(client, key="two"))
    one.block(Decimal(60), key_only=True)
    assert not slot(one, latest=Decimal(2)).is_reserved
    assert slot(two, latest=Decimal(2)).is_reserved


def test_a_short_block_is_waited_for(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    pacer.block(Decimal("0.3"))
    start = pacer._memory.read().now
    pacer.wait_until_open()
    assert pacer._memory.read().now - start >= 280_000


def test_a_shorter_block_never_ends_a_longer_one(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    pacer.block(Decimal(60))
    pacer.block(Decimal(1))
    assert pacer._memory.read().blocked > 50 * SECOND


# --- What the exchange counts -------------------------------------------------------------------


def test_a_bot_that_uses_the_same_key_slows_all_workers_down(client: redis.Redis) -> None:
    one, two = known(pacer_of(client)), pacer_of(client)
    taken(one)
    one.note_counts({PER_TEN.name: 90}, took=Decimal("0.1"))
    # What was reserved a moment ago stays; from then on it is what the bot leaves.
    assert gaps([taken(two) for _ in range(3)])[0] > INTERVAL * 3


def test_bots_that_keep_to_their_part_slow_nobody_down(client: redis.Redis) -> None:
    pacer = known(pacer_of(client))
    before = taken(pacer)
    pacer.note_counts({PER_TEN.name: 50}, took=Decimal("0.1"))
    assert taken(pacer) - before == INTERVAL


def test_the_weight_that_bots_use_up_stops_requests_of_the_address(client: redis.Redis) -> None:
    pacer = pacer_of(client, key="one", sleep=lambda _: None)
    pacer.take_weight(1)
    pacer.note_counts({WEIGHT.name: 6300}, took=Decimal("0.1"))
    with pytest.raises(RateLimited) as limited:
        pacer_of(client, key="two").take_weight(20)
    assert Decimal(50) < limited.value.retry_after <= Decimal(60)


def test_the_exchanges_count_makes_up_for_lost_weight(client: redis.Redis) -> None:
    waits: list[float] = []
    pacer = pacer_of(client, sleep=waits.append)
    pacer.take_weight(20)
    assert waits
    pacer.note_counts({WEIGHT.name: 40}, took=Decimal("0.1"))
    waits.clear()
    pacer.take_weight(180)
    assert waits == []


def test_requests_beyond_the_share_are_told_to_wait(client: redis.Redis) -> None:
    waits: list[float] = []
    pacer = pacer_of(client, sleep=waits.append)
    with pytest.raises(RateLimited) as limited:  # noqa: PT012 - one of them, not which one
        for _ in range(40):
            pacer.take_weight(80)
    assert limited.value.retry_after > 20
    assert waits


# --- Whatever happens ---------------------------------------------------------------------------


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(["take", "take", "take", "back", "weight", "prime"]), max_size=60),
    st.lists(
        st.builds(Limit, allowed=st.integers(1, 20), window=st.sampled_from([1, 10, 60])),
        min_size=1,
        max_size=3,
        unique_by=lambda limit: limit.name,
    ),
)
def test_no_window_of_any_limit_is_exceeded_whatever_is_asked(
    valkey: ValkeyProcess, actions: list[str], limits: list[Limit]
) -> None:
    with client_of(valkey) as client:
        client.flushall()
        far = Decimal(3600)
        pacers = [
            known(
                pacer_of(client, share=Decimal(1), limits=(*limits, WEIGHT), sleep=lambda _: None)
            )
            for _ in range(2)
        ]
        used: dict[int, Slot] = {}
        for number, action in enumerate(actions):
            pacer = pacers[number % 2]
            if action == "take":
                found = pacer.take_order(lead=NOW, latest=far)
                assert found.number not in used, "a moment was given away twice"
                used[found.number] = found
            elif action == "back" and used:
                pacer.give_back(used.pop(max(used)))
            elif action == "weight":
                pacer.take_weight(1)
            else:
                pacer.prime()
        moments = sorted(found.at for found in used.values())
        for limit in limits:
            for start in moments:
                inside = sum(start <= moment < start + limit.window_us for moment in moments)
                assert inside <= limit.allowed


def test_nothing_is_sent_without_the_pacer() -> None:
    with ValkeyProcess() as server, client_of(server) as client:
        pacer = known(pacer_of(client))
        found = slot(pacer)
        server.stop()
        wait_until(lambda: not server._answers())
        for ask in (
            lambda: pacer.take_weight(1),
            lambda: slot(pacer),
            lambda: pacer.delay(found),
            lambda: pacer.give_back(found),
            lambda: pacer.wait_until_open(),
            lambda: pacer.prime(),
            lambda: pacer.block(Decimal(1)),
            lambda: pacer.note_counts({PER_TEN.name: 99}, took=NOW),
        ):
            with pytest.raises(PacerUnavailable):
                ask()
