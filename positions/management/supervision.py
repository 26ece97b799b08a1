"""Keep child processes running, and end all of them together.

SupervisionError
├── StopRequested   a person or the system asked for the end
└── CannotContinue  a child can't be kept running, or isn't ready in time
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

QUICK_DEATH_SECONDS = 30.0
MOST_QUICK_DEATHS = 3
LONGEST_PAUSE_SECONDS = 30.0
_SECONDS_BETWEEN_LOOKS = 0.1
_LARGEST_LOG = 5_000_000  # bytes
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SupervisionError(Exception):
    """Everything has to end; the message is one line for a person."""


class StopRequested(SupervisionError):
    """Somebody asked for the end: stop everything and report success."""


class CannotContinue(SupervisionError):
    """A child can't be kept running: stop everything and report failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A command to keep running; children of a lower `stage` are needed by higher ones."""

    name: str
    command: Sequence[str]
    stage: int
    essential: bool  # nothing works without it, so it is not restarted for ever
    stop_seconds: float = 5.0


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a Python module with this very interpreter.

    `-P` keeps the current folder off the import path: only what is installed, or named in
    PYTHONPATH, is run.
    """
    return [sys.executable, "-P", "-m", name, *arguments]


@dataclass(frozen=True, slots=True)
class Death:
    """When a child ended, on the monotonic clock, and how many seconds it had lived."""

    at: float
    lived: float


def pause_before_restart(*, essential: bool, deaths: Sequence[Death]) -> float | None:
    """Return the seconds to wait after the last of `deaths`, or None to give up.

    What dies after less than 30 s, again and again, is restarted for ever with a growing pause;
    an essential child gets two restarts within 30 s.
    """
    if essential:
        recent = [death for death in deaths if deaths[-1].at - death.at <= QUICK_DEATH_SECONDS]
        return None if len(recent) >= MOST_QUICK_DEATHS else 0.0
    quick = 0
    for death in reversed(deaths):
        if death.lived >= QUICK_DEATH_SECONDS:
            break
        quick += 1
    if quick <= 1:
        return 0.0
    return min(2.0 ** min(quick - 2, 10), LONGEST_PAUSE_SECONDS)


@dataclass(slots=True, kw_only=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: list[Death] = field(default_factory=list)
    restart_at: float | None = None


class Supervisor:
    """Start, watch and end children; use it from the main thread of a single-threaded process.

    Linux ties a child to the thread that started it, not to its process.
    """

    def __init__(self, *, root: Path, logs: Path, say: Callable[[str], None]) -> None:
        """Write each child's output to `logs`/NAME.log; report through `say`, a line a time.

        `root` is the folder that holds our packages.
        """
        path = [str(root), os.environ.get("PYTHONPATH", "")]
        self._variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
        self._logs = logs
        self._say = say
        self._running: dict[str, _Running] = {}
        self._stop_signals = 0
        # Never written to: the children's watchers see it end when this process ends.
        self._watched, self._held = os.pipe()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn Ctrl-C, SIGTERM and SIGHUP into StopRequested; end every child on the way out."""
        previous = {number: signal.signal(number, self._note) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            try:
                self.stop()
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)

    def start(self, child: Child) -> None:
        """Start a child; raise StopRequested instead if the end was asked for."""
        self.check()
        self._running[child.name] = _Running(
            child=child, process=self._spawn(child), started_at=time.monotonic()
        )

    def wait_until(
        self, ready: Callable[[], bool], *, seconds: float, otherwise: Callable[[], str]
    ) -> None:
        """Look after the children until `ready()`; after `seconds`, raise what `otherwise` says."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise CannotContinue(otherwise())
            self.check()
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def watch(self) -> None:
        """Look after the children until StopRequested or CannotContinue."""
        while True:
            self.check()
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def check(self) -> None:
        """Restart what died and is due; raise if everything has to end."""
        if self._stop_signals:
            raise StopRequested("The end was asked for.")
        for running in self._running.values():
            if running.restart_at is None:
                code = running.process.poll()
                if code is not None:
                    self._note_death(running, code)
            if running.restart_at is not None and time.monotonic() >= running.restart_at:
                running.process = self._spawn(running.child)
                running.started_at = time.monotonic()
                running.restart_at = None

    def stop(self) -> None:
        """End the children, the highest stage first; a second Ctrl-C kills what is left."""
        asked = self._stop_signals
        # What waits for its restart has no process; its old number may be somebody else's by now.
        alive = [it for it in self._running.values() if it.restart_at is None]
        for stage in sorted({it.child.stage for it in alive}, reverse=True):
            group = [it for it in alive if it.child.stage == stage]
            for running in group:
                if running.process.poll() is None:
                    running.process.terminate()
            deadline = time.monotonic() + max(it.child.stop_seconds for it in group)
            while any(it.process.poll() is None for it in group):
                impatient = self._stop_signals > max(asked, 1)
                if impatient or time.monotonic() > deadline:
                    break
                time.sleep(_SECONDS_BETWEEN_LOOKS / 2)
            for running in group:
                _kill_group(running.process)
        self._running.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stop_signals += 1

    def _note_death(self, running: _Running, code: int) -> None:
        child = running.child
        # Whatever the child started itself would keep its port or its locks.
        _kill_group(running.process)
        now = time.monotonic()
        # More than these change no pause.
        running.deaths = [*running.deaths[-20:], Death(now, now - running.started_at)]
        pause = pause_before_restart(essential=child.essential, deaths=running.deaths)
        if pause is None:
            raise CannotContinue(
                f"{child.name} ended {MOST_QUICK_DEATHS} times within {QUICK_DEATH_SECONDS:.0f} s"
                f" ({_ending(code)}), so everything ends.{self.last_words(child.name)}"
            )
        when = f"starts again in {pause:.0f} s" if pause else "started again"
        self._say(f"{child.name} ended ({_ending(code)}); {when}.")
        running.restart_at = now + pause

    def last_words(self, name: str) -> str:
        """Return a sentence with the last line of a child's log and where the rest stands."""
        path = self._log(name)
        try:
            lines = path.read_bytes()[-4000:].decode(errors="replace").split("\n")
        except OSError:
            lines = []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" Its last words: {last[:300]} (more in {path})" if last else f" See {path}."

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._log(child.name)
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        guard = [sys.executable, "-P", "-S", "-m", "positions.management.child"]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                [*guard, str(os.getpid()), str(self._watched), *child.command],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=self._variables,
                pass_fds=[self._watched],
                # Its own session: the terminal's Ctrl-C reaches this process only, which then
                # ends the children in order.
                start_new_session=True,
            )
        finally:
            os.close(descriptor)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # Refused when nobody is left; macOS says EPERM when only zombies are.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
