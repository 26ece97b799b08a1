"""Whatever the exchange may have is asked for at a start, due or not, by one at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from positions.domain.orders import OrderState as S
from positions.models import CloseOrder
from positions.services import dispatch, reconciliation
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
