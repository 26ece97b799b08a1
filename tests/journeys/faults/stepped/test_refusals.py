"""What was refused before processing is sent again; what the exchange refused is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AnswerClass
from positions.services import attempts, stops
from tests.journeys.faults.stepped.steps import (
    CLOCK_REFUSED,
    PEPE,
    attempts_of,
    interrupted,
    only,
    pause,
)
from tests.trading import TEST, World, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("kind", ["rate_limit", "ban"])
def test_a_limited_order_waits_as_long_as_asked_and_is_sent_again(world: World, kind: str) -> None:
    plan = world.start(PEPE)
    world.exchange.fault(kind, retry_after=1)
    order = world.run(only(plan))
    assert order.state is S.PLANNED
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)
    assert attempts_of(order) == [AnswerClass.NOT_PLACED, AnswerClass.ACCEPTED]
    refused, placed = world.sent()
    assert placed["wall_us"] - refused["wall_us"] >= 950_000
    assert refused["params"]["newClientOrderId"] == placed["params"]["newClientOrderId"]


def test_a_clock_refusal_is_signed_anew(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", code=-1021, msg="Timestamp for this request is outside.")
    order = world.run(only(plan))
    assert order.state is S.PLANNED
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)
    first, second = world.sent()
    assert int(second["params"]["timestamp"]) > int(first["params"]["timestamp"])


@pytest.mark.parametrize("skew_ms", [30_000, -30_000])
def test_a_clock_that_jumps_during_the_plan_is_compared_again(world: World, skew_ms: int) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "clock", {"skew_ms": skew_ms})
    for _ in range(4):
        world.clock.ahead += timedelta(seconds=60)
        world.run(only(plan))
    assert only(plan).state is S.FILLED, told(plan)


def test_an_order_that_is_never_placed_is_given_up_after_some_attempts(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", code=-1021, msg="Timestamp.", times=None)
    plan = world.work(plan, seconds=600)
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "UNREACHABLE")
    assert len(world.sent()) == attempts.MOST_ATTEMPTS


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-2010, "Account has insufficient balance for requested action."),
        (-2010, "Market is closed."),
        (-1013, "Filter failure: NOTIONAL"),
        (-1013, "Filter failure: LOT_SIZE"),
    ],
)
def test_a_refused_order_is_rejected_and_not_tried_again(
    world: World, code: int, message: str
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", code=code, msg=message)
    plan = world.work(plan)
    order = only(plan)
    assert order.state is S.REJECTED
    assert message in order.message
    assert attempts_of(order) == [AnswerClass.REJECTED]
    assert plan.state is P.COMPLETED
    assert len(world.sent()) == 1


def test_a_market_that_halts_between_plan_and_order_sells_nothing(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "markets", {"PEPEUSDT": {"status": "BREAK"}})
    plan = world.work(plan)
    assert only(plan).state in {S.DENIED, S.REJECTED}
    assert world.sold("PEPE") == 0


def test_a_failure_of_one_order_does_not_stop_the_others(world: World) -> None:
    plan = world.start()
    world.exchange.fault("error", code=-2010, msg="Market is closed.", match={"symbol": "XRPUSDT"})
    plan = world.work(plan)
    states = {order.asset: order.state for order in plan.orders.all()}
    assert states.pop("XRP") is S.REJECTED
    assert set(states.values()) == {S.FILLED}


def test_a_key_that_is_revoked_pauses_the_plan(world: World) -> None:
    plan = world.start()
    first, *_ = plan.orders.order_by("number")
    world.run(first)
    world.exchange.control("POST", "keys/revoke", {"revoked": True})
    world.later(5)  # a look of before may still stand
    rest = plan.orders.filter(status=S.PLANNED).order_by("number")
    world.run(rest[0])
    plan = fresh(plan)
    assert plan.state is P.PAUSED, told(plan)
    assert "does not accept the API key" in plan.status_note
    # Given back, the plan goes on.
    world.exchange.control("POST", "keys/revoke", {"revoked": False})
    stops.resume_plan(plan, actor=TEST, now=world.now)
    plan = world.work(plan)
    assert plan.state is P.COMPLETED


def test_a_key_that_is_revoked_as_the_order_leaves_pauses_the_plan(world: World) -> None:
    plan = world.start()
    world.exchange.fault("error", code=-2015, msg="Invalid API-key, IP, or permissions.")
    order = world.run(plan.orders.order_by("number")[0])
    assert order.state is S.REJECTED
    assert fresh(plan).state is P.PAUSED


def test_attempts_that_never_left_do_not_count(world: World) -> None:
    plan = world.start(PEPE)
    for _ in range(attempts.MOST_ATTEMPTS):
        world.free_pace()
        assert interrupted(world, plan, lambda: pause(world, plan)).state is S.PLANNED
        stops.resume_plan(fresh(plan), actor=TEST, now=world.now)
    assert world.sent() == []
    world.free_pace()
    world.exchange.fault("error", **CLOCK_REFUSED)
    order = world.run(only(plan))
    assert order.state is S.PLANNED, told(plan)
    assert order.attempts.count() == attempts.MOST_ATTEMPTS + 1
    assert len(world.sent()) == 1
    assert only(world.work(plan)).state is S.FILLED
