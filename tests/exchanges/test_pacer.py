"""All workers share one pace, kept in a real Valkey."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest
import redis

from positions.domain.pacing import Limit
from positions.exchanges.pacing import Pacer
from positions.exchanges.port import PacerUnavailable, RateLimited
from tests.exchange_process import wait_until
from tests.trading import at_once
from tests.valkey_process import ValkeyProcess

LIMIT = Limit(allowed=100, window=10)
INTERVAL = LIMIT.interval(Decimal("0.5"))
WEIGHT = Limit(allowed=6000, window=60)
NOW = Decimal(0)


class Recording(Pacer):
    """A pacer that remembers which moment it counted from."""

    counted_from = Decimal(0)

    def _now(self) -> Decimal:
        self.counted_from = super()._now()
        return self.counted_from


def client_of(server: ValkeyProcess) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=5, retry=None)


@pytest.fixture
def client(valkey: ValkeyProcess) -> Iterator[redis.Redis]:
    """Return a client of its own."""
    with client_of(valkey) as made:
        yield made


def pacer_of(client: redis.Redis, *, place: str = "binance here", key: str = "k") -> Recording:
    return Recording(
        client,
        place=place,
        key_fingerprint=key,
        share=Decimal("0.5"),
        sleep=lambda seconds: threading.Event().wait(seconds) and None,
    )


def known(pacer: Pacer) -> Pacer:
    """Return the pacer with reservations that were never lost."""
    pacer._redis.set(pacer._order_key, f"{pacer._run()} 0")
    return pacer


def taken(pacer: Recording, *, latest: str = "60") -> Decimal:
    wait = pacer.take_order([LIMIT], lead=Decimal("0.05"), latest=Decimal(latest))
    assert wait is not None
    return pacer.counted_from + wait


def test_moments_of_one_worker_are_evenly_spaced(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    known(pacer)
    moments = [taken(pacer) for _ in range(20)]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(gap == INTERVAL for gap in gaps)


def test_moments_of_eight_workers_are_never_closer_than_the_pace(valkey: ValkeyProcess) -> None:
    with client_of(valkey) as first:
        known(pacer_of(first))

    def reserve_ten() -> list[Decimal]:
        with client_of(valkey) as own:
            pacer = pacer_of(own)
            return [taken(pacer) for _ in range(10)]

    results = at_once(*[reserve_ten] * 8)
    assert not [item for item in results if isinstance(item, Exception)]
    moments = sorted(moment for found in results for moment in found)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(moments) == 80
    assert min(gaps) >= INTERVAL
    assert max(gaps) <= INTERVAL + Decimal("0.05")


def test_no_window_ever_sees_more_than_the_share(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    known(pacer)
    moments = [taken(pacer) for _ in range(120)]
    for start in moments:
        inside = [moment for moment in moments if start <= moment < start + LIMIT.window]
        assert len(inside) <= LIMIT.allowed // 2


def test_lost_reservations_count_as_a_full_window_used(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    assert pacer.take_order([LIMIT], lead=Decimal("0.05"), latest=Decimal(2)) is None
    wait = pacer.take_order([LIMIT], lead=Decimal("0.05"), latest=Decimal(60))
    assert wait is not None
    assert Decimal("9") < wait <= Decimal("10.05")


def test_a_lost_window_is_counted_once_and_not_with_every_question(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    pacer.prime([LIMIT])
    first = client.get(pacer._order_key)
    pacer.prime([LIMIT])
    assert pacer.take_order([LIMIT], lead=NOW, latest=Decimal(2)) is None
    assert client.get(pacer._order_key) == first


def test_a_crashed_valkey_that_wakes_up_with_old_reservations_has_lost_them() -> None:
    """What it saved a minute ago says nothing about the orders since."""
    with ValkeyProcess() as server:
        with client_of(server) as client:
            pacer = pacer_of(client)
            known(pacer)
            client.save()
            for _ in range(5):
                taken(pacer)
        assert server._process is not None
        server._process.kill()
        server._process.wait()
        server.start()
        with client_of(server) as client:
            again = pacer_of(client)
            assert client.get(again._order_key) is not None
            assert again.take_order([LIMIT], lead=NOW, latest=Decimal(2)) is None


def test_keys_have_a_pace_of_their_own_and_share_the_weight_of_their_place(
    client: redis.Redis,
) -> None:
    one, two = pacer_of(client, key="one"), pacer_of(client, key="two")
    known(one)
    known(two)
    taken(one)
    assert two.take_order([LIMIT], lead=NOW, latest=Decimal("0.1")) is not None
    assert one._weight_key == two._weight_key
    assert one._weight_key != pacer_of(client, place="binance there")._weight_key


def test_the_strictest_limit_decides(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    known(pacer)
    strict = Limit(allowed=1, window=1)
    pacer.take_order([LIMIT, strict], lead=NOW, latest=Decimal(60))
    wait = pacer.take_order([LIMIT, strict], lead=NOW, latest=Decimal(60))
    assert wait is not None
    assert wait > Decimal(2)


def test_a_turn_that_comes_too_late_is_not_reserved(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    known(pacer)
    while pacer.take_order([LIMIT], lead=NOW, latest=Decimal(1)) is not None:
        pass
    before = client.get(pacer._order_key)
    assert pacer.take_order([LIMIT], lead=NOW, latest=Decimal(1)) is None
    assert client.get(pacer._order_key) == before


def test_a_block_stops_orders_and_requests_of_the_whole_place(client: redis.Redis) -> None:
    one, two = pacer_of(client, key="one"), pacer_of(client, key="two")
    known(two)
    one.block(Decimal(60))
    assert two.take_order([LIMIT], lead=NOW, latest=Decimal(2)) is None
    with pytest.raises(RateLimited) as limited:
        two.take_weight(1, limit=WEIGHT)
    assert limited.value.retry_after > Decimal(50)
    pacer_of(client, place="binance there").take_weight(1, limit=WEIGHT)


def test_a_short_block_is_waited_for(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    pacer.block(Decimal("0.3"))
    start = pacer._now()
    pacer.take_weight(1, limit=WEIGHT)
    assert pacer._now() - start >= Decimal("0.28")


def test_a_shorter_block_never_ends_a_longer_one(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    pacer.block(Decimal(60))
    pacer.block(Decimal(1))
    assert int(client.pttl(pacer._block_key)) > 50_000


def test_the_exchanges_own_count_near_its_end_makes_everybody_pause(client: redis.Redis) -> None:
    pacer = pacer_of(client)
    pacer.note_used_weight(5699, limit=WEIGHT)
    assert not client.exists(pacer._block_key)
    pacer.note_used_weight(5700, limit=WEIGHT)
    assert client.exists(pacer._block_key)


def test_requests_beyond_the_share_are_told_to_wait(client: redis.Redis) -> None:
    waits: list[float] = []
    pacer = Pacer(client, place="p", key_fingerprint="k", share=Decimal("0.5"), sleep=waits.append)
    with pytest.raises(RateLimited) as limited:  # noqa: PT012 - one of them, not which one
        for _ in range(40):
            pacer.take_weight(80, limit=WEIGHT)
    assert limited.value.retry_after > 20
    assert waits


def test_nothing_is_sent_without_the_pacer() -> None:
    with ValkeyProcess() as server, client_of(server) as client:
        pacer = pacer_of(client)
        known(pacer)
        server.stop()
        wait_until(lambda: not server._answers())
        for ask in (
            lambda: pacer.take_weight(1, limit=WEIGHT),
            lambda: pacer.take_order([LIMIT], lead=NOW, latest=Decimal(2)),
            lambda: pacer.prime([LIMIT]),
            lambda: pacer.block(Decimal(1)),
            lambda: pacer.note_used_weight(5999, limit=WEIGHT),
        ):
            with pytest.raises(PacerUnavailable):
                ask()
