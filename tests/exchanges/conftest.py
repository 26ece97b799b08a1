"""Open ports to a real sandbox exchange, paced by a real Valkey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.connection import Connection
from positions.exchanges.port import SellRequest
from positions.services.connections import redis_client
from positions.services.credentials import fingerprint
from tests.exchange_process import SandboxProcess
from tests.exchanges.responder import open_at, responder
from tests.trading import (
    exchange,
    fresh_process,
    new_id,
    running_exchange,
    running_valkey,
    valkey,
)
from tests.valkey_process import ValkeyProcess

__all__ = [
    "exchange",
    "fresh_process",
    "open_at",
    "responder",
    "running_exchange",
    "running_valkey",
    "valkey",
]

Open = Callable[..., CcxtExchange]


@pytest.fixture
def open_port(
    fresh_process: None, valkey: ValkeyProcess, exchange: SandboxProcess
) -> Iterator[Open]:
    """Return what opens a port to the exchange; all are closed at the end."""
    opened: list[CcxtExchange] = []

    def opener(
        keys: dict[str, str] | None = None, *, client: redis.Redis | None = None, **changes: Any
    ) -> CcxtExchange:
        found = keys or exchange.credentials()
        facts = {
            "exchange": "binance",
            "environment": "sandbox",
            "base_url": exchange.base_url,
            "key_fingerprint": fingerprint(found["api_key"]),
            "signature_window_ms": 5000,
        }
        port = CcxtExchange(
            Connection(**{**facts, **changes}),
            keys=found,
            client=client or redis_client(),
            share=Decimal("0.5"),
        )
        opened.append(port)
        return port

    yield opener
    for port in opened:
        port._client.ccxt.session.close()


@pytest.fixture
def port(open_port: Open) -> CcxtExchange:
    """Return a port that has its markets and its clock, as after a snapshot."""
    made = open_port()
    made.markets()
    made.now_ms()
    return made


def sale(port: CcxtExchange, symbol: str = "DOGE/USDT", quantity: str = "5") -> SellRequest:
    """Return a request to sell, signed now."""
    return SellRequest(
        symbol=symbol,
        quantity=Decimal(quantity),
        client_order_id=new_id(),
        signed_at_ms=port.now_ms(),
    )
