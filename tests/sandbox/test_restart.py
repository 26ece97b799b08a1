"""Starting, stopping, dying and coming back."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange_process import ROOT, SandboxProcess
from tests.sandbox.clients import Raw

# What an older version of a state file did not have.
WITHOUT_3 = """
ALTER TABLE conversions DROP COLUMN client_id;
ALTER TABLE accounts DROP COLUMN nonce_window;
ALTER TABLE orders DROP COLUMN txid;
ALTER TABLE orders DROP COLUMN userref;
ALTER TABLE fills DROP COLUMN txid;
DROP TABLE nonces;
DROP TABLE counters;
UPDATE meta SET value = '2' WHERE name = 'format';
"""
WITHOUT_2 = (
    WITHOUT_3
    + """
ALTER TABLE requests DROP COLUMN address;
ALTER TABLE violations DROP COLUMN address;
ALTER TABLE faults DROP COLUMN refused;
DROP TABLE changes;
UPDATE meta SET value = '1' WHERE name = 'format';
UPDATE markets SET data = json_remove(
    data, '$.notional_filter', '$.percent_filter', '$.buy_percent_up', '$.min_applies_to_market'
);
"""
)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess("seed8", state_file=tmp_path / "state.sqlite") as process:
        yield process


def without_requests(ledger: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in ledger.items() if name != "requests"}


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_everything_is_there_after_a_restart(kept: SandboxProcess, how: str) -> None:
    raw = Raw(kept)
    raw.sell("DOGEUSDT", "2", newClientOrderId="sold")
    raw.limit("DOGEUSDT", "SELL", "3", "0.30", newClientOrderId="resting")
    kept.control("POST", "prices", {"XRPUSDT": "3"})
    kept.control("POST", "clock", {"skew_ms": 1500})
    kept.control("POST", "accounts", {"balances": {"USDT": "5"}})
    kept.fault("error", times=None, match={"symbol": "XRPUSDT"})
    before, keys = kept.ledger(), kept.credentials()
    if how == "SIGKILL":
        kept.kill()
    kept.restart()
    after = kept.ledger()
    assert kept.credentials() == keys
    assert without_requests(after) == without_requests(before)
    assert after["requests"] == before["requests"]
    found = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", origClientOrderId="resting")
    assert found.data["status"] == "NEW"
    assert raw.sell("XRPUSDT", "0.25").data["code"] == -1000
    ticker = raw.public("/api/v3/ticker/24hr?symbol=XRPUSDT").data
    assert ticker["lastPrice"] == "3.00000000"
    kept.clear_faults()
    assert raw.sell("XRPUSDT", "0.25").data["orderId"] == before["orders"][-1]["order_id"] + 1


def test_an_answered_order_survives_sigkill_every_time(kept: SandboxProcess) -> None:
    raw = Raw(kept)
    for left in ("4", "3", "2"):
        assert raw.sell("DOGEUSDT", "1").status == 200
        kept.kill()
        kept.start()
        assert kept.balance("DOGE")["free"] == left


def test_a_dropped_answer_is_in_the_books_after_sigkill(kept: SandboxProcess) -> None:
    raw = Raw(kept)
    kept.fault("drop_after")
    with pytest.raises(OSError, match=r"without response|reset|closed"):
        raw.sell("DOGEUSDT", "5", newClientOrderId="lost")
    kept.kill()
    kept.start()
    found = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", origClientOrderId="lost")
    assert found.data["status"] == "FILLED"


def test_used_limits_are_remembered_over_a_restart(kept: SandboxProcess) -> None:
    raw = Raw(kept)
    kept.control("POST", "limits", {"orders": [{"limit": 2, "interval_seconds": 60}]})
    raw.sell("DOGEUSDT", "1")
    raw.sell("DOGEUSDT", "1")
    kept.restart()
    assert raw.sell("DOGEUSDT", "1").data["code"] == -1015


def test_a_ban_is_remembered_over_a_restart(kept: SandboxProcess) -> None:
    raw = Raw(kept)
    limits = {"weight": {"limit": 1, "interval_seconds": 60}, "ban_after": 1}
    kept.control("POST", "limits", limits)
    assert [raw.public("/api/v3/ping").status for _ in range(3)] == [200, 429, 418]
    kept.restart()
    assert raw.public("/api/v3/ping").status == 418


@pytest.mark.parametrize("older", [WITHOUT_3, WITHOUT_2])
def test_a_file_of_an_older_version_goes_on_with_its_books(
    kept: SandboxProcess, older: str
) -> None:
    raw = Raw(kept)
    raw.sell("DOGEUSDT", "2")
    raw.call("POST", "/sapi/v1/asset/dust", asset="ADA")
    before = kept.ledger()
    kept.stop()
    assert kept.state_file is not None
    connection = sqlite3.connect(kept.state_file)
    connection.executescript(older)
    connection.close()
    kept.start()
    assert kept.ledger() == before
    assert raw.sell("DOGEUSDT", "3").status == 200


def test_the_state_file_is_private_and_holds_the_keys(kept: SandboxProcess) -> None:
    folder = kept.state_file.parent if kept.state_file else Path()
    Raw(kept).sell("DOGEUSDT", "1")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}


def test_keys_differ_between_exchanges() -> None:
    with SandboxProcess("seed8") as one, SandboxProcess("seed8") as two:
        assert one.credentials() != two.credentials()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--scenario", "seed8"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sandbox seed8 listening on http://127.0.0.1:")
        process.send_signal(number)
        out, errors = process.communicate(timeout=10)
    assert (process.returncode, out, errors) == (0, "", "")


def test_a_waiting_request_does_not_hold_the_end_up(kept: SandboxProcess) -> None:
    raw = Raw(kept)
    kept.fault("hang_after")
    body = "symbol=DOGEUSDT"
    with socket.create_connection(("127.0.0.1", kept.port)) as connection:
        head = f"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())
        assert raw.public("/api/v3/ping").status == 200
        assert kept.stop() == ""


def test_the_skew_can_be_given_at_the_start() -> None:
    with SandboxProcess("seed8", clock_skew_ms=-30_000) as process:
        assert Raw(process).call("GET", "/api/v3/account").data["code"] == -1021


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "99999", "--scenario", "seed8"], "--port 99999"),
        (["--port", "many", "--scenario", "seed8"], "--port"),
        (["--port", "0", "--scenario", "nothing"], "known: crowded, dusty, kraken8, minimums"),
        (["--port", "0", "--scenario", "seed8:positions=9"], "takes no arguments"),
        (["--port", "0", "--scenario", "wide:colour=red"], "known: seed, positions, markets"),
        (["--port", "0", "--scenario", "wide:positions=many"], "whole number"),
        (["--port", "0", "--scenario", "wide:positions=9,markets=8"], "positions <= markets"),
        (["--port", "0", "--scenario", "wide:markets=5001"], "<= 5000"),
        (["--port", "0", "--scenario", "wide:smallest=0"], "above zero"),
        (["--scenario", "seed8"], "--port"),
        (["--port", "0", "--scenario", "seed8", "--state-file", "/nowhere/x"], "/nowhere/x"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def foreign_text(path: Path) -> None:
    path.write_text("not a database\n" * 100, encoding="utf-8")


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (a)")
    connection.close()


@pytest.mark.parametrize("make", [foreign_text, foreign_database])
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, make: object) -> None:
    path = tmp_path / "file"
    assert callable(make)
    make(path)
    path.chmod(0o644)
    before = path.read_bytes()
    done = run("--port", "0", "--scenario", "seed8", "--state-file", str(path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_state_of_another_scenario_is_refused(kept: SandboxProcess) -> None:
    kept.stop()
    done = run("--port", "0", "--scenario", "minimums", "--state-file", str(kept.state_file))
    assert done.returncode == 2
    assert "belongs to scenario 'seed8'" in done.stderr


def test_a_second_process_on_the_same_state_is_refused(kept: SandboxProcess) -> None:
    done = run("--port", "0", "--scenario", "seed8", "--state-file", str(kept.state_file))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert Raw(kept).sell("DOGEUSDT", "5").status == 200


def test_a_port_in_use_is_refused(kept: SandboxProcess) -> None:
    done = run("--port", str(kept.port), "--scenario", "seed8")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(kept.port) in done.stderr


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"POST /api/v3/order HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /api/v3/order HTTP/1.1\r\nContent-Length: 2\r\n\r\n\xff\xfe",
        b"POST /api/v3/order HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort",
        b"PATCH / HTTP/1.1\r\n\r\n",
        b"GET /api/v3/ping HTTP/1.1\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
        b"GET http://[bad/api/v3/ping HTTP/1.1\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused_quietly(exchange: SandboxProcess, sent: bytes) -> None:
    # The fixture fails if anything was written to stderr.
    with socket.create_connection(("127.0.0.1", exchange.port)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
    assert Raw(exchange).public("/api/v3/ping").status == 200
    assert [each["path"] for each in exchange.ledger()["requests"]] == ["/api/v3/ping"]


def test_the_ledger_is_json_with_amounts_as_strings(kept: SandboxProcess) -> None:
    Raw(kept).sell("DOGEUSDT", "5")
    _, _, text = kept.request("GET", "/_control/ledger")
    floats: list[str] = []
    json.loads(text, parse_float=floats.append)
    assert floats == []
