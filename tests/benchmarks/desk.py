"""A desk to measure at: a sandbox exchange, Valkey, a database and workers, all real processes.

It runs in a process of its own (`python -m tests.benchmarks.closing`), so that the database is the
one that `DATABASE_URL` names and nothing of pytest is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.exchange_process import ROOT, SandboxProcess, wait_until
from tests.valkey_process import ValkeyProcess

# Each at most some cents: a thousand of them stay below the policy's plan value of $50.
MARKET = {
    "quote": "USDT",
    "price": "0.5",
    "tick": "0.0001",
    "step": "0.001",
    "min_notional": "0.001",
}


class Desk:
    """Everything that a team has, for one measurement."""

    def __init__(self) -> None:
        """Start Valkey and the exchange, and point this process's settings to them."""
        self._stack = ExitStack()
        self.folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dustadmin-bench-"))
        )
        self.valkey = self._stack.enter_context(ValkeyProcess())
        self.exchange = self._stack.enter_context(SandboxProcess("seed8"))
        os.environ.update(
            DUSTADMIN_STATE_DIR=str(self.folder / "state"),
            DUSTADMIN_SNAPSHOT_INTERVAL="0",
            REDIS_URL=self.valkey.url,
        )
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._stack.close()

    def list_markets(self, count: int, *, prefix: str = "D") -> list[str]:
        """List so many markets against USDT and return their assets."""
        assets = [f"{prefix}{number:04d}" for number in range(count)]
        for start in range(0, count, 500):
            part = assets[start : start + 500]
            self.exchange.control(
                "POST", "markets", {f"{name}USDT": {"base": name, **MARKET} for name in part}
            )
        return assets

    def open_account(self, assets: list[str], *, quantity: str, name: str) -> Mapping[str, str]:
        """Open an account that holds this much of each asset; return its key."""
        balances = dict.fromkeys(assets, quantity) | {"USDT": "100"}
        return self.exchange.control("POST", "accounts", {"balances": balances, "name": name})

    def limit(self, **limits: Any) -> None:
        """Set the exchange's limits."""
        self.exchange.control("POST", "limits", limits)

    def latency(self, seconds: str) -> None:
        """Let every request take this long."""
        self.exchange.control("POST", "latency", {"seconds": seconds})

    def last_request(self) -> int:
        """Return the number of the last request that the exchange has noted."""
        return max((item["id"] for item in self.exchange.ledger()["requests"]), default=0)

    def start_workers(self, count: int) -> None:
        """Start workers and the scheduler as `manage.py up` does, and wait until they listen."""
        quiet = ("-l", "WARNING")
        for number in range(count):
            name = f"w{number}@bench"
            self._start("worker", *quiet, "--without-gossip", "--without-mingle", "-n", name)
        schedule = str(self.folder / "celerybeat-schedule")
        self._start("beat", "-s", schedule, "--pidfile=", *quiet)
        wait_for_workers(count)

    def _start(self, *arguments: str) -> None:
        log = (self.folder / f"{len(self._processes)}.log").open("wb")
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "dustadmin", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        )

    def said(self) -> str:
        """Return the end of what workers and scheduler wrote."""
        return "".join(path.read_text()[-1000:] for path in sorted(self.folder.glob("*.log")))


def wait_for_workers(count: int) -> None:
    """Return when so many workers listen."""
    from celery import current_app

    wait_until(
        lambda: len(current_app.control.ping(timeout=1.0)) >= count,
        seconds=90,
        what=f"{count} workers",
    )
