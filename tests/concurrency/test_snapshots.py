"""Several processes that read one account at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from positions.models import Snapshot
from positions.services import snapshots
from tests.concurrency.queues import queued_behind
from tests.journeys.processes import ROOT, shared_environment
from tests.trading import TEST, World, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def readings(world: World) -> int:
    requests = world.exchange.ledger()["requests"]
    return [request["path"] for request in requests].count("/api/v3/account")


def test_readers_that_wait_for_one_account_read_it_once(world: World) -> None:
    def read() -> Snapshot:
        return snapshots.take_snapshot(world.account, trigger=TEST, clock=world.clock)

    before = readings(world)
    found = queued_behind(world.account, read, read, read)
    assert len({snapshot.pk for snapshot in found}) == 1
    assert readings(world) == before + 1
    assert fresh(world.account).snapshot_claimed_until is None


def test_two_commands_that_read_at_once_read_once(world: World, tmp_path: Path) -> None:
    world.exchange.control("POST", "latency", {"seconds": "0.3"})
    before = readings(world)
    environment = shared_environment(tmp_path, REDIS_URL=world.valkey.url)
    commands = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "take_snapshot", "demo"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [command.communicate(timeout=120) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], said
    assert len({out for out, _ in said}) == 1
    assert readings(world) == before + 1
    assert Snapshot.objects.count() == 1
