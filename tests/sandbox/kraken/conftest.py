"""A real sandbox process that speaks Kraken; one a module, put back before each test."""

from __future__ import annotations

from collections.abc import Iterator

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.kraken.clients import Raw, connect

# Nothing here is about limits but the tests of limits.
WIDE = {"maximum": 100_000, "decay": "1"}


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    """Start the reference scenario once a module; nothing may appear on its stderr."""
    process = SandboxProcess("kraken8")
    process.start()
    try:
        yield process
    finally:
        assert process.stop() == ""


@pytest.fixture
def exchange(running: SandboxProcess) -> SandboxProcess:
    """Return the exchange in its first state, with limits that nobody reaches."""
    running.control("POST", "reset")
    running.control("POST", "limits", {"public": WIDE, "private": WIDE, "trading": WIDE})
    return running


@pytest.fixture
def raw(exchange: SandboxProcess) -> Raw:
    """Return a maker of raw requests with the first account's keys."""
    return Raw(exchange)


@pytest.fixture
def client(exchange: SandboxProcess) -> Iterator[ccxt.kraken]:
    """Return an unmodified ccxt client with loaded markets."""
    made = connect(exchange)
    made.load_markets()
    yield made
    made.session.close()
