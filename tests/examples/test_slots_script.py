"""The shell example: a number, or nothing and a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.examples.conftest import Desk
from tests.examples.front import Answer, Front
from tests.exchange_process import ROOT

SCRIPT = ROOT / "examples" / "slots.sh"


def run(
    *arguments: str, environment: dict[str, str], path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing but this in its environment."""
    found = os.environ["PATH"] if path is None else f"{path}:{os.environ['PATH']}"
    return subprocess.run(
        [SCRIPT, *arguments],
        env={"PATH": found, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_prints_the_free_slots(desk: Desk) -> None:
    done = run("desk-one", environment=desk.environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")
    desk.fill(but=0)
    assert run("desk-one", environment=desk.environment).stdout == "0\n"


def test_unknown_slots_are_a_reason_and_no_number(desk: Desk) -> None:
    desk.make_unknown()
    done = run("desk-one", environment=desk.environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The newest reading of desk-one failed." in done.stderr


def test_a_token_that_opens_nothing_is_a_reason(desk: Desk) -> None:
    done = run("desk-one", environment=desk.environment | {"DUST_ADMIN_TOKEN": "dust_a_b"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "status 401" in done.stderr
    assert "There is no such token." in done.stderr


def test_nobody_there_is_a_reason(desk: Desk) -> None:
    desk.front.close()
    done = run("desk-one", environment=desk.environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b'{"status": "known", "available": null}',
        b'{"status": "unknown", "available": 3}',
        b'{"available": 3}',
        b'{"status": "known", "available": -1}',
        rb'{"status": "known", "detail": "\"available\": 9"}',
    ],
)
def test_an_answer_without_sense_is_no_number(body: bytes) -> None:
    given = {"DUST_ADMIN_TOKEN": "dust_a_b"}
    with Front(0) as front:
        front.instead.append(Answer(status=200, body=body))
        done = run("demo", environment=given | {"DUST_ADMIN_URL": front.url})
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("missing", ["DUST_ADMIN_URL", "DUST_ADMIN_TOKEN", "ACCOUNT"])
def test_what_is_not_set_is_named(missing: str) -> None:
    given = {"DUST_ADMIN_URL": "http://127.0.0.1:1", "DUST_ADMIN_TOKEN": "t"}
    given.pop(missing, None)
    done = run(*([] if missing == "ACCOUNT" else ["demo"]), environment=given)
    assert (done.returncode, done.stdout) == (2, "")
    assert missing in done.stderr


def test_the_token_stands_in_no_argument(desk: Desk, tmp_path: Path) -> None:
    spy = tmp_path / "curl"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\nexec {shutil.which("curl")} "$@"\n')
    spy.chmod(0o700)
    assert run("desk-one", environment=desk.environment, path=tmp_path).stdout == "6\n"
    said = (tmp_path / "said").read_text()
    assert "/api/v1/accounts/desk-one/slots" in said
    assert desk.token not in said
