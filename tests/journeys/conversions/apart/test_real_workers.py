"""Real workers convert; one is killed, stopped or cut off at every point of a batch's life."""

from __future__ import annotations

from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from tests.journeys.conversions.steps import CONVERT, PATH
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.journeys.faults.waiting import wait_for
from tests.journeys.processes import is_stopped
from tests.trading import fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# What is written down of the request whose worker is gone, and what becomes of the batch: one that
# had leave and never left is proved to be absent, and not made again in its plan.
KILLED: dict[Point, tuple[str, S]] = {
    Point.BEFORE_CLAIM: ("", S.FILLED),
    Point.AFTER_CLAIM: ("", S.FILLED),
    Point.AFTER_COMMIT: ("NOT_SENT", S.FILLED),
    Point.AFTER_LEAVE: ("WORKER_LOST", S.DENIED),
    Point.REQUEST_LEFT: ("WORKER_LOST", S.FILLED),
    Point.AFTER_ANSWER: ("WORKER_LOST", S.FILLED),
    Point.BEFORE_RESULT: ("WORKER_LOST", S.FILLED),
}
# Stopped, taken over by another worker, and woken.
STOPPED: dict[Point, tuple[str, S]] = {
    Point.AFTER_COMMIT: ("NOT_SENT", S.FILLED),
    Point.AFTER_LEAVE: ("LATE", S.DENIED),
    Point.REQUEST_LEFT: ("LATE", S.FILLED),
}
CUT_OFF = (Point.AFTER_CLAIM, Point.AFTER_COMMIT, Point.AFTER_ANSWER, Point.BEFORE_RESULT)
LONGER_THAN_ITS_PROOF = 300.0  # seconds; validity, margin and two look-ups take about forty


def converted(case: Case) -> list[dict[str, Any]]:
    """Return what the exchange converted of this account."""
    rows = case.house.exchange.ledger(since=2**62)["conversions"]
    return [row for row in rows if row["api_key"] == case.keys["api_key"]]


def requests(case: Case) -> list[dict[str, Any]]:
    """Return the conversions that reached the exchange from this account."""
    ledger = case.house.exchange.ledger(since=case.since)
    return [
        item
        for item in ledger["requests"]
        if item["path"] == PATH and item["api_key"] == case.keys["api_key"]
    ]


def is_over(case: Case, ends_as: S, *, code: str = "") -> None:
    """Fail unless the batch ended so, was made once or never, and every digit is explained."""
    wait_for(case.is_settled, what="the end of the plan", patience=LONGER_THAN_ITS_PROOF)
    case.settled()
    assert {order.state for order in case.orders} == {ends_as}, case.told
    codes = set(case.plan.conversions.values_list("answer_code", flat=True))
    assert not code or code in codes, case.told
    made = converted(case)
    assert len(made) == (len(case.assets) if ends_as is S.FILLED else 0)
    assert {order.filled_quantity for order in case.orders} == {HELD if made else 0}
    case.is_true()


@pytest.fixture(scope="module")
def killed(house: House) -> dict[Point, Case]:
    """Kill one worker at each point, and let others go on with what it had."""
    house.start_crew(workers=2)
    made: dict[Point, Case] = {}
    for point in KILLED:
        made[point] = case = house.case(assets=2)
        mark = case.arm(point, Action.KILL)
        case.start()
        dead = house.crew.with_pid(mark.reached())
        dead.process.join()
        house.crew.worker()
        house.leases_end(case)
    return made


@pytest.mark.parametrize("point", KILLED)
def test_a_batch_whose_worker_was_killed_is_made_once_or_proved_absent(
    killed: dict[Point, Case], point: Point
) -> None:
    code, ends_as = KILLED[point]
    is_over(killed[point], ends_as, code=code)
    assert fresh(killed[point].plan).state is P.COMPLETED


@pytest.fixture(scope="module")
def stopped(house: House, killed: dict[Point, Case]) -> dict[Point, Case]:
    """Stop a worker at each point, let others finish its batch, then wake it."""
    for point, case in killed.items():
        is_over(case, KILLED[point][1])
    asleep, made = [], {}
    for point in STOPPED:
        house.crew.worker().wait_until_ready()
        made[point] = case = house.case(assets=2)
        mark = case.arm(point, Action.STOP)
        case.start()
        worker = house.crew.with_pid(mark.reached())
        wait_for(lambda pid=worker.pid: is_stopped(pid), what="the worker to stop")
        asleep.append(worker)
        house.leases_end(case)
    for point, case in made.items():
        is_over(case, STOPPED[point][1])
    for worker in asleep:
        worker.wake()
    for worker in asleep:
        wait_for(
            lambda worker=worker: worker.has_done("run_conversion"),
            what="the worker to end what it had begun",
        )
    return made


@pytest.mark.parametrize("point", STOPPED)
def test_a_worker_that_wakes_after_another_took_over_changes_nothing(
    stopped: dict[Point, Case], point: Point
) -> None:
    code, ends_as = STOPPED[point]
    case = stopped[point]
    is_over(case, ends_as, code=code)
    if point is Point.AFTER_LEAVE:
        # Its own arrived after all, too late for its signature.
        assert [item["code"] for item in requests(case)] == [-1021]


@pytest.mark.parametrize("point", CUT_OFF)
def test_a_batch_whose_workers_database_was_cut_off_is_made_once(
    house: House, stopped: dict[Point, Case], point: Point
) -> None:
    case = house.case(assets=2)
    mark = case.arm(point, Action.DISCONNECT)
    case.start()
    mark.reached()
    house.leases_end(case)
    is_over(case, S.FILLED)
    assert len(requests(case)) == 1


def test_the_same_wake_ups_many_times_convert_once(
    house: House, stopped: dict[Point, Case]
) -> None:
    case = house.case(assets=3)
    case.start(wake=False)
    house.wake("run_conversion", case.plan.pk, times=6)
    is_over(case, S.FILLED)
    assert len(requests(case)) == 1


def test_an_answer_that_is_lost_is_found_by_the_scheduler(
    house: House, stopped: dict[Point, Case]
) -> None:
    case = house.case(assets=3)
    case.fault("drop_after", **CONVERT)
    case.start()
    is_over(case, S.FILLED)
    assert len(requests(case)) == 1
