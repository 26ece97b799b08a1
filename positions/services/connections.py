"""Open what the services talk to: Redis, and an account's exchange."""

from collections.abc import Mapping
from functools import cache

import redis
from django.conf import settings

from positions.domain.policies import Policy
from positions.exchanges.connection import Connection
from positions.exchanges.port import ExchangePort
from positions.models import ExchangeAccount
from positions.services.credentials import decrypted


@cache
def redis_client() -> redis.Redis:
    """Return this process's Redis client; it connects when it is first used."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2)


def open_exchange(account: ExchangeAccount, policy: Policy) -> ExchangePort:
    """Return this thread's port to the account's exchange; nothing is sent yet."""
    # ccxt takes more than a second and 50 MB: processes that only show pages never load it.
    from positions.exchanges.ccxt_adapter import exchange_for

    def keys() -> Mapping[str, str]:
        credentials = decrypted(account)
        return {
            "api_key": credentials.api_key,
            "api_secret": credentials.api_secret,
            "passphrase": credentials.passphrase,
        }

    return exchange_for(
        Connection(
            exchange=account.exchange,
            environment=account.environment,
            base_url=account.base_url,
            key_fingerprint=account.key_fingerprint,
            signature_window_ms=settings.DUSTADMIN_SIGNATURE_WINDOW_MS,
        ),
        keys=keys,
        client=redis_client(),
        share=policy.limit_share,
    )
