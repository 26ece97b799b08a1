"""The API over HTTP as the product serves it, on the test's own database, and a bot's way in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from positions.models import ExchangeAccount, Lease, Scope
from positions.selectors.slots import slots_now
from positions.services import tokens
from tests.bots import hire_bot, lease
from tests.examples.front import Front
from tests.exchange_process import ROOT
from tests.journeys.processes import shared_environment
from tests.trading import running_valkey, use_file_database
from tests.valkey_process import ValkeyProcess
from tests.web import builders
from tests.web_process import WebProcess

__all__ = ["running_valkey"]

use_file_database()
# A bot has them beside itself.
sys.path.append(str(ROOT / "examples"))


@pytest.fixture(scope="session")
def served(
    django_db_setup: None, running_valkey: ValkeyProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """Serve the product with its own web server; return the port."""
    state = tmp_path_factory.mktemp("served")
    environment = shared_environment(state, REDIS_URL=running_valkey.url)
    with WebProcess(environment, state=state) as server:
        yield server.port


@dataclass(frozen=True, kw_only=True)
class Desk:
    """An account that was just read, behind a front, with the token of the bot alpha."""

    front: Front
    account: ExchangeAccount
    token: str = field(repr=False)
    now: datetime

    @property
    def environment(self) -> dict[str, str]:
        """Return what a bot is given."""
        return {"DUST_ADMIN_URL": self.front.url, "DUST_ADMIN_TOKEN": self.token}

    @property
    def free(self) -> int | None:
        """Return the free slots."""
        return slots_now(self.account, now=timezone.now()).available

    def lease(self, asset: str = "") -> Lease:
        """Return the one lease there is, of the asset."""
        return Lease.objects.get(**({"asset": asset} if asset else {}))

    def fill(self, *, but: int) -> None:
        """Let another bot lease all slots but so many."""
        other = hire_bot(self.account, name="other", now=self.now)
        for number in range((self.free or 0) - but):
            lease(self.account, f"OTHER{number}", bot=other, now=timezone.now(), ttl=3600)

    def make_unknown(self) -> None:
        """Let the newest reading fail."""
        builders.failed_snapshot(self.account, at=timezone.now())


Issue = Callable[..., str]


@pytest.fixture
def issue() -> Issue:
    """Return what issues a token."""

    def make(account: ExchangeAccount, *, scopes: tuple[Scope, ...] = tuple(Scope)) -> str:
        now = timezone.now()
        issued = tokens.issue(
            "alpha",
            accounts=[account],
            scopes=scopes,
            expires_at=now + timedelta(days=1),
            actor=builders.SCHEDULER,
            now=now,
        )
        return issued.text

    return make


@pytest.fixture
def desk(transactional_db: None, served: int, issue: Issue) -> Iterator[Desk]:
    """Return the account desk-one: six of its eight slots are free."""
    now = timezone.now()
    account = builders.account(now=now)
    builders.snapshot(account, at=now)
    with Front(served) as front:
        yield Desk(front=front, account=account, token=issue(account), now=now)
