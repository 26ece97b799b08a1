"""Whatever changed between the draft and the last look is left out with its reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.services import conversions
from tests.journeys.conversions.steps import (
    CONVERT,
    LITTLE,
    books_close,
    change,
    holds,
    made,
    sent,
    states,
)
from tests.trading import World, fresh, order_of, told

Happens = Callable[[World], None]


def a_bot_orders(world: World) -> None:
    world.exchange.control("POST", "markets", {"SHIBUSDT": {"min_notional": "0.001"}})
    order = {"symbol": "SHIBUSDT", "side": "SELL", "quantity": "100", "price": "0.00002"}
    world.exchange.control("POST", "open-order", order)


def it_pays_nothing(world: World) -> None:
    holds(world, "SHIB", "0.0001")


def it_is_locked(world: World) -> None:
    holds(world, "SHIB", "0", locked="9000")


def a_part_is_locked(world: World) -> None:
    holds(world, "SHIB", "8000", locked="1000")


def it_is_worth_more(world: World) -> None:
    world.exchange.control("POST", "prices", {"SHIBUSDT": "0.000015"})


def it_is_ignored(world: World) -> None:
    world.change_policy(ignored_assets=frozenset({"SHIB"}))


def a_digit_more_is_held(world: World) -> None:
    holds(world, "SHIB", "9000.00000001")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (a_bot_orders, "OPEN_ORDER"),
        (it_pays_nothing, "UNECONOMIC"),
        (it_is_locked, "LOCKED"),
        (a_part_is_locked, "LOCKED"),
        (it_is_worth_more, "NO_LONGER_DUST"),
        (it_is_ignored, "IGNORED"),
        (a_digit_more_is_held, "DRIFTED"),
    ],
)
def test_one_is_left_out_and_the_rest_is_converted(
    world: World, happens: Happens, reason: str
) -> None:
    plan = world.start(LITTLE)
    happens(world)
    plan = world.work(plan)
    left_out = order_of(plan, "SHIB")
    assert (left_out.state, left_out.reason) == (S.DENIED, reason), told(plan)
    assert left_out.message
    assert left_out.conversion is None
    assert made(world) == {"PEPE", "BTTC"}
    assert sent(world) == 1
    assert plan.state is P.COMPLETED


def all_are_protected(world: World) -> None:
    world.change_policy(protected_assets=frozenset({"SHIB", "PEPE", "BTTC"}))


def converting_is_off(world: World) -> None:
    world.change_policy(convert_enabled=False)


def all_are_gone(world: World) -> None:
    for asset in ("SHIB", "PEPE", "BTTC"):
        holds(world, asset, "0")


def the_target_has_no_price(world: World) -> None:
    world.exchange.control("POST", "markets", {"BNBUSDT": {"status": "BREAK"}})


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (all_are_protected, "PROTECTED"),
        (converting_is_off, "ROUTE_OFF"),
        (all_are_gone, "NOT_HELD"),
        (the_target_has_no_price, "NOT_CONVERTIBLE"),
    ],
)
def test_where_all_are_left_out_nothing_is_sent(
    world: World, happens: Happens, reason: str
) -> None:
    plan = world.start(LITTLE)
    happens(world)
    plan = world.work(plan)
    assert states(plan) == {S.DENIED}, told(plan)
    assert set(plan.orders.values_list("reason", flat=True)) == {reason}
    assert plan.state is P.COMPLETED
    assert plan.conversions.count() == 0
    assert sent(world) == 0


def test_less_than_planned_is_converted_as_it_is(world: World) -> None:
    plan = world.start(LITTLE)
    holds(world, "SHIB", "8999.5")
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert str(order_of(plan, "SHIB").filled_quantity) == "8999.5"


def test_an_asset_that_is_refused_at_the_request_fails_the_whole_batch(world: World) -> None:
    plan = world.start(LITTLE)
    gone = change("balances", {"SHIB": {"free": "0", "locked": "0"}})
    world.exchange.fault("change", first=[gone], **CONVERT)
    plan = world.work(plan)
    assert states(plan) == {S.REJECTED}, told(plan)
    assert {order.message for order in plan.orders.all()} == {
        "Binance refused: You don't have this asset."
    }
    assert plan.state is P.COMPLETED
    assert made(world) == set()
    # Nothing half-recorded, and the window is as it was.
    assert plan.conversions.get().answer_code == "-5003"
    again = world.work(world.start(LITTLE))
    assert states(again) == {S.FILLED}, told(again)
    books_close(world, again)


# --- How old a look may be ----------------------------------------------------------------------


def test_a_look_that_took_too_long_sends_nothing_and_is_taken_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    look = conversions._looks

    def slow(*args: object, **kwargs: object) -> object:
        found = look(*args, **kwargs)  # type: ignore[arg-type]
        world.later(6)
        return found

    with monkeypatch.context() as context:
        context.setattr(conversions, "_looks", slow)
        conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.PLANNED}, told(plan)
    assert "too old" in order_of(plan, "SHIB").message
    assert sent(world) == 0
    assert states(world.work(plan)) == {S.FILLED}, told(plan)


@pytest.mark.parametrize("step", ["commit", "send"])
def test_a_look_that_grew_old_before_the_request_left_is_taken_again(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    plan = world.start(LITTLE)
    real = getattr(conversions, step)

    def late(*args: object, **kwargs: object) -> object:
        world.later(6)
        return real(*args, **kwargs)

    with monkeypatch.context() as context:
        context.setattr(conversions, step, late)
        conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.PLANNED}, told(plan)
    assert sent(world) == 0
    assert plan.conversions.get().answer_code == "NOT_SENT"
    assert states(world.work(plan)) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_a_look_that_is_always_too_old_is_given_up_with_the_plans_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    send = conversions.send

    def late(*args: object, **kwargs: object) -> None:
        world.later(6)
        send(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(conversions, "send", late)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert min(order.due_at for order in plan.orders.all() if order.due_at) > world.now
    world.later(900)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.DENIED}, told(plan)
    assert order_of(plan, "SHIB").message == (
        "Not sent in time. Its last try was too late for its look."
    )
    assert fresh(plan).state is P.COMPLETED
    assert sent(world) == 0
