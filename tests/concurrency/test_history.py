"""Many writers of the history, and of everything else, at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from positions.models import AuditChain, AuditEvent, ExchangeAccount
from positions.services import audit
from tests.commands import builders
from tests.journeys.processes import ROOT, shared_environment
from tests.trading import TEST, at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """Return what gives a process the test's database and keys."""
    return shared_environment(tmp_path)


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    """Return an account whose history has begun."""
    with transaction.atomic():
        return builders.account("demo")


class Appenders:
    """Processes that append to both chains; they begin together."""

    def __init__(self, stack: ExitStack, environment: Mapping[str, str]) -> None:
        self._stack, self._environment = stack, environment
        self._processes: list[subprocess.Popen[str]] = []

    def begin(self, *, processes: int, events: int) -> None:
        """Start them, wait until all are ready, and let them go."""
        command = [sys.executable, "-m", "tests.concurrency.appender", "demo", str(events)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        for _ in range(processes):
            process = subprocess.Popen(command, cwd=ROOT, env=self._environment, text=True, **pipes)
            self._processes.append(self._stack.enter_context(process))
            self._stack.callback(process.kill)
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def at_work(self) -> bool:
        """Tell whether one of them has not ended."""
        return any(process.poll() is None for process in self._processes)

    def end(self) -> None:
        """Wait for their end, which must be a good one."""
        for process in self._processes:
            _, complaints = process.communicate(timeout=120)
            assert (process.returncode, complaints) == (0, "")


@pytest.fixture
def appenders(environment: Mapping[str, str], account: ExchangeAccount) -> Iterator[Appenders]:
    """Return what starts appenders; all end with the test."""
    with ExitStack() as stack:
        yield Appenders(stack, environment)


def test_eight_processes_that_append_to_two_chains_fork_neither(
    environment: Mapping[str, str], account: ExchangeAccount, appenders: Appenders
) -> None:
    appenders.begin(processes=8, events=25)
    appenders.end()
    for chain in (account, None):
        events = AuditEvent.objects.filter(account=chain, kind="test.appended")
        assert sorted(Counter(events.values_list("actor_name", flat=True)).values()) == [25] * 8
        sequences = AuditEvent.objects.filter(account=chain).values_list("sequence", flat=True)
        assert sorted(sequences) == list(range(1, len(sequences) + 1))
    verified = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "verify_audit"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout == f"{AuditEvent.objects.count()} events in 2 chains, intact\n"


def test_a_history_that_grows_while_it_is_verified_is_whole(
    account: ExchangeAccount, appenders: Appenders
) -> None:
    appenders.begin(processes=2, events=100)
    verified = 0
    while appenders.at_work():
        assert audit.verify_all() == []
        verified += 1
    appenders.end()
    assert verified > 1


def test_the_first_event_of_a_chain_is_written_once_by_whoever_is_first(
    account: ExchangeAccount,
) -> None:
    assert not AuditChain.objects.filter(scope="").exists()

    def append() -> int:
        with transaction.atomic():
            return audit.record("test.appended", "One", actor=TEST, at=timezone.now()).sequence

    assert sorted(at_once(*[append] * 6)) == [1, 2, 3, 4, 5, 6]
    assert audit.verify_all() == []


def test_sixteen_writers_at_once_all_get_their_turn(account: ExchangeAccount) -> None:
    def write() -> None:
        for _ in range(10):
            with transaction.atomic():
                audit.record(
                    "test.written", "It was", actor=TEST, at=timezone.now(), account=account
                )

    assert at_once(*[write] * 16) == [None] * 16
    assert AuditEvent.objects.filter(kind="test.written").count() == 160
    assert audit.verify_all() == []
