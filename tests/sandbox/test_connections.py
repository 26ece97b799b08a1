"""Connections that are refused, not answered, closed, or that speak TLS to the plain port."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import ccxt
import pytest
from requests.exceptions import ConnectTimeout, SSLError
from urllib3.exceptions import NewConnectionError

from tests.exchange_process import SandboxProcess, wait_until
from tests.sandbox.clients import Raw, Redirect


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what caused it, and what those wrapped."""
    while error is not None:
        yield error
        for wrapped in error.args:
            reason = getattr(wrapped, "reason", wrapped)
            if isinstance(reason, BaseException):
                yield from causes(reason)
        error = error.__cause__ or error.__context__


def stop_listening(seconds: str, kind: str = "refused") -> dict[str, object]:
    return {"path": "listening", "body": {"seconds": seconds, "kind": kind}}


def is_back(exchange: SandboxProcess) -> bool:
    try:
        return exchange.request("GET", "/api/v3/ping")[0] == 200
    except OSError:
        return False


def test_connections_are_refused_for_a_while(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    began = time.monotonic()
    exchange.control("POST", "listening", {"seconds": "0.5"})
    with pytest.raises(ccxt.NetworkError) as refused:
        client.fetch_balance()
    assert any(isinstance(error, NewConnectionError) for error in causes(refused.value))
    wait_until(lambda: is_back(exchange))
    assert 0.5 <= time.monotonic() - began < 5
    assert client.fetch_balance()["free"]["DOGE"] == "5.00000000"


def test_an_order_meets_a_closed_port_although_the_look_before_was_answered(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    ordered = {"method": "GET", "path": "/api/v3/account"}
    exchange.fault("change", **ordered, afterwards=[stop_listening("0.5")])
    assert client.fetch_balance()["free"]["DOGE"] == "5.00000000"
    with pytest.raises(ccxt.NetworkError) as refused:
        client.create_order("DOGE/USDT", "market", "sell", "5")
    assert any(isinstance(error, NewConnectionError) for error in causes(refused.value))
    wait_until(lambda: is_back(exchange))
    ledger = exchange.ledger()
    assert ledger["orders"] == []
    assert "/api/v3/order" not in {request["path"] for request in ledger["requests"]}


def test_connections_may_time_out_before_they_are_there(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.control("POST", "listening", {"seconds": "1", "kind": "silent"})
    client.timeout = 300
    with pytest.raises(ccxt.RequestTimeout) as silent:
        client.create_order("DOGE/USDT", "market", "sell", "5")
    assert any(isinstance(error, ConnectTimeout) for error in causes(silent.value))
    wait_until(lambda: is_back(exchange))
    assert exchange.ledger()["orders"] == []
    client.timeout = 5000
    assert client.create_order("DOGE/USDT", "market", "sell", "5")["status"] == "closed"


def test_what_is_being_answered_is_still_answered_when_the_door_closes(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.fault("delay_after", seconds="0.3")
    with ThreadPoolExecutor(1) as pool:
        selling = pool.submit(raw.sell, "DOGEUSDT", "5")
        wait_until(lambda: exchange.balance("DOGE")["free"] == "0")
        exchange.control("POST", "listening", {"seconds": "0.5"})
        answer = selling.result()
    assert answer.data["status"] == "FILLED"
    assert answer.headers["connection"] == "close"
    wait_until(lambda: is_back(exchange))


def test_a_closed_door_does_not_hold_the_end_up() -> None:
    with SandboxProcess("seed8") as process:
        process.control("POST", "listening", {"seconds": "60"})
        began = time.monotonic()
        assert process.stop() == ""
        assert time.monotonic() - began < 5


def test_a_door_that_is_closed_cannot_be_closed_again() -> None:
    with SandboxProcess("seed8") as process:
        close = [stop_listening("0.2")]
        fault = {"method": "GET", "path": "/api/v3/ping", "first": close, "afterwards": close}
        process.fault("change", **fault)
        assert process.request("GET", "/api/v3/ping")[0] == 200
        wait_until(lambda: is_back(process))
        refused = process.control("GET", "faults")["faults"][0]["refused"]
        assert refused == "listening: the exchange is not listening already"
        assert "could not change listening" in process.stop()


def test_a_client_that_is_sent_to_https_gets_a_tls_error_and_nothing_happens(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    client.session.mount("https://", Redirect(exchange.base_url.replace("http:", "https:")))
    with pytest.raises(ccxt.NetworkError) as broken:
        client.create_order("DOGE/USDT", "market", "sell", "5")
    assert any(isinstance(error, SSLError) for error in causes(broken.value))
    ledger = exchange.ledger()
    assert ledger["orders"] == []
    assert {request["path"] for request in ledger["requests"]} == {"/api/v3/exchangeInfo"}


def test_a_handshake_is_answered_before_it_is_complete(exchange: SandboxProcess) -> None:
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=5) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 Bad Request")
