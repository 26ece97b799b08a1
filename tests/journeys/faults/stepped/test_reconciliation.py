"""Whatever the exchange may have is asked for at a start, due or not, by one at a time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from positions.domain.orders import OrderState as S
from positions.domain.orders import Outcome
from positions.domain.resolutions import Finding
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.pacing import LONGEST_WAIT
from positions.models import CloseOrder
from positions.selectors.orders import why_not_by_hand
from positions.services import audit, dispatch, reconciliation
from positions.services.actors import Actor
from positions.services.connections import redis_client
from positions.services.resolutions import resolve_order
from tests.journeys.faults.stepped.steps import PEPE, committed, only
from tests.trading import World, at_once, order_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_all_that_may_be_at_the_exchange_is_asked_for_due_or_not(world: World) -> None:
    """As a worker does when it starts."""
    plan = world.start("0.10")
    world.exchange.fault("drop_after", times=2)
    pepe, shib = world.run(order_of(plan, "PEPE")), world.run(order_of(plan, "SHIB"))
    later = world.now + timedelta(hours=1)
    CloseOrder.objects.filter(pk=pepe.pk).update(due_at=later)
    CloseOrder.objects.filter(pk=shib.pk).update(due_at=None)
    assert reconciliation.ask_for_all(now=world.now) == 2
    due = {item.pk: item.task for item in dispatch.due_orders(now=world.now)}
    assert due == {pepe.pk: "look_up_order", shib.pk: "look_up_order"}
    assert world.look_up(pepe).state is S.FILLED
    assert world.look_up(shib).state is S.FILLED


def test_what_somebody_works_on_is_left_to_him_until_his_lease_ends(world: World) -> None:
    plan = world.start(PEPE)
    order, _, _ = committed(world, only(plan))
    assert reconciliation.ask_for_all(now=world.now) == 0
    assert order.claimed_until is not None
    ended = order.claimed_until + timedelta(milliseconds=1)
    assert reconciliation.ask_for_all(now=ended) == 1


def test_what_is_planned_or_closed_is_not_asked_for(world: World) -> None:
    plan = world.start("0.10")
    assert world.run(order_of(plan, "PEPE")).state is S.FILLED
    assert order_of(plan, "SHIB").state is S.PLANNED
    assert reconciliation.ask_for_all(now=world.now) == 0


def test_two_workers_that_start_at_once_ask_once(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))

    def worker_starts() -> None:
        reconciliation.ask_for_all(now=world.now)
        for due in dispatch.due_orders(now=world.now):
            reconciliation.look_up_order(due.pk, clock=world.clock)

    assert at_once(worker_starts, worker_starts, worker_starts) == [None] * 3
    assert only(plan).state is S.FILLED
    assert only(plan).fills.count() == 1
    assert order.plan.events.filter(kind="order.filled").count() == 1


def test_nobody_else_decides_while_a_look_up_takes_its_longest(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    assert reconciliation._claimed(order.pk, now=world.now) is not None
    CloseOrder.objects.filter(pk=order.pk).update(waits_for_person=True)
    requests, longest = 5, LONGEST_WAIT + Decimal(10)
    latest = world.now + timedelta(seconds=int(requests * longest))
    assert "being asked" in why_not_by_hand(only(plan), now=latest)
    assert reconciliation._claimed(order.pk, now=latest) is None


def test_what_was_found_after_a_person_closed_the_order_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker slept for longer than its lease; a person saw nothing and said so."""
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    CloseOrder.objects.update(waits_for_person=True)
    person = Actor.person(User.objects.create_superuser("approver"))
    nothing = Finding(sale=None, reason="It is not in the order history.")
    find = CcxtExchange.find_order

    def found_late(port: CcxtExchange, requests: Any) -> Outcome | None:
        found = find(port, requests)
        world.clock.ahead += reconciliation.LOOK_UP + timedelta(seconds=1)
        resolve_order(order, nothing, actor=person, now=world.now)
        return found

    monkeypatch.setattr(CcxtExchange, "find_order", found_late)
    world.look_up(order)
    assert only(plan).state is S.RESOLVED
    (told_late,) = plan.events.filter(kind="order.told_late")
    assert told_late.order_id == order.pk
    assert told_late.data["filled_quantity"] == "5000"
    (trade,) = told_late.data["trades"]
    assert (trade["quantity"], trade["price"]) == ("5000", "0.00000799")
    assert audit.verify_all() == []


@pytest.mark.parametrize("redis_is_gone", [False, True])
def test_what_could_not_be_asked_is_not_counted_as_asked(world: World, redis_is_gone: bool) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    asked = len(world.exchange.ledger()["requests"])
    if redis_is_gone:
        world.valkey.stop()
    else:
        world.port.pacer.block(Decimal(3600))
    try:
        for _ in range(3):
            world.clock.ahead += timedelta(seconds=100)
            order = world.look_up(order)
            assert (order.lookups, order.waits_for_person) == (0, False)
            assert (order.claim_token, order.claimed_until) == ("", None)
            assert world.now < order.due_at <= world.now + reconciliation.LONGEST_PAUSE
    finally:
        if redis_is_gone:
            world.valkey.start()
    assert len(world.exchange.ledger()["requests"]) == asked
    redis_client().flushall()
    world.free_pace()
    assert only(world.work(plan, seconds=600)).state is S.FILLED
    assert len(world.sent()) == 1
