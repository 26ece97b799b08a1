"""Let one signed request of a key be on its way at a time, each with a greater nonce than the last.

Some exchanges refuse a nonce that is not above the key's last one, whichever process sent it. So
all workers share a lock and the last nonce by the key's fingerprint. The lock has a lease: a worker
that vanished with it holds nobody up for longer than a request may take.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import redis
from redis.exceptions import LockError

from positions.exchanges.port import PacerUnavailable, RateLimited

log = logging.getLogger(__name__)

# Longer than a request may take, so that the lock never ends under one that is on its way.
_BEYOND_THE_TIMEOUT = 5.0  # seconds
_LOOK_EVERY = 0.01  # seconds


class Nonces:
    """The turn and the last nonce of one API key, shared by all workers."""

    def __init__(self, client: redis.Redis, *, key_fingerprint: str, timeout: float) -> None:
        """Name the keys; `timeout` is how long one request may take, seconds."""
        self._redis = client
        self._last_key = f"dustadmin:nonce:last:{key_fingerprint[:32]}"
        self._lock_key = f"dustadmin:nonce:lock:{key_fingerprint[:32]}"
        self._lease = timeout + _BEYOND_THE_TIMEOUT

    @contextmanager
    def turn(self, client: Any) -> Iterator[None]:
        """Hold the key's only turn for a request of this ccxt client.

        ccxt counts in `options["lastNonce"]` per client (4.5.90, `incrementing_nonce`); here the
        count is everybody's. Raise `RateLimited` if the turn does not come.
        """
        lock = self._redis.lock(
            self._lock_key, timeout=self._lease, sleep=_LOOK_EVERY, blocking_timeout=self._lease
        )
        try:
            if not lock.acquire():
                raise RateLimited(
                    "Another request with this key is on its way.", retry_after=Decimal(1)
                )
            last = int(self._redis.get(self._last_key) or 0)
        except redis.RedisError:
            raise PacerUnavailable("Redis does not answer. Nothing was sent.") from None
        client.options["lastNonce"] = last
        try:
            yield
        finally:
            self._end(lock, last=client.options["lastNonce"])

    def _end(self, lock: Any, *, last: int) -> None:
        try:
            self._redis.set(self._last_key, last)
            lock.release()
        except (redis.RedisError, LockError):
            # The answer counts, whatever became of the lock: it ends with its lease.
            log.warning("The turn of a key with a growing nonce could not be given up")
