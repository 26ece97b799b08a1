"""Pause, halt and the kill switch, pressed at every point of an order's life."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.services import stops
from positions.services.actors import Actor
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Mark, Point
from tests.journeys.faults.waiting import wait_for
from tests.trading import TEST, fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

Press = Callable[[Case], object]

# Where a worker is when somebody presses: before it asked for leave nothing leaves any more; after
# that the request is on its way, and what becomes of it is followed to its end.
BEFORE = (Point.BEFORE_CLAIM, Point.AFTER_CLAIM, Point.AFTER_COMMIT)
AFTER = (Point.AFTER_LEAVE, Point.REQUEST_LEFT, Point.AFTER_ANSWER)
EVERYWHERE = (*BEFORE, *AFTER)


def pause(case: Case) -> object:
    return stops.pause_plan(fresh(case.plan), actor=TEST, now=timezone.now())


def halt(case: Case) -> object:
    return stops.halt_plan(fresh(case.plan), actor=TEST, now=timezone.now())


def halt_account(case: Case) -> object:
    return stops.halt_everything(case.account, reason="stop", actor=TEST, now=timezone.now())


def held_everywhere(house: House) -> dict[Point, tuple[Case, Mark]]:
    """Start one case for each point, whose worker is held there.

    A request that has leave is valid for two seconds only, so that one is started last.
    """
    made = {point: house.case() for point in EVERYWHERE}
    marks = {point: case.arm(point, Action.HOLD) for point, case in made.items()}
    for case in made.values():
        case.draft()
    for point in sorted(EVERYWHERE, key=lambda point: point is Point.AFTER_LEAVE):
        made[point].start()
        marks[point].reached()
    return {point: (made[point], marks[point]) for point in EVERYWHERE}


def pressed_everywhere(house: House, press: Press) -> dict[Point, Case]:
    """Press while a worker is at each point, then let it go on."""
    made = held_everywhere(house)
    for point in sorted(made, key=lambda point: point is not Point.AFTER_LEAVE):
        case, mark = made[point]
        press(case)
        mark.go_on()
    return {point: case for point, (case, _) in made.items()}


@pytest.fixture(scope="module")
def paused(house: House) -> dict[Point, Case]:
    """Return the cases that were paused, one at each point."""
    return pressed_everywhere(house, pause)


@pytest.fixture(scope="module")
def halted(house: House) -> dict[tuple[str, Point], Case]:
    """Return the cases whose plan or account was halted, one for each way and point."""
    ways = {"plan": halt, "account": halt_account}
    return {
        (way, point): case
        for way, press in ways.items()
        for point, case in pressed_everywhere(house, press).items()
    }


@pytest.mark.parametrize("point", EVERYWHERE)
def test_a_pause_lets_nothing_leave_that_had_no_leave_yet(
    house: House, paused: dict[Point, Case], point: Point
) -> None:
    case = paused[point]
    if point in BEFORE:
        wait_for(house.crew.is_quiet, what="the workers to end what they had begun")
        assert (case.state, fresh(case.plan).state) == (S.PLANNED, P.PAUSED), case.told
        assert case.sent() == []
        stops.resume_plan(fresh(case.plan), actor=TEST, now=timezone.now())
        case.wake()
    case.settled()
    assert (case.state, case.plan.state) == (S.FILLED, P.COMPLETED), case.told
    assert len(case.placed()) == 1
    assert case.order.filled_quantity == HELD
    case.is_true()


@pytest.mark.parametrize("point", EVERYWHERE)
@pytest.mark.parametrize("way", ["plan", "account"])
def test_a_halt_lets_nothing_leave_that_had_no_leave_yet(
    halted: dict[tuple[str, Point], Case], way: str, point: Point
) -> None:
    case = halted[way, point].settled()
    assert_halted(case, point)


def assert_halted(case: Case, point: Point) -> None:
    assert case.plan.state is P.HALTED, case.told
    if point in BEFORE:
        assert (case.state, case.order.reason) == (S.DENIED, "PLAN_HALTED"), case.told
        assert case.sent() == []
    else:
        assert case.state is S.FILLED, case.told
        assert len(case.placed()) == 1
    case.is_true()


@pytest.fixture
def released(house: House) -> Iterator[None]:
    """Release the stop of everything afterwards."""
    yield
    person = Actor.person(User.objects.create_superuser("approver"))
    assert stops.release_stop(None, actor=person, now=timezone.now())


def test_the_kill_switch_for_everything_lets_nothing_leave_that_had_no_leave_yet(
    house: House, released: None
) -> None:
    made = held_everywhere(house)
    stops.halt_everything(None, reason="stop", actor=TEST, now=timezone.now())
    made[Point.AFTER_LEAVE][1].go_on()
    for _, mark in made.values():
        mark.go_on()
    for point, (case, _) in made.items():
        assert_halted(case.settled(), point)


def test_a_halt_while_an_answer_is_being_recorded_waits_for_it_and_then_holds(
    house: House,
) -> None:
    case = house.case(assets=2)
    first = case.arm(Point.AFTER_CLAIM, Action.HOLD)
    recording = case.arm(Point.BEFORE_RESULT, Action.HOLD)
    other = case.arm(Point.AFTER_CLAIM, Action.HOLD, asset=case.assets[1])
    case.start()
    other.reached()
    first.reached()
    first.go_on()
    recording.reached()

    def press() -> None:
        halt(case)
        connections.close_all()

    pressing = threading.Thread(target=press)
    pressing.start()
    recording.go_on()
    pressing.join(timeout=60)
    assert not pressing.is_alive()
    other.go_on()
    case.settled()
    assert [order.state for order in case.orders] == [S.FILLED, S.DENIED], case.told
    assert len(case.sent()) == 1
    case.is_true()
