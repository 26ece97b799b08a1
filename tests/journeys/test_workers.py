"""Real workers and a real scheduler: killed, doubled, without their messages, without Valkey."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
import redis
from celery import current_app
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import CleanupPlan, CloseOrder
from positions.services import dispatch
from tests.exchange_process import wait_until
from tests.journeys.oracle import assert_all_true
from tests.journeys.processes import ROOT, shared_environment
from tests.trading import World, fresh, is_settled, told
from tests.valkey_process import ValkeyProcess

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

QUEUE = "dustadmin"


class CeleryProcess:
    """One worker or scheduler on the test's own database, Valkey and keys."""

    def __init__(self, *arguments: str, valkey: ValkeyProcess, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / f"{uuid.uuid4().hex}.log").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "dustadmin", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=shared_environment(
                folder,
                DUSTADMIN_SNAPSHOT_INTERVAL="0",
                DUSTADMIN_SIGNATURE_WINDOW_MS="1000",
                REDIS_URL=valkey.url,
            ),
        )

    @property
    def said(self) -> str:
        """Return what it wrote."""
        self._log.seek(0)
        return self._log.read()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()


class Crew:
    """Start workers and schedulers; all end with the test."""

    def __init__(self, stack: ExitStack, valkey: ValkeyProcess, folder: Path) -> None:
        self._stack, self._valkey, self._folder = stack, valkey, folder
        self._workers = 0

    def worker(self) -> CeleryProcess:
        """Start a worker as `manage.py up` does; it takes a few seconds until it listens."""
        self._workers += 1
        arguments = ["worker", "-P", "threads", "-c", "8", "-Q", QUEUE, "-l", "INFO"]
        arguments += ["--without-gossip", "--without-mingle", "-n", f"w{self._workers}@test"]
        return self._started(*arguments)

    def scheduler(self) -> CeleryProcess:
        """Start a scheduler as `manage.py up` does."""
        file = self._folder / "celerybeat-schedule"
        return self._started("beat", "-s", str(file), "--pidfile=", "-l", "INFO")

    def _started(self, *arguments: str) -> CeleryProcess:
        made = CeleryProcess(*arguments, valkey=self._valkey, folder=self._folder)
        return self._stack.enter_context(made)


@pytest.fixture
def crew(world: World) -> Iterator[Crew]:
    """Return what starts workers for the world's account."""
    with tempfile.TemporaryDirectory(prefix="dustadmin-crew-") as folder, ExitStack() as stack:
        yield Crew(stack, world.valkey, Path(folder))


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)


def settled(plan: CleanupPlan, *, seconds: float = 60) -> CleanupPlan:
    """Wait until every order is closed."""
    try:
        wait_until(lambda: is_settled(plan), seconds=seconds, what="the plan's end")
    except AssertionError:
        raise AssertionError(told(plan)) from None
    wait_until(lambda: fresh(plan).is_ended, what="the plan to be completed")
    found: CleanupPlan = fresh(plan)
    return found


def wake(world: World, task: str, pk: int, *, times: int = 1) -> None:
    """Send a wake-up as the product does, several times if asked."""
    url = world.valkey.broker_url
    with current_app.connection_for_write(url=url) as broker:
        for _ in range(times):
            current_app.send_task(
                f"positions.tasks.{task}", args=[pk], queue=QUEUE, connection=broker
            )


def let_leases_end(*orders: CloseOrder) -> None:
    """Let the time of a lease pass for these orders."""
    past = timezone.now() - timedelta(seconds=1)
    for order in orders:
        CloseOrder.objects.filter(pk=order.pk).update(claimed_until=past, due_at=past)


def in_ledger(world: World, asset: str) -> Callable[[], bool]:
    """Return the question whether the exchange has placed an order on the asset."""

    def placed() -> bool:
        orders = world.exchange.ledger()["orders"]
        return any(order["symbol"] == f"{asset}USDT" for order in orders)

    return placed


def test_workers_close_a_plan_and_read_the_account_afterwards(world: World, crew: Crew) -> None:
    plan = world.start()
    crew.worker()
    crew.worker()
    crew.scheduler()
    plan = settled(plan)
    assert plan.state is P.COMPLETED
    assert {order.state for order in plan.orders.all()} == {S.FILLED}, told(plan)
    assert len(world.sent()) == 6
    assert world.exchange.ledger()["violations"] == []
    wait_until(lambda: fresh(plan).closing_snapshot, seconds=30, what="the closing snapshot")
    assert fresh(plan).other_activity == []


def test_an_order_whose_worker_was_killed_is_found_and_sold_once(world: World, crew: Crew) -> None:
    plan = world.start("0.05")
    order = plan.orders.get()
    world.exchange.fault("delay_after", seconds="30")
    first = crew.worker()
    scheduler = crew.scheduler()
    wait_until(in_ledger(world, "PEPE"), seconds=60, what="the order to be placed")
    first.kill()
    assert fresh(order).state is S.SUBMITTING
    let_leases_end(order)
    crew.worker()
    plan = settled(plan)
    assert fresh(order).state is S.FILLED, told(plan) + scheduler.said
    assert len(world.sent()) == 1
    assert list(order.attempts.values_list("answer_code", flat=True)) == ["WORKER_LOST"]


def test_an_order_whose_worker_was_killed_before_the_exchange_saw_it_is_sent_after_proof(
    world: World, crew: Crew
) -> None:
    plan = world.start("0.05")
    order = plan.orders.get()
    # The request waits inside the exchange for longer than it is valid.
    world.exchange.fault("delay_before", seconds="4")
    first = crew.worker()
    crew.scheduler()
    wait_until(lambda: fresh(order).state is S.SUBMITTING, seconds=60, what="the commit")
    wait_until(lambda: order.attempts.exclude(sent_at=None).exists(), what="the leave to send")
    first.kill()
    let_leases_end(order)
    crew.worker()
    plan = settled(plan)
    assert fresh(order).state is S.FILLED, told(plan)
    wait_until(lambda: len(world.sent()) == 2, what="the killed worker's request to arrive")
    assert len(world.exchange.ledger()["orders"]) == 1


def test_a_wake_up_that_is_delivered_often_sends_one_request(world: World, crew: Crew) -> None:
    plan = world.start("0.05")
    order = plan.orders.get()
    worker = crew.worker()
    wake(world, "run_order", order.pk, times=12)
    try:
        plan = settled(plan)
    except AssertionError as late:
        raise AssertionError(worker.said) from late
    assert fresh(order).state is S.FILLED, told(plan)
    wait_until(lambda: worker.said.count("run_order") >= 12, seconds=30, what="all deliveries")
    assert len(world.sent()) == 1
    wake(world, "run_order", order.pk)
    wake(world, "look_up_order", order.pk)
    wake(world, "run_order", 10**9)  # a row that is not there
    wait_until(lambda: worker.said.count("succeeded") >= 15, seconds=30, what="the late deliveries")
    assert len(world.sent()) == 1


def test_wake_ups_that_were_lost_are_sent_again_by_the_scheduler(world: World, crew: Crew) -> None:
    world.clock.ahead = timedelta(seconds=-13)  # it began thirteen seconds ago
    plan = world.start("0.10")
    lost = list(dispatch.due_orders(now=world.now))
    assert len(lost) == 2
    for due in lost:
        wake(world, due.task, due.pk)
    with redis.Redis.from_url(world.valkey.url) as client:
        assert client.llen(QUEUE) == 2
        client.delete(QUEUE)
    crew.worker()
    crew.scheduler()
    plan = settled(plan)
    assert {order.state for order in plan.orders.all()} == {S.FILLED}, told(plan)
    assert len(world.sent()) == 2


def test_a_valkey_that_crashes_and_forgets_everything_only_costs_time(
    world: World, crew: Crew
) -> None:
    world.start("0.05")
    crew.worker()
    crew.scheduler()
    wait_until(lambda: is_settled(CleanupPlan.objects.get()), seconds=60, what="the first plan")
    process: Any = world.valkey._process
    process.kill()
    process.wait()
    (Path(world.valkey._folder.name) / "valkey.rdb").unlink(missing_ok=True)
    world.valkey.start()
    world.later(0)
    plan = world.start("0.10")
    plan = settled(plan, seconds=60)
    assert plan.orders.get().state is S.FILLED, told(plan)
    assert len(world.sent()) == 2
