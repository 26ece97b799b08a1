"""Where a key's nonce must grow, one request of the key is on its way, whoever sends it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.connection import Connection
from positions.exchanges.nonces import Nonces
from positions.exchanges.port import RateLimited
from positions.services.connections import redis_client
from tests.trading import at_once
from tests.valkey_process import ValkeyProcess

PAIR = {
    "altname": "XBTUSDT",
    "wsname": "XBT/USDT",
    "base": "XXBT",
    "quote": "USDT",
    "lot_decimals": 8,
    "pair_decimals": 1,
    "ordermin": "0.0001",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "leverage_buy": [],
    "leverage_sell": [],
}
ASSETS = {
    "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5},
    "USDT": {"aclass": "currency", "altname": "USDT", "decimals": 8, "display_decimals": 4},
}


class Kraken(ThreadingHTTPServer):
    """What Kraken does with nonces: one that is not above the last one is refused."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.nonces: list[int] = []
        self.on_the_way = self.most_on_the_way = 0
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Kraken

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        result = {"Assets": ASSETS, "AssetPairs": {"XBTUSDT": PAIR}, "Time": {"unixtime": 1}}
        self._answer({"error": [], "result": result[self.path.split("/")[-1].split("?")[0]]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        nonce, server = int(parse_qs(body)["nonce"][0]), self.server
        with server.lock:
            server.on_the_way += 1
            server.most_on_the_way = max(server.most_on_the_way, server.on_the_way)
            stale = bool(server.nonces) and nonce <= server.nonces[-1]
            server.nonces.append(nonce)
        threading.Event().wait(0.03)
        with server.lock:
            server.on_the_way -= 1
        error = ["EAPI:Invalid nonce"] if stale else []
        self._answer({"error": error, "result": {"XXBT": {"balance": "1.5", "hold_trade": "0"}}})

    def _answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def kraken() -> Iterator[Kraken]:
    """Return a Kraken that counts nonces."""
    with Kraken() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_workers_that_share_a_key_send_one_after_the_other_with_growing_nonces(
    kraken: Kraken, valkey: ValkeyProcess, fresh_process: None
) -> None:
    connection = Connection(
        exchange="kraken",
        environment="sandbox",
        base_url=kraken.base_url,
        key_fingerprint="f" * 64,
        signature_window_ms=5000,
    )
    keys = {"api_key": "k" * 56, "api_secret": "c2VjcmV0" * 11}

    def read_three_times() -> None:
        port = CcxtExchange(connection, keys=keys, client=redis_client(), share=Decimal(1))
        port.pacer.limits = ()  # as fast as it goes: only the nonce holds it
        try:
            port.markets()
            port.pacer.limits = ()
            for _ in range(3):
                assert [item.asset for item in port.balances()] == ["BTC"]
        finally:
            port._client.ccxt.session.close()

    results = at_once(*[read_three_times] * 4)
    assert results == [None] * 4
    assert kraken.most_on_the_way == 1
    assert len(kraken.nonces) == 12
    assert kraken.nonces == sorted(set(kraken.nonces))


class Client:
    """What the turn needs of a ccxt client."""

    def __init__(self) -> None:
        self.options: dict[str, int] = {}


def test_a_worker_that_vanished_with_the_turn_holds_nobody_up_for_long(
    valkey: ValkeyProcess,
) -> None:
    nonces = Nonces(redis_client(), key_fingerprint="gone", timeout=1)
    redis_client().set(nonces._lock_key, "somebody", px=300)  # what is left of its lease
    client = Client()
    with nonces.turn(client):
        client.options["lastNonce"] = 7
    with nonces.turn(client):
        assert client.options["lastNonce"] == 7


def test_a_turn_that_does_not_come_is_said_and_nothing_is_sent(valkey: ValkeyProcess) -> None:
    nonces = Nonces(redis_client(), key_fingerprint="busy", timeout=-4.8)
    redis_client().set(nonces._lock_key, "somebody", px=60_000)
    with pytest.raises(RateLimited, match="on its way"), nonces.turn(Client()):
        raise AssertionError("nobody has the turn")
