"""Wake-ups are lost, doubled, out of order or held back, and the scheduler is killed."""

from __future__ import annotations

import pytest
import redis
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.services import dispatch
from tests.journeys.faults.crew import QUEUE, CeleryProcess
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.journeys.faults.waiting import wait_for

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def scheduler(house: House) -> CeleryProcess:
    """Return the scheduler of two workers."""
    house.start_crew(workers=2, scheduler=False)
    return house.crew.scheduler().wait_until_ready()


def times(house: House, what: str) -> int:
    """Return how often a worker said something."""
    return house.crew.logs.count(what)


def test_a_wake_up_that_is_held_back_until_somebody_else_got_it_sends_nothing_more(
    house: House, request: pytest.FixtureRequest
) -> None:
    """A worker with one thread is busy and has the next wake-up in hand when it is stopped."""
    single = house.crew.worker(threads=1).wait_until_ready()
    case = house.case(assets=2)
    first, second = case.assets
    claimed = case.arm(Point.AFTER_CLAIM, Action.HOLD, asset=first)
    case.start()
    claimed.reached()
    with redis.Redis.from_url(house.valkey.url) as queue:
        wait_for(lambda: queue.llen(QUEUE) == 0, what="the second wake-up to be in its hands")
        assert queue.hlen("unacked") == 1
    single.stop()
    assert case.plan.orders.get(asset=second).state is S.PLANNED
    request.getfixturevalue("scheduler")  # and two workers
    wait_for(
        lambda: case.plan.orders.get(asset=second).state is S.FILLED,
        what="the second order to be sent by another worker",
    )
    house.leases_end(case)
    case.settled()
    single.wake()
    claimed.go_on()
    wait_for(lambda: single.said.count(" succeeded in ") >= 3, what="its wake-ups")
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert len(case.sent()) == 2
    single.close()
    case.is_true()


def test_a_wake_up_that_is_delivered_often_sends_one_request(
    house: House, scheduler: CeleryProcess
) -> None:
    case = house.case()
    before = times(house, "run_order[")
    case.start()
    house.wake("run_order", case.order.pk, times=12)
    case.settled()
    assert case.state is S.FILLED, case.told
    wait_for(lambda: times(house, "run_order[") >= before + 13, what="deliveries")
    assert len(case.sent()) == 1
    case.is_true()


def test_wake_ups_out_of_order_do_no_harm(house: House, scheduler: CeleryProcess) -> None:
    """Asked for before it was sent, sent while it is asked for, and both again at its end."""
    case = house.case()
    left = case.arm(Point.REQUEST_LEFT, Action.HOLD)
    case.draft()
    house.wake("look_up_order", case.order.pk)
    house.wake("run_order", case.order.pk)  # a draft, that nobody has started
    case.start()
    left.reached()
    done = times(house, " succeeded in ")
    house.wake("look_up_order", case.order.pk, times=2)
    house.wake("run_order", case.order.pk, times=2)
    wait_for(lambda: times(house, " succeeded in ") >= done + 4, what="all four")
    assert case.state is S.SUBMITTING
    left.go_on()
    case.settled()
    done = times(house, " succeeded in ")
    house.wake("run_order", case.order.pk)
    house.wake("look_up_order", case.order.pk)
    house.wake("run_order", 10**9)  # a row that is not there
    wait_for(lambda: times(house, " succeeded in ") >= done + 3, what="the late ones")
    assert case.state is S.FILLED, case.told
    assert len(case.sent()) == 1
    case.is_true()


def test_wake_ups_that_were_lost_are_sent_again_by_the_scheduler(
    house: House, scheduler: CeleryProcess
) -> None:
    case = house.case(assets=2)
    case.draft()
    scheduler.stop()
    case.start(wake=False)
    lost = list(dispatch.due_orders(now=timezone.now(), plan=case.plan))
    assert len(lost) == 2  # woken, as far as the database knows
    scheduler.wake()
    house.leases_end(case)  # a wake-up is sent again when the first has had its time
    case.settled()
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert len(case.sent()) == 2
    case.is_true()


def test_a_killed_scheduler_only_costs_time(house: House, scheduler: CeleryProcess) -> None:
    case = house.case(assets=3)
    left = case.arm(Point.REQUEST_LEFT, Action.HOLD)
    case.fault("drop_after")
    case.start()
    left.reached()
    scheduler.kill()
    left.go_on()
    going = case.plan.orders.filter(status__in=[S.PLANNED, S.SUBMITTING])
    wait_for(lambda: not going.exists(), what="the workers to go on without it")
    house.crew.scheduler().wait_until_ready()
    case.settled()
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert case.plan.events.filter(kind="order.unknown").count() == 1
    assert len(case.sent()) == 3
    case.is_true()
