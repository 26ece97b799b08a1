"""How many order requests a second the sandbox answers: `python -m tests.sandbox.throughput`.

Each client is a process with one connection that sells one step after the other; the exchange
keeps its books in a file, as in earnest. Benchmarks of the product mean little near this figure.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import multiprocessing
import sys
import tempfile
import time
from http.client import HTTPConnection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from urllib.parse import urlencode

from tests.exchange_process import SandboxProcess

WITHOUT_LIMITS = {
    "weight": {"limit": 10**9, "interval_seconds": 60},
    "raw": {"limit": 10**9, "interval_seconds": 300},
    "orders": [{"limit": 10**9, "interval_seconds": 10}],
}


def sell(port: int, keys: dict[str, str], orders: int, start: Barrier) -> list[float]:
    """Place orders over one connection; return the seconds that each took."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    secret, headers = keys["api_secret"].encode(), {"X-MBX-APIKEY": keys["api_key"]}
    took = []
    start.wait()
    for _ in range(orders):
        asked = {"symbol": "PEPEUSDT", "side": "SELL", "type": "MARKET", "quantity": "5000"}
        query = urlencode(asked | {"timestamp": int(time.time() * 1000)})
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        began = time.perf_counter()
        connection.request("POST", f"/api/v3/order?{query}&signature={signature}", headers=headers)
        response = connection.getresponse()
        text = response.read()
        took.append(time.perf_counter() - began)
        if response.status != 200:
            raise AssertionError(text.decode())
    connection.close()
    return took


def measure(clients: int, orders: int, latency: str) -> str:
    """Return one line about the rate and the waiting times."""
    with (
        tempfile.TemporaryDirectory() as folder,
        SandboxProcess("seed8", state_file=Path(folder) / "state") as exchange,
        multiprocessing.Manager() as manager,
        multiprocessing.Pool(clients) as pool,
    ):
        exchange.control("POST", "limits", WITHOUT_LIMITS)
        exchange.control("POST", "balances", {"PEPE": {"free": "100000000000"}})
        exchange.control("POST", "latency", {"seconds": latency})
        start = manager.Barrier(clients + 1)
        work = (exchange.port, exchange.credentials(), orders, start)
        running = pool.starmap_async(sell, [work] * clients)
        start.wait()
        began = time.perf_counter()
        took = sorted(seconds for each in running.get() for seconds in each)
        rate = len(took) / (time.perf_counter() - began)
    middle, late = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
    return (
        f"{clients} clients, latency {latency} s: {rate:.0f} orders/s, "
        f"median {middle:.1f} ms, 99 % within {late:.1f} ms\n"
    )


def main() -> None:
    """Measure as the arguments say."""
    parser = argparse.ArgumentParser(description="How many orders a second the sandbox answers.")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--orders", type=int, default=250, help="of each client")
    parser.add_argument("--latency", default="0", help="seconds")
    options = parser.parse_args()
    sys.stdout.write(measure(options.clients, options.orders, options.latency))


if __name__ == "__main__":
    main()
