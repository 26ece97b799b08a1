"""Real sandbox processes; one a module, put back to its scenario before each test."""

from __future__ import annotations

from collections.abc import Iterator

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw, connect


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    """Start the reference scenario once a module; nothing may appear on its stderr."""
    process = SandboxProcess("seed8")
    process.start()
    try:
        yield process
    finally:
        assert process.stop() == ""


@pytest.fixture
def exchange(running: SandboxProcess) -> SandboxProcess:
    """Return the exchange in its first state."""
    running.control("POST", "reset")
    return running


@pytest.fixture
def raw(exchange: SandboxProcess) -> Raw:
    """Return a maker of raw requests with the first account's keys."""
    return Raw(exchange)


@pytest.fixture
def client(exchange: SandboxProcess) -> Iterator[ccxt.binance]:
    """Return an unmodified ccxt client with loaded markets."""
    made = connect(exchange)
    made.load_markets()
    yield made
    made.session.close()
