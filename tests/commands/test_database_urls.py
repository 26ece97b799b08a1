"""How `DATABASE_URL` is spelled, as a process that starts understands it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.processes import ROOT, clean_environment

TOLD = """
import json
from django.conf import settings
print(json.dumps(settings.DATABASES["default"]))
"""


def started(url: str, state: Path) -> subprocess.CompletedProcess[str]:
    """Start a process with this URL and have it tell its settings."""
    return subprocess.run(
        [sys.executable, "-c", TOLD],
        cwd=ROOT,
        env=clean_environment(
            DUSTADMIN_STATE_DIR=str(state),
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="dustadmin.settings",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def understood(url: str, state: Path) -> dict[str, Any]:
    """Return what the settings made of the URL."""
    process = started(url, state)
    assert process.returncode == 0, process.stderr
    settings: dict[str, Any] = json.loads(process.stdout)
    return settings


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgres://desk:p%40ss@db.lan:5433/dust", ("db.lan", 5433, "desk", "p@ss", "dust")),
        ("postgresql://desk@/dust?host=/run/Pg", ("/run/Pg", "", "desk", "", "dust")),
        ("postgres://desk@%2Frun%2FPg/dust", ("/run/Pg", "", "desk", "", "dust")),
        ("postgres:///dust", ("", "", "", "", "dust")),
    ],
)
def test_a_host_and_a_folder_of_a_unix_socket_are_understood(
    tmp_path: Path, url: str, where: tuple[Any, ...]
) -> None:
    found = understood(url, tmp_path)
    names = ("HOST", "PORT", "USER", "PASSWORD", "NAME")
    assert tuple(found[name] for name in names) == where
    assert "host" not in found["OPTIONS"]


def test_nothing_waits_for_postgresql_for_ever_unless_the_url_says_so(tmp_path: Path) -> None:
    usual = understood("postgres://desk@db/dust", tmp_path)
    assert (usual["CONN_HEALTH_CHECKS"], usual["CONN_MAX_AGE"]) == (True, 60)
    assert usual["OPTIONS"]["connect_timeout"] == 5
    assert "lock_timeout=30s" in usual["OPTIONS"]["options"]

    asked = "sslmode=require&connect_timeout=20&CONN_MAX_AGE=0&options=-c%20lock_timeout%3D5s"
    found = understood(f"postgres://desk@db/dust?{asked}", tmp_path)
    assert found["CONN_MAX_AGE"] == 0
    assert found["OPTIONS"]["sslmode"] == "require"
    assert found["OPTIONS"]["connect_timeout"] == 20
    assert found["OPTIONS"]["options"] == "-c lock_timeout=5s"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgres://desk:hidden@db", "DATABASE_URL names no database."),
        ("postgres://desk:hidden@db:99999/dust", "DATABASE_URL is not a database URL."),
        ("mysql://desk:hidden@db/dust", "DATABASE_URL must name SQLite or PostgreSQL."),
    ],
)
def test_a_url_that_can_not_be_used_stops_the_start_without_telling_its_password(
    tmp_path: Path, url: str, sentence: str
) -> None:
    process = started(url, tmp_path)
    assert process.returncode != 0
    assert sentence in process.stderr
    assert "hidden" not in process.stderr
