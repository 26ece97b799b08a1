"""A house with everything in it: an exchange, Valkey, a database and a crew of real workers.

Each test takes an account of its own at the exchange, which holds one asset that nobody else has;
so many cases can run at once, and each is judged by itself.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from requests import adapters

from positions.domain.orders import OPEN
from positions.exchanges import ccxt_adapter
from positions.exchanges.market_cache import MarketCache
from positions.models import CloseOrder, ExchangeAccount
from positions.services.connections import redis_client
from tests.exchange_process import SandboxProcess
from tests.journeys import oracle
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.crew import QUEUE, Crew
from tests.journeys.faults.ground import BINANCE, Ground
from tests.journeys.faults.network import write_certificate
from tests.journeys.faults.points import AUTHORITY, Points
from tests.trading import close_clients, connect
from tests.valkey_process import ValkeyProcess

ASSETS = 200


@dataclass
class House:
    """Everything that runs, and the cases in it."""

    ground: Ground
    exchange: SandboxProcess
    valkey: ValkeyProcess
    crew: Crew
    points: Points
    authority: Path  # whose certificates are trusted here
    cases: list[Case] = field(default_factory=list)
    _next: int = 0

    def start_crew(self, *, workers: int, scheduler: bool = True) -> None:
        """Start so many workers and a scheduler at once, and wait until all are ready."""
        started = [self.crew.worker() for _ in range(workers)]
        if scheduler:
            started.append(self.crew.scheduler())
        for process in started:
            process.wait_until_ready()

    def case(self, *, assets: int = 1, base_url: str = "") -> Case:
        """Open an account that holds so many assets, each worth $0.50, and connect it."""
        names = tuple(f"F{number:03}" for number in range(self._next, self._next + assets))
        self._next += assets
        balances = dict.fromkeys(names, str(HELD)) | {self.ground.quote: "10"}
        keys = self.exchange.control("POST", "accounts", {"balances": balances})
        requests = self.exchange.ledger()["requests"]
        account = connect(
            self.exchange,
            slug=names[0].lower(),
            keys=keys,
            exchange=self.ground.exchange,
            quote=self.ground.quote,
            base_url=base_url or self.exchange.base_url,
        )
        case = Case(
            house=self,
            assets=names,
            keys=keys,
            account=account,
            since=requests[-1]["id"] if requests else 0,
        )
        self.cases.append(case)
        return case

    def wake(self, task: str, pk: int, *, times: int = 1) -> None:
        """Send a wake-up as the product does, several times if asked."""
        with current_app.connection_for_write(url=self.valkey.broker_url) as broker:
            for _ in range(times):
                current_app.send_task(
                    f"positions.tasks.{task}", args=[pk], queue=QUEUE, connection=broker
                )

    def leases_end(self, *cases: Case) -> None:
        """Let the time pass for which somebody holds anything of these cases."""
        for case in cases:
            orders = CloseOrder.objects.filter(plan=case.plan)
            orders.filter(status__in=OPEN).update(claimed_until=None, due_at=timezone.now())
            account = ExchangeAccount.objects.filter(pk=case.account.pk)
            account.update(snapshot_claimed_until=None)

    def is_true(self, *, within_limits: bool = True) -> None:
        """Ask the oracle about everything that ever happened here."""
        self.exchange.clear_faults()
        oracle.assert_all_true(self.exchange, within_limits=within_limits)
        secrets = [secret for case in self.cases for secret in case.keys.values()]
        oracle.assert_no_secrets(secrets, logs=self.crew.logs)


@contextmanager
def shared_database(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let several tests use one database, and leave it empty.

    Their workers go on between them, so nothing can be emptied after each test.
    """

    def empty() -> None:
        call_command("flush", interactive=False, verbosity=0)

    with blocker.unblock():
        empty()
        yield
        empty()
        connection.close()


@contextmanager
def judged_house(ground: Ground = BINANCE) -> Iterator[House]:
    """Open a house without workers, and ask the oracle about all of it at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="dustadmin-faults-") as folder,
        open_house(Path(folder), ground) as house,
    ):
        yield house
        house.is_true()


@contextmanager
def open_house(folder: Path, ground: Ground = BINANCE) -> Iterator[House]:
    """Start an exchange, a Valkey and an empty crew on the test's database."""
    (folder / "points").mkdir()
    points = Points(folder / "points")
    with ExitStack() as stack:
        authority = write_certificate(points.folder / AUTHORITY)
        exchange = stack.enter_context(SandboxProcess(ground.scenario))
        valkey = stack.enter_context(ValkeyProcess())
        stack.enter_context(override_settings(REDIS_URL=valkey.url))
        patches = stack.enter_context(pytest.MonkeyPatch.context())
        patches.setattr(ccxt_adapter, "MARKETS", MarketCache())
        patches.setattr(ccxt_adapter, "_CLIENTS", threading.local())
        patches.setattr(adapters, "DEFAULT_CA_BUNDLE_PATH", str(authority))
        stack.callback(lambda: redis_client().close())
        stack.callback(close_clients)
        exchange.control("POST", "limits", dict(ground.limits))
        names = [f"F{number:03}" for number in range(ASSETS)]
        listed = {
            f"{name}{ground.quote}": {"base": name, "quote": ground.quote, **ground.market}
            for name in names
        }
        exchange.control("POST", "markets", listed)
        crew = stack.enter_context(
            Crew(
                valkey=valkey,
                points=points,
                folder=folder,
                signature_window_ms=ground.signature_window_ms,
            )
        )
        yield House(
            ground=ground,
            exchange=exchange,
            valkey=valkey,
            crew=crew,
            points=points,
            authority=authority,
        )
