"""Shortly before an order leaves it is checked once more: never more than dust."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.models import AnswerClass
from positions.services import attempts, drafts, policies, starts, stops
from tests.journeys.faults.stepped.steps import (
    CLOCK_REFUSED,
    PEPE,
    attempts_of,
    committed,
    only,
)
from tests.trading import TEST, World, fresh, order_of, told

pytestmark = pytest.mark.django_db(transaction=True)


def denied(world: World, plan: Any) -> str:
    """Run the plan's one order; return why it was denied."""
    order = world.run(only(plan))
    assert order.state is S.DENIED, told(plan)
    assert world.sent() == []
    assert fresh(plan).state is P.COMPLETED
    return order.reason


def test_a_price_that_jumps_above_the_threshold_denies_the_order(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "prices", {"PEPEUSDT": "0.0005"})
    assert denied(world, plan) == "NO_LONGER_DUST"


def test_a_thin_bid_can_not_make_a_position_look_like_dust(world: World) -> None:
    plan = world.start(PEPE)
    prices = {"bid": "0.00000799", "ask": "0.9", "last": "0.5"}
    world.exchange.control("POST", "prices", {"PEPEUSDT": prices})
    assert denied(world, plan) == "NO_LONGER_DUST"


def test_a_position_that_grew_above_the_threshold_is_not_sold(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "balances", {"PEPE": {"free": "9000000"}})
    assert denied(world, plan) == "NO_LONGER_DUST"


def test_a_locked_part_counts_for_the_value_too(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "balances", {"PEPE": {"free": "5000", "locked": "9000000"}})
    assert denied(world, plan) == "NO_LONGER_DUST"


def test_an_open_order_on_the_asset_denies_the_order(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control(
        "POST",
        "open-order",
        {"symbol": "PEPEUSDT", "side": "SELL", "quantity": "2000", "price": "0.00002"},
    )
    assert denied(world, plan) == "OPEN_ORDER"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("protected_assets", "PROTECTED"),
        ("ignored_assets", "IGNORED"),
        ("fee_assets", "FEE_ASSET"),
        ("cash_assets", "PROTECTED"),
    ],
)
def test_an_asset_that_is_spared_meanwhile_is_not_sold(
    world: World, name: str, reason: str
) -> None:
    plan = world.start(PEPE)
    world.change_policy(**{name: frozenset({"PEPE"})})
    assert denied(world, plan) == reason


def test_selling_that_is_switched_off_meanwhile_denies_the_order(world: World) -> None:
    plan = world.start(PEPE)
    world.change_policy(sell_enabled=False)
    assert denied(world, plan) == "ROUTE_OFF"


def test_a_policy_that_became_looser_does_not_loosen_a_plan_that_runs(world: World) -> None:
    """What was approved is the plan under its own policy version."""
    plan = world.start(PEPE)
    world.change_policy(price_drift=Decimal("0.9"), max_order_value=Decimal(5))
    world.exchange.control("POST", "prices", {"PEPEUSDT": "0.000015"})  # worth $0.075
    assert denied(world, plan) == "NO_LONGER_DUST"


def test_a_balance_that_is_gone_denies_the_order(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "balances", {"PEPE": {"free": "0"}})
    assert denied(world, plan) == "NOT_HELD"


def test_a_book_without_buyers_denies_the_order(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "prices", {"PEPEUSDT": None})
    assert denied(world, plan) == "UNPRICED"


def test_a_price_that_fell_below_the_minimum_denies_the_order(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "prices", {"PEPEUSDT": "0.000001"})
    assert denied(world, plan) == "BELOW_MIN_NOTIONAL"


def test_a_balance_that_shrank_is_sold_as_far_as_it_goes(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "balances", {"PEPE": {"free": "4000.5"}})
    order = world.run(only(plan))
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(4000))


def test_a_balance_that_grew_is_not_sold_although_it_is_still_dust(world: World) -> None:
    """Somebody buys it: what was planned may be the first part of a bot's purchase."""
    plan = world.start(PEPE)
    world.exchange.control("POST", "balances", {"PEPE": {"free": "5500"}})
    assert denied(world, plan) == "DRIFTED"


def test_an_order_that_returns_to_the_plan_is_checked_with_prices_of_its_own(
    world: World,
) -> None:
    """Another order's look, taken while this one was at the exchange, has no price for it."""
    plan = world.start("0.10")  # SHIB and PEPE
    pepe, shib = order_of(plan, "PEPE"), order_of(plan, "SHIB")
    world.exchange.fault("drop_before")
    assert world.run(pepe).state is S.UNKNOWN
    world.later(10)
    assert world.look_up(pepe).state is S.UNKNOWN
    world.later(3)
    assert world.run(shib).state is S.FILLED  # a fresh look, shared by all workers
    assert world.look_up(pepe).state is S.PLANNED
    pepe = world.run(pepe)
    assert pepe.state is S.FILLED, told(plan)


def test_the_second_of_two_plans_is_checked_with_prices_of_its_own(world: World) -> None:
    first = world.start(PEPE)
    world.later(2)
    second = world.start("0.10")  # SHIB; PEPE is in flight
    stops.pause_plan(second, actor=TEST, now=world.now)
    assert world.run(only(first)).state is S.FILLED
    stops.resume_plan(second, actor=TEST, now=world.now)
    order = world.run(only(second))
    assert order.state is S.FILLED, told(second)


def test_what_another_plan_has_just_sold_is_not_sold_again(world: World) -> None:
    """Both were drawn from what was held before; a look from before the sale says so too."""
    first = world.start("0.10")  # SHIB and PEPE
    world.snapshot()
    assert world.run(order_of(first, "SHIB")).state is S.FILLED  # takes the look for both
    assert world.run(order_of(first, "PEPE")).state is S.FILLED
    second = drafts.draft_plan(world.account, threshold=Decimal(PEPE), actor=TEST, now=world.now)
    starts.start_plan(second, hash_seen=second.hash, actor=TEST, now=world.now)
    order = world.run(only(second))
    assert (order.state, order.reason) == (S.DENIED, "NOT_HELD"), told(second)
    assert len(world.sent()) == 2


def test_an_order_that_was_sent_before_is_checked_with_a_look_of_its_own(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", **CLOCK_REFUSED)
    order = world.run(only(plan))
    assert (order.state, attempts_of(order)) == (S.PLANNED, [AnswerClass.NOT_PLACED])
    world.exchange.control("POST", "balances", {"PEPE": {"free": "0"}})
    order = world.run(order)
    assert (order.state, order.reason) == (S.DENIED, "NOT_HELD"), told(plan)


def test_a_look_that_took_too_long_is_not_relied_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The balances were read first, and the position grew while the prices were waited for."""
    plan = world.start(PEPE)
    too_long = policies.in_force(world.account).check_max_age + 1
    ask = CcxtExchange.tickers

    def ask_slowly(port: CcxtExchange, *args: Any) -> Any:
        answer = ask(port, *args)
        world.later(too_long)
        world.exchange.control("POST", "balances", {"PEPE": {"free": "9000000"}})
        return answer

    with monkeypatch.context() as slow:
        slow.setattr(CcxtExchange, "tickers", ask_slowly)
        order = world.run(only(plan))
    assert order.state is S.PLANNED, told(plan)
    assert "too old to rely on" in order.message
    assert world.sent() == []
    # Nor is it kept for others: the next look sees what the account holds now.
    order = only(world.work(plan))
    assert (order.state, order.reason) == (S.DENIED, "NO_LONGER_DUST")
    assert world.sent() == []


def test_a_look_that_ended_while_the_turn_was_waited_for_is_not_relied_on(world: World) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    ended = replace(turn, look_ends_at=world.now - timedelta(milliseconds=1))
    attempts.send(order, attempt, turn=ended, exchange=world.port, clock=world.clock)
    assert only(plan).state is S.PLANNED
    assert world.sent() == []
    assert only(world.work(plan)).state is S.FILLED


def test_a_lower_threshold_limit_binds_a_plan_that_runs(world: World) -> None:
    plan = world.start()
    limit = Decimal("0.05")
    world.change_policy(dust_threshold=Decimal("0.01"), max_threshold=limit)
    plan = world.work(plan)
    ends = {order.asset: (order.state, order.reason) for order in plan.orders.all()}
    assert ends.pop("PEPE") == (S.FILLED, "")
    assert len(ends) == 5
    assert set(ends.values()) == {(S.DENIED, "NO_LONGER_DUST")}
    assert all(order.value_usd > limit for order in plan.orders.exclude(asset="PEPE"))
    assert len(world.sent()) == 1


def test_a_higher_threshold_limit_does_not_loosen_a_plan_that_runs(world: World) -> None:
    plan = world.start(PEPE)
    world.change_policy(max_threshold=Decimal(5))
    world.exchange.control("POST", "prices", {"PEPEUSDT": "0.000015"})  # worth $0.075
    order = world.run(only(plan))
    assert (order.state, order.reason) == (S.DENIED, "NO_LONGER_DUST")
    assert world.sent() == []
