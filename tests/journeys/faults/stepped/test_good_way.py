"""A plan closes all dust, and everything that happened is explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions import tasks
from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.services import dispatch, results, stops
from positions.services.actors import Actor
from tests.journeys.faults.stepped.steps import PEPE, only
from tests.trading import TEST, World, connect, fresh, order_of, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_plan_closes_all_dust_with_exact_results(world: World) -> None:
    plan = world.work(world.start())
    assert plan.state is P.COMPLETED, told(plan)
    assert {order.state for order in plan.orders.all()} == {S.FILLED}
    assert plan.orders.count() == 6
    doge = order_of(plan, "DOGE")
    assert (doge.filled_quantity, doge.average_price) == (Decimal(5), Decimal("0.18196"))
    assert (doge.fee, doge.fee_currency) == (Decimal("0.0009098"), "USDT")
    assert doge.net_usd == Decimal("0.9088902")
    assert len(world.sent()) == 6
    bought_back = sum((order.net_usd for order in plan.orders.all()), Decimal(0))
    usdt = Decimal(world.exchange.balance("USDT")["free"])
    assert usdt == Decimal("184.20") + bought_back


def test_the_closing_snapshot_explains_every_change(world: World) -> None:
    plan = world.work(world.start())
    world.later(1)
    closing = world.snapshot()
    results.attach_closing_snapshots(closing, now=world.now)
    plan = fresh(plan)
    assert plan.closing_snapshot == closing
    assert plan.other_activity == []


def test_a_snapshot_from_before_the_last_sale_closes_no_books(world: World) -> None:
    """It is only seconds old, so anybody else would be content with it."""
    plan = world.work(world.start(PEPE))
    tasks.take_snapshot(world.account.pk)
    plan = fresh(plan)
    assert plan.closing_snapshot not in (None, plan.snapshot)
    assert plan.other_activity == []


def test_a_fill_is_dated_by_the_exchange(world: World) -> None:
    plan = world.work(world.start(PEPE))
    fill = only(plan).fills.get()
    assert abs(fill.at - world.now) < timedelta(minutes=5)


def test_fees_paid_in_bnb_are_told_in_bnb_and_explained(world: World) -> None:
    keys = world.exchange.control(
        "POST",
        "accounts",
        {"balances": {"PEPE": "5000", "BNB": "0.5", "USDT": "1"}, "bnb_burn": True},
    )
    other = replace(world, account=connect(world.exchange, slug="burner", keys=keys))
    other.free_pace()
    plan = other.work(other.start(PEPE))
    order = only(plan)
    assert order.fee_currency == "BNB"
    assert order.net_usd == order.notional - order.fee * Decimal(620)
    other.later(1)
    assert results.other_activity(plan, other.snapshot()) == []


def test_a_bots_trade_in_between_shows_as_a_number(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "trade", {"symbol": "ADAUSDT", "side": "BUY", "quantity": "3"})
    plan = world.work(plan)
    world.later(1)
    other = {
        item["asset"]: Decimal(item["quantity"])
        for item in results.other_activity(plan, world.snapshot())
    }
    assert set(other) == {"USDT"}
    ledger = world.exchange.ledger()
    (bought,) = [order for order in ledger["orders"] if order["origin"] == "bot"]
    assert other["USDT"] == -Decimal(bought["filled_quote"])


def test_a_bots_trade_in_a_planned_asset_shows_in_that_asset(world: World) -> None:
    plan = world.work(world.start(PEPE))
    world.exchange.control(
        "POST", "trade", {"symbol": "PEPEUSDT", "side": "BUY", "quantity": "2000"}
    )
    world.later(1)
    closing = world.snapshot()
    results.attach_closing_snapshots(closing, now=world.now)
    (pepe,) = [item for item in fresh(plan).other_activity if item["asset"] == "PEPE"]
    bought = Decimal(world.exchange.balance("PEPE")["free"])
    assert Decimal(pepe["quantity"]) == bought


def test_a_halted_plans_last_order_asks_for_the_closing_snapshot(
    world: World, settings: Any
) -> None:
    """With no regular snapshots, nobody else would read the account afterwards."""
    settings.DUSTADMIN_SNAPSHOT_INTERVAL = 0
    plan = world.start("0.10")
    world.exchange.fault("drop_after")
    pepe = world.run(order_of(plan, "PEPE"))
    stops.halt_plan(plan, actor=TEST, now=world.now)
    world.later(1)
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    assert fresh(plan).closing_snapshot is None  # an order is still unknown
    world.later(2)
    assert world.look_up(pepe).state is S.FILLED
    world.later(1)
    assert "take_snapshot" in {due.task for due in dispatch.due_now(now=world.now)}


def test_a_closing_snapshot_that_failed_is_asked_for_again(world: World, settings: Any) -> None:
    settings.DUSTADMIN_SNAPSHOT_INTERVAL = 0
    plan = world.work(world.start(PEPE))
    world.exchange.fault("status_before", method="GET", path="/api/v3/account", status=503)
    world.later(1)
    assert world.snapshot().status == "FAILED"
    world.later(30)
    assert "take_snapshot" in {due.task for due in dispatch.due_now(now=world.now)}
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    assert fresh(plan).closing_snapshot is not None


def test_the_next_plan_closes_what_a_partial_fill_left(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("partial_fill", fraction="0.5")
    world.work(plan)
    world.later(1)
    again = world.work(world.start(PEPE))
    assert (only(again).state, only(again).filled_quantity) == (S.FILLED, Decimal(2500))
    assert only(again).client_order_id != only(plan).client_order_id


def test_an_unknown_order_blocks_its_asset_in_the_next_plan(world: World) -> None:
    plan = world.start("0.10")
    world.exchange.fault("drop_after")
    world.run(order_of(plan, "PEPE"))
    world.run(order_of(plan, "SHIB"))
    world.later(1)
    another = world.draft("0.20")  # ONE
    assert [order.asset for order in another.orders.all()] == ["ONE"]
    skipped = {item["asset"]: item["reason"] for item in another.skipped}
    assert "PEPE" not in skipped or skipped["PEPE"] == "ORDER_IN_FLIGHT"
    world.look_up(order_of(plan, "PEPE"))


def test_the_worker_is_named_in_the_history(world: World) -> None:
    plan = world.work(world.start(PEPE))
    names = {event.actor_name for event in plan.events.all()}
    assert names == {"test", Actor.service("worker").name}


def test_net_proceeds_are_known_for_an_account_that_held_no_quote_asset(world: World) -> None:
    keys = world.exchange.control("POST", "accounts", {"balances": {"PEPE": "5000"}})
    other = replace(world, account=connect(world.exchange, slug="nocash", keys=keys))
    other.free_pace()
    plan = other.start(PEPE)
    assert not plan.snapshot.positions.filter(asset="USDT").exists()
    order = only(other.work(plan))
    assert order.state is S.FILLED, told(plan)
    assert order.fee > 0
    assert order.fee_currency == "USDT"
    assert order.net_usd == order.notional - order.fee
