"""The database is locked for ten seconds, or a worker's connection to it breaks at any point."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.models import CloseOrder, ExchangeAccount
from positions.services import audit
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.trading import TEST

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

LOCKED_FOR = 10.0  # seconds
# PostgreSQL's connection is looked at, and renewed, before an answer is recorded: only one that
# breaks in that very transaction leaves an order to be looked for. A file is not looked at.
RENEWED = ["ACCEPTED" if connection.vendor == "postgresql" else "UNKNOWN"]
BREAKS: dict[Point, tuple[list[str], int]] = {
    Point.AFTER_CLAIM: (["ACCEPTED"], 1),
    Point.AFTER_COMMIT: (["ACCEPTED"], 1),
    Point.AFTER_LEAVE: (RENEWED, 1),
    Point.REQUEST_LEFT: (RENEWED, 1),
    Point.AFTER_ANSWER: (RENEWED, 1),
    Point.BEFORE_RESULT: (["UNKNOWN"], 1),
}
ENDING_THE_TASK = (Point.AFTER_CLAIM, Point.AFTER_COMMIT, Point.BEFORE_RESULT)


@pytest.fixture(scope="module", autouse=True)
def crew(house: House) -> None:
    """Start two workers and a scheduler."""
    house.start_crew(workers=2)


@contextmanager
def locked(case: Case) -> Iterator[None]:
    """Hold what every change of the case needs, from another connection, for ten seconds."""
    is_locked = threading.Event()

    def hold() -> None:
        with transaction.atomic():
            ExchangeAccount.objects.select_for_update().get(pk=case.account.pk)
            list(CloseOrder.objects.select_for_update().filter(plan=case.plan))
            audit.record(
                "test.locked", "It is locked", actor=TEST, at=timezone.now(), plan=case.plan
            )
            is_locked.set()
            threading.Event().wait(LOCKED_FOR)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_locked.wait(timeout=30)
    yield
    holder.join()


def test_a_database_that_is_locked_for_ten_seconds_only_costs_time(house: House) -> None:
    points = (Point.AFTER_CLAIM, Point.AFTER_COMMIT, Point.REQUEST_LEFT, Point.AFTER_ANSWER)
    case = house.case(assets=len(points))
    marks = [
        case.arm(point, Action.HOLD, asset=asset)
        for asset, point in zip(case.assets, points, strict=True)
    ]
    case.start()
    for mark in marks:
        mark.reached()
    with locked(case):
        for mark in marks:
            mark.go_on()
    case.settled()
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert len(case.placed()) == len(points)
    case.is_true()


@pytest.fixture(scope="module")
def broken(house: House) -> dict[Point, Case]:
    """Return one case for each point at which the worker's connection broke."""
    made = {point: house.case() for point in BREAKS}
    marks = [case.arm(point, Action.DISCONNECT) for point, case in made.items()]
    for case in made.values():
        case.start()
    for mark in marks:
        mark.reached()
    house.leases_end(*made.values())
    return made


@pytest.mark.parametrize("point", BREAKS)
def test_a_connection_that_breaks_is_made_anew_and_the_order_is_sold_once(
    broken: dict[Point, Case], point: Point
) -> None:
    case = broken[point].settled()
    answers, requests = BREAKS[point]
    assert case.state is S.FILLED, case.told
    assert case.order.filled_quantity == HELD
    assert case.answers() == answers
    assert len(case.sent()) == requests
    case.is_true()


def test_the_connections_did_break(house: House, broken: dict[Point, Case]) -> None:
    """Or the test above would show nothing."""
    assert house.crew.logs.count("raised unexpected") >= len(ENDING_THE_TASK)
