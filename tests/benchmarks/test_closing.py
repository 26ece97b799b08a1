"""Close dust as fast as the exchange allows: what it takes, beside a plain loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.benchmarks.figures import record
from tests.exchange_process import ROOT
from tests.postgres_process import PostgresProcess


def measured(*, database: str = "", **spec: Any) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.closing", json.dumps(spec)],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Run a PostgreSQL."""
    with PostgresProcess() as server:
        yield server.url


def detail(found: dict[str, Any]) -> dict[str, Any]:
    """Return what explains a figure."""
    names = ("seconds", "gap_ms", "attempts", "not_sent", "paths", "violations")
    return {name: found[name] for name in names}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_two_hundred_orders_leave_at_the_pace_that_is_allowed(workers: int) -> None:
    found = measured(workers=workers, plain_loop=workers == 1)
    assert found["orders_filled"] == 200
    name = f"200 orders at 10 a second, 150 ms a request, {workers} worker(s)"
    seconds = found["seconds"][-1]
    record(f"{name}: of 19.9 s", seconds / 19.9, "x", limit=1.10, **detail(found))
    record(f"{name}: of 19.0 s", seconds / 19.0, "x")
    record(f"{name}: limit violations", sum(found["violations"].values()), "", limit=0)
    record(f"{name}: requests an order", found["requests_per_order"], "", limit=1.3)
    if loop := found.get("plain_loop"):
        record(f"{name}: a plain ccxt loop", loop["seconds"][-1] / 19.9, "x", **loop)


def test_a_thousand_orders_at_fifty_a_second() -> None:
    found = measured(orders=1000, rate=50, latency="0.02", workers=2, weight=60_000)
    assert found["orders_filled"] == 1000
    record(
        "1,000 orders at 50 a second, 20 ms a request, 2 workers: of 19.98 s",
        found["of_allowed"][-1],
        "x",
        **detail(found),
    )


@pytest.mark.parametrize("weight", [60_000, 6_000])
def test_ten_accounts_at_once(weight: int) -> None:
    found = measured(orders=100, accounts=10, workers=2, weight=weight)
    assert found["orders_filled"] == 1000
    name = f"10 accounts with 100 orders at 10 a second, weight {weight} a minute"
    record(f"{name}: slowest of 9.9 s", found["of_allowed"][-1], "x", **detail(found))
    spread = found["of_allowed"][-1] / found["of_allowed"][0]
    record(f"{name}: slowest to fastest", spread, "x", of_allowed=found["of_allowed"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_our_own_time_for_one_order(database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres") if database == "postgresql" else ""
    facts = {"kind": "overhead", "orders": 100, "rate": 5000, "latency": "0", "weight": 6_000_000}
    found = measured(database=url, **facts)
    assert found["database"] == database
    name = f"own time for one order on {database}"
    record(f"{name}, median", found["median_ms"], "ms", parts=found["parts_ms"])
    record(f"{name}, processor", found["cpu_ms"], "ms", p95=round(found["p95_ms"], 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_halt_is_the_end_of_requests(workers: int) -> None:
    found = measured(kind="halt", workers=workers)
    name = f"halt with {workers} worker(s)"
    record(f"{name}: requests that left after it returned", found["after_returned"], "", limit=0)
    record(
        f"{name}: requests that left after it was pressed",
        found["after_pressed"],
        "",
        limit=workers,
        **found,
    )
