"""A real Valkey on a Unix socket, for tests of every part that paces or wakes."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Self

import redis

from positions.management import valkey
from tests.exchange_process import wait_until


class ValkeyProcess:
    """Start the embedded server and end it with the context."""

    def __init__(self) -> None:
        # A Unix socket's path is short; pytest's own folders may be too deep.
        self._folder = tempfile.TemporaryDirectory(prefix="dustadmin-")
        self._socket = Path(self._folder.name) / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Return what `REDIS_URL` would be."""
        return f"unix://{self._socket}"

    @property
    def broker_url(self) -> str:
        """Return Celery's spelling of the same address."""
        return f"redis+socket://{self._socket}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(
            valkey.command(socket=self._socket, data=Path(self._folder.name)),
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, what="Valkey")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def crash(self) -> None:
        """End it at once, and lose all that it knew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        (Path(self._folder.name) / "valkey.rdb").unlink(missing_ok=True)

    def _answers(self) -> bool:
        if not self._socket.exists():
            return False
        with redis.Redis(unix_socket_path=str(self._socket), retry=None) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
