"""Workers that vanish, sleep, or are two at once: one claim, one request."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.exchanges import ccxt_adapter
from positions.models import AnswerClass, CloseOrder
from positions.services import attempts, execution, reconciliation
from positions.services.attempts import CLAIM
from tests.exchange_process import wait_until
from tests.journeys.faults.stepped.steps import (
    PEPE,
    attempts_of,
    between_leave_and_request,
    committed,
    interrupted,
    only,
)
from tests.trading import World, at_once, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_that_vanished_before_sending_costs_nothing(world: World) -> None:
    plan = world.start(PEPE)
    committed(world, only(plan))
    assert world.look_up(only(plan)).state is S.SUBMITTING  # its lease still runs
    world.later(CLAIM.total_seconds() + 1)
    order = world.look_up(only(plan))
    assert order.state is S.PLANNED
    assert order.attempts.get().answer == AnswerClass.NOT_PLACED
    assert only(world.work(plan)).state is S.FILLED
    assert len(world.sent()) == 1


def test_a_worker_that_vanished_after_leave_to_send_is_looked_for(world: World) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    assert attempts.may_leave(order, attempt, turn=turn, clock=world.clock)
    world.later(CLAIM.total_seconds() + 1)
    found = world.look_up(only(plan))
    assert found.state is S.UNKNOWN
    assert found.attempts.get().answer_code == "WORKER_LOST"
    plan = world.work(plan)
    assert only(plan).state is S.FILLED
    assert len(world.sent()) == 1


def test_a_worker_that_wakes_up_after_another_took_over_has_no_leave(world: World) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.later(CLAIM.total_seconds() + 1)
    world.look_up(only(plan))
    assert not attempts.may_leave(order, attempt, turn=turn, clock=world.clock)
    assert world.sent() == []


def test_a_request_that_leaves_late_is_refused_by_the_exchange_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker slept between its leave and its request; another one took over and sold."""
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))

    sleeper = world.port

    def another_takes_over() -> None:
        # A process of its own has a client of its own.
        monkeypatch.setattr(ccxt_adapter, "_CLIENTS", threading.local())
        world.later(CLAIM.total_seconds() + 1)
        world.work(plan)
        world.port._client.ccxt.session.close()

    between_leave_and_request(monkeypatch, another_takes_over)
    attempts.send(order, attempt, turn=turn, exchange=sleeper, clock=world.clock)
    monkeypatch.undo()
    assert world.sold("PEPE") == Decimal(5000)
    assert only(plan).state is S.FILLED


def test_a_late_answer_is_kept_but_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))

    def another_takes_over() -> None:
        world.clock.ahead += CLAIM + timedelta(seconds=1)
        assert world.look_up(only(plan)).state is S.UNKNOWN

    between_leave_and_request(monkeypatch, another_takes_over)
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    assert only(plan).state is S.UNKNOWN
    assert fresh(attempt).answer_code == "LATE"
    assert only(world.work(plan)).state is S.FILLED
    assert len(world.sent()) == 1


def test_a_turn_that_was_missed_needs_a_new_one(world: World) -> None:
    plan = world.start(PEPE)

    def oversleep() -> None:
        world.clock.ahead += timedelta(seconds=5)

    order = interrupted(world, plan, oversleep)
    assert order.state is S.PLANNED
    assert world.sent() == []
    assert only(world.work(plan)).state is S.FILLED


def test_two_workers_with_the_same_wake_up_send_once(world: World) -> None:
    plan = world.start(PEPE)
    order = only(plan)

    def work() -> None:
        execution.run_order(order.pk, clock=world.clock)

    assert at_once(work, work, work) == [None, None, None]
    assert only(plan).state is S.FILLED, told(plan)
    assert len(world.sent()) == 1


def test_many_workers_on_one_plan_send_each_order_once(world: World) -> None:
    plan = world.start()
    rows = list(plan.orders.all())

    def work(row: CloseOrder) -> Any:
        return lambda: execution.run_order(row.pk, clock=world.clock)

    # One whose moment is too far away says when it should be begun again.
    found = at_once(*[work(row) for row in rows for _ in range(2)])
    assert all(again is None or isinstance(again, timedelta) for again in found), found
    plan = world.work(plan)
    assert {order.state for order in plan.orders.all()} == {S.FILLED}, told(plan)
    assert len(world.sent()) == 6


def test_two_look_ups_at_once_record_one_result(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    world.later(2)

    def ask() -> None:
        reconciliation.look_up_order(order.pk, clock=world.clock)

    assert at_once(ask, ask) == [None, None]
    assert only(plan).state is S.FILLED
    assert only(plan).fills.count() == 1


def test_an_answer_on_its_way_while_redis_goes_away_never_leads_to_a_second_sale(
    world: World,
) -> None:
    plan = world.start(PEPE)
    session = world.port._client.ccxt.session
    send, original = session.send, session.send

    def sent(request: Any, **named: Any) -> Any:
        answer = send(request, **named)
        if request.method == "POST":
            world.valkey.stop()
        return answer

    session.send = sent
    try:
        order = world.run(only(plan))
    finally:
        session.send = original
        world.valkey.start()
        wait_until(world.valkey._answers)
    assert order.state in {S.FILLED, S.UNKNOWN}, (order.status, attempts_of(order))
    world.free_pace()
    assert only(world.work(plan)).state is S.FILLED
    assert world.sold("PEPE") == Decimal(5000)


def test_without_redis_nothing_is_sent_and_the_order_waits(world: World) -> None:
    plan = world.start(PEPE)
    world.valkey.stop()
    try:
        order = world.run(only(plan))
    finally:
        world.valkey.start()
    assert order.state is S.PLANNED
    assert world.sent() == []
    world.free_pace()
    assert only(world.work(plan)).state is S.FILLED
