"""Success is a fill: partial, none, through several levels, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from positions.domain.orders import OrderState as S
from positions.services import results
from tests.journeys.faults.stepped.steps import PEPE, only
from tests.trading import World, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_partial_fill_is_told_and_its_rest_is_not_sent_again(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("partial_fill", fraction="0.4")
    plan = world.work(plan)
    order = only(plan)
    assert (order.state, order.filled_quantity) == (S.EXPIRED, Decimal(2000))
    assert order.fills.count() == 1
    assert len(world.sent()) == 1
    assert Decimal(world.exchange.balance("PEPE")["free"]) == Decimal(3000)


def test_an_order_without_a_fill_is_no_success(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("zero_fill")
    plan = world.work(plan)
    order = only(plan)
    assert (order.state, order.filled_quantity, order.fee) == (S.EXPIRED, Decimal(0), None)
    assert order.net_usd in (None, Decimal(0))


def test_an_order_through_several_levels_adds_up(world: World) -> None:
    world.exchange.control("POST", "markets", {"PEPEUSDT": {"depth": {"level_quote": "0.01"}}})
    plan = world.work(world.start(PEPE))
    order = only(plan)
    assert order.state is S.FILLED, told(plan)
    assert order.fills.count() > 1
    assert sum(fill.quantity for fill in order.fills.all()) == Decimal(5000)


def test_quote_amounts_with_more_digits_than_the_exchange_books_explain_everything(
    world: World,
) -> None:
    world.exchange.control("POST", "markets", {"PEPEUSDT": {"step": "0.001"}})
    world.exchange.control("POST", "balances", {"PEPE": {"free": "5.123"}})
    prices = {"bid": "0.00712345", "ask": "0.00712347", "last": "0.00712346"}
    world.exchange.control("POST", "prices", {"PEPEUSDT": prices})
    world.valkey_forgets_markets()
    plan = world.work(world.start(PEPE))
    order = only(plan)
    assert order.state is S.FILLED, told(plan)
    world.later(1)
    assert results.other_activity(plan, world.snapshot()) == []
