"""Every fault on the way of an order, with the exchange's ledger as the judge.

Each test ends with `assert_all_true`: nothing sold twice, nothing sold that was not planned,
everything known to the last digit, and a whole history.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.exchanges import ccxt_adapter
from positions.models import AnswerClass, CloseOrder
from positions.services import attempts, dispatch, execution, halts, reconciliation, results, stops
from positions.services.actors import Actor
from positions.services.attempts import CLAIM
from tests.exchange_process import wait_until
from tests.journeys.oracle import assert_all_true
from tests.trading import TEST, World, at_once, connect, fresh, order_of, told

pytestmark = pytest.mark.django_db(transaction=True)

PEPE = "0.05"  # the threshold below which only PEPE is dust
LOOK_UP = {"method": "GET", "path": "/api/v3/order"}


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)


def only(plan: Any) -> CloseOrder:
    """Return the plan's one order."""
    found: CloseOrder = plan.orders.get()
    return found


def attempts_of(order: CloseOrder) -> list[str]:
    """Return what the answers to each request meant."""
    return list(order.attempts.order_by("number").values_list("answer", flat=True))


# --- The good way -------------------------------------------------------------------------------


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


# --- Sent, answer lost --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("drop_after", {}),
        ("garbage_after", {}),
        ("garbage_after", {"body": "{}"}),
        ("cut_json_after", {}),
        ("no_order_id", {}),
        ("other_order", {}),
        ("status_after", {"status": 502}),
        ("status_after", {"status": 500}),
    ],
)
def test_an_order_that_was_placed_is_found_and_never_sent_again(
    world: World, kind: str, spec: dict[str, Any]
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault(kind, **spec)
    order = world.run(only(plan))
    assert order.state is S.UNKNOWN
    assert order.unknown_since is not None
    plan = world.work(plan)
    order = fresh(order)
    assert order.state is S.FILLED, told(plan)
    assert plan.state is P.COMPLETED
    assert attempts_of(order) == [AnswerClass.UNKNOWN]
    assert len(world.sent()) == 1
    assert world.sold("PEPE") == Decimal(5000)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("drop_before", {}),
        ("garbage_before", {}),
        ("status_before", {"status": 502}),
        ("error", {"code": -1007, "msg": "Timeout.", "status": 408}),
        ("error", {"code": -1000, "msg": "An unknown error occurred."}),
    ],
)
def test_an_order_that_was_not_placed_is_sent_again_only_after_its_absence_is_proved(
    world: World, kind: str, spec: dict[str, Any]
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault(kind, **spec)
    order = world.run(only(plan))
    assert order.state is S.UNKNOWN
    valid_until = order.attempts.get().valid_until_ms
    plan = world.work(plan)
    order = fresh(order)
    assert order.state is S.FILLED, told(plan)
    assert attempts_of(order) == [AnswerClass.UNKNOWN, AnswerClass.ACCEPTED]
    first, second = world.sent()
    assert first["params"]["newClientOrderId"] == second["params"]["newClientOrderId"]
    assert second["at_ms"] > valid_until + reconciliation.MARGIN_MS


def test_not_found_proves_nothing_while_the_order_may_still_be_accepted(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.clock.ahead += timedelta(seconds=120)  # our clock alone: the exchange's decides
    for _ in range(3):
        order = world.look_up(order)
        world.clock.ahead += timedelta(seconds=60)
        assert order.state is S.UNKNOWN
        assert order.absent_since is None
    world.later(10)
    assert world.look_up(order).absent_since is not None
    world.later(3)
    assert world.look_up(order).state is S.PLANNED


def test_one_look_up_that_finds_nothing_is_not_enough(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    assert world.look_up(order).state is S.UNKNOWN
    assert len(world.sent()) == 1


@pytest.mark.parametrize("kind", ["drop_before", "garbage_before", "cut_json_after", "drop_after"])
def test_a_look_up_without_an_answer_is_repeated_and_nothing_is_sent(
    world: World, kind: str
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    world.exchange.fault(kind, times=3, **LOOK_UP)
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)
    assert len(world.sent()) == 1


def test_an_order_that_can_not_be_looked_up_waits_for_a_person(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    world.exchange.fault("status_before", status=503, times=None, **LOOK_UP)
    plan = world.work(plan, until=lambda: only(plan).waits_for_person)
    order = only(plan)
    assert order.state is S.UNKNOWN
    assert plan.state is P.RUNNING
    assert len(world.sent()) == 1
    # It stays blocked, and is found as soon as the exchange answers.
    world.exchange.clear_faults()
    plan = world.work(plan)
    assert only(plan).state is S.FILLED


def test_trades_that_are_listed_late_are_waited_for(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    world.exchange.fault(
        "garbage_before", method="GET", path="/api/v3/myTrades", body="[]", times=2
    )
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)
    assert only(plan).fills.count() == 1


def test_no_answer_in_time_is_unknown_and_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("hang_after", seconds="5")
    world.port._client.ccxt.timeout = 300  # milliseconds, instead of ten seconds
    order = world.run(only(plan))
    assert order.state is S.UNKNOWN
    assert only(world.work(plan)).state is S.FILLED
    assert len(world.sent()) == 1


def test_an_answer_with_impossible_fills_is_not_believed_and_leaves_no_trace(world: World) -> None:
    plan = world.start(PEPE)
    order = only(plan)
    body = {
        "symbol": "PEPEUSDT",
        "orderId": 7,
        "clientOrderId": order.client_order_id,
        "status": "FILLED",
        "origQty": "5000",
        "executedQty": "5000",
        "cummulativeQuoteQty": "0.04",
        "fills": [{"price": "0.000008"}],
        "type": "MARKET",
        "side": "SELL",
        "transactTime": 1,
    }
    world.exchange.fault("garbage_after", body=json.dumps(body))
    assert world.run(order).state in {S.UNKNOWN, S.ACCEPTED}
    assert only(world.work(plan)).state is S.FILLED
    assert [fill.quantity for fill in order.fills.all()] == [Decimal(5000)]


def test_an_exchange_that_is_down_during_the_plan_is_waited_for(world: World) -> None:
    plan = world.start(PEPE)
    everything = {"kind": "status_before", "status": 503, "times": 4}
    world.exchange.control("POST", "faults", everything)
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)


# --- Refused before processing ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rate_limit", "ban"])
def test_a_limited_order_waits_as_long_as_asked_and_is_sent_again(world: World, kind: str) -> None:
    plan = world.start(PEPE)
    world.exchange.fault(kind, retry_after=1)
    order = world.run(only(plan))
    assert order.state is S.PLANNED
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)
    assert attempts_of(order) == [AnswerClass.NOT_PLACED, AnswerClass.ACCEPTED]
    refused, placed = world.sent()
    assert placed["wall_us"] - refused["wall_us"] >= 950_000
    assert refused["params"]["newClientOrderId"] == placed["params"]["newClientOrderId"]


def test_a_clock_refusal_is_signed_anew(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", code=-1021, msg="Timestamp for this request is outside.")
    order = world.run(only(plan))
    assert order.state is S.PLANNED
    plan = world.work(plan)
    assert only(plan).state is S.FILLED, told(plan)
    first, second = world.sent()
    assert int(second["params"]["timestamp"]) > int(first["params"]["timestamp"])


@pytest.mark.parametrize("skew_ms", [30_000, -30_000])
def test_a_clock_that_jumps_during_the_plan_is_compared_again(world: World, skew_ms: int) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "clock", {"skew_ms": skew_ms})
    for _ in range(4):
        world.clock.ahead += timedelta(seconds=60)
        world.run(only(plan))
    assert only(plan).state is S.FILLED, told(plan)


def test_an_order_that_is_never_placed_is_given_up_after_some_attempts(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", code=-1021, msg="Timestamp.", times=None)
    plan = world.work(plan, seconds=600)
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "UNREACHABLE")
    assert len(world.sent()) == attempts.MOST_ATTEMPTS


# --- Refused by the exchange --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-2010, "Account has insufficient balance for requested action."),
        (-2010, "Market is closed."),
        (-1013, "Filter failure: NOTIONAL"),
        (-1013, "Filter failure: LOT_SIZE"),
    ],
)
def test_a_refused_order_is_rejected_and_not_tried_again(
    world: World, code: int, message: str
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("error", code=code, msg=message)
    plan = world.work(plan)
    order = only(plan)
    assert order.state is S.REJECTED
    assert message in order.message
    assert attempts_of(order) == [AnswerClass.REJECTED]
    assert plan.state is P.COMPLETED
    assert len(world.sent()) == 1


def test_a_market_that_halts_between_plan_and_order_sells_nothing(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "markets", {"PEPEUSDT": {"status": "BREAK"}})
    plan = world.work(plan)
    assert only(plan).state in {S.DENIED, S.REJECTED}
    assert world.sold("PEPE") == 0


def test_a_failure_of_one_order_does_not_stop_the_others(world: World) -> None:
    plan = world.start()
    world.exchange.fault("error", code=-2010, msg="Market is closed.", match={"symbol": "XRPUSDT"})
    plan = world.work(plan)
    states = {order.asset: order.state for order in plan.orders.all()}
    assert states.pop("XRP") is S.REJECTED
    assert set(states.values()) == {S.FILLED}


def test_a_key_that_is_revoked_pauses_the_plan(world: World) -> None:
    plan = world.start()
    first, *_ = plan.orders.order_by("number")
    world.run(first)
    world.exchange.control("POST", "keys/revoke", {"revoked": True})
    world.later(5)  # a look of before may still stand
    rest = plan.orders.filter(status=S.PLANNED).order_by("number")
    world.run(rest[0])
    plan = fresh(plan)
    assert plan.state is P.PAUSED, told(plan)
    assert "does not accept the API key" in plan.status_note
    # Given back, the plan goes on.
    world.exchange.control("POST", "keys/revoke", {"revoked": False})
    stops.resume_plan(plan, actor=TEST, now=world.now)
    plan = world.work(plan)
    assert plan.state is P.COMPLETED


def test_a_key_that_is_revoked_as_the_order_leaves_pauses_the_plan(world: World) -> None:
    plan = world.start()
    world.exchange.fault("error", code=-2015, msg="Invalid API-key, IP, or permissions.")
    order = world.run(plan.orders.order_by("number")[0])
    assert order.state is S.REJECTED
    assert fresh(plan).state is P.PAUSED


# --- Fills --------------------------------------------------------------------------------------


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


# --- The last look ------------------------------------------------------------------------------


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


def test_a_balance_that_grew_and_is_still_dust_is_sold_as_planned(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.control("POST", "balances", {"PEPE": {"free": "5500"}})
    order = world.run(only(plan))
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(5000))


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


# --- Stop means stop ----------------------------------------------------------------------------


class Interrupting:
    """A pause that lets something happen between the commit and the request."""

    def __init__(self, happening: Any) -> None:
        self.happening = happening

    def __call__(self, seconds: float) -> None:
        self.happening()


def interrupted(world: World, plan: Any, happening: Any) -> CloseOrder:
    order = only(plan)
    execution.run_order(order.pk, clock=world.clock, pause=Interrupting(happening))
    found: CloseOrder = fresh(order)
    return found


def test_a_pause_takes_effect_before_the_next_request(world: World) -> None:
    plan = world.start(PEPE)
    order = interrupted(world, plan, lambda: stops.pause_plan(plan, actor=TEST, now=world.now))
    assert order.state is S.PLANNED
    assert world.sent() == []
    assert attempts_of(order) == [AnswerClass.NOT_PLACED]
    stops.resume_plan(plan, actor=TEST, now=world.now)
    assert only(world.work(plan)).state is S.FILLED


def test_a_halt_takes_effect_before_the_next_request(world: World) -> None:
    plan = world.start(PEPE)
    order = interrupted(world, plan, lambda: stops.halt_plan(plan, actor=TEST, now=world.now))
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert fresh(plan).state is P.HALTED
    assert world.sent() == []


@pytest.mark.parametrize("everything", [True, False])
def test_the_kill_switch_takes_effect_before_the_next_request(
    world: World, everything: bool
) -> None:
    plan = world.start(PEPE)
    account = None if everything else world.account
    order = interrupted(
        world,
        plan,
        lambda: stops.halt_everything(account, reason="stop", actor=TEST, now=world.now),
    )
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert fresh(plan).state is P.HALTED
    assert world.sent() == []


def test_a_kill_switch_without_a_halted_plan_stops_requests_too(world: World) -> None:
    plan = world.start(PEPE)
    halts.press(account=None, reason="stop", actor=TEST, now=world.now)
    order = world.run(only(plan))
    assert order.state is not S.FILLED
    assert world.sent() == []


def test_a_paused_plan_sends_nothing(world: World) -> None:
    plan = world.start(PEPE)
    stops.pause_plan(plan, actor=TEST, now=world.now)
    assert world.run(only(plan)).state is S.PLANNED
    assert world.sent() == []


def test_a_halt_denies_what_was_not_sent_and_follows_what_was(world: World) -> None:
    plan = world.start("0.10")
    world.exchange.fault("drop_after")
    pepe = world.run(order_of(plan, "PEPE"))
    assert pepe.state is S.UNKNOWN
    stops.halt_plan(plan, actor=TEST, now=world.now)
    assert order_of(plan, "SHIB").state is S.DENIED
    world.later(2)
    assert world.look_up(pepe).state is S.FILLED
    assert fresh(plan).state is P.HALTED


def test_an_unknown_order_that_was_never_placed_is_not_sent_after_a_halt(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    world.run(only(plan))
    stops.halt_plan(plan, actor=TEST, now=world.now)
    for _ in range(5):
        world.later(5)
        world.look_up(only(plan))
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert len(world.sent()) == 1


# --- Workers that vanish, and two at once -------------------------------------------------------


def committed(world: World, order: CloseOrder) -> tuple[CloseOrder, Any, attempts.Turn]:
    """Make the steps of a worker up to its commit."""
    claimed = execution._claimed(order.pk, now=world.now)
    assert claimed is not None
    port = world.port
    port.markets()
    turn = attempts.Turn(
        slot=port.pacer.take_order(lead=Decimal("0.05"), latest=Decimal(1)),
        signed_at_ms=port.now_ms() + 50,
        look_ends_at=world.now + timedelta(seconds=5),
    )
    attempt = attempts.commit(
        claimed, quantity=claimed.quantity, turn=turn, exchange=port, now=world.now
    )
    assert attempt is not None
    return claimed, attempt, turn


def test_a_worker_that_vanished_before_sending_costs_nothing(world: World) -> None:
    plan = world.start(PEPE)
    committed(world, only(plan))
    assert world.look_up(only(plan)).state is S.SUBMITTING  # its lease still runs
    world.later(CLAIM.total_seconds() + 1)
    order = world.look_up(only(plan))
    assert order.state is S.PLANNED
    assert order.attempts.get().answer == AnswerClass.NOT_PLACED
    assert only(world.work(plan)).state is S.FILLED
    assert len(world.sent()) == 1


def test_a_worker_that_vanished_after_leave_to_send_is_looked_for(world: World) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    assert attempts.may_leave(order, attempt, turn=turn, clock=world.clock)
    world.later(CLAIM.total_seconds() + 1)
    found = world.look_up(only(plan))
    assert found.state is S.UNKNOWN
    assert found.attempts.get().answer_code == "WORKER_LOST"
    plan = world.work(plan)
    assert only(plan).state is S.FILLED
    assert len(world.sent()) == 1


def test_a_worker_that_wakes_up_after_another_took_over_has_no_leave(world: World) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.later(CLAIM.total_seconds() + 1)
    world.look_up(only(plan))
    assert not attempts.may_leave(order, attempt, turn=turn, clock=world.clock)
    assert world.sent() == []


def between_leave_and_request(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any]) -> None:
    """Let something happen where a worker can be stopped: after its leave, before its request."""
    ask = attempts.may_leave

    def leave(*args: Any, **kwargs: Any) -> bool:
        allowed = ask(*args, **kwargs)
        monkeypatch.setattr(attempts, "may_leave", ask)
        happens()
        return allowed

    monkeypatch.setattr(attempts, "may_leave", leave)


def test_a_request_that_leaves_late_is_refused_by_the_exchange_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker slept between its leave and its request; another one took over and sold."""
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))

    sleeper = world.port

    def another_takes_over() -> None:
        # A process of its own has a client of its own.
        monkeypatch.setattr(ccxt_adapter, "_CLIENTS", threading.local())
        world.later(CLAIM.total_seconds() + 1)
        world.work(plan)
        world.port._client.ccxt.session.close()

    between_leave_and_request(monkeypatch, another_takes_over)
    attempts.send(order, attempt, turn=turn, exchange=sleeper, clock=world.clock)
    monkeypatch.undo()
    assert world.sold("PEPE") == Decimal(5000)
    assert only(plan).state is S.FILLED


def test_a_late_answer_is_kept_but_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))

    def another_takes_over() -> None:
        world.clock.ahead += CLAIM + timedelta(seconds=1)
        assert world.look_up(only(plan)).state is S.UNKNOWN

    between_leave_and_request(monkeypatch, another_takes_over)
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    assert only(plan).state is S.UNKNOWN
    assert fresh(attempt).answer_code == "LATE"
    assert only(world.work(plan)).state is S.FILLED
    assert len(world.sent()) == 1


def test_a_turn_that_was_missed_needs_a_new_one(world: World) -> None:
    plan = world.start(PEPE)

    def oversleep() -> None:
        world.clock.ahead += timedelta(seconds=5)

    order = interrupted(world, plan, oversleep)
    assert order.state is S.PLANNED
    assert world.sent() == []
    assert only(world.work(plan)).state is S.FILLED


def test_two_workers_with_the_same_wake_up_send_once(world: World) -> None:
    plan = world.start(PEPE)
    order = only(plan)

    def work() -> None:
        execution.run_order(order.pk, clock=world.clock)

    assert at_once(work, work, work) == [None, None, None]
    assert only(plan).state is S.FILLED, told(plan)
    assert len(world.sent()) == 1


def test_many_workers_on_one_plan_send_each_order_once(world: World) -> None:
    plan = world.start()
    rows = list(plan.orders.all())

    def work(row: CloseOrder) -> Any:
        return lambda: execution.run_order(row.pk, clock=world.clock)

    assert at_once(*[work(row) for row in rows for _ in range(2)]) == [None] * 12
    plan = world.work(plan)
    assert {order.state for order in plan.orders.all()} == {S.FILLED}, told(plan)
    assert len(world.sent()) == 6


def test_two_look_ups_at_once_record_one_result(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    world.later(2)

    def ask() -> None:
        reconciliation.look_up_order(order.pk, clock=world.clock)

    assert at_once(ask, ask) == [None, None]
    assert only(plan).state is S.FILLED
    assert only(plan).fills.count() == 1


def test_an_answer_on_its_way_while_redis_goes_away_never_leads_to_a_second_sale(
    world: World,
) -> None:
    plan = world.start(PEPE)
    session = world.port._client.ccxt.session
    send, original = session.send, session.send

    def sent(request: Any, **named: Any) -> Any:
        answer = send(request, **named)
        if request.method == "POST":
            world.valkey.stop()
        return answer

    session.send = sent
    try:
        order = world.run(only(plan))
    finally:
        session.send = original
        world.valkey.start()
        wait_until(world.valkey._answers)
    assert order.state in {S.FILLED, S.UNKNOWN}, (order.status, attempts_of(order))
    world.free_pace()
    assert only(world.work(plan)).state is S.FILLED
    assert world.sold("PEPE") == Decimal(5000)


def test_without_redis_nothing_is_sent_and_the_order_waits(world: World) -> None:
    plan = world.start(PEPE)
    world.valkey.stop()
    try:
        order = world.run(only(plan))
    finally:
        world.valkey.start()
    assert order.state is S.PLANNED
    assert world.sent() == []
    world.free_pace()
    assert only(world.work(plan)).state is S.FILLED


# --- Afterwards ---------------------------------------------------------------------------------


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
