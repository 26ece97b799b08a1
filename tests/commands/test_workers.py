"""The whole way through real processes: `manage.py`, a worker, Valkey and an exchange."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.exchange_process import SandboxProcess
from tests.journeys.processes import ROOT, clean_environment, own_database
from tests.valkey_process import ValkeyProcess

pytestmark = pytest.mark.journey


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Return what names a new state folder, a Valkey and an exchange, all of them real."""
    with ValkeyProcess() as valkey, SandboxProcess("seed8") as exchange:
        keys, state = exchange.credentials(), tmp_path / "state"
        yield clean_environment(
            DUSTADMIN_STATE_DIR=str(state),
            DUSTADMIN_EXCHANGE_BASE_URLS=json.dumps({"binance": exchange.base_url}),
            DUSTADMIN_API_KEY=keys["api_key"],
            DUSTADMIN_API_SECRET=keys["api_secret"],
            REDIS_URL=valkey.url,
            PYTHONPATH=str(ROOT),
            **own_database(state),
        )


def test_a_plan_goes_through_a_worker_and_comes_back_proved(
    environment: Mapping[str, str],
) -> None:
    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert manage("migrate", "--verbosity=0").returncode == 0
    added = manage("add_account", "demo", "--exchange", "binance")
    assert (added.returncode, added.stderr) == (0, "")
    close = ("close_dust_positions", "demo", "--yes")

    alone = manage(*close, "--json")
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "--inline" in alone.stderr
    assert alone.stderr.count("\n") == 1

    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "dustadmin", "worker"),
            *("-P", "threads", "-c", "4", "-Q", "dustadmin", "-l", "WARNING"),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # It asks for a worker for five seconds, which is the worker's time to start as well.
        for _ in range(12):
            done = manage(*close, "--json")
            if done.returncode != 2:
                break
        assert (done.returncode, done.stderr) == (0, "")
        document = json.loads(done.stdout)
        assert document["plan"]["status"] == "COMPLETED"
        assert document["totals"]["filled"] == document["totals"]["planned"] == 6
        assert (document["totals"]["counts_before"], document["totals"]["counts_after"]) == (8, 2)
    finally:
        worker.terminate()
        worker.wait(timeout=60)
    whole = manage("verify_audit")
    assert whole.returncode == 0
    assert whole.stdout.endswith("intact\n")
