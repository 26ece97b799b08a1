"""Promises of the money path that were once broken, each kept by a test.

As in `test_faults`, the exchange's ledger is the judge, and the oracle is asked after every test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import Unreachable
from positions.models import AnswerClass, CleanupPlan, CloseOrder
from positions.services import attempts, execution, policies, reconciliation, results, stops
from positions.services.connections import redis_client
from tests.journeys.oracle import assert_all_true
from tests.journeys.test_faults import (
    LOOK_UP,
    PEPE,
    attempts_of,
    between_leave_and_request,
    committed,
    interrupted,
    only,
)
from tests.trading import TEST, World, connect, fresh, is_settled, told

pytestmark = pytest.mark.django_db(transaction=True)

APART = reconciliation.APART.total_seconds()
PATIENCE = reconciliation.PATIENCE.total_seconds()
CLOCK_REFUSED = {"code": -1021, "msg": "Timestamp for this request is outside."}


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)


def pause(world: World, plan: CleanupPlan) -> None:
    stops.pause_plan(plan, actor=TEST, now=world.now)


def halt(world: World, plan: CleanupPlan) -> None:
    stops.halt_plan(plan, actor=TEST, now=world.now)


def halt_account(world: World, plan: CleanupPlan) -> None:
    stops.halt_everything(world.account, reason="stop", actor=TEST, now=world.now)


def halt_everything(world: World, plan: CleanupPlan) -> None:
    stops.halt_everything(None, reason="stop", actor=TEST, now=world.now)


def order_answer(order: CloseOrder, **fields: str) -> str:
    """Return an answer of the exchange about an order, with nothing about what was sold."""
    return json.dumps(
        {
            "symbol": "PEPEUSDT",
            "orderId": 7,
            "clientOrderId": order.client_order_id,
            "type": "MARKET",
            "side": "SELL",
            "transactTime": 1,
            **fields,
        }
    )


# --- Stop means stop ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "spec"), [("rate_limit", {"retry_after": 1}), ("error", CLOCK_REFUSED)]
)
@pytest.mark.parametrize("stop", [halt, halt_everything])
def test_an_order_that_comes_back_unplaced_to_a_halted_plan_is_denied(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[World, CleanupPlan], None],
    kind: str,
    spec: dict[str, Any],
) -> None:
    """Nobody takes an order of a halted plan: as PLANNED it would block its asset for ever."""
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.exchange.fault(kind, **spec)
    between_leave_and_request(monkeypatch, lambda: stop(world, plan))
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert attempts_of(order) == [AnswerClass.NOT_PLACED]
    assert fresh(plan).state is P.HALTED
    assert is_settled(plan)
    world.later(1)
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    assert fresh(plan).closing_snapshot is not None


def test_an_order_that_comes_back_unplaced_to_a_paused_plan_goes_on_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.exchange.fault("error", **CLOCK_REFUSED)
    between_leave_and_request(monkeypatch, lambda: pause(world, plan))
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    assert only(plan).state is S.PLANNED
    stops.resume_plan(plan, actor=TEST, now=world.now)
    assert only(world.work(plan)).state is S.FILLED


def waits_while(
    world: World, order: CloseOrder, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]
) -> CloseOrder:
    """Run an order whose request has to wait two seconds for its weight; return it afterwards."""
    pacer, waited = world.port.pacer, []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        happens()
        redis_client().delete(pacer._memory._place_block)  # as the end of a real wait would find it

    def told_to_step_back(seconds: float) -> None:
        pacer.block(Decimal(2))
        monkeypatch.setattr(pacer, "_sleep", wait)

    execution.run_order(order.pk, clock=world.clock, pause=told_to_step_back)
    assert len(waited) == 1
    assert waited[0] > 1
    found: CloseOrder = fresh(order)
    return found


@pytest.mark.parametrize("stop", [halt, halt_account, halt_everything])
def test_a_halt_stops_a_request_that_waits_for_its_weight(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[World, CleanupPlan], None],
) -> None:
    plan = world.start(PEPE)
    order = waits_while(world, only(plan), monkeypatch, lambda: stop(world, plan))
    assert (order.state, order.reason) == (S.DENIED, "PLAN_HALTED")
    assert fresh(plan).state is P.HALTED
    assert world.sent() == []
    assert order.attempts.get().sent_at is None


def test_a_request_that_waited_too_long_for_its_weight_needs_a_new_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order = waits_while(world, only(plan), monkeypatch, lambda: world.later(2))
    assert order.state is S.PLANNED
    assert world.sent() == []
    monkeypatch.undo()
    assert only(world.work(plan)).state is S.FILLED


# --- The last look ------------------------------------------------------------------------------


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


# --- Found is found, and absence is proved ------------------------------------------------------


@pytest.mark.parametrize("halted", [True, False])
def test_a_found_order_is_ours_even_if_the_exchange_dates_it_before_our_first_attempt(
    world: World, halted: bool
) -> None:
    plan = world.start(PEPE)

    def our_clock_is_ahead() -> None:
        world.skew_ms -= 30_000
        world.exchange.control("POST", "clock", {"skew_ms": world.skew_ms})

    order = interrupted(world, plan, our_clock_is_ahead)
    assert order.state is S.PLANNED
    world.later(3)
    world.exchange.fault("drop_after")
    assert world.run(order).state is S.UNKNOWN
    assert attempts_of(order) == [AnswerClass.NOT_PLACED, AnswerClass.UNKNOWN]
    first, second = order.attempts.order_by("number")
    assert second.signed_at_ms < first.signed_at_ms - 20_000
    if halted:
        halt(world, plan)
    world.later(2)
    order = world.look_up(order)
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(5000)), told(plan)
    assert world.sold("PEPE") == Decimal(5000)


def test_look_ups_in_quick_succession_do_not_prove_absence(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    order = world.look_up(order)
    first = order.absent_since
    assert first is not None
    for _ in range(4):
        order = world.look_up(order)
        assert order.state is S.UNKNOWN
        assert order.absent_since == first
    assert order.due_at >= world.now + timedelta(seconds=APART) - timedelta(seconds=1)
    world.later(APART)
    assert world.look_up(order).state is S.PLANNED
    assert len(world.sent()) == 1


def test_the_look_ups_that_prove_absence_are_due_apart(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    order = world.look_up(order)
    assert order.due_at - order.absent_since == reconciliation.APART


def test_a_look_up_without_an_answer_in_between_starts_the_proof_anew(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_before")
    order = world.run(only(plan))
    world.later(10)
    assert world.look_up(order).absent_since is not None
    world.exchange.fault("status_before", status=503, **LOOK_UP)
    world.later(APART)
    assert world.look_up(order).absent_since is None
    world.later(APART)
    assert world.look_up(order).state is S.UNKNOWN
    world.later(APART)
    assert world.look_up(order).state is S.PLANNED


# --- Only what was said is believed -------------------------------------------------------------


SAYS_NOTHING = [
    {"status": "FILLED"},
    {"status": "CANCELED"},
    {"status": "EXPIRED"},
    {"status": "FILLED", "origQty": "5000", "cummulativeQuoteQty": "0.03995"},
    {"status": "FILLED", "executedQty": "0", "cummulativeQuoteQty": "0"},
    {"status": "EXPIRED", "executedQty": "0", "cummulativeQuoteQty": "0.03995"},
    {"status": "FILLED", "executedQty": "5000", "cummulativeQuoteQty": "0"},
]


@pytest.mark.parametrize("said", SAYS_NOTHING, ids=lambda said: "-".join(said.values()))
def test_an_answer_that_does_not_say_what_was_sold_is_unknown_and_the_order_is_found(
    world: World, said: dict[str, str]
) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("garbage_after", body=order_answer(only(plan), **said))
    order = world.run(only(plan))
    assert order.state is S.UNKNOWN, told(plan)
    assert order.filled_quantity == 0
    order = only(world.work(plan))
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(5000)), told(plan)
    assert order.fills.count() == 1
    assert attempts_of(order) == [AnswerClass.UNKNOWN]
    assert len(world.sent()) == 1


@pytest.mark.parametrize("said", SAYS_NOTHING[:3], ids=lambda said: said["status"])
def test_a_look_up_that_does_not_say_what_was_sold_is_repeated(
    world: World, said: dict[str, str]
) -> None:
    plan = world.start(PEPE)
    order = only(plan)
    world.exchange.fault("drop_after")
    world.run(order)
    world.exchange.fault("garbage_before", body=order_answer(order, **said), **LOOK_UP)
    world.later(2)
    assert world.look_up(order).state is S.UNKNOWN
    order = only(world.work(plan))
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal(5000)), told(plan)
    assert len(world.sent()) == 1


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


# --- Everything ends ----------------------------------------------------------------------------


def test_an_order_that_is_never_processed_is_given_up_after_some_requests(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("status_before", status=502, times=None)
    plan = world.work(plan, seconds=600)
    order = only(plan)
    assert (order.state, order.reason) == (S.DENIED, "UNREACHABLE")
    assert plan.state is P.COMPLETED
    assert attempts_of(order) == [AnswerClass.UNKNOWN] * attempts.MOST_ATTEMPTS
    assert len(world.sent()) == attempts.MOST_ATTEMPTS


def test_attempts_that_never_left_do_not_count(world: World) -> None:
    plan = world.start(PEPE)
    for _ in range(attempts.MOST_ATTEMPTS):
        world.free_pace()
        assert interrupted(world, plan, lambda: pause(world, plan)).state is S.PLANNED
        stops.resume_plan(fresh(plan), actor=TEST, now=world.now)
    assert world.sent() == []
    world.free_pace()
    world.exchange.fault("error", **CLOCK_REFUSED)
    order = world.run(only(plan))
    assert order.state is S.PLANNED, told(plan)
    assert order.attempts.count() == attempts.MOST_ATTEMPTS + 1
    assert len(world.sent()) == 1
    assert only(world.work(plan)).state is S.FILLED


def test_an_accepted_order_that_is_no_longer_listed_waits_for_a_person(world: World) -> None:
    plan = world.start(PEPE)
    accepted = order_answer(
        only(plan), status="NEW", origQty="5000", executedQty="0", cummulativeQuoteQty="0"
    )
    world.exchange.fault("garbage_before", body=accepted)
    assert world.run(only(plan)).state is S.ACCEPTED
    since = world.now
    world.later(PATIENCE / 2)
    order = world.look_up(only(plan))
    assert not order.waits_for_person
    plan = world.work(plan, until=lambda: only(plan).waits_for_person, seconds=3 * PATIENCE)
    order = only(plan)
    assert order.state is S.ACCEPTED
    assert "A person has to look." in order.message
    assert world.now - since > reconciliation.PATIENCE
    assert plan.state is P.RUNNING
    assert len(world.sent()) == 1


# --- What was sent and answered is kept -----------------------------------------------------------


def test_an_attempt_keeps_what_really_left_and_how_it_was_answered(world: World) -> None:
    plan = world.work(world.start(PEPE))
    attempt = only(plan).attempts.get()
    (received,) = world.sent()
    assert (attempt.wire["method"], attempt.wire["path"]) == ("POST", "/api/v3/order")
    assert attempt.wire["parameters"] == {
        name: text for name, text in received["params"].items() if name != "signature"
    }
    assert attempt.wire["status"] == 200
    keys = world.exchange.credentials()
    for secret in (keys["api_key"], keys["api_secret"], "signature"):
        assert secret not in json.dumps(attempt.wire) + attempt.answer_text
    assert json.loads(attempt.answer_text)["fills"]


def test_an_attempt_without_an_answer_keeps_what_left(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    attempt = world.run(only(plan)).attempts.get()
    assert attempt.answer == AnswerClass.UNKNOWN
    assert (attempt.wire["path"], attempt.wire["status"]) == ("/api/v3/order", None)
    world.work(plan)


def test_an_attempt_that_never_left_tells_nothing_of_an_earlier_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.port.balances()

    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise Unreachable("Binance can't be reached: no connection was made.")

    monkeypatch.setattr(CcxtExchange, "markets", unreachable)
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    monkeypatch.undo()
    assert fresh(attempt).answer == AnswerClass.NOT_PLACED
    assert fresh(attempt).wire == {}
    world.work(plan)
