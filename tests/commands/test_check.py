"""`check_dust_positions`: the numbers as JSON and as text."""

from __future__ import annotations

from datetime import timedelta

import pytest

from positions.models import ExchangeAccount, Snapshot, SnapshotStatus
from positions.selectors.analysis import analyse
from positions.services import policies
from tests.commands import builders
from tests.commands.conftest import Manage
from tests.exchange_process import SandboxProcess

KEYS = {
    "": [
        "account",
        "exchange",
        "snapshot",
        "policy",
        "counts",
        "slots",
        "value_usd",
        "positions",
        "residue",
        "thresholds",
        "recommendations",
    ],
    "snapshot": ["id", "taken_at", "anchor"],
    "policy": ["version", "dust_threshold", "winning_threshold", "position_cap"],
    "counts": ["total", "winning", "small", "dust", "unpriced", "counted"],
    "slots": ["cap", "used", "available", "over_cap"],
    "value_usd": ["total", "cash", "dust"],
}
POSITION = [
    "asset",
    "free",
    "locked",
    "total",
    "price",
    "value_usd",
    "category",
    "counted",
    "route",
    "reason",
    "message",
    "expected_net_usd",
]
THRESHOLD = ["threshold", "dust", "counted", "available", "dust_value_usd", "closable"]


@pytest.fixture
def held(db: None) -> ExchangeAccount:
    """Return an account whose snapshot is a moment old: nothing asks an exchange."""
    row = builders.account()
    taken = builders.snapshot(row)
    builders.position(taken, "USDT", free="100", price="1")
    builders.position(taken, "SOL", free="0.1", price="200")
    builders.position(taken, "DOGE", free="5", price="0.18")
    builders.position(taken, "PEPE", free="5000", price="0.00000812")
    builders.position(taken, "LUNA", free="3", price=None)
    return row


def test_the_json_has_exactly_the_promised_keys(manage: Manage, held: ExchangeAccount) -> None:
    result = manage("check_dust_positions", "held", "--json")
    assert (result.code, result.err) == (0, "")
    document = result.document
    for name, keys in KEYS.items():
        assert list(document[name] if name else document) == keys
    assert all(list(item) == POSITION for item in document["positions"])
    assert all(list(item) == THRESHOLD for item in document["thresholds"])
    assert all(list(item) == ["code", "message"] for item in document["recommendations"])


def test_positions_stand_largest_value_first_and_numbers_are_exact_texts(
    manage: Manage, held: ExchangeAccount
) -> None:
    positions = manage("check_dust_positions", "held", "--json").document["positions"]
    assert [item["asset"] for item in positions] == ["SOL", "DOGE", "PEPE", "LUNA"]
    pepe, luna = positions[2], positions[3]
    assert (pepe["total"], pepe["price"], pepe["value_usd"]) == ("5000", "0.00000812", "0.0406")
    assert (luna["price"], luna["value_usd"], luna["category"]) == (None, None, "UNPRICED")
    assert luna["counted"] is True
    assert luna["route"] == "KEEP"


def test_another_threshold_changes_what_is_shown_and_nothing_else(
    manage: Manage, held: ExchangeAccount
) -> None:
    document = manage("check_dust_positions", "held", "--threshold", "0.10", "--json").document
    assert document["counts"]["dust"] == 1
    assert document["policy"]["dust_threshold"] == "1"
    assert "0.1" in [item["threshold"] for item in document["thresholds"]]
    assert policies.in_force(held).version == 1
    assert Snapshot.objects.count() == 1


def test_a_threshold_above_the_guard_is_refused_with_a_document(
    manage: Manage, held: ExchangeAccount
) -> None:
    assert manage("check_dust_positions", "held", "--threshold", "10").code == 0
    result = manage("check_dust_positions", "held", "--threshold", "10.01", "--json")
    assert result.code == 3
    assert "max_threshold is 10" in result.problem
    assert list(result.document) == KEYS[""]
    assert result.document["recommendations"][0]["code"] == "MAX_THRESHOLD"
    plain = manage("check_dust_positions", "held", "--threshold", "10.01")
    assert (plain.code, plain.out) == (3, "")


def test_in_a_pipe_the_text_is_plain_and_has_the_numbers_of_the_json(
    manage: Manage, held: ExchangeAccount
) -> None:
    result = manage("check_dust_positions", "held")
    assert result.code == 0
    assert "\x1b" not in result.out
    assert not set(result.out) & set("│┃━─╭╮╰╯┏┓")
    analysis = analyse(held, now=held.snapshots.get().taken_at)
    assert f"{len(analysis.positions)} positions: 1 winning, 0 small, 2 dust, 1 unpriced" in (
        result.out
    )
    assert "2 of 8 used, 6 available" in result.out
    assert "5,000" in result.out
    assert "$0.0406" in result.out
    assert result.out.index("SOL ") < result.out.index("DOGE ") < result.out.index("PEPE ")
    assert "LUNA" in result.out.split("Dust that stays")[1].split("What a threshold")[0]
    for item in analysis.recommendations:
        assert item.message in result.out


def test_on_a_terminal_it_is_a_table(
    manage: Manage, held: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.core.management.base.OutputWrapper.isatty", lambda self: True)
    out = manage("check_dust_positions", "held").out
    assert "\x1b[1m" in out
    assert "─" in out
    assert "PEPE" in out


def test_a_viewer_may_look_at_what_is_there(manage: Manage, held: ExchangeAccount) -> None:
    builders.person("vera", "Viewer")
    assert manage("check_dust_positions", "held", "--as", "vera").code == 0


def test_an_old_snapshot_is_replaced(manage: Manage, demo: ExchangeAccount) -> None:
    old = builders.snapshot(demo, age=timedelta(seconds=301))
    document = manage("check_dust_positions", "demo", "--json").document
    assert document["snapshot"]["id"] != old.pk
    assert document["counts"]["total"] == 8
    assert document["slots"] == {"cap": 8, "used": 2, "available": 6, "over_cap": 0}
    again = manage("check_dust_positions", "demo", "--json").document
    assert again["snapshot"]["id"] == document["snapshot"]["id"]


def test_stale_numbers_are_never_shown_when_the_reading_fails(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    builders.snapshot(demo, age=timedelta(seconds=301))
    exchange.fault("status_before", method="GET", path="/api/v3/account", status=503, times=None)
    result = manage("check_dust_positions", "demo", "--json")
    assert (result.code, result.out) == (1, "")
    assert "demo could not be read: " in result.problem
    assert demo.snapshots.first().status == SnapshotStatus.FAILED


def test_a_refused_key_is_a_configuration_problem(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    exchange.fault(
        "error",
        method="GET",
        path="/api/v3/account",
        code=-2015,
        msg="Invalid API-key, IP, or permissions for action.",
        status=401,
        times=None,
    )
    result = manage("take_snapshot", "demo")
    assert (result.code, result.out) == (2, "")
    assert "demo could not be read: " in result.problem


def test_take_snapshot_says_what_was_read(manage: Manage, demo: ExchangeAccount) -> None:
    result = manage("take_snapshot", "demo")
    assert (result.code, result.err) == (0, "")
    newest = demo.snapshots.get()
    assert result.out.startswith("demo was read at ")
    assert f"{newest.positions.count()} holdings, snapshot {newest.pk}." in result.out
