"""Load an exchange's markets once for all processes: in Redis, and once per process.

ccxt needs its own market structures to build requests, so they are what is kept: about 9 MB of
JSON for 3,000 markets, compressed. A second client in the process shares the same objects.
"""

import hashlib
import json
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from positions.domain.markets import Market
from positions.exchanges.ccxt_answers import market_of
from positions.exchanges.port import PacerUnavailable

FRESH_SECONDS = 600
_LOAD_LOCK_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The markets of one place, as ccxt and as the product want them."""

    at: int  # seconds since the epoch
    client: Any  # a ccxt client that holds them; others share its objects
    markets: Mapping[str, Market]
    published: Mapping[str, Any]  # the limits that the exchange publishes


class MarketCache:
    """Keep markets per exchange and base URL; both Redis and this process remember them."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._loaded: dict[str, Loaded] = {}

    def get(
        self,
        client: redis.Redis,
        *,
        place: str,
        new_client: Callable[[], Any],
        load: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
        indexes: Mapping[str, str],
    ) -> Loaded:
        """Return the markets, loading them from Redis or, once for everybody, the exchange.

        `load` asks the exchange and returns ccxt's markets and the published limits. `indexes`
        names what ccxt's option indexes markets by which field, besides its own tables.
        """
        with self._lock:
            known = self._loaded.get(place)
            if known is not None and time.time() - known.at < FRESH_SECONDS:
                return known
            try:
                at, markets, published = self._shared(client, place=place, load=load)
            except redis.RedisError:
                raise PacerUnavailable(
                    "Redis does not answer, so the markets can't be read. Nothing was sent."
                ) from None
            holder = new_client()
            holder.set_markets(list(markets.values()))
            for option, by in indexes.items():
                holder.options[option] = holder.index_by(holder.markets, by)
            loaded = Loaded(
                at=at,
                client=holder,
                markets={
                    symbol: market
                    for symbol, item in holder.markets.items()
                    if (market := market_of(item)) is not None
                },
                published=published,
            )
            self._loaded[place] = loaded
            return loaded

    def _shared(
        self,
        client: redis.Redis,
        *,
        place: str,
        load: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
    ) -> tuple[int, dict[str, Any], dict[str, Any]]:
        key = f"dustadmin:markets:{hashlib.sha256(place.encode()).hexdigest()[:16]}"
        if (found := _unpacked(client.get(key))) is not None:
            return found
        with client.lock(f"{key}:lock", timeout=_LOAD_LOCK_SECONDS, blocking_timeout=60):
            if (found := _unpacked(client.get(key))) is not None:
                return found
            markets, published = load()
            content = (int(time.time()), markets, published)
            client.set(key, zlib.compress(json.dumps(content).encode(), 1), ex=FRESH_SECONDS)
            return content


def _unpacked(packed: Any) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    if packed is None:
        return None
    at, markets, published = json.loads(zlib.decompress(packed))
    return at, markets, published


MARKETS = MarketCache()
