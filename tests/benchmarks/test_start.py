"""Start the whole system on a prepared machine."""

from __future__ import annotations

import time
from pathlib import Path

from positions.management.ports import free_port
from tests.benchmarks.figures import record
from tests.journeys.processes import Up


def started(state: Path) -> float:
    """Return the seconds until the system says that it is ready."""
    began = time.monotonic()
    up = Up(state=state, port=free_port(), demo=True)
    try:
        up.wait_until_ready()
        return time.monotonic() - began
    finally:
        up.close()


def test_the_first_and_the_next_start_until_everything_is_ready(tmp_path: Path) -> None:
    state = tmp_path / "state"
    record("first start with its demo until /readyz", started(state), "s")
    record("next start until /readyz", started(state), "s")
