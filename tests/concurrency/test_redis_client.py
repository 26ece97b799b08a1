"""Threads that ask for the process's Redis client when there is none yet."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from positions.services.connections import redis_client
from tests.trading import at_once


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Let threads take turns so often that they meet in every few lines."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_ask_first_at_the_same_moment_share_one_client(settings: Any) -> None:
    for number in range(40):
        settings.REDIS_URL = f"redis://localhost/{number}"  # nobody connects
        assert len(set(map(id, at_once(*[redis_client] * 16)))) == 1
