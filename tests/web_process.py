"""The product's web server alone, as `manage.py up` starts it: nothing trades beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from tests.exchange_process import ROOT, wait_until


class WebProcess:
    """Start gunicorn with two processes of eight threads; end it with the context."""

    def __init__(self, environment: Mapping[str, str], *, state: Path, port: int = 0) -> None:
        self._environment = environment
        self._said = state / "web.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port  # 0: one that is free

    def __enter__(self) -> Self:
        with self._said.open("w") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "dustadmin.wsgi:application"),
                    *("--worker-class", "gthread", "--workers", "2", "--threads", "8"),
                    *("--bind", f"127.0.0.1:{self.port}", "--no-control-socket"),
                ],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self.port = wait_until(self._listens_at, seconds=60, what="the web server's port")
        wait_until(self._answers, seconds=60, what="the web server")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)

    @property
    def base_url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """Return its log so far."""
        return self._said.read_text()

    def _listens_at(self) -> int:
        assert self._process is not None
        assert self._process.poll() is None, self.said
        _, _, found = self.said.partition("Listening at: http://127.0.0.1:")
        return int(found.split()[0]) if found.split() else 0

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
