"""Count each token's requests in Redis, so that all web processes count together.

Without Redis nothing is counted and nothing is refused: a bot has to learn what its slots are.
"""

from datetime import datetime

import redis
from django.conf import settings

from positions.models import BotToken
from positions.services.connections import redis_client

_SECONDS = 60
_PATIENCE = 1  # seconds; a bot must not wait long for what is only counted


class TooManyRequests(Exception):
    """The token's share of this minute is used up."""

    def __init__(self, *, seconds: int) -> None:
        """Keep in how many seconds it may ask again."""
        limit = settings.DUSTADMIN_BOT_REQUESTS_PER_MINUTE
        super().__init__(
            f"A token may ask {limit} times a minute. Ask again in {seconds} s; slots have an "
            "ETag, and a lease needs no polling."
        )
        self.seconds = seconds


def count_use(token: BotToken, *, now: datetime) -> bool:
    """Count a request; raise `TooManyRequests` when the minute's share is used up.

    Return whether it is the first one within its minute.
    """
    second = int(now.timestamp())
    key = f"dustadmin:token:{token.prefix}:{second // _SECONDS}"
    try:
        with redis_client(patience=_PATIENCE).pipeline(transaction=False) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 2 * _SECONDS)
            count = int(pipeline.execute()[0])
    except redis.RedisError:
        return False  # that Redis is gone, /readyz tells
    if count > settings.DUSTADMIN_BOT_REQUESTS_PER_MINUTE:
        raise TooManyRequests(seconds=_SECONDS - second % _SECONDS)
    return count == 1
