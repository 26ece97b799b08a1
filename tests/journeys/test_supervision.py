"""The supervisor, with small real children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from positions.management.supervision import (
    CannotContinue,
    Child,
    Death,
    StopRequested,
    Supervisor,
    pause_before_restart,
)
from tests.journeys.processes import ROOT, alive, clean_environment, descendants, eventually

SLEEP = "import time; time.sleep(600)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


class Said(list[str]):
    """Collects the supervisor's lines."""


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def supervisor(tmp_path: Path, said: Said) -> Iterator[Supervisor]:
    supervisor = Supervisor(root=ROOT, logs=tmp_path, say=said.append)
    with supervisor.listening():
        yield supervisor


def child(name: str, code: str, *, stage: int = 0, essential: bool = False, stop: float = 5.0):
    return Child(
        name=name, command=python(code), stage=stage, essential=essential, stop_seconds=stop
    )


def pids_of(supervisor: Supervisor) -> list[int]:
    return [it.process.pid for it in supervisor._running.values()]


def look_until(supervisor: Supervisor, condition) -> None:
    def looked() -> bool:
        supervisor.check()
        return bool(condition())

    eventually(looked)


# --- The rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lives", "pause"),
    [
        ([0.1], 0.0),
        ([600.0], 0.0),
        ([0.1, 0.1], 1.0),
        ([0.1, 29.9], 1.0),
        ([0.1, 30.0], 0.0),
        ([600.0, 0.1], 0.0),
        ([0.1, 0.1, 0.1], 2.0),
        ([0.1] * 6, 16.0),
        ([0.1] * 7, 30.0),
        ([0.1] * 2000, 30.0),
        ([0.1, 0.1, 600.0, 0.1, 0.1], 1.0),
    ],
)
def test_a_child_that_dies_at_once_again_and_again_waits_longer_each_time(lives, pause):
    deaths = [Death(at=1000.0 * index, lived=lived) for index, lived in enumerate(lives)]

    assert pause_before_restart(essential=False, deaths=deaths) == pause


@pytest.mark.parametrize(
    ("times", "pause"),
    [
        ([100.0], 0.0),
        ([100.0, 101.0], 0.0),
        ([100.0, 115.0, 130.0], None),
        ([100.0, 115.0, 130.1], 0.0),
        ([10.0, 100.0, 115.0, 120.0], None),
    ],
)
def test_an_essential_child_is_given_up_at_its_third_death_within_thirty_seconds(times, pause):
    deaths = [Death(at=at, lived=1.0) for at in times]

    assert pause_before_restart(essential=True, deaths=deaths) == pause


# --- Restarting -------------------------------------------------------------------------------


def test_a_killed_child_is_restarted_with_one_line(supervisor, said):
    supervisor.start(child("worker", SLEEP))
    (first,) = pids_of(supervisor)

    os.kill(first, signal.SIGKILL)
    look_until(supervisor, lambda: pids_of(supervisor) != [first])

    assert said == ["worker ended (killed by SIGKILL); started again."]
    assert alive(pids_of(supervisor))


def test_an_essential_child_that_can_not_run_ends_everything_with_its_last_words(supervisor, said):
    supervisor.start(child("web", "raise SystemExit('no such database')", essential=True))

    with pytest.raises(CannotContinue) as caught:
        look_until(supervisor, lambda: False)

    message = str(caught.value)
    assert "web ended 3 times within 30 s (exit code 1)" in message
    assert "no such database" in message
    assert "\n" not in message
    assert len(said) == 2


def test_what_a_dead_child_had_started_is_ended_before_the_restart(supervisor, tmp_path):
    note = tmp_path / "grandchild"
    code = (
        "import subprocess, sys, time, pathlib;"
        f"grandchild = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]);"
        f"pathlib.Path({str(note)!r}).write_text(str(grandchild.pid));"
        "time.sleep(600)"
    )
    supervisor.start(child("web", code))
    eventually(lambda: note.exists() and note.read_text())
    grandchild = int(note.read_text())
    (first,) = pids_of(supervisor)

    os.kill(first, signal.SIGKILL)
    look_until(supervisor, lambda: pids_of(supervisor) != [first])

    eventually(lambda: not alive([grandchild]))


def test_waiting_for_what_never_gets_ready_ends_with_the_given_sentence(supervisor):
    with pytest.raises(CannotContinue, match=r"Valkey does not answer\."):
        supervisor.wait_until(
            lambda: False, seconds=0.2, otherwise=lambda: "Valkey does not answer."
        )


# --- Ending -----------------------------------------------------------------------------------


def test_children_end_from_the_highest_stage_down(supervisor, tmp_path):
    order = tmp_path / "order"

    def writes(name: str) -> str:
        return (
            "import signal, sys, time\n"
            "def end(*_):\n"
            f"    open({str(order)!r}, 'a').write({name!r} + ' '); sys.exit()\n"
            "signal.signal(signal.SIGTERM, end)\n"
            f"open({str(tmp_path / name)!r}, 'w').close()\n"
            "time.sleep(600)"
        )

    for stage, name in enumerate(["valkey", "worker", "web"]):
        supervisor.start(child(name, writes(name), stage=stage))
        eventually((tmp_path / name).exists)

    supervisor.stop()

    assert order.read_text().split() == ["web", "worker", "valkey"]


def test_a_child_that_ignores_the_end_is_killed_after_its_time(supervisor, tmp_path):
    ready = tmp_path / "ready"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"open({str(ready)!r}, 'w').close(); time.sleep(600)"
    )
    supervisor.start(child("stubborn", code, stop=0.3))
    eventually(ready.exists)
    pids = pids_of(supervisor)

    before = time.monotonic()
    supervisor.stop()

    assert 0.3 <= time.monotonic() - before < 5
    assert alive(pids) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watch(supervisor, number):
    supervisor.start(child("worker", SLEEP))

    os.kill(os.getpid(), number)

    with pytest.raises(StopRequested):
        supervisor.watch()


def test_nothing_is_started_after_the_end_was_asked_for(supervisor):
    os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StopRequested):
        supervisor.start(child("worker", SLEEP))


DRIVER = """
import sys
from pathlib import Path
from positions.management import child
from positions.management.supervision import Child, Supervisor

supervisor = Supervisor(root=Path.cwd(), logs=Path(sys.argv[1]), say=print)
code = "import time; time.sleep(600)"
for name in ("one", "two"):
    command = [sys.executable, "-c", code]
    supervisor.start(Child(name=name, command=command, stage=0, essential=False))
supervisor.watch()
"""


def test_children_end_even_when_the_supervisor_is_killed(tmp_path):
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, env=clean_environment()
    )
    try:
        eventually(lambda: sum(SLEEP in it.command for it in descendants(driver.pid)) == 2)
        children = [it.pid for it in descendants(driver.pid)]
    finally:
        driver.kill()
        driver.wait()

    eventually(lambda: not alive(children))


WATCHED = """
import os, sys, time
from positions.management import child
os.setsid()
child.watch_in_fork(int(sys.argv[1]))
time.sleep(600)
"""


def test_the_watcher_of_other_systems_kills_the_command_when_the_pipe_ends(tmp_path):
    reading, writing = os.pipe()
    command = subprocess.Popen(
        [sys.executable, "-c", WATCHED, str(reading)],
        cwd=ROOT,
        env=clean_environment(),
        pass_fds=[reading],
    )
    eventually(lambda: descendants(command.pid))
    watcher = [it.pid for it in descendants(command.pid)]

    os.close(writing)

    assert command.wait(timeout=60) == -signal.SIGKILL
    eventually(lambda: not alive(watcher))
    os.close(reading)


def test_the_watcher_ends_with_its_command(tmp_path):
    reading, writing = os.pipe()
    command = subprocess.Popen(
        [sys.executable, "-c", WATCHED, str(reading)],
        cwd=ROOT,
        env=clean_environment(),
        pass_fds=[reading],
    )
    eventually(lambda: descendants(command.pid))
    watcher = [it.pid for it in descendants(command.pid)]

    command.kill()
    command.wait()

    eventually(lambda: not alive(watcher))
    os.close(reading)
    os.close(writing)


def test_a_command_whose_parent_is_gone_already_is_not_run(tmp_path):
    reading, writing = os.pipe()
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "positions.management.child", "1", str(reading)),
            *python("print('ran')"),
        ],
        cwd=ROOT,
        env=clean_environment(),
        pass_fds=[reading],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(reading)
    os.close(writing)

    assert (ended.returncode, ended.stdout) == (1, "")
