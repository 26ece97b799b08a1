"""Let 64 bots race for six slots two hundred times, through the served product."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.benchmarks.figures import record
from tests.exchange_process import ROOT

ROUNDS = 200
RACE = "tests/concurrency/test_leases_over_http.py"


@pytest.mark.parametrize(
    ("database", "runner"), [("SQLite", "pytest"), ("PostgreSQL", "tests.on_postgres")]
)
def test_no_round_gives_away_a_seventh_slot(database: str, runner: str) -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", runner, RACE, "-q", "-n0", "--timeout", "3600"],
        cwd=ROOT,
        env={**os.environ, "RACE_ROUNDS": str(ROUNDS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    seconds = time.monotonic() - begun
    record(
        f"rounds of 64 bots for six slots without a wrong answer, {database}",
        ROUNDS,
        "",
        seconds=round(seconds),
    )
