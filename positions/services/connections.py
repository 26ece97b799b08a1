"""Open what the services talk to: Redis, and an account's exchange."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import Lock

import redis
from django.conf import settings

from positions.domain.policies import Policy
from positions.exchanges.connection import Connection
from positions.exchanges.port import ExchangePort
from positions.models import ExchangeAccount
from positions.services.credentials import Credentials, decrypted

_ONE_THREAD = Lock()


def redis_client(*, patience: int = 5) -> redis.Redis:
    """Return this process's Redis client; it connects when it is first used.

    There is one for each patience, in seconds. Its making lets one thread in at a time: a second
    client would be thrown away and, as redis-py does then, close the connections of whoever has it.
    """
    with _ONE_THREAD:
        return _redis_client(settings.REDIS_URL, patience)


@cache
def _redis_client(url: str, patience: int) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=patience, socket_connect_timeout=min(patience, 2)
    )


def open_exchange(account: ExchangeAccount, policy: Policy) -> ExchangePort:
    """Return this thread's port to the account's exchange; nothing is sent yet."""
    # ccxt takes more than a second and 50 MB: a process that only shows pages never loads it.
    from positions.exchanges.ccxt_adapter import exchange_for

    return exchange_for(
        _connection(account),
        keys=lambda: _named(decrypted(account)),
        client=redis_client(),
        share=policy.limit_share,
    )


@contextmanager
def trial_exchange(
    account: ExchangeAccount, credentials: Credentials, policy: Policy
) -> Iterator[ExchangePort]:
    """Give a port for credentials that are only tried; no part of this process keeps them.

    Raise `BadConfiguration` if the account can't be reached like this; nothing is sent yet.
    """
    from positions.exchanges.ccxt_adapter import CcxtExchange

    exchange = CcxtExchange(
        _connection(account),
        keys=_named(credentials),
        client=redis_client(),
        share=policy.limit_share,
    )
    try:
        yield exchange
    finally:
        exchange.close()


def _connection(account: ExchangeAccount) -> Connection:
    return Connection(
        exchange=account.exchange,
        environment=account.environment,
        base_url=account.base_url,
        key_fingerprint=account.key_fingerprint,
        signature_window_ms=settings.DUSTADMIN_SIGNATURE_WINDOW_MS,
        egress=settings.DUSTADMIN_EGRESS_ADDRESS,
    )


def _named(credentials: Credentials) -> Mapping[str, str]:
    return {
        "api_key": credentials.api_key,
        "api_secret": credentials.api_secret,
        "passphrase": credentials.passphrase,
    }
