"""What goes wrong between us and the exchange, before, at and after the conversion's request."""

from __future__ import annotations

from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.domain.verdicts import Route
from positions.models import AnswerClass
from positions.services import conversions, stops
from tests.exchange_process import wait_until
from tests.journeys.conversions.steps import (
    CONVERT,
    LITTLE,
    books_close,
    change,
    leases_end,
    made,
    sent,
    states,
)
from tests.trading import TEST, World, fresh, order_of, told

BALANCES = {"method": "GET", "path": "/api/v3/account"}
HISTORY = {"method": "GET", "path": "/sapi/v1/asset/dribblet"}


def the_door_closes_before_the_request(world: World) -> None:
    """Refuse connections right after the last look before the request."""
    closed = change("listening", {"seconds": "0.7"})
    world.exchange.fault("change", afterwards=[closed], **BALANCES)


def is_open(world: World) -> bool:
    try:
        world.exchange.control("GET", "health")
    except OSError:
        return False
    return True


def test_a_request_that_found_no_connection_was_not_processed_and_is_made_again(
    world: World,
) -> None:
    plan = world.start(LITTLE)
    the_door_closes_before_the_request(world)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.PLANNED}, told(plan)
    assert plan.conversions.get().answer == AnswerClass.NOT_PLACED
    wait_until(lambda: is_open(world), what="the exchange to listen again")
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    books_close(world, plan)


def test_no_answer_in_time_is_unknown_and_is_found(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("hang_after", seconds="5", **CONVERT)
    world.port._client.ccxt.timeout = 1000  # milliseconds, instead of ten seconds
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    books_close(world, plan)


def test_an_unknown_is_not_given_up_while_the_history_does_not_answer(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("drop_after", **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    world.exchange.fault("status_before", times=None, **HISTORY)
    world.later(60)
    with pytest.raises(AssertionError):
        world.work(plan, seconds=90)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    assert order_of(plan, "SHIB").waits_for_person
    world.exchange.clear_faults()
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_an_empty_history_right_after_the_request_proves_nothing(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("drop_after", **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    world.exchange.fault("empty_list", times=3, **HISTORY)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action.", "status": 401},
        {"code": -1002, "msg": "You are not authorized to execute this request.", "status": 401},
    ],
)
def test_a_key_without_the_right_to_convert_converts_nothing_and_pauses_what_is_left(
    world: World, refusal: dict[str, Any]
) -> None:
    plan = mixed(world)
    world.exchange.fault("error", times=None, **refusal, **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    converted = plan.orders.filter(route=Route.CONVERT)
    assert set(converted.values_list("status", flat=True)) == {S.REJECTED}, told(plan)
    assert fresh(plan).state is P.PAUSED
    assert "API key" in fresh(plan).status_note
    assert made(world) == set()


def mixed(world: World) -> Any:
    """Start a plan that sells three assets and converts the rest."""
    sellable = {f"{asset}USDT": {"min_notional": "0.1"} for asset in ("SAND", "MANA", "TRX")}
    world.exchange.control("POST", "markets", sellable)
    world.valkey_forgets_markets()
    plan = world.start()
    routes = set(plan.orders.values_list("route", flat=True))
    assert routes == {Route.SELL, Route.CONVERT}, routes
    return plan


def test_a_key_that_was_revoked_before_the_look_pauses_the_plan_as_it_is(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.control("POST", "keys/revoke", {"revoked": True})
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert fresh(plan).state is P.PAUSED
    assert states(plan) == {S.PLANNED}, told(plan)
    assert sent(world) == 0
    world.exchange.control("POST", "keys/revoke", {"revoked": False})
    stops.resume_plan(plan, actor=TEST, now=world.now)
    assert states(world.work(plan)) == {S.FILLED}, told(plan)


def test_a_plan_that_sells_some_and_converts_the_rest_completes_once(world: World) -> None:
    plan = world.work(mixed(world))
    assert states(plan) == {S.FILLED}, told(plan)
    assert plan.state is P.COMPLETED
    assert plan.events.filter(kind="plan.completed").count() == 1
    assert sent(world) == 1
    assert len(world.sent()) == plan.orders.filter(route=Route.SELL).count()
    books_close(world, plan)


# --- Waiting ------------------------------------------------------------------------------------


def test_what_keeps_a_batch_waiting_is_told_once_and_overwrites_nothing_that_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("status_before", times=None, **HISTORY)
    for _ in range(3):
        conversions.run_conversion(plan.pk, clock=world.clock)
        leases_end(plan)
    assert states(plan) == {S.PLANNED}, told(plan)
    order = order_of(plan, "SHIB")
    assert order.events.filter(kind="order.waits").count() == 1
    assert order.due_at is not None
    learn = conversions.learn_window

    def halted_meanwhile(*args: Any, **kwargs: Any) -> Any:
        stops.halt_plan(fresh(plan), actor=TEST, now=world.now)
        return learn(*args, **kwargs)

    monkeypatch.setattr(conversions, "learn_window", halted_meanwhile)
    conversions.run_conversion(plan.pk, clock=world.clock)
    for order in plan.orders.all():
        assert (order.state, order.message) == (S.DENIED, "test halted the plan.")


def test_a_batch_that_could_never_be_checked_ends_with_its_plans_time(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("status_before", times=None, **HISTORY)
    conversions.run_conversion(plan.pk, clock=world.clock)
    world.later(901)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.DENIED}, told(plan)
    assert fresh(plan).state is P.COMPLETED
    assert order_of(plan, "SHIB").message.startswith("Not sent in time.")


def test_a_batch_that_is_never_processed_is_given_up_after_six_requests(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("error", code=-1021, msg="Timestamp.", times=None, **CONVERT)
    plan = world.work(plan, seconds=300)
    assert states(plan) == {S.DENIED}, told(plan)
    assert order_of(plan, "SHIB").message == "Its conversion was sent 6 times and never made."
    assert sent(world) == 6
