"""A stop outlives what it was pressed in: the workers, and everything that Valkey knew."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import Halt
from positions.services import halts, stops
from positions.services.actors import Actor
from tests.journeys.faults.case import Case
from tests.journeys.faults.crew import CeleryProcess
from tests.journeys.faults.house import House
from tests.journeys.faults.waiting import wait_for
from tests.trading import TEST, fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def tried(case: Case, worker: CeleryProcess) -> None:
    """Wake the worker for every order, and wait until it is through with all of them."""
    before = worker.said.count("succeeded")
    for order in case.orders:
        case.house.wake("run_order", order.pk)
    wait_for(
        lambda: worker.said.count("succeeded") >= before + len(case.orders),
        what="the worker's tries",
    )


def test_a_stop_outlives_the_workers_and_valkey(house: House) -> None:
    person = User.objects.create_user("alma")
    person.groups.add(Group.objects.get(name="Approver"))
    first = house.crew.worker()
    first.wait_until_ready()
    case = house.case(assets=3).start(wake=False)
    # Pressed by somebody who vanishes before any plan is halted, as a killed process would.
    halts.press(account=None, reason="Odd fills", actor=TEST, now=timezone.now())
    tried(case, first)
    first.kill()
    house.valkey.crash()
    house.valkey.start()
    second = house.crew.worker()
    second.wait_until_ready()
    tried(case, second)
    assert Halt.objects.filter(released_at=None).exists()
    assert case.sent() == []
    assert {order.state for order in case.orders} == {S.PLANNED}, case.told
    stops.release_stop(None, actor=Actor.person(person), now=timezone.now())
    assert fresh(case.plan).state is P.HALTED
    house.is_true()
