"""Nothing goes wrong: real workers close a plan, and the account is read afterwards."""

from __future__ import annotations

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from tests.journeys.faults.case import HELD
from tests.journeys.faults.house import House

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def test_workers_close_a_plan_and_every_change_is_explained(house: House) -> None:
    case = house.case(assets=6).start().settled()
    assert case.plan.state is P.COMPLETED
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert {order.filled_quantity for order in case.orders} == {HELD}
    # A worker that still knows the clock of a test before is refused once, and compares it.
    assert len([request for request in case.sent() if request["code"] != -1021]) == 6
    assert case.plan.closing_snapshot is not None
    assert case.plan.other_activity == []
    case.is_true()
