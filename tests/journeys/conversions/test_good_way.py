"""Dust below the exchange's minimum leaves by one conversion, every digit of it explained."""

from __future__ import annotations

from decimal import Decimal

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.domain.verdicts import Route
from positions.services import results
from tests.journeys.oracle import assert_books
from tests.trading import World, fresh, told


def test_dust_below_the_minimum_leaves_by_one_conversion(world: World) -> None:
    plan = world.work(world.start())
    orders = list(plan.orders.all())
    assert {order.state for order in orders} == {S.FILLED}, told(plan)
    assert plan.state is P.COMPLETED
    assert {order.route for order in orders} == {Route.CONVERT}
    requests = [item["path"] for item in world.exchange.ledger()["requests"]]
    assert requests.count("/sapi/v1/asset/dust") == 1
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    plan = fresh(plan)
    assert_books(plan)
    assert sum((order.net_usd for order in orders), Decimal(0)) > 0
