"""The pages alone, served as `manage.py up` serves them, over accounts that were just read.

`python -m tests.panel_process SIZE …` fills a state folder: one account for each size. The pages
are static to it: nothing trades, and no exchange is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from tests.exchange_process import ROOT, wait_until
from tests.journeys.processes import clean_environment

GUNICORN = ("--worker-class", "gthread", "--workers", "2", "--threads", "8")


class PanelProcess:
    """Start the web server over accounts with so many holdings each; end it with the context."""

    def __init__(self, *, state: Path, port: int, sizes: Sequence[int]) -> None:
        self.port = port
        self._environment = clean_environment(DUSTADMIN_STATE_DIR=str(state))
        self._sizes = sizes
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None
        self.session = ""  # of a signed-in operator

    @property
    def base_url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.panel_process", *map(str, self._sizes)]
        filled = subprocess.run(
            command, cwd=ROOT, env=self._environment, check=True, capture_output=True, text=True
        )
        self.session = json.loads(filled.stdout)
        with (self._state / "panel.log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "dustadmin.wsgi:application"),
                    *("--bind", f"127.0.0.1:{self.port}", *GUNICORN),
                    *("--log-level", "warning", "--no-control-socket"),
                ],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, seconds=60, what="the pages")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def slug_of(size: int) -> str:
    """Return the account with so many holdings."""
    return f"held-{size}"


def fill(sizes: Sequence[int]) -> str:
    """Make the accounts, collect the files, and return an operator's session."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dustadmin.settings")
    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.utils import timezone

    from tests.web import builders

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    now = timezone.now()
    for size in sizes:
        account = builders.account(slug_of(size), now=now, snapshot_max_age=86_400)
        builders.snapshot(account, at=now, holdings=builders.crowd(size))
    client = Client()
    client.force_login(builders.person("operator", "Operator"))
    return client.cookies["sessionid"].value


if __name__ == "__main__":
    print(json.dumps(fill([int(size) for size in sys.argv[1:]])))  # noqa: T201 - read by the parent
