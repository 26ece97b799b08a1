"""The whole system on a PostgreSQL of its own, which goes away in the middle and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from positions.management import ports
from tests.journeys.processes import ROOT, Up, eventually
from tests.postgres_process import PostgresProcess

pytestmark = pytest.mark.journey


@pytest.fixture
def server() -> Iterator[PostgresProcess]:
    with PostgresProcess() as process:
        yield process


@pytest.fixture
def system(server: PostgresProcess, tmp_path: Path) -> Iterator[Up]:
    up = Up(state=tmp_path, port=ports.free_port(), demo=True, DATABASE_URL=server.url)
    try:
        yield up.wait_until_ready()
    finally:
        up.close()


def answer(up: Up, path: str, *, signed_in: bool = False) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        if signed_in:  # the database is asked who it is
            session.cookies["sessionid"] = "a" * 32
        return session.get(f"http://127.0.0.1:{up.port}/{path}", timeout=20)


def manage(up: Up, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=up.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def asked(server: PostgresProcess, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url) as database:
        return database.execute(sql).fetchall()


def statuses(server: PostgresProcess) -> Counter[str]:
    return Counter(status for (status,) in asked(server, "SELECT status FROM positions_closeorder"))


def test_a_plan_outlives_a_database_that_is_restarted(system: Up, server: PostgresProcess) -> None:
    closing = manage(system, "close_dust_positions", "demo-crowded", "--yes")
    eventually(lambda: statuses(server)["FILLED"] >= 3)

    server.stop()

    _, complaint = closing.communicate(timeout=120)
    assert closing.returncode == 2
    assert complaint.startswith("manage.py close_dust_positions: The database can't be used: ")
    assert complaint.count("\n") == 1
    assert "migrate" not in complaint
    assert answer(system, "healthz").status_code == 200
    assert answer(system, "readyz").json()["missing"]["database"] == "The database does not answer."
    page = answer(system, "", signed_in=True)
    assert page.status_code == 503
    assert "nothing is sent twice" in page.text

    server.start()

    eventually(lambda: answer(system, "readyz").status_code == 200)
    with psycopg.connect(server.url) as database:
        # A worker that lost the database keeps its claim until the lease ends; it ends now.
        database.execute(
            "UPDATE positions_closeorder SET claimed_until = now(), due_at = now()"
            " WHERE claimed_until IS NOT NULL"
        )
    eventually(
        lambda: asked(server, "SELECT status FROM positions_cleanupplan") == [("COMPLETED",)],
        seconds=120,
    )
    assert set(statuses(server)) == {"FILLED"}
    ports = json.loads((system.state / "sandbox" / "ports.json").read_text())
    with requests.Session() as session:
        session.trust_env = False
        url = f"http://127.0.0.1:{ports['demo-crowded']}/_control/ledger"
        ledger = session.get(url, timeout=20).json()
    sold = [order["symbol"] for order in ledger["orders"]]
    converted = [row["from_asset"] + "USDT" for row in ledger["conversions"]]
    assert len({*sold, *converted}) == len(sold) + len(converted)  # each of them once
    assert len(sold) + len(converted) == statuses(server).total()
    verified = manage(system, "verify_audit")
    assert verified.communicate(timeout=120)[0].endswith("intact\n")
    assert " ended (" not in system.said()
