"""Stop means stop: pause, halt and the kill switch take effect before the next request."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AnswerClass, CleanupPlan, CloseOrder
from positions.services import attempts, execution, halts, results, stops
from positions.services.connections import redis_client
from tests.journeys.faults.stepped.steps import (
    CLOCK_REFUSED,
    PEPE,
    attempts_of,
    between_leave_and_request,
    committed,
    halt,
    halt_account,
    halt_everything,
    interrupted,
    only,
    pause,
)
from tests.trading import TEST, World, fresh, is_settled, order_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_pause_takes_effect_before_the_next_request(world: World) -> None:
    plan = world.start(PEPE)
    order = interrupted(world, plan, lambda: stops.pause_plan(plan, actor=TEST, now=world.now))
    assert order.state is S.PLANNED
    assert world.sent() == []
    assert attempts_of(order) == [AnswerClass.NOT_PLACED]
    stops.resume_plan(plan, actor=TEST, now=world.now)
    assert only(world.work(plan)).state is S.FILLED


def test_a_halt_takes_effect_before_the_next_request(world: World) -> None:
    plan = world.start(PEPE)
    order = interrupted(world, plan, lambda: stops.halt_plan(plan, actor=TEST, now=world.now))
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert fresh(plan).state is P.HALTED
    assert world.sent() == []


@pytest.mark.parametrize("everything", [True, False])
def test_the_kill_switch_takes_effect_before_the_next_request(
    world: World, everything: bool
) -> None:
    plan = world.start(PEPE)
    account = None if everything else world.account
    order = interrupted(
        world,
        plan,
        lambda: stops.halt_everything(account, reason="stop", actor=TEST, now=world.now),
    )
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert fresh(plan).state is P.HALTED
    assert world.sent() == []


def test_a_kill_switch_without_a_halted_plan_stops_requests_too(world: World) -> None:
    plan = world.start(PEPE)
    halts.press(account=None, reason="stop", actor=TEST, now=world.now)
    order = world.run(only(plan))
    assert order.state is not S.FILLED
    assert world.sent() == []


def test_a_paused_plan_sends_nothing(world: World) -> None:
    plan = world.start(PEPE)
    stops.pause_plan(plan, actor=TEST, now=world.now)
    assert world.run(only(plan)).state is S.PLANNED
    assert world.sent() == []


def test_a_halt_denies_what_was_not_sent_and_follows_what_was(world: World) -> None:
    plan = world.start("0.10")
    world.exchange.fault("drop_after")
    pepe = world.run(order_of(plan, "PEPE"))
    assert pepe.state is S.UNKNOWN
    stops.halt_plan(plan, actor=TEST, now=world.now)
    assert order_of(plan, "SHIB").state is S.DENIED
    world.later(2)
    assert world.look_up(pepe).state is S.FILLED
    assert fresh(plan).state is P.HALTED


def test_an_unknown_order_that_was_never_placed_is_not_sent_after_a_halt(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    world.run(only(plan))
    stops.halt_plan(plan, actor=TEST, now=world.now)
    for _ in range(5):
        world.later(5)
        world.look_up(only(plan))
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert len(world.sent()) == 1


@pytest.mark.parametrize(
    ("kind", "spec"), [("rate_limit", {"retry_after": 1}), ("error", CLOCK_REFUSED)]
)
@pytest.mark.parametrize("stop", [halt, halt_everything])
def test_an_order_that_comes_back_unplaced_to_a_halted_plan_is_denied(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[World, CleanupPlan], None],
    kind: str,
    spec: dict[str, Any],
) -> None:
    """Nobody takes an order of a halted plan: as PLANNED it would block its asset for ever."""
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.exchange.fault(kind, **spec)
    between_leave_and_request(monkeypatch, lambda: stop(world, plan))
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert attempts_of(order) == [AnswerClass.NOT_PLACED]
    assert fresh(plan).state is P.HALTED
    assert is_settled(plan)
    world.later(1)
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    assert fresh(plan).closing_snapshot is not None


def test_an_order_that_comes_back_unplaced_to_a_paused_plan_goes_on_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.exchange.fault("error", **CLOCK_REFUSED)
    between_leave_and_request(monkeypatch, lambda: pause(world, plan))
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    assert only(plan).state is S.PLANNED
    stops.resume_plan(plan, actor=TEST, now=world.now)
    assert only(world.work(plan)).state is S.FILLED


def waits_while(
    world: World, order: CloseOrder, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]
) -> CloseOrder:
    """Run an order whose request has to wait two seconds for its weight; return it afterwards."""
    pacer, waited = world.port.pacer, []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        happens()
        redis_client().delete(pacer._memory._place_block)  # as the end of a real wait would find it

    def told_to_step_back(seconds: float) -> None:
        pacer.block(Decimal(2))
        monkeypatch.setattr(pacer, "_sleep", wait)

    execution.run_order(order.pk, clock=world.clock, pause=told_to_step_back)
    assert len(waited) == 1
    assert waited[0] > 1
    found: CloseOrder = fresh(order)
    return found


@pytest.mark.parametrize("stop", [halt, halt_account, halt_everything])
def test_a_halt_stops_a_request_that_waits_for_its_weight(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[World, CleanupPlan], None],
) -> None:
    plan = world.start(PEPE)
    order = waits_while(world, only(plan), monkeypatch, lambda: stop(world, plan))
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert fresh(plan).state is P.HALTED
    assert world.sent() == []
    assert order.attempts.get().sent_at is None


def test_a_request_that_waited_too_long_for_its_weight_needs_a_new_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order = waits_while(world, only(plan), monkeypatch, lambda: world.later(2))
    assert order.state is S.PLANNED
    assert world.sent() == []
    monkeypatch.undo()
    assert only(world.work(plan)).state is S.FILLED
