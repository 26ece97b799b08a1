"""The exchange's ledger is the judge of every test here."""

from collections.abc import Iterator

import pytest

from tests.journeys.oracle import assert_all_true
from tests.trading import World


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)
