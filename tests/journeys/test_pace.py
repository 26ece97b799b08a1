"""Orders keep the pace: one look serves all of them, and being late costs only the lateness."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from positions.domain.orders import OrderState as S
from positions.models import CloseOrder
from positions.services import attempts, dispatch, execution, stops
from positions.services.connections import redis_client
from tests.trading import TEST, Clock, World, fresh, order_of

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

PEPE, BOTH = "0.05", "0.10"


def asked(world: World, path: str) -> int:
    requests = world.exchange.ledger()["requests"]
    return sum((item["method"], item["path"]) == ("GET", path) for item in requests)


def late_by(seconds: float) -> execution.Pause:
    """Return a pause that takes so much longer than it should."""

    def pause(wanted: float) -> None:
        threading.Event().wait(wanted + seconds)

    return pause


def run(world: World, order: CloseOrder, **how: object) -> tuple[CloseOrder, list[int]]:
    """Run an order; return it and what it handed over."""
    handed: list[int] = []
    execution.run_order(order.pk, clock=world.clock, hand_over=handed.append, **how)
    return fresh(order), handed


# --- Looks --------------------------------------------------------------------------------------


def test_one_look_serves_all_orders_while_it_is_young(world: World) -> None:
    plan = world.start()
    before = asked(world, "/api/v3/account")
    for order in plan.orders.all()[:4]:
        assert world.run(order).state is S.FILLED
    assert asked(world, "/api/v3/account") == before + 1


def test_the_next_look_is_taken_before_the_old_one_ends(world: World) -> None:
    plan = world.start()
    first, second = plan.orders.all()[:2]
    world.run(first)
    before = asked(world, "/api/v3/account")
    world.later(3.8)  # a look serves for four seconds
    assert world.run(second).state is S.FILLED
    assert asked(world, "/api/v3/account") == before + 1


def test_nobody_waits_for_a_look_that_another_worker_takes_while_the_old_one_serves(
    world: World,
) -> None:
    plan = world.start()
    first, second = plan.orders.all()[:2]
    world.run(first)
    before = asked(world, "/api/v3/account")
    grow_old(world)
    with redis_client().lock(f"{look_key(world)}:lock", timeout=300):
        assert world.run(second).state is S.FILLED
    assert asked(world, "/api/v3/account") == before


def test_a_next_look_that_fails_does_no_harm_while_the_old_one_serves(world: World) -> None:
    plan = world.start()
    first, second = plan.orders.all()[:2]
    world.run(first)
    grow_old(world)
    world.exchange.fault("status_before", method="GET", path="/api/v3/account", status=503)
    assert world.run(second).state is S.FILLED


def look_key(world: World) -> str:
    """Return where Valkey keeps the account's look."""
    return f"dustadmin:look:{world.account.pk}:{world.account.key_fingerprint[:16]}"


def grow_old(world: World) -> None:
    """Let the look be near the end of its four seconds, and stay there however slow we are."""
    found = redis_client().get(look_key(world))
    asked_at = datetime.fromisoformat(json.loads(found)["asked_at"])
    redis_client().persist(look_key(world))
    world.clock = Clock(stopped_at=asked_at + timedelta(seconds=3.5))


# --- Late ---------------------------------------------------------------------------------------


def test_an_order_that_misses_its_moment_leaves_at_once_with_the_same_attempt(world: World) -> None:
    plan = world.start(PEPE)
    order, _ = run(world, plan.orders.get(), pause=late_by(0.4))
    assert order.state is S.FILLED
    assert order.attempts.count() == 1
    assert len(world.sent()) == 1


def test_an_order_that_would_crowd_later_ones_gives_way(world: World) -> None:
    """Fifty orders in ten seconds are ours: the fiftieth after it may have its moment already."""
    plan = world.start(PEPE)

    def others_reserve(wanted: float) -> None:
        threading.Event().wait(wanted + 0.4)
        for _ in range(50):
            world.port.pacer.take_order(lead=Decimal(0), latest=Decimal(60))

    order, _ = run(world, plan.orders.get(), pause=others_reserve)
    assert order.state is S.PLANNED
    assert world.sent() == []
    attempt = order.attempts.get()
    assert (attempt.answer_code, attempt.sent_at) == ("NOT_SENT", None)


def test_an_attempt_that_never_left_is_not_looked_for_before_the_next_one(world: World) -> None:
    plan = world.start(PEPE)
    order = plan.orders.get()

    def pause_plan(_: float) -> None:
        stops.pause_plan(plan, actor=TEST, now=world.now)

    assert run(world, order, pause=pause_plan)[0].state is S.PLANNED
    stops.resume_plan(plan, actor=TEST, now=world.now)
    assert world.run(order).state is S.FILLED
    assert asked(world, "/api/v3/order") == 0


# --- Handing over -------------------------------------------------------------------------------


def test_an_order_has_the_next_one_begun_before_it_leaves(world: World) -> None:
    plan = world.start(BOTH)
    begun: list[int] = []

    def begin(orders: int) -> None:
        assert world.sent() == []
        begun.extend(item.pk for item in dispatch.due_after(first.pk, orders=orders, now=world.now))

    first, second = plan.orders.order_by("pk")
    list(dispatch.due_orders(now=world.now, plan=plan))  # both are awake
    CloseOrder.objects.filter(pk=second.pk).update(due_at=world.now)
    execution.run_order(first.pk, clock=world.clock, hand_over=begin)
    assert begun == [second.pk]


def test_a_denied_order_hands_over_and_one_that_can_not_be_checked_does_not(world: World) -> None:
    plan = world.start(BOTH)
    world.change_policy(protected_assets=frozenset({"PEPE"}))
    order, handed = run(world, order_of(plan, "PEPE"))
    assert (order.state, handed) == (S.DENIED, [1])
    redis_client().flushall()
    world.free_pace()
    world.exchange.fault("status_before", method="GET", path="/api/v3/account", status=503)
    order, handed = run(world, order_of(plan, "SHIB"))
    assert (order.state, handed) == (S.PLANNED, [])


def test_an_order_whose_turn_is_far_comes_again_in_time(world: World) -> None:
    plan = world.start(PEPE)
    for _ in range(10):
        world.port.pacer.take_order(lead=Decimal(0), latest=Decimal(60))
    order = plan.orders.get()
    again = execution.run_order(order.pk, clock=world.clock)
    assert again is not None
    assert 1 < again.total_seconds() < 2.1
    order = fresh(order)
    assert (order.state, order.claim_token) == (S.PLANNED, "")
    assert order.due_at <= world.now + again


def test_what_was_sent_today_is_known_without_redis(world: World) -> None:
    plan = world.start(PEPE)
    order = world.run(plan.orders.get())
    assert order.state is S.FILLED
    assert attempts.sent_within(order, 86_400, now=world.now) == 1
    world.later(3600)
    assert attempts.sent_within(order, 3000, now=world.now) == 0
