"""Read an account with 300 positions at an exchange with 3,000 markets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.benchmarks.figures import record
from tests.exchange_process import ROOT


def test_reading_takes_little_beyond_the_exchanges_answers_and_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.reading"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    name = "snapshot of 300 positions over 3,000 markets"
    record(
        f"{name}: own time beyond the exchange's answers",
        found["own_ms"],
        "ms",
        limit=300,
        processor_ms=round(found["cpu_ms"]),
    )
    record(f"{name}: the same with the markets from Valkey", found["own_ms_first"], "ms")
    record("a process with 3,000 markets", found["loaded_mb"], "MB", bare=found["bare_mb"])
    record("a second account on the same exchange adds", found["second_account_mb"], "MB", limit=2)
