"""A worker is killed, or stopped and woken again, at every point of an order's life."""

from __future__ import annotations

import pytest

from positions.domain.orders import OrderState as S
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.journeys.faults.waiting import wait_for
from tests.journeys.processes import is_stopped

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# What the answers to the requests that had leave meant, and how many requests the exchange got.
KILLED: dict[Point, tuple[list[str], int]] = {
    Point.BEFORE_CLAIM: (["ACCEPTED"], 1),
    Point.AFTER_CLAIM: (["ACCEPTED"], 1),
    Point.AFTER_COMMIT: (["ACCEPTED"], 1),
    Point.AFTER_LEAVE: (["UNKNOWN", "ACCEPTED"], 1),
    Point.REQUEST_LEFT: (["UNKNOWN"], 1),
    Point.AFTER_ANSWER: (["UNKNOWN"], 1),
    Point.BEFORE_RESULT: (["UNKNOWN"], 1),
}
# Stopped, taken over by another worker, and woken: the same, and then its own request arrives.
STOPPED: dict[Point, tuple[list[str], int]] = {
    Point.AFTER_COMMIT: (["ACCEPTED"], 1),
    Point.AFTER_LEAVE: (["UNKNOWN", "ACCEPTED"], 2),
    Point.REQUEST_LEFT: (["UNKNOWN"], 1),
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
        dead.process.wait()
        house.crew.worker()
        # Whatever the dead one held; what the living hold is safe as well.
        house.leases_end(*made.values())
    return made


@pytest.mark.parametrize("point", KILLED)
def test_an_order_whose_worker_was_killed_is_sold_once(
    killed: dict[Point, Case], point: Point
) -> None:
    case = killed[point].settled()
    answers, requests = KILLED[point]
    assert case.state is S.FILLED, case.told
    assert case.order.filled_quantity == HELD
    # A lease may have been ended while a living worker held it; then its answer came too late to
    # count, and the order was looked up.
    told = zip(case.answers(), answers, strict=True)
    assert all(answer in {expected, "UNKNOWN"} for answer, expected in told), case.told
    assert len(case.sent()) == requests
    assert len(case.placed()) == 1
    case.is_true()


def test_a_request_that_outlives_its_worker_arrives_too_late_to_be_accepted(
    house: House, killed: dict[Point, Case]
) -> None:
    """It waits in the network for longer than its signature is valid; another one was sold."""
    case = house.case()
    case.fault("delay_before", seconds="4")
    mark = case.arm(Point.REQUEST_LEFT, Action.KILL)
    case.start()
    house.crew.with_pid(mark.reached()).process.wait()
    house.crew.worker()
    house.leases_end(case, *killed.values())
    case.settled()
    assert case.state is S.FILLED, case.told
    assert case.answers() == ["UNKNOWN", "ACCEPTED"]
    wait_for(lambda: len(case.sent()) == 2, what="the late request")
    assert sorted(request["code"] or 0 for request in case.sent()) == [-1021, 0]
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
        house.leases_end(*made.values())
    for case in made.values():
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
    answers, requests = STOPPED[point]
    assert len(case.sent()) == requests
    first = case.order.attempts.order_by("number")[0]
    assert first.answer_code == ("LATE" if first.sent_at else "NOT_SENT")
    assert case.state is S.FILLED, case.told
    assert case.answers() == answers
    assert len(case.placed()) == 1
    if requests == 2:
        assert sorted(request["code"] or 0 for request in case.sent()) == [-1021, 0]
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
