"""Wait for what real processes do, however busy the machine is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Nothing here takes longer than a few seconds on a machine that has nothing else to do.
PATIENCE = 120.0  # seconds


def wait_for(condition: Callable[[], object], *, what: str, patience: float = PATIENCE) -> None:
    """Return as soon as the condition holds; fail with what it waited for otherwise."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
        threading.Event().wait(0.05)
