"""Valkey restarts in the middle of a run, with its data and without, or is away for a while."""

from __future__ import annotations

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Mark, Point
from tests.journeys.faults.waiting import wait_for
from tests.trading import fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# Each asset is held somewhere else while Valkey is away; the last one is not held at all.
HELD_AT = (Point.AFTER_CLAIM, Point.AFTER_COMMIT, Point.REQUEST_LEFT, Point.AFTER_ANSWER)


@pytest.fixture(scope="module", autouse=True)
def crew(house: House) -> None:
    """Start two workers and a scheduler."""
    house.start_crew(workers=2)


def in_the_middle(house: House) -> tuple[Case, list[Mark]]:
    """Start a plan and return it when a worker is held at each of the points."""
    case = house.case(assets=len(HELD_AT) + 1)
    marks = [
        case.arm(point, Action.HOLD, asset=asset)
        for asset, point in zip(case.assets, HELD_AT, strict=False)
    ]
    case.start()
    for mark in marks:
        mark.reached()
    return case, marks


def assert_sold_once(case: Case) -> None:
    case.settled()
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert {order.filled_quantity for order in case.orders} == {HELD}
    assert case.plan.state is P.COMPLETED
    assert len(case.placed()) == len(case.assets)
    case.is_true()


@pytest.mark.parametrize("keeps", [True, False], ids=["with its data", "without its data"])
def test_a_valkey_that_restarts_in_the_middle_only_costs_time(house: House, keeps: bool) -> None:
    case, marks = in_the_middle(house)
    house.valkey.stop() if keeps else house.valkey.crash()
    house.valkey.start()
    for mark in marks:
        mark.go_on()
    assert_sold_once(case)


def test_a_valkey_that_is_away_lets_nothing_leave_and_loses_nothing(house: House) -> None:
    case, marks = in_the_middle(house)
    house.valkey.crash()
    for mark in marks:
        mark.go_on()
    # What needed no more of it is told; what would have to be paced waits.
    answered = case.plan.orders.get(asset=case.assets[HELD_AT.index(Point.AFTER_ANSWER)])
    wait_for(lambda: fresh(answered).state is S.FILLED, what="its record")
    waiting = case.plan.orders.get(asset=case.assets[HELD_AT.index(Point.AFTER_CLAIM)])
    wait_for(
        lambda: "Redis does not answer" in fresh(waiting).message,
        what="the sentence that says what is missing",
    )
    assert fresh(waiting).state is S.PLANNED
    house.valkey.start()
    assert_sold_once(case)
