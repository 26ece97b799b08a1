"""Share an exchange's limits among all workers: reservations in Redis, made atomically.

Order limits are kept per API key, request weight per exchange and base URL. Redis's own clock
decides, so that machines with different clocks agree. A reservation is a compare-and-swap on one
key around the pure arithmetic of `positions.domain.pacing`.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import redis

from positions.domain.pacing import Limit, reserve, strictest
from positions.exchanges.port import PacerUnavailable, RateLimited

ZERO = Decimal(0)
# Limits over longer windows are budgets, not a pace; they are counted where orders are kept.
LONGEST_PACED_WINDOW = 60
# Nobody waits longer than this for a request's turn; a page or a task says so instead.
LONGEST_WAIT = Decimal(20)
NEARLY_USED_PAUSE = Decimal(5)


@contextmanager
def _redis_answers() -> Iterator[None]:
    try:
        yield
    except redis.RedisError:
        raise PacerUnavailable(
            "Redis does not answer, so the shared rate limiter can't be asked. Nothing was sent."
        ) from None


class Pacer:
    """Say when the next request of one account may leave."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        place: str,
        key_fingerprint: str,
        share: Decimal,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep weights per `place` (exchange and base URL) and orders per key."""
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._redis = client
        self._weight_key = f"dustadmin:pace:weight:{digest}"
        self._block_key = f"dustadmin:pace:block:{digest}"
        self._lost_key = f"dustadmin:pace:lost:{digest}"
        self._order_key = f"dustadmin:pace:orders:{key_fingerprint[:32]}"
        self.share = share
        self._sleep = sleep

    def take_weight(self, weight: int, *, limit: Limit) -> None:
        """Wait until a request of this weight may leave; raise `RateLimited` if that takes long.

        Half of the window's share may be used at once, the rest flows back evenly, so that no
        window ever sees more than the share.
        """
        interval = limit.interval(self.share) * 2 * weight
        with _redis_answers():
            wait = self._reserve(
                self._weight_key,
                interval=interval,
                # Lost reservations leave no burst, only the even flow.
                window=ZERO,
                burst=Decimal(limit.window),
                latest=LONGEST_WAIT,
            )
        if wait > LONGEST_WAIT:
            raise RateLimited(
                "The exchange's request limit is used up for the moment.", retry_after=wait
            )
        if wait > 0:
            self._sleep(float(wait))  # a pause in seconds, not money

    def take_order(self, limits: list[Limit], *, lead: Decimal, latest: Decimal) -> Decimal | None:
        """Reserve the next order's moment: seconds from now; None if that is after `latest`."""
        limit = strictest([item for item in limits if item.window <= LONGEST_PACED_WINDOW])
        if limit is None:
            return lead
        with _redis_answers():
            wait = self._reserve(
                self._order_key,
                interval=limit.interval(self.share),
                window=Decimal(limit.window),
                burst=ZERO,
                latest=latest,
                lead=lead,
            )
        return None if wait > latest else wait

    def prime(self, limits: list[Limit]) -> None:
        """Start the count of a lost window now, so that it is over when an order comes."""
        limit = strictest([item for item in limits if item.window <= LONGEST_PACED_WINDOW])
        if limit is None:
            return
        with _redis_answers():
            run = self._run()
            if self._known(self._redis.get(self._order_key), run=run) is None:
                start = self._now() + Decimal(limit.window)
                self._redis.set(self._order_key, f"{run} {start}")

    def block(self, seconds: Decimal) -> None:
        """Let nobody send to this place for some seconds: the exchange asked for it."""
        milliseconds = max(1, int(seconds * 1000))
        with _redis_answers():
            if self._redis.pttl(self._block_key) < milliseconds:
                self._redis.set(self._block_key, "1", px=milliseconds)

    def note_used_weight(self, used: int, *, limit: Limit) -> None:
        """Believe the exchange's own count: step back near its end, recover a lost count by it."""
        if used * 20 >= limit.allowed * 19:
            self.block(NEARLY_USED_PAUSE)
        with _redis_answers():
            if self._redis.delete(self._lost_key):
                counted = limit.interval(self.share) * 2 * used
                start = self._now() - limit.window + counted
                self._redis.set(self._weight_key, f"{self._run()} {start}")

    def _now(self) -> Decimal:
        seconds, microseconds = self._redis.time()
        return Decimal(seconds) + Decimal(microseconds) / 1_000_000

    def _run(self) -> str:
        """Return what names this run of the server: one that restarted may remember old times."""
        return str(self._redis.info("server")["run_id"])

    @staticmethod
    def _known(value: Any, *, run: str) -> Decimal | None:
        """Return a reservation of this run of the server; None if there is none."""
        if value is None:
            return None
        kept_in, _, moment = (value.decode() if isinstance(value, bytes) else str(value)).partition(
            " "
        )
        return Decimal(moment) if kept_in == run else None

    def _reserve(
        self,
        key: str,
        *,
        interval: Decimal,
        window: Decimal,
        burst: Decimal,
        latest: Decimal,
        lead: Decimal = ZERO,
    ) -> Decimal:
        """Return the wait in seconds; the moment is reserved only if the wait is short enough."""
        while True:
            with self._redis.pipeline() as pipe:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                run = self._run()
                known = self._known(pipe.get(key), run=run)
                blocked = max(0, int(pipe.pttl(self._block_key)))
                now = self._now()
                if blocked:
                    wait = Decimal(blocked) / 1000
                    if wait > latest:
                        return wait
                    self._sleep(float(wait))
                    continue
                reservation = reserve(
                    next_free=known,
                    now=now + lead,
                    interval=interval,
                    window=window,
                    burst=burst,
                )
                wait = reservation.at - now
                if known is None and key == self._weight_key:
                    self._redis.set(self._lost_key, "1")
                if wait > latest:
                    if known is None:
                        # The lost window is counted from now, once.
                        self._redis.set(key, f"{run} {now + window}")
                    return wait
                try:
                    pipe.multi()
                    pipe.set(key, f"{run} {reservation.next_free}")
                    pipe.execute()
                except redis.WatchError:
                    continue
                return wait
