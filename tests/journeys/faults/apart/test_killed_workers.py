"""A worker is killed, or stopped and woken again, at every point of an order's life."""

from __future__ import annotations

import pytest

from positions.domain.orders import OrderState as S
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.journeys.faults.waiting import wait_for
from tests.journeys.processes import is_stopped
from tests.trading import fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# What is written down of the attempt whose worker is gone: that it never left, or that nobody
# knows. Before the claim was over there was none.
KILLED: dict[Point, str | None] = {
    Point.BEFORE_CLAIM: None,
    Point.AFTER_CLAIM: None,
    Point.AFTER_COMMIT: "NOT_SENT",
    Point.AFTER_LEAVE: "WORKER_LOST",
    Point.REQUEST_LEFT: "WORKER_LOST",
    Point.AFTER_ANSWER: "WORKER_LOST",
    Point.BEFORE_RESULT: "WORKER_LOST",
}
# Stopped, taken over by another worker, and woken: what is written down of its attempt then.
STOPPED: dict[Point, str] = {
    Point.AFTER_COMMIT: "NOT_SENT",
    Point.AFTER_LEAVE: "LATE",
    Point.REQUEST_LEFT: "LATE",
}


@pytest.fixture(scope="module")
def killed(house: House) -> dict[Point, Case]:
    """Kill one worker at each point, and let others go on with what it had."""
    house.start_crew(workers=2)
    made: dict[Point, Case] = {}
    for point in KILLED:
        made[point] = case = house.case()
        mark = case.arm(point, Action.KILL)
        case.start()
        dead = house.crew.with_pid(mark.reached())
        dead.process.join()
        house.crew.worker()
        house.leases_end(case)
        # The next one to be killed has nothing of this order in hand.
        wait_for(lambda order=case.order: fresh(order).closed_at, what=f"the order at {point}")
    return made


@pytest.mark.parametrize("point", KILLED)
def test_an_order_whose_worker_was_killed_is_sold_once(
    killed: dict[Point, Case], point: Point
) -> None:
    case = killed[point].settled()
    assert case.state is S.FILLED, case.told
    assert case.order.filled_quantity == HELD
    codes = list(case.order.attempts.values_list("answer_code", flat=True))
    assert KILLED[point] is None or KILLED[point] in codes, case.told
    assert ("WORKER_LOST" in codes) == (KILLED[point] == "WORKER_LOST"), case.told
    assert len(case.placed()) == 1
    assert len(case.in_time()) == 1
    case.is_true()


def test_a_request_that_outlives_its_worker_arrives_too_late_to_be_accepted(
    house: House, killed: dict[Point, Case]
) -> None:
    """It waits in the network for longer than its signature is valid; another one was sold."""
    case = house.case()
    case.fault("delay_before", seconds="4")
    mark = case.arm(Point.REQUEST_LEFT, Action.KILL)
    case.start()
    house.crew.with_pid(mark.reached()).process.join()
    house.crew.worker()
    house.leases_end(case)
    case.settled()
    assert case.state is S.FILLED, case.told
    wait_for(lambda: len(case.sent()) >= 2, what="the late request")
    assert len(case.in_time()) == 1
    assert len(case.placed()) == 1
    case.is_true()


@pytest.fixture(scope="module")
def stopped(house: House, killed: dict[Point, Case]) -> dict[Point, Case]:
    """Stop a worker at each point, let another one finish its order, then wake it."""
    for case in killed.values():
        case.settled()
    asleep = []
    made = {}
    for point in STOPPED:
        house.crew.worker().wait_until_ready()
        made[point] = case = house.case()
        mark = case.arm(point, Action.STOP)
        case.start()
        worker = house.crew.with_pid(mark.reached())
        wait_for(lambda pid=worker.pid: is_stopped(pid), what="the worker to stop")
        asleep.append(worker)
        house.leases_end(case)
        case.settled()
    for worker in asleep:
        worker.wake()
    for worker in asleep:
        wait_for(
            lambda worker=worker: worker.has_done("run_order"),
            what="the worker to end what it had begun",
        )
    return made


@pytest.mark.parametrize("point", STOPPED)
def test_a_worker_that_wakes_up_after_another_took_over_changes_nothing(
    house: House, stopped: dict[Point, Case], point: Point
) -> None:
    case = stopped[point]
    codes = list(case.order.attempts.values_list("answer_code", flat=True))
    assert STOPPED[point] in codes, case.told
    assert case.state is S.FILLED, case.told
    assert len(case.placed()) == 1
    assert len(case.in_time()) == 1
    if point is Point.AFTER_LEAVE:
        assert len(case.sent()) >= 2  # its own arrived after all, too late
    case.is_true()


def test_a_worker_that_starts_asks_at_once_for_what_the_one_before_it_left(house: House) -> None:
    """Without a scheduler, and although nothing is due for a long time."""
    house.crew.dismiss()
    case = house.case()
    case.fault("drop_after")
    worker = house.crew.worker().wait_until_ready()
    case.start()
    wait_for(lambda: case.state is S.UNKNOWN, what="an unknown order")
    worker.close()
    case.order.plan.orders.update(due_at=None)
    house.crew.worker()
    wait_for(lambda: case.state is S.FILLED, what="the order to be found")
    assert len(case.sent()) == 1
    case.is_true(books=False)
