"""An order is sent again only when its absence is proved, by the rule of its exchange."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.exchanges.profiles.absence import BINANCE
from positions.models import AnswerClass, CloseOrder
from positions.services import attempts
from tests.journeys.faults.stepped.steps import LOOK_UP, PEPE, attempts_of, halt, interrupted, only
from tests.trading import World, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)

HISTORY = {"method": "GET", "path": "/api/v3/allOrders"}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("drop_before", {}),
        ("garbage_before", {}),
        ("status_before", {"status": 502}),
        ("error", {"code": -1007, "msg": "Timeout.", "status": 408}),
        ("error", {"code": -1000, "msg": "An unknown error occurred."}),
    ],
)
def test_an_order_that_was_not_placed_is_sent_again_only_after_its_absence_is_proved(
    world: World, kind: str, spec: dict[str, Any]
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault(kind, **spec)
    order = world.run(only(plan))
    assert order.state is S.UNKNOWN
    valid_until = order.attempts.get().valid_until_ms
    plan = world.work(plan)
    order = fresh(order)
    assert order.state is S.FILLED, told(plan)
    assert attempts_of(order) == [AnswerClass.UNKNOWN, AnswerClass.ACCEPTED]
    first, second = world.sent()
    assert first["params"]["newClientOrderId"] == second["params"]["newClientOrderId"]
    assert second["at_ms"] > valid_until + BINANCE.margin_ms


def test_not_found_proves_nothing_while_the_order_may_still_be_accepted(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.clock.ahead += timedelta(seconds=120)  # our clock alone: the exchange's decides
    for _ in range(3):
        order = world.look_up(order)
        world.clock.ahead += timedelta(seconds=60)
        assert order.state is S.UNKNOWN
        assert order.absent_since is None
    world.later(10)
    assert world.look_up(order).absent_since is not None
    world.later(3)
    assert world.look_up(order).state is S.PLANNED


def test_one_look_up_that_finds_nothing_is_not_enough(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    assert world.look_up(order).state is S.UNKNOWN
    assert len(world.sent()) == 1


@pytest.mark.parametrize("halted", [True, False])
def test_a_found_order_is_ours_even_if_the_exchange_dates_it_before_our_first_attempt(
    world: World, halted: bool
) -> None:
    plan = world.start(PEPE)

    def our_clock_is_ahead() -> None:
        world.skew_ms -= 30_000
        world.exchange.control("POST", "clock", {"skew_ms": world.skew_ms})

    order = interrupted(world, plan, our_clock_is_ahead)
    assert order.state is S.PLANNED
    world.later(3)
    world.exchange.fault("drop_after")
    assert world.run(order).state is S.UNKNOWN
    assert attempts_of(order) == [AnswerClass.NOT_PLACED, AnswerClass.UNKNOWN]
    first, second = order.attempts.order_by("number")
    assert second.signed_at_ms < first.signed_at_ms - 20_000
    if halted:
        halt(world, plan)
    world.later(2)
    order = world.look_up(order)
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(5000)), told(plan)
    assert world.sold("PEPE") == Decimal(5000)


def test_look_ups_in_quick_succession_do_not_prove_absence(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    order = world.look_up(order)
    first = order.absent_since
    assert first is not None
    for _ in range(4):
        asked_at = world.now
        order = world.look_up(order)
        assert order.state is S.UNKNOWN
        assert order.absent_since == first
        assert order.due_at >= asked_at + timedelta(seconds=1)
    world.later(BINANCE.apart.total_seconds())
    assert world.look_up(order).state is S.PLANNED
    assert len(world.sent()) == 1


def test_the_look_ups_that_prove_absence_are_due_apart(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    order = world.look_up(order)
    assert order.due_at - order.absent_since == BINANCE.apart


def test_a_look_up_without_an_answer_in_between_starts_the_proof_anew(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    assert world.look_up(order).absent_since is not None
    world.exchange.fault("status_before", status=503, **LOOK_UP)
    world.later(BINANCE.apart.total_seconds())
    assert world.look_up(order).absent_since is None
    world.later(BINANCE.apart.total_seconds())
    assert world.look_up(order).state is S.UNKNOWN
    world.later(BINANCE.apart.total_seconds())
    assert world.look_up(order).state is S.PLANNED


def test_an_order_that_is_never_processed_is_given_up_after_some_requests(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("status_before", status=502, times=None)
    plan = world.work(plan, seconds=600)
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "UNREACHABLE")
    assert plan.state is P.COMPLETED
    assert attempts_of(order) == [AnswerClass.UNKNOWN] * attempts.MOST_ATTEMPTS
    assert len(world.sent()) == attempts.MOST_ATTEMPTS


# Our own order, and nobody else's


def somebody_uses_our_id(world: World, order: CloseOrder, **other: str) -> None:
    """Let a bot place an order that carries our client id, and put back what it sold."""
    asked = {"symbol": "PEPEUSDT", "side": "SELL", "quantity": "5000"}
    asked["client_order_id"] = order.client_order_id
    how = "open-order" if "price" in other else "trade"
    world.exchange.control("POST", how, asked | other)
    if how == "trade":
        world.exchange.control("POST", "balances", {"PEPE": {"free": "5000"}})


def test_an_old_order_with_our_id_is_no_evidence_and_waits_for_a_person(world: World) -> None:
    """The id is random: whatever carries it may be ours, dated by a clock that was wrong."""
    plan = world.start(PEPE)
    somebody_uses_our_id(world, only(plan))
    world.later(5)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    assert order.state is S.UNKNOWN
    plan = world.work(plan, until=lambda: only(plan).waits_for_person)
    order = fresh(order)
    assert (order.state, order.absent_since) == (S.UNKNOWN, None), told(plan)
    assert "answered about another order" in order.message
    assert len(world.sent()) == 1


@pytest.mark.parametrize("other", [{"side": "BUY"}, {"quantity": "4000"}, {"price": "0.00002"}])
def test_a_new_order_with_our_id_that_we_did_not_ask_for_waits_for_a_person(
    world: World, other: dict[str, str]
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    somebody_uses_our_id(world, order, **other)
    plan = world.work(plan, until=lambda: only(plan).waits_for_person)
    order = fresh(order)
    assert order.state is S.UNKNOWN
    assert "answered about another order" in order.message
    assert len(world.sent()) == 1


def test_an_order_that_its_id_does_not_find_is_found_in_the_list_of_all(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    world.run(only(plan))
    world.exchange.fault("error", code=-2013, msg="Order does not exist.", times=None, **LOOK_UP)
    plan = world.work(plan)
    order = only(plan)
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(5000)), told(plan)
    assert len(world.sent()) == 1


def test_a_list_without_an_answer_proves_no_absence(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.exchange.fault("garbage_before", times=2, **HISTORY)
    for _ in range(2):
        world.later(10)
        order = world.look_up(order)
        assert order.state is S.UNKNOWN
        assert order.absent_since is None
    assert only(world.work(plan)).state is S.FILLED


def test_the_list_is_asked_for_once_it_can_prove_something(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.look_up(world.run(only(plan)))
    assert asked_for_lists(world) == 0
    assert order.lookups == 1
    world.later(10)
    world.look_up(order)
    assert asked_for_lists(world) == 1


def asked_for_lists(world: World) -> int:
    requests = world.exchange.ledger()["requests"]
    return sum(request["path"] == HISTORY["path"] for request in requests)


def test_the_history_says_by_what_the_absence_was_proved(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    world.run(only(plan))
    plan = world.work(plan)
    (proof,) = plan.events.filter(kind="order.not_placed")
    first = only(plan).attempts.order_by("number")[0]
    assert proof.data["proof"] == "signature validity"
    assert proof.data["valid_until_ms"] == first.valid_until_ms
    assert proof.data["exchange_ms"] > first.valid_until_ms + BINANCE.margin_ms
    assert proof.data["look_ups"] == [BINANCE.look_up, BINANCE.history]
    assert proof.data["source"].startswith("binance-spot-api-docs")
