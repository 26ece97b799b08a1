"""`manage.py up`, started for real on a state folder of its own."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests

from dustadmin.state import valkey_socket
from positions.management import demo, ports, valkey
from tests.journeys.processes import Up, alive, descendants, eventually, rows

pytestmark = pytest.mark.journey


def status(up: Up, page: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(f"http://127.0.0.1:{up.port}/{page}", timeout=30).status_code
        except requests.RequestException:
            return 0


def missing(up: Up) -> dict[str, str]:
    with requests.Session() as session:
        session.trust_env = False
        parts: dict[str, str] = session.get(
            f"http://127.0.0.1:{up.port}/readyz", timeout=30
        ).json()["missing"]
        return parts


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Run one system for the tests that leave it as they found it."""
    up = Up(state=tmp_path_factory.mktemp("system"), port=ports.free_port())
    try:
        yield up.wait_until_ready()
    finally:
        up.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    """Start systems that the test ends itself."""
    started: list[Up] = []

    def make(*, state: Path | None = None, port: int | None = None, with_demo: bool = False) -> Up:
        up = Up(state=state or tmp_path, port=port or ports.free_port(), demo=with_demo)
        started.append(up)
        return up

    yield make
    for up in started:
        up.close()


def test_the_first_start_names_the_address_and_the_first_sign_in(system):
    assert f"http://127.0.0.1:{system.port}/" in system.said()
    assert re.search(r"Sign in as admin with the password \S{16}\n", system.said())
    assert system.complained() == ""
    assert status(system, "healthz") == status(system, "readyz") == 200


def test_nothing_but_the_pages_listens_on_a_port(system):
    path = valkey_socket(system.state)
    with redis.Redis(unix_socket_path=str(path), decode_responses=True) as client:
        assert client.config_get("port") == {"port": "0"}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_up_on_the_same_state_is_refused_in_one_line(system, start):
    second = start(state=system.state, port=ports.free_port())

    assert second.process.wait(timeout=60) == 2
    assert re.fullmatch(r".*Another 'manage\.py up' is running.*\n", second.complained())
    assert status(system, "readyz") == 200


def test_a_taken_port_is_refused_in_one_line_and_leaves_nothing_running(start, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        up = start(port=port)

        assert up.process.wait(timeout=60) == 2
    assert re.fullmatch(rf".*Port {port} is taken by another program.*\n", up.complained())
    assert not (tmp_path / "valkey").exists()


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_refused_in_one_line(start, port):
    up = start(port=port)

    assert up.process.wait(timeout=60) == 2
    assert re.fullmatch(rf".*'{port}' is not a port from 1 to 65535\n", up.complained())


@pytest.mark.parametrize(
    ("name", "part"), [("worker", " worker "), ("scheduler", " beat "), ("valkey", "valkey-server")]
)
def test_a_killed_child_is_restarted_with_one_line_and_all_is_ready_again(system, name, part):
    first = system.child(part)

    os.kill(first.pid, signal.SIGKILL)

    line = f"{name} ended (killed by SIGKILL); started again.\n"
    eventually(lambda: line in system.said())
    assert system.said().count(f"{name} ended") == 1
    eventually(lambda: [it for it in system.children(part) if it.pid != first.pid])
    eventually(lambda: status(system, "readyz") == 200)


def test_a_worker_that_hangs_is_named_by_readyz_while_healthz_stays_well(system):
    worker = system.child(" worker ")

    os.kill(worker.pid, signal.SIGSTOP)
    try:
        eventually(lambda: missing(system) == {"worker": "No worker answers."})
        assert status(system, "readyz") == 503
        assert status(system, "healthz") == 200
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    eventually(lambda: status(system, "readyz") == 200)


def test_killed_it_leaves_no_child_behind_and_ended_by_ctrl_c_it_keeps_people(start):
    up = start().wait_until_ready()
    assert "Sign in as admin" in up.said()
    processes = [it.pid for it in descendants(up.process.pid)]
    assert len(processes) >= 6  # Valkey, worker, scheduler, web and its two processes

    up.process.kill()
    up.process.wait()
    up = start(state=up.state, port=up.port)

    eventually(lambda: not alive(processes))
    up.wait_until_ready()
    processes = [it.pid for it in descendants(up.process.pid)]

    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(timeout=60) == 0
    assert alive(processes) == []
    assert up.said().endswith("Everything has ended.\n")
    assert up.complained() == ""

    again = start(state=up.state).wait_until_ready()

    assert "password is reset with" in again.said()
    assert "Sign in as" not in again.said()
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(timeout=60) == 0


def test_ctrl_c_during_the_start_leaves_nothing_behind(start):
    up = start()
    eventually(lambda: "valkey-server" in str(descendants(up.process.pid)))
    processes = [it.pid for it in descendants(up.process.pid)]

    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(timeout=60) == 0
    assert alive(processes) == []


def test_a_web_server_that_can_not_be_kept_running_ends_everything(start):
    up = start().wait_until_ready()
    processes = [it.pid for it in descendants(up.process.pid)]

    for times in range(1, 4):
        os.kill(up.child(" gunicorn ").pid, signal.SIGKILL)
        if times < 3:
            eventually(lambda times=times: up.said().count("web ended") == times)
            eventually(lambda: " gunicorn " in str(descendants(up.process.pid)))

    assert up.process.wait(timeout=60) == 1
    assert re.fullmatch(r".*web ended 3 times within 30 s .*\n", up.complained())
    assert alive(processes) == []


def test_the_demo_is_connected_once_and_found_again_on_its_ports(start):
    up = start(with_demo=True).wait_until_ready()
    ports = json.loads((up.state / "sandbox" / "ports.json").read_text())

    assert connected(up.state) == {
        slug: f"http://127.0.0.1:{ports[slug]}" for slug in demo.SCENARIOS
    }

    os.kill(up.child("--scenario minimums").pid, signal.SIGKILL)
    eventually(lambda: "sandbox-demo-minimums ended" in up.said())
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=60) == 0

    again = start(state=up.state).wait_until_ready()

    assert json.loads((up.state / "sandbox" / "ports.json").read_text()) == ports
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(timeout=60) == 0

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", ports["demo"]))
        other.listen()
        refused = start(state=up.state)
        assert refused.process.wait(timeout=60) == 2
    assert re.fullmatch(
        rf".*Port {ports['demo']} is taken.*account demo needs it\.\n", refused.complained()
    )


def connected(state: Path) -> dict[str, str]:
    return dict(rows(state, "SELECT slug, base_url FROM positions_exchangeaccount"))


def test_a_folder_that_somebody_else_could_have_made_is_not_used_for_the_socket(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "private").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(valkey.ValkeyUnusable):
        valkey.command(socket=tmp_path / "private" / "valkey.sock", data=tmp_path / "data")
