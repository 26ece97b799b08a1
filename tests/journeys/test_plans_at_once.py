"""Several plans of one account in the same time: what each sold is its own, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from positions.domain.orders import OrderState as S
from positions.models import CleanupPlan
from positions.selectors.changes import changes_by_plan, sold_by_others
from positions.services import results
from positions.services.actors import Actor
from positions.services.resolutions import resolve_order
from tests.journeys.faults.stepped.steps import LOOK_UP, only
from tests.journeys.oracle import assert_all_true
from tests.journeys.test_closing_by_hand import approver, as_the_exchange_shows_it
from tests.trading import World, connect, fresh, order_of, told

__all__ = ["approver"]

pytestmark = pytest.mark.django_db(transaction=True)

PEPE, SHIB = "0.05", "0.10"  # thresholds: PEPE is worth $0.04, SHIB $0.06


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)


def attach(world: World) -> None:
    """Read the account as a worker would, and compare every plan that waits for it."""
    world.later(1)
    results.attach_closing_snapshots(world.snapshot(), now=world.now)


def two_plans(world: World) -> tuple[CleanupPlan, CleanupPlan]:
    """Return two started plans, the first for PEPE and the second for SHIB."""
    first = world.start(PEPE)
    world.later(1)
    second = world.start(SHIB)
    assert [order.asset for order in second.orders.all()] == ["SHIB"]
    return first, second


def unanswered(world: World, plan: CleanupPlan) -> None:
    """Lose a real answer and every look-up after it, until the order waits for a person."""
    world.exchange.fault("drop_after")
    world.exchange.fault("status_before", status=503, times=None, **LOOK_UP)
    world.run(only(plan))
    world.work(plan, until=lambda: only(plan).waits_for_person)


def test_what_another_plan_sold_is_not_other_activity(world: World) -> None:
    first, second = two_plans(world)
    world.work(second)
    world.work(first)
    attach(world)
    for plan, sold_elsewhere in ((first, second), (second, first)):
        found = fresh(plan)
        assert found.closing_snapshot is not None, told(plan)
        assert found.other_activity == []
        orders = sold_by_others(found, found.closing_snapshot)
        assert [order.plan_id for order in orders] == [sold_elsewhere.pk]
        changes = changes_by_plan(orders)[sold_elsewhere.pk]
        theirs = only(sold_elsewhere)
        assert changes[theirs.asset] == -theirs.filled_quantity
        assert changes["USDT"] == theirs.notional - theirs.fee


def test_a_bots_trade_is_still_shown_beside_another_plans(world: World) -> None:
    first, second = two_plans(world)
    world.exchange.control("POST", "trade", {"symbol": "ADAUSDT", "side": "BUY", "quantity": "3"})
    world.work(second)
    world.work(first)
    attach(world)
    (bought,) = [order for order in world.exchange.ledger()["orders"] if order["origin"] == "bot"]
    spent = {"asset": "USDT", "quantity": f"-{Decimal(bought['filled_quote']).normalize():f}"}
    # It happened after both plans' own snapshots.
    assert fresh(first).other_activity == [spent]
    assert fresh(second).other_activity == [spent]


def test_what_was_sold_before_the_plan_is_in_its_snapshot_already(world: World) -> None:
    world.work(world.start(PEPE))
    world.later(1)
    second = world.work(world.start(SHIB))
    attach(world)
    found = fresh(second)
    assert found.other_activity == []
    assert found.closing_snapshot is not None
    assert sold_by_others(found, found.closing_snapshot) == []


@pytest.mark.parametrize("by_a_person", [False, True])
def test_a_sale_before_the_plans_snapshot_that_is_known_later_is_not_subtracted(
    world: World, approver: Actor, by_a_person: bool
) -> None:
    first = world.start(PEPE)
    unanswered(world, first)
    world.later(1)
    second = world.start(SHIB)  # its snapshot shows the sale that nobody knows of yet
    assert [order.asset for order in second.orders.all()] == ["SHIB"]
    if by_a_person:
        resolve_order(only(first), as_the_exchange_shows_it(world), actor=approver, now=world.now)
    world.exchange.clear_faults()
    world.free_pace()
    world.work(first)
    world.work(second)
    attach(world)
    assert only(first).state is (S.RESOLVED if by_a_person else S.FILLED)
    assert fresh(first).other_activity == fresh(second).other_activity == []


@pytest.mark.parametrize("ahead_ms", [1_500, 16_000])
@pytest.mark.parametrize("is_set_right", [True, False])
def test_a_sale_is_placed_in_time_although_the_exchanges_clock_is_ahead(
    world: World, ahead_ms: int, is_set_right: bool
) -> None:
    world.skew_ms = ahead_ms
    world.later(1)
    first = world.start(PEPE)
    world.exchange.fault("drop_after")
    sold = world.run(only(first))
    assert sold.state is S.UNKNOWN
    if is_set_right:
        world.skew_ms -= ahead_ms
    world.later(1)
    second = world.start(SHIB)  # its snapshot shows the sale, whose time seems to be later
    world.look_up(sold)
    world.work(second)
    attach(world)
    assert only(first).state is S.FILLED
    assert fresh(first).other_activity == fresh(second).other_activity == []


def test_balances_read_while_another_plan_trades_are_not_used(world: World) -> None:
    first, second = two_plans(world)
    world.exchange.fault("drop_after")
    assert world.run(only(second)).state is S.UNKNOWN
    world.work(first)
    attach(world)
    # Nobody could tell SHIB's sale from anything else now.
    assert fresh(first).closing_snapshot is None
    world.work(second)
    attach(world)
    assert fresh(first).other_activity == fresh(second).other_activity == []


def test_an_order_that_waits_for_a_person_holds_no_plan_up_and_is_subtracted_later(
    world: World,
) -> None:
    first, second = two_plans(world)
    unanswered(world, second)
    world.exchange.clear_faults()
    world.free_pace()
    world.work(first)
    attach(world)
    (unexplained,) = fresh(first).other_activity
    assert unexplained["asset"] == "USDT"
    # The exchange tells at last: the sale was the second plan's, and it lies before its answer.
    world.work(second)
    shib = order_of(second, "SHIB")
    assert Decimal(unexplained["quantity"]) == shib.notional - shib.fee
    attach(world)
    assert fresh(first).other_activity == []
    told_of = first.events.filter(kind="plan.reconciled").order_by("pk")
    assert [event.data["other_activity"] for event in told_of] == [[unexplained], []]


def test_a_sale_that_a_person_recorded_is_subtracted_from_the_other_plan_too(
    world: World, approver: Actor
) -> None:
    first, second = two_plans(world)
    unanswered(world, second)
    resolve_order(only(second), as_the_exchange_shows_it(world), actor=approver, now=world.now)
    world.exchange.clear_faults()
    world.free_pace()
    world.work(first)
    attach(world)
    assert fresh(first).other_activity == fresh(second).other_activity == []


def test_fees_in_another_coin_of_another_plan_are_subtracted(world: World) -> None:
    keys = world.exchange.control(
        "POST",
        "accounts",
        {"balances": {"PEPE": "5000", "SHIB": "5000", "BNB": "0.5", "USDT": "1"}, "bnb_burn": True},
    )
    other = replace(world, account=connect(world.exchange, slug="burner", keys=keys))
    other.free_pace()
    first, second = two_plans(other)
    other.work(second)
    other.work(first)
    attach(other)
    assert only(second).fee_currency == "BNB"
    assert fresh(first).other_activity == fresh(second).other_activity == []
