"""Measure how fast bots learn their slots, beside the cheapest view that lets a token in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from statistics import median

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import Bot, bot, broker, desk, hire, now
from tests.benchmarks.figures import record
from tests.panel_process import PanelProcess, slug_of
from tests.trading import running_valkey, valkey
from tests.valkey_process import ValkeyProcess

__all__ = ["bot", "broker", "desk", "hire", "now", "running_valkey", "valkey"]

HELD = 8
ROUNDS, SECONDS = 5, 3
CONNECTIONS = 8
TRIVIAL = "/api/v1/token"
SLOTS = f"/api/v1/accounts/{slug_of(HELD)}/slots"
LEAST_SHARE = 0.6


def test_slots_against_the_cheapest_view_with_a_token(tmp_path: Path) -> None:
    with (
        ValkeyProcess() as valkey,
        PanelProcess(
            state=tmp_path,
            sizes=[HELD],
            REDIS_URL=valkey.url,
            DUSTADMIN_BOT_REQUESTS_PER_MINUTE="1000000",
        ) as panel,
    ):
        script = tmp_path / "token.lua"
        script.touch(mode=0o600)
        script.write_text(f'wrk.headers["Authorization"] = "Bearer {panel.token}"\n')
        rates: dict[str, list[float]] = {TRIVIAL: [], SLOTS: []}
        for number in range(ROUNDS + 1):
            for path, found in rates.items():
                rate = requests_a_second(panel.base_url + path, script)
                if number:  # the first round fills what each process remembers
                    found.append(rate)
    trivial, slots = median(rates[TRIVIAL]), median(rates[SLOTS])
    share = median(b / a for a, b in zip(rates[TRIVIAL], rates[SLOTS], strict=True))
    record(
        "time of GET slots, in times that of the cheapest view with a token",
        round(1 / share, 3),
        "",
        round(1 / LEAST_SHARE, 3),
        share=round(share, 3),
        slots_a_second=round(slots),
        trivial_a_second=round(trivial),
        rounds=[round(b / a, 3) for a, b in zip(rates[TRIVIAL], rates[SLOTS], strict=True)],
    )


def wrk() -> str:
    """Return the machine's wrk."""
    found = shutil.which("wrk")
    if found is None:
        pytest.fail("This measures with wrk; on Debian and Ubuntu: apt-get install wrk.")
    return found


def requests_a_second(url: str, script: Path) -> float:
    """Return what wrk gets out of the server; fail if anything but answers came back."""
    said = subprocess.run(
        [wrk(), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found is not None, said
    return float(found[1])


def test_slots_take_three_queries(bot: Bot) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert bot.get("slots").status_code == 200
    record("queries of GET slots, nothing remembered", len(asked), "", 3)
