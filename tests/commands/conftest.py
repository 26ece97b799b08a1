"""Run commands as `manage.py` does, against real rows, a real sandbox and a real Valkey."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import ManagementUtility

from positions.management import command
from positions.models import ExchangeAccount
from tests.exchange_process import SandboxProcess
from tests.trading import (
    World,
    connect,
    exchange,
    fresh_process,
    running_exchange,
    running_valkey,
    valkey,
)
from tests.valkey_process import ValkeyProcess

__all__ = ["exchange", "fresh_process", "running_exchange", "running_valkey", "valkey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return stdout as the one JSON document that it must be."""
        return json.loads(self.out)

    @property
    def problem(self) -> str:
        """Return the one line on stderr."""
        assert self.err.endswith("\n"), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removesuffix("\n")


Manage = Callable[..., Result]


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    """Return what runs `manage.py NAME …` in this process, on the test's own database."""
    # A real process closes its connections at the end; here they hold the test's transaction.
    monkeypatch.setattr(command.connections, "close_all", lambda: None)

    def run(*arguments: str) -> Result:
        code = 0
        capsys.readouterr()
        try:
            ManagementUtility(["manage.py", *arguments]).execute()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Result(code=code, out=said.out, err=said.err)

    return run


@pytest.fixture
def routed(exchange: SandboxProcess, settings: Any) -> SandboxProcess:
    """Return the exchange, where the operator sends Binance's requests."""
    settings.DUSTADMIN_EXCHANGE_BASE_URLS = {"binance": exchange.base_url}
    return exchange


@pytest.fixture
def demo(
    db: None, fresh_process: None, valkey: ValkeyProcess, exchange: SandboxProcess
) -> ExchangeAccount:
    """Return an account at the sandbox, connected as a person would."""
    account = connect(exchange)
    # Valkey starts empty, and an exchange whose last orders are not known waits a whole window.
    World(exchange=exchange, valkey=valkey, account=account).free_pace()
    return account
