"""Workers, dispatchers and people who reach for the same order at the same moment."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import Attempt, AuditEvent, CloseOrder
from positions.services import dispatch, execution, reconciliation, stops
from positions.services.attempts import commit, may_leave
from positions.services.turns import Turn
from tests.concurrency.queues import queued_behind
from tests.exchange_process import wait_until
from tests.journeys.oracle import assert_all_true
from tests.trading import TEST, World, at_once, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)

PEPE = "0.05"  # a threshold that closes PEPE alone


@pytest.fixture(autouse=True)
def judged(world: World) -> Any:
    """Ask the oracle after every test."""
    yield
    assert_all_true(world.exchange)


def told_of(order: CloseOrder) -> Counter[str]:
    return Counter(AuditEvent.objects.filter(order=order).values_list("kind", flat=True))


def sending(world: World, order: CloseOrder) -> tuple[CloseOrder, Attempt, Turn]:
    """Take an order as far as its commit; it may leave now."""
    claimed = execution._claimed(order.pk, now=world.now)
    assert claimed is not None
    ready = execution._checked(claimed, world.port, clock=world.clock)
    assert ready is not None
    slot, now_ms = execution._reserved(claimed, world.port, clock=world.clock)
    assert slot.is_reserved
    turn = Turn(slot=slot, signed_at_ms=now_ms, look_ends_at=ready[1])
    attempt = commit(claimed, quantity=ready[0], turn=turn, exchange=world.port, now=world.now)
    assert attempt is not None
    return claimed, attempt, turn


def test_two_workers_that_wait_for_one_order_claim_it_once(world: World) -> None:
    order = world.start(PEPE).orders.get()

    def claim() -> CloseOrder | None:
        return execution._claimed(order.pk, now=world.now)

    found = queued_behind(order, claim, claim, claim)
    (mine,) = [item for item in found if item is not None]
    assert mine.claim_token == fresh(order).claim_token


def test_two_workers_with_the_same_wake_up_ask_for_one_turn_and_send_once(world: World) -> None:
    order = world.start(PEPE).orders.get()

    def work() -> None:
        execution.run_order(order.pk, clock=world.clock)

    assert queued_behind(order, work, work) == [None, None]
    assert fresh(order).state is S.FILLED, told(order.plan)
    assert told_of(order) == {"order.submitting": 1, "order.filled": 1}
    assert len(world.sent()) == 1


def test_two_dispatchers_wake_each_order_once(world: World) -> None:
    plan = world.start()

    def look() -> list[dispatch.Due]:
        return list(dispatch.due_now(now=world.now))

    found = at_once(look, look, look)
    woken = Counter(due.pk for dues in found for due in dues if due.task == "run_order")
    assert woken == {order.pk: 1 for order in plan.orders.all()}


def test_two_dispatchers_expire_an_old_plan_once(world: World) -> None:
    plan = world.draft()
    world.clock.ahead += timedelta(seconds=plan.policy.plan_ttl + 1)

    def look() -> None:
        list(dispatch.due_now(now=world.now))

    assert queued_behind(plan, look, look) == [None, None]
    assert fresh(plan).state is P.EXPIRED
    assert plan.events.filter(kind="plan.expired").count() == 1


def test_two_recoveries_of_one_order_give_it_back_once(world: World) -> None:
    order = world.start(PEPE).orders.get()
    sending(world, order)
    world.clock.ahead += timedelta(seconds=61)

    def recover() -> None:
        reconciliation.look_up_order(order.pk, clock=world.clock)

    assert queued_behind(order, recover, recover) == [None, None]
    assert fresh(order).state is S.PLANNED, told(order.plan)
    assert told_of(order) == {"order.submitting": 1, "order.not_placed": 1}
    assert [attempt.answer_code for attempt in order.attempts.all()] == ["NOT_SENT"]


def test_two_look_ups_of_one_order_record_what_they_found_once(world: World) -> None:
    order = world.start(PEPE).orders.get()
    world.exchange.fault("drop_after")
    world.run(order)
    world.later(2)

    def ask() -> None:
        reconciliation.look_up_order(order.pk, clock=world.clock)

    assert queued_behind(order, ask, ask) == [None, None]
    assert fresh(order).state is S.FILLED, told(order.plan)
    assert told_of(order)["order.filled"] == order.fills.count() == 1


@pytest.mark.parametrize("first", ["the worker", "the recovery"])
def test_a_recovery_and_the_leave_to_send_exclude_each_other(world: World, first: str) -> None:
    order = world.start(PEPE).orders.get()
    mine, attempt, turn = sending(world, order)
    # Its lease is over for whoever recovers, a moment before it is late for the worker.
    CloseOrder.objects.filter(pk=order.pk).update(claimed_until=world.now - timedelta(seconds=1))

    def leave() -> bool:
        return may_leave(mine, attempt, turn=turn, clock=world.clock)

    def recover() -> None:
        reconciliation.look_up_order(order.pk, clock=world.clock)

    if first == "the worker":
        left, _ = queued_behind(order.plan, leave, recover)
    else:
        _, left = queued_behind(order.plan, recover, leave)
    assert isinstance(left, bool)
    assert (fresh(attempt).sent_at is not None) is left
    assert fresh(order).state is (S.SUBMITTING if left else S.PLANNED), told(order.plan)


def test_a_leave_that_waited_for_its_plan_is_measured_when_it_has_it(world: World) -> None:
    """PostgreSQL lets it wait for the row, and what was checked grows old meanwhile."""
    order = world.start(PEPE).orders.get()
    mine, attempt, turn = sending(world, order)

    def time_passes() -> None:
        world.clock.ahead += timedelta(seconds=30)

    left, _ = queued_behind(
        order.plan, lambda: may_leave(mine, attempt, turn=turn, clock=world.clock), time_passes
    )
    assert left is False
    assert fresh(order).state is S.PLANNED, told(order.plan)
    assert world.sent() == []


def test_a_halt_that_has_returned_lets_no_request_leave_any_more(world: World) -> None:
    """Six workers send while everything is stopped; what had leave by then is all that arrives."""
    plan = world.start()
    orders = list(plan.orders.all())
    leaves: set[int] = set()
    begun = threading.Barrier(len(orders) + 1)

    def work(order: CloseOrder) -> Any:
        def run() -> None:
            begun.wait(timeout=60)
            execution.run_order(order.pk, clock=world.clock)

        return run

    def halt() -> None:
        begun.wait(timeout=60)
        wait_until(lambda: Attempt.objects.exclude(sent_at=None).exists(), what="the first leave")
        stops.halt_everything(None, reason="Test", actor=TEST, now=world.now)
        leaves.update(Attempt.objects.exclude(sent_at=None).values_list("pk", flat=True))

    assert at_once(*map(work, orders), halt) == [None] * 7
    assert fresh(plan).state is P.HALTED
    assert set(Attempt.objects.exclude(sent_at=None).values_list("pk", flat=True)) == leaves
    assert len(world.sent()) == len(leaves), told(plan)
    assert Counter(order.state for order in plan.orders.all()) == {
        S.FILLED: len(leaves),
        S.DENIED: len(orders) - len(leaves),
    }, told(plan)


def test_a_worker_that_was_about_to_send_is_stopped_by_a_halt_before_it(world: World) -> None:
    order = world.start(PEPE).orders.get()
    mine, attempt, turn = sending(world, order)

    def halt() -> int:
        return stops.halt_everything(None, reason="Test", actor=TEST, now=world.now)

    halted, left = queued_behind(
        order.plan, halt, lambda: may_leave(mine, attempt, turn=turn, clock=world.clock)
    )
    assert halted == 1
    assert isinstance(left, bool)
    assert (fresh(attempt).sent_at is not None) is left
    if left:  # SQLite may let the worker go first: it is on the wire, and is looked up
        world.later(61)
        world.look_up(order)
        assert fresh(order).state is S.UNKNOWN
    else:
        assert fresh(order).state is S.DENIED, told(order.plan)
