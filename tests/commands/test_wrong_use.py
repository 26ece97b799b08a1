"""Every wrong use is one line on stderr and exit code 2; every refusal is exit code 3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from positions.management.command import one_line, threshold
from positions.models import CleanupPlan, Halt, Snapshot
from positions.services import policies
from tests.commands import builders
from tests.commands.conftest import Manage
from tests.journeys.processes import clean_environment, own_database

ROOT = Path(__file__).resolve().parents[2]

WRONG = [
    (["add_account"], "SLUG"),
    (["add_account", "new"], "--exchange"),
    (["add_account", "new", "--exchange", "binance", "--environment", "moon"], "invalid choice"),
    (["add_account", "new", "--exchange", "binance"], "DUSTADMIN_API_KEY"),
    (["set_policy", "held"], "FIELD=VALUE"),
    (["set_policy", "held", "dust_threshold"], "FIELD=VALUE"),
    (["set_policy", "held", "=1"], "FIELD=VALUE"),
    (["set_policy", "held", "dust_threshold=1", "dust_threshold=2"], "twice"),
    (["set_policy", "held", "nonsense=1"], "no such field"),
    (["set_policy", "held", "version=9"], "no such field"),
    (["set_policy", "held", "position_cap=2.5"], "whole number"),
    (["set_policy", "held", "cash_assets=U$D"], "asset codes"),
    (["set_policy", "nobody", "dust_threshold=1"], "no account 'nobody'"),
    (["take_snapshot"], "SLUG"),
    (["take_snapshot", "nobody"], "no account 'nobody'"),
    (["take_snapshot", "held", "--as", "nobody"], "no user 'nobody'"),
    (["take_snapshot", "held", "--as", "former"], "not active"),
    (["check_dust_positions"], "SLUG"),
    (["check_dust_positions", "nobody", "--json"], "no account 'nobody'"),
    (["check_dust_positions", "held", "--unheard"], "unrecognized"),
    (["check_dust_positions", "held", "--js"], "unrecognized"),
    (["close_dust_positions", "held"], "--yes"),
    (["close_dust_positions", "held", "--inline"], "--yes"),
    (["close_dust_positions", "held", "--json"], "--yes"),
    (["close_dust_positions", "nobody", "--yes"], "no account 'nobody'"),
    (["halt"], "--all"),
    (["halt", "held", "--all"], "--all"),
    (["halt", "nobody"], "no account 'nobody'"),
    (["verify_audit", "--as", "nobody"], "no user 'nobody'"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("arguments", "hint"), WRONG, ids=lambda value: str(value))
def test_wrong_use_is_one_line_and_exit_2(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, arguments: list[str], hint: str
) -> None:
    for name in ("DUSTADMIN_API_KEY", "DUSTADMIN_API_SECRET", "DUSTADMIN_API_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    builders.account()
    builders.person("former", "Operator", is_active=False)
    result = manage(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.problem.startswith(f"manage.py {arguments[0]}: ")
    assert hint in result.problem
    assert not Snapshot.objects.exists()
    assert not CleanupPlan.objects.exists()
    assert not Halt.objects.exists()


BAD_THRESHOLDS = [
    "",
    " ",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "1e999",
    "1e-3",
    "1,5",
    "1,000",
    "0",
    "0.00",
    "-0",
    "-1",
    "+-1",
    "0x10",
    "1_000",
    "one",
    "٣",
    "1.2.3",
    "1" * 31,
    "0." + "0" * 30 + "1",
    "1\n2",
]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["check_dust_positions", "close_dust_positions"])
@pytest.mark.parametrize("text", BAD_THRESHOLDS, ids=repr)
def test_a_threshold_that_is_no_amount_is_exit_2(manage: Manage, name: str, text: str) -> None:
    builders.account()
    result = manage(name, "held", f"--threshold={text}", "--json")
    assert result.code == 2
    assert result.out == ""
    assert result.problem.startswith(f"manage.py {name}: argument --threshold: ")


@pytest.mark.parametrize("text", ["1", "0.001", " 1.00 ", "$5", ".5", "0." + "0" * 29 + "1"])
def test_a_threshold_in_plain_digits_is_taken(text: str) -> None:
    assert threshold(text) > 0


@pytest.mark.django_db
def test_several_wrong_fields_are_told_at_once(manage: Manage) -> None:
    held = builders.account()
    result = manage("set_policy", "held", "dust_threshold=x", "position_cap=1.5", "nope=1")
    assert result.code == 2
    for name in ("dust_threshold", "position_cap", "nope"):
        assert f"{name}: " in result.problem
    assert policies.in_force(held).version == 1


@pytest.mark.django_db
def test_values_that_contradict_each_other_are_told(manage: Manage) -> None:
    builders.account()
    result = manage("set_policy", "held", "price_drift=1", "position_cap=0")
    assert result.code == 2
    assert "price_drift: " in result.problem
    assert "position_cap: " in result.problem


@pytest.mark.django_db
def test_a_threshold_above_the_guard_is_exit_3_in_set_policy(manage: Manage) -> None:
    held = builders.account()
    result = manage("set_policy", "held", "dust_threshold=10.01")
    assert result.code == 3
    assert "max_threshold" in result.problem
    assert "10.01" in result.problem
    assert policies.in_force(held).version == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("group", "arguments"),
    [
        ("Viewer", ["take_snapshot", "held"]),
        ("Viewer", ["set_policy", "held", "dust_threshold=2"]),
        ("Viewer", ["halt", "held"]),
        ("Viewer", ["close_dust_positions", "held", "--dry-run"]),
        ("Viewer", ["close_dust_positions", "held", "--yes", "--inline"]),
        ("Operator", ["set_policy", "held", "position_cap=9"]),
        ("Operator", ["add_account", "new", "--exchange", "binance"]),
        (None, ["check_dust_positions", "held"]),
        (None, ["verify_audit"]),
    ],
)
def test_a_person_without_the_permission_is_refused_with_exit_3(
    manage: Manage, group: str | None, arguments: list[str]
) -> None:
    builders.account()
    builders.person("mira", group)
    result = manage(*arguments, "--as", "mira")
    assert result.code == 3
    assert result.problem.startswith(f"manage.py {arguments[0]}: mira may not ")
    assert not Halt.objects.exists()


@pytest.mark.django_db
def test_a_bug_is_one_line_too_and_not_called_wrong_use(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("positions.services.audit.verify_all", lambda: 1 / 0)
    result = manage("verify_audit")
    assert result.code == 1
    assert "ZeroDivisionError" in result.problem
    with pytest.raises(ZeroDivisionError):
        manage("verify_audit", "--traceback")


@pytest.mark.django_db
def test_ctrl_c_is_one_line_and_130(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("positions.services.audit.verify_all", interrupted)
    result = manage("verify_audit")
    assert result.code == 130
    assert result.problem == "manage.py verify_audit: Interrupted."


def test_a_message_of_several_lines_becomes_one() -> None:
    assert one_line("a\n  b\r\nc") == "a b c"


def test_the_process_itself_ends_with_the_code_and_one_line(tmp_path: Path) -> None:
    """A database without tables is a configuration problem, told in one line."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check_dust_positions", "demo"],
        env=clean_environment(DUSTADMIN_STATE_DIR=str(tmp_path), **own_database(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("manage.py check_dust_positions: The database can't be used")
    assert ended.stderr.endswith(" Is it migrated (manage.py migrate)?\n")
    assert ended.stderr.count("\n") == 1
