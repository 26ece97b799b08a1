"""Markets are loaded once for everybody."""

from __future__ import annotations

import pytest

from positions.exchanges import ccxt_adapter
from positions.exchanges.market_cache import MarketCache
from positions.exchanges.port import PacerUnavailable
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import Open, sale
from tests.trading import at_once
from tests.valkey_process import ValkeyProcess


def loads(exchange: SandboxProcess) -> int:
    return sum(
        request["path"] == "/api/v3/exchangeInfo" for request in exchange.ledger()["requests"]
    )


def test_two_clients_of_one_process_load_the_markets_once(
    open_port: Open, exchange: SandboxProcess
) -> None:
    one, two = open_port(), open_port()
    assert one.markets() is two.markets()
    assert loads(exchange) == 1


def test_two_processes_load_the_markets_once(
    open_port: Open, exchange: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = open_port().markets()
    monkeypatch.setattr(ccxt_adapter, "MARKETS", MarketCache())
    second = open_port()
    assert second.markets() == one
    assert second.markets() is not one
    assert loads(exchange) == 1


def test_clients_that_start_together_load_the_markets_once(
    open_port: Open, exchange: SandboxProcess
) -> None:
    ports = [open_port() for _ in range(6)]
    results = at_once(*[port.markets for port in ports])
    assert all(len(found) == 11 for found in results)
    assert loads(exchange) == 1


def test_markets_from_the_cache_place_the_same_order(
    open_port: Open, exchange: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_port().markets()
    monkeypatch.setattr(ccxt_adapter, "MARKETS", MarketCache())
    port = open_port()
    assert port.sell(sale(port), may_leave=lambda: True).trades_are_complete
    assert {limit.name: limit.allowed for limit in port.pacer.limits} == {
        "REQUEST_WEIGHT/60": 6000,
        "RAW_REQUESTS/300": 61_000,
        "ORDERS/10": 100,
        "ORDERS/86400": 200_000,
    }


def test_another_place_has_markets_of_its_own(open_port: Open, exchange: SandboxProcess) -> None:
    open_port().markets()
    open_port(base_url=f"http://localhost:{exchange.port}").markets()
    assert loads(exchange) == 2


def test_without_redis_the_markets_are_not_read(
    open_port: Open, exchange: SandboxProcess, settings: object
) -> None:
    from positions.services.connections import redis_client

    with ValkeyProcess() as server:
        settings.REDIS_URL = server.url  # type: ignore[attr-defined]
        port = open_port()
        server.stop()
        with pytest.raises(PacerUnavailable, match="Redis does not answer"):
            port.markets()
        redis_client().close()
    assert exchange.ledger()["requests"] == []
