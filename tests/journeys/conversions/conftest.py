"""An account whose dust is below the exchange's minimum, so that only a conversion closes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exchange_process import SandboxProcess
from tests.journeys.oracle import assert_all_true
from tests.trading import World, connect_again, fresh_process, running_valkey, valkey
from tests.valkey_process import ValkeyProcess

__all__ = ["fresh_process", "running_valkey", "valkey"]


@pytest.fixture(scope="session")
def running_minimums() -> Iterator[SandboxProcess]:
    """Run the scenario of the minimums once for this folder."""
    with SandboxProcess("minimums") as process:
        yield process


@pytest.fixture
def world(
    transactional_db: None,
    fresh_process: None,
    valkey: ValkeyProcess,
    running_minimums: SandboxProcess,
) -> Iterator[World]:
    """Return the account in its first state; the exchange's ledger judges every test."""
    running_minimums.control("POST", "reset")
    made = World(
        exchange=running_minimums,
        valkey=valkey,
        account=connect_again(running_minimums, slug="minimums"),
    )
    made.free_pace()
    yield made
    running_minimums.clear_faults()
    assert_all_true(running_minimums)
