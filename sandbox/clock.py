"""The machine's clock."""

from __future__ import annotations

import time


def wall_us() -> int:
    """Return the machine's clock in microseconds."""
    return time.time_ns() // 1000
