"""An account at a sandbox exchange with everything it needs to trade, for tests of the money path.

`World` is what a team has: an account, a clock that tests may move, and workers' steps made one
at a time in this process. Every test starts as a fresh process would: without markets or clients
from the test before.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connections
from django.utils import timezone

from positions.domain.pacing import SECOND, Kind, Limit, Track
from positions.exchanges import ccxt_adapter, ccxt_client
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.clocks import Clocks
from positions.exchanges.market_cache import MarketCache
from positions.exchanges.pacing import Pacer
from positions.models import CleanupPlan, CloseOrder, ExchangeAccount, Snapshot
from positions.services import (
    accounts,
    conversion_lookups,
    conversions,
    dispatch,
    drafts,
    execution,
    policies,
    reconciliation,
    snapshots,
    starts,
)
from positions.services.accounts import NewAccount, connect_account
from positions.services.actors import Actor
from positions.services.connections import open_exchange, redis_client
from positions.services.credentials import Credentials
from positions.services.keys import Examination
from tests.exchange_process import SandboxProcess
from tests.valkey_process import ValkeyProcess

TEST = Actor.service("test")


def use_file_database() -> None:
    """Let the test database be a file: threads and worker processes can't share one in memory."""
    database = configured.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(configured.STATE_DIR / "test.sqlite3")


# --- Processes ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def running_valkey() -> Iterator[ValkeyProcess]:
    """Run one Valkey for a whole folder."""
    with ValkeyProcess() as server:
        yield server


@pytest.fixture
def valkey(running_valkey: ValkeyProcess, settings: Any) -> Iterator[ValkeyProcess]:
    """Point the services to an empty Valkey."""
    settings.REDIS_URL = running_valkey.url
    redis_client().flushall()
    yield running_valkey
    redis_client().close()


@pytest.fixture(scope="session")
def running_exchange() -> Iterator[SandboxProcess]:
    """Run the reference scenario once for a whole folder."""
    with SandboxProcess("seed8") as process:
        yield process


@pytest.fixture
def exchange(running_exchange: SandboxProcess) -> SandboxProcess:
    """Return the exchange in its first state."""
    running_exchange.control("POST", "reset")
    return running_exchange


def close_clients() -> None:
    """Close this thread's connections to exchanges and the database, as its end would."""
    for port in ccxt_adapter._CLIENTS.__dict__.pop("known", {}).values():
        port._client.ccxt.session.close()


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what an earlier test's process had loaded."""
    monkeypatch.setattr(ccxt_adapter, "MARKETS", MarketCache())
    monkeypatch.setattr(ccxt_adapter, "_CLIENTS", threading.local())
    monkeypatch.setattr(ccxt_client, "CLOCKS", Clocks())
    yield
    close_clients()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads that start together; return what they returned, or their errors."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        try:
            start.wait(timeout=60)
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error
        finally:
            close_clients()
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a thread did not end"
    return results


# --- The world ----------------------------------------------------------------------------------


@dataclass
class Clock:
    """The machine's clock, moved forward by what a test asks for, or stopped at a moment."""

    ahead: timedelta = timedelta(0)
    stopped_at: datetime | None = None

    def __call__(self) -> datetime:
        """Return the moment that services are told."""
        return (self.stopped_at or timezone.now()) + self.ahead


STEPS: dict[str, Callable[..., object]] = {
    "run_order": execution.run_order,
    "look_up_order": reconciliation.look_up_order,
    "run_conversion": conversions.run_conversion,
    "look_up_conversion": conversion_lookups.look_up_conversion,
}


@dataclass
class World:
    """One account with its exchange, and the steps that workers would make."""

    exchange: SandboxProcess
    valkey: ValkeyProcess
    account: ExchangeAccount
    clock: Clock = field(default_factory=Clock)
    skew_ms: int = 0

    @property
    def now(self) -> datetime:
        """Return the moment that services are told."""
        return self.clock()

    @property
    def port(self) -> CcxtExchange:
        """Return this thread's client for the account."""
        return open_exchange(self.account, policies.in_force(self.account).as_domain())

    def later(self, seconds: float) -> None:
        """Let time pass everywhere: for us, for the exchange, and for the pace that we keep."""
        self.clock.ahead += timedelta(seconds=seconds)
        let_pass(self.port.pacer, seconds)
        self.skew_ms += int(seconds * 1000)
        self.exchange.control("POST", "clock", {"skew_ms": self.skew_ms})
        self.port._client.forget_clock()

    def free_pace(self) -> None:
        """Let Valkey remember that no order was sent for long, so that the first one may leave."""
        forget_orders(self.port.pacer)

    def valkey_forgets_markets(self) -> None:
        """Let this process start anew, and Valkey too, as ten minutes would: rules are reread."""
        close_clients()
        ccxt_adapter.MARKETS = MarketCache()  # `fresh_process` puts the first one back
        redis_client().flushall()
        self.free_pace()

    def change_policy(self, **changes: Any) -> None:
        """Write a new version of the policy."""
        policies.change(self.account, changes, actor=TEST, now=self.now)

    def snapshot(self) -> Snapshot:
        """Read the account now."""
        return snapshots.take_snapshot(
            self.account, trigger=TEST, clock=self.clock, not_before=self.now
        )

    def draft(self, threshold: str | None = None) -> CleanupPlan:
        """Read the account and draft a plan; threshold 0.05 closes PEPE only."""
        self.snapshot()
        wanted = None if threshold is None else Decimal(threshold)
        return drafts.draft_plan(self.account, threshold=wanted, actor=TEST, now=self.now)

    def start(self, threshold: str | None = None) -> CleanupPlan:
        """Draft a plan and start it; nothing is sent yet."""
        plan = self.draft(threshold)
        return starts.start_plan(plan, hash_seen=plan.hash, actor=TEST, now=self.now)

    def run(self, order: CloseOrder) -> CloseOrder:
        """Let one worker take one planned order as far as it gets."""
        execution.run_order(order.pk, clock=self.clock)
        return fresh(order)

    def look_up(self, order: CloseOrder) -> CloseOrder:
        """Let one worker ask for an order."""
        reconciliation.look_up_order(order.pk, clock=self.clock)
        return fresh(order)

    def work(
        self,
        plan: CleanupPlan,
        *,
        until: Callable[[], bool] | None = None,
        seconds: float = 120,
    ) -> CleanupPlan:
        """Do what is due until all orders are closed; time passes while nothing is due."""
        deadline, ends = time.monotonic() + 30, self.now + timedelta(seconds=seconds)
        while not (until or (lambda: is_settled(plan)))():
            assert time.monotonic() < deadline, told(plan)
            assert self.now < ends, told(plan)
            due = list(dispatch.due_orders(now=self.now, plan=plan))
            for item in due:
                STEPS[item.task](item.pk, clock=self.clock)
            if not due:
                self.later(1)
        return fresh(plan)

    def sent(self) -> list[dict[str, Any]]:
        """Return every order request that reached the exchange."""
        return [
            request
            for request in self.exchange.ledger()["requests"]
            if (request["method"], request["path"]) == ("POST", "/api/v3/order")
        ]

    def sold(self, asset: str) -> Decimal:
        """Return how much of an asset was sold through the API."""
        orders = self.exchange.ledger()["orders"]
        return sum(
            (
                Decimal(order["filled_quantity"])
                for order in orders
                if order["symbol"] == f"{asset}USDT" and order["origin"] == "api"
            ),
            Decimal(0),
        )


def forget_orders(pacer: Pacer) -> None:
    """Let Valkey remember that no order was sent for long."""
    memory = pacer._memory.read()
    limits = {*pacer.limits, *(Limit(allowed=1, window=seconds) for seconds in (1, 10, 86_400))}
    idle = {limit.name: Track(drained_at=0) for limit in limits if limit.kind is Kind.ORDERS}
    assert pacer._memory.write(memory, tracks={**memory.tracks, **idle})


def let_pass(pacer: Pacer, seconds: float) -> None:
    """Let what was reserved in Valkey drain as it would in so many seconds."""
    memory = pacer._memory.read()
    by = -int(seconds * SECOND)
    moved = {name: track.moved(by) for name, track in memory.tracks.items()}
    assert pacer._memory.write(memory, tracks=moved)


def fresh(row: Any) -> Any:
    """Return the row as it is in the database now."""
    return type(row).objects.get(pk=row.pk)


def order_of(plan: CleanupPlan, asset: str) -> CloseOrder:
    """Return the plan's order for one asset, as it is now."""
    return plan.orders.get(asset=asset)


def is_settled(plan: CleanupPlan) -> bool:
    """Tell whether every order is closed, and so the plan."""
    return not plan.orders.filter(closed_at=None).exists()


def told(plan: CleanupPlan) -> str:
    """Return the plan's story, for a failing test."""
    rows = [
        f"{order.asset} {order.status} {order.message}" for order in plan.orders.order_by("number")
    ]
    return "\n".join(rows + [str(event) for event in plan.events.order_by("pk")])


def connect(
    sandbox: SandboxProcess,
    /,
    *,
    slug: str = "demo",
    keys: dict[str, str] | None = None,
    **new: Any,
) -> ExchangeAccount:
    """Connect an account as a person would."""
    found = keys or sandbox.credentials()
    return connect_account(
        NewAccount(slug=slug, **{"exchange": "binance", "base_url": sandbox.base_url, **new}),
        credentials=Credentials(api_key=found["api_key"], api_secret=found["api_secret"]),
        actor=TEST,
        now=timezone.now(),
    )


_EXAMINED: dict[str, Examination] = {}


def connect_again(sandbox: SandboxProcess, *, slug: str = "demo") -> ExchangeAccount:
    """Connect an account; only the first time the exchange is asked what its key may do."""
    now, credentials = timezone.now(), Credentials(**sandbox.credentials())
    new = NewAccount(slug=slug, exchange="binance", base_url=sandbox.base_url)
    account = accounts.prepared(new, credentials=credentials, actor=TEST, now=now)
    if sandbox.base_url not in _EXAMINED:
        _EXAMINED[sandbox.base_url] = accounts.tried(account, credentials)
    return accounts.keep(account, _EXAMINED[sandbox.base_url], actor=TEST, now=now)


@pytest.fixture
def world(db: None, fresh_process: None, valkey: ValkeyProcess, exchange: SandboxProcess) -> World:
    """Return the demo account; what leaves for the exchange needs a transactional test."""
    made = World(exchange=exchange, valkey=valkey, account=connect_again(exchange))
    made.free_pace()
    return made


def new_id() -> str:
    """Return a client order id."""
    return uuid.uuid4().hex
