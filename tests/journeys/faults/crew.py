"""Real workers and schedulers, on one database and one Valkey, all ended with the crew."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from django.conf import settings as configured

from tests.journeys.faults.launcher import launch
from tests.journeys.faults.points import Points
from tests.journeys.faults.waiting import wait_for
from tests.journeys.processes import clean_environment, database_url
from tests.valkey_process import ValkeyProcess

QUEUE = "dustadmin"

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.journeys.faults.ready_made"])


class CeleryProcess:
    """One worker or scheduler as `manage.py up` starts it, but for its marked points.

    It is forked from a process that has done its imports already.
    """

    def __init__(self, *arguments: str, log: Path, environment: dict[str, str]) -> None:
        self._log = log
        log.write_text("")
        self.process = _FORKS.Process(
            target=launch,
            args=arguments,
            kwargs={"log": log, "environment": clean_environment(**environment)},
            daemon=True,
        )
        self.process.start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def said(self) -> str:
        """Return what it wrote."""
        return self._log.read_text()

    @property
    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.is_alive()

    def wait_until_ready(self) -> Self:
        """Return once it listens."""

        def ready() -> bool:
            assert self.is_alive, self.said
            return " ready." in self.said or "beat: Starting" in self.said

        wait_for(ready, what="a worker to listen")
        return self

    def has_done(self, task: str) -> bool:
        """Tell whether every wake-up of this task that it received has ended."""
        said = self.said
        received = set(re.findall(rf"{task}\[([\w-]+)\] received", said))
        ended = set(re.findall(r"\[([\w-]+)\] (?:succeeded|raised)", said))
        return received <= ended | set(re.findall(r"Discarding revoked task: .*\[([\w-]+)\]", said))

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """Stop it where it is."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on after SIGSTOP."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it in order, or at once if it takes long."""
        if self.is_alive:  # the id of one that has ended may be another process's by now
            self.process.terminate()
            self.process.join(timeout=10)
        if self.is_alive:
            self.kill()


class Crew:
    """Start workers and schedulers, and know them all."""

    def __init__(
        self, *, valkey: ValkeyProcess, points: Points, folder: Path, signature_window_ms: int
    ) -> None:
        self.points = points
        self._folder = folder
        self._environment = {
            "DUSTADMIN_STATE_DIR": str(folder),
            "DUSTADMIN_CREDENTIAL_KEYS": ",".join(configured.CREDENTIAL_KEYS),
            "DUSTADMIN_SNAPSHOT_INTERVAL": "0",
            "DUSTADMIN_SIGNATURE_WINDOW_MS": str(signature_window_ms),
            "DATABASE_URL": database_url(),
            "REDIS_URL": valkey.url,
            "FAULTS_FOLDER": str(points.folder),
        }
        self._processes: list[CeleryProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def __iter__(self) -> Iterator[CeleryProcess]:
        return iter(self._processes)

    @property
    def logs(self) -> str:
        """Return what all of them wrote."""
        return "\n".join(process.said for process in self._processes)

    def is_quiet(self) -> bool:
        """Tell whether no living worker has an order in hand."""
        living = [item for item in self._processes if item.is_alive]
        tasks = ("run_order", "run_conversion")
        return all(item.has_done(task) for item in living for task in tasks)

    def worker(self, *, threads: int = 8) -> CeleryProcess:
        """Start a worker; it takes a few seconds until it listens."""
        name = f"w{len(self._processes)}"
        return self._started(
            name,
            *("worker", "-P", "threads", "-c", str(threads), "-Q", QUEUE, "-l", "INFO"),
            *("--without-gossip", "--without-mingle", "-n", f"{name}@test"),
        )

    def scheduler(self) -> CeleryProcess:
        """Start a scheduler."""
        file = self._folder / "celerybeat-schedule"
        return self._started("beat", "beat", "-s", str(file), "--pidfile=", "-l", "INFO")

    def dismiss(self) -> None:
        """End all that live, at once, those that are stopped included."""
        living = [process for process in self._processes if process.is_alive]
        for process in living:
            process.wake()
            process.process.terminate()
        for process in living:
            process.close()

    def with_pid(self, pid: int) -> CeleryProcess:
        """Return the process of this id."""
        (found,) = [process for process in self._processes if process.pid == pid]
        return found

    def _started(self, name: str, *arguments: str) -> CeleryProcess:
        log = self._folder / f"{len(self._processes)}-{name}.log"
        made = CeleryProcess(*arguments, log=log, environment=self._environment)
        self._processes.append(made)
        return made
