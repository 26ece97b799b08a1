"""The pages alone, served as `manage.py up` serves them, over accounts that were just read.

`python -m tests.panel_process SIZE …` fills a state folder: one account for each size. The pages
are static to it: nothing trades, and no exchange is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from tests.exchange_process import ROOT
from tests.journeys.processes import clean_environment
from tests.web_process import WebProcess


class PanelProcess:
    """Start the web server over accounts with so many holdings each; end it with the context."""

    def __init__(self, *, state: Path, sizes: Sequence[int], **variables: str) -> None:
        self._environment = clean_environment(DUSTADMIN_STATE_DIR=str(state), **variables)
        self._sizes = sizes
        self._web = WebProcess(self._environment, state=state)
        self.session = ""  # of a signed-in operator
        self.token = ""  # of a bot

    @property
    def base_url(self) -> str:
        """Return where it listens."""
        return self._web.base_url

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.panel_process", *map(str, self._sizes)]
        filled = subprocess.run(
            command, cwd=ROOT, env=self._environment, check=True, capture_output=True, text=True
        )
        ways_in = json.loads(filled.stdout)
        self.session, self.token = ways_in["session"], ways_in["token"]
        self._web.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._web.__exit__(*raised)


def slug_of(size: int) -> str:
    """Return the account with so many holdings."""
    return f"held-{size}"


def fill(sizes: Sequence[int]) -> Mapping[str, str]:
    """Make the accounts, collect the files, and return an operator's session and a bot's token."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dustadmin.settings")
    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.utils import timezone

    from positions.models import ExchangeAccount, Scope
    from positions.services import tokens
    from tests.web import builders

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    now = timezone.now()
    for size in sizes:
        account = builders.account(slug_of(size), now=now, snapshot_max_age=86_400)
        builders.snapshot(account, at=now, holdings=builders.crowd(size))
    client = Client()
    client.force_login(builders.person("operator", "Operator"))
    issued = tokens.issue(
        "grid-7",
        accounts=ExchangeAccount.objects.all(),
        scopes=Scope,
        expires_at=now + timedelta(days=1),
        actor=builders.SCHEDULER,
        now=now,
    )
    return {"session": client.cookies["sessionid"].value, "token": issued.text}


if __name__ == "__main__":
    print(json.dumps(fill([int(size) for size in sys.argv[1:]])))  # noqa: T201 - read by the parent
