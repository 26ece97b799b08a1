"""Look at real processes, give them a database, and wait for what they do."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from django.conf import settings as configured
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def eventually(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return as soon as the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One running process."""

    pid: int
    parent: int
    command: str


def running() -> list[Process]:
    """Return every process of the machine that runs (zombies have ended)."""
    listing = _listed_by_kernel() if Path("/proc/self/stat").exists() else _listed_by_ps()
    return [process for process, state in listing if not state.startswith("Z")]


def _listed_by_kernel() -> list[tuple[Process, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in parentheses may hold anything, parentheses included.
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended meanwhile
        found.append((Process(pid=int(folder.name), parent=int(parent), command=command), state))
    return found


def _listed_by_ps() -> list[tuple[Process, str]]:
    text = subprocess.run(
        ["/bin/ps", "-axo", "pid=,ppid=,stat=,command="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = []
    for line in text.splitlines():
        pid, parent, state, command = line.split(None, 3)
        found.append((Process(pid=int(pid), parent=int(parent), command=command), state))
    return found


def is_stopped(pid: int) -> bool:
    """Tell whether SIGSTOP has stopped a process."""
    listing = _listed_by_kernel() if Path("/proc/self/stat").exists() else _listed_by_ps()
    return any(process.pid == pid and state.startswith("T") for process, state in listing)


def descendants(pid: int) -> list[Process]:
    """Return the processes that a process started, and theirs."""
    everything = running()
    found, parents = [], {pid}
    while parents:
        children = [process for process in everything if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return found


def alive(pids: list[int]) -> list[Process]:
    """Return those of the processes that still run."""
    return [process for process in running() if process.pid in pids]


def clean_environment(**variables: str) -> Mapping[str, str]:
    """Return the environment without any of our own variables but the given ones."""
    ours = ("DUSTADMIN_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**inherited, **variables}


def database_url(name: str | None = None) -> str:
    """Return the URL of the test's own database, or of another one on the same server."""
    settings = connection.settings_dict
    name = name or str(settings["NAME"])
    if connection.vendor == "sqlite":
        assert not connection.is_in_memory_db(), "use_file_database() lets processes share it"
        return f"sqlite:///{quote(name)}"
    options, host = dict(settings["OPTIONS"]), settings["HOST"]
    if host.startswith("/"):
        options["host"], host = host, ""
    person = f"{quote(settings['USER'], safe='')}:{quote(settings['PASSWORD'], safe='')}"
    port = f":{settings['PORT']}" if settings["PORT"] else ""
    return f"postgres://{person}@{host}{port}/{quote(name)}?{urlencode(options, quote_via=quote)}"


def shared_environment(state: Path, **variables: str) -> Mapping[str, str]:
    """Return the environment of a process that works on the test's own database."""
    return clean_environment(
        DUSTADMIN_STATE_DIR=str(state),
        DUSTADMIN_CREDENTIAL_KEYS=",".join(configured.CREDENTIAL_KEYS),
        DATABASE_URL=database_url(),
        **variables,
    )


_OWN_DATABASES: set[str] = set()


def own_database(state: Path) -> dict[str, str]:
    """Return what gives a state folder a database of its own, made when first asked for.

    SQLite keeps its file in the folder; on PostgreSQL it is a database that is named after it.
    """
    if connection.vendor == "sqlite":
        return {}
    name = f"test_state_{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}"
    if name not in _OWN_DATABASES:
        with psycopg.connect(database_url(), autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name}")
        _OWN_DATABASES.add(name)
    return {"DATABASE_URL": database_url(name)}


def drop_own_databases() -> None:
    """Leave nothing behind on a server that outlives the tests."""
    while _OWN_DATABASES:
        with psycopg.connect(database_url(), autocommit=True) as server:
            server.execute(f"DROP DATABASE {_OWN_DATABASES.pop()} WITH (FORCE)")


def rows(state: Path, sql: str) -> list[tuple[Any, ...]]:
    """Read the database that belongs to a state folder."""
    found = own_database(state)
    database: Any = (
        psycopg.connect(found["DATABASE_URL"])
        if found
        else sqlite3.connect(state / "dust-admin.sqlite3")
    )
    with closing(database):
        result: list[tuple[Any, ...]] = database.execute(sql).fetchall()
        return result


class Up:
    """One `manage.py up`, started for real."""

    def __init__(self, *, state: Path, port: int, demo: bool = False, **environment: str) -> None:
        """Start it; its output is read with `said()` and `complained()`.

        It works on the database that belongs to the state folder unless another one is named.
        """
        self.state, self.port = state, port
        if "DATABASE_URL" not in environment:
            environment |= own_database(state)
        self.environment = clean_environment(DUSTADMIN_STATE_DIR=str(state), **environment)
        state.mkdir(parents=True, exist_ok=True)
        self._out, self._err = state / "up.out", state / f"up.{port}.err"
        arguments = ["up", "--port", str(port), *([] if demo else ["--no-demo"])]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), *arguments],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                cwd=state,
            )

    def said(self) -> str:
        """Return what stands on the terminal so far."""
        return self._out.read_text()

    def complained(self) -> str:
        """Return what stands on stderr so far."""
        return self._err.read_text()

    def wait_until_ready(self) -> "Up":
        """Return when the ready message stands there; fail if it ends first."""

        def ready() -> bool:
            assert self.process.poll() is None, self.said() + self.complained()
            return "Dust Admin is ready" in self.said()

        eventually(ready, seconds=120)
        return self

    def children(self, part: str) -> list[Process]:
        """Return the children whose command holds `part`; one that just starts has none yet."""
        return [
            process
            for process in descendants(self.process.pid)
            if process.parent == self.process.pid and part in process.command
        ]

    def child(self, part: str) -> Process:
        """Return the one child whose command holds `part`."""
        (found,) = self.children(part)
        return found

    def close(self) -> None:
        """End it, however it stands."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
