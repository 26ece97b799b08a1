"""Two people at once, and two plans on one account."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import CloseOrder
from positions.services import starts
from positions.services.actors import Actor
from positions.services.plans import PlanRefused
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.trading import at_once, fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def operator(name: str) -> Actor:
    """Return a person who may start plans."""
    person = User.objects.create_user(name)
    person.groups.add(Group.objects.get(name="Operator"))
    return Actor.person(person)


def test_two_people_who_start_the_same_plan_at_once_start_it_once(house: House) -> None:
    case = house.case(assets=3)
    plan = case.draft()

    def start(actor: Actor) -> Any:
        return lambda: starts.start_plan(
            fresh(plan), hash_seen=plan.hash, actor=actor, now=timezone.now()
        )

    people = [operator("first"), operator("second")]
    results = at_once(*[start(actor) for actor in people])
    refused = [result for result in results if isinstance(result, PlanRefused)]
    assert len(refused) == 1, results
    assert "can't be started" in str(refused[0])
    case.wake()
    case.settled()
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert case.plan.events.filter(kind="plan.started").count() == 1
    assert len(case.sent()) == 3
    case.is_true()


def test_two_plans_on_one_account_never_sell_the_same(house: House) -> None:
    """The first plan's order is at the exchange when the second is drafted and run."""
    case = house.case(assets=3)
    _, second, third = case.assets
    left = case.arm(Point.REQUEST_LEFT, Action.HOLD)
    # Worth $0.50, $0.60 and $0.70.
    house.exchange.control("POST", "prices", {f"{second}USDT": "0.12", f"{third}USDT": "0.14"})
    case.draft(threshold="0.55")
    case.start()
    left.reached()
    one = case.plan
    case.draft(threshold="0.65")
    assert [order.asset for order in case.orders] == [second], case.plan.skipped
    two = case.start().plan
    case.draft()
    three = case.start().plan
    left.go_on()
    for plan in (one, two, three):
        case.plan = plan
        case.settled()
        assert case.plan.state is P.COMPLETED, case.told
    orders = CloseOrder.objects.filter(account=case.account).order_by("asset")
    assert [order.asset for order in orders if order.state is S.FILLED] == [*case.assets]
    # What was sold between a snapshot and the draft from it is not held when its turn comes.
    rest = {(order.state, order.reason) for order in orders if order.state is not S.FILLED}
    assert rest <= {(S.DENIED, "NOT_HELD")}
    assert len(case.sent()) == 3
    case.is_true(books=False)
