"""A request was sent and its answer is lost or makes no sense: it is asked for, never resent."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AnswerClass, CloseOrder
from positions.selectors.orders import happening, what_to_do, why_not_by_hand
from positions.services import evidence
from tests.journeys.faults.stepped.steps import LOOK_UP, PEPE, attempts_of, only, order_answer
from tests.trading import World, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_an_accepted_order_that_is_no_longer_listed_waits_for_a_person(world: World) -> None:
    plan = world.start(PEPE)
    accepted = order_answer(
        only(plan), status="NEW", origQty="5000", executedQty="0", cummulativeQuoteQty="0"
    )
    world.exchange.fault("garbage_before", body=accepted)
    assert world.run(only(plan)).state is S.ACCEPTED
    since, patience = world.now, evidence.PATIENCE.total_seconds()
    world.later(patience / 2)
    order = world.look_up(only(plan))
    assert not order.waits_for_person
    plan = world.work(plan, until=lambda: only(plan).waits_for_person, seconds=3 * patience)
    order = only(plan)
    assert order.state is S.ACCEPTED
    assert "A person has to look." in order.message
    assert world.now - since > evidence.PATIENCE
    assert plan.state is P.RUNNING
    assert len(world.sent()) == 1


def accepted(world: World, plan: Any, **fields: str) -> dict[str, str]:
    """Let the exchange say of an order, which it then has not, that it is in the market."""
    said = {"status": "NEW", "origQty": "5000", "executedQty": "0", "cummulativeQuoteQty": "0"}
    at_ms = {"transactTime": str(world.port.now_ms()), "time": str(world.port.now_ms())}
    return {"body": order_answer(only(plan), **said, **at_ms, **fields)}


def test_an_order_that_stays_open_for_long_is_shown_to_a_person_who_can_not_close_it(
    world: World,
) -> None:
    plan = world.start(PEPE)
    body = accepted(world, plan)
    world.exchange.fault("garbage_before", **body)
    assert world.run(only(plan)).state is S.ACCEPTED
    world.exchange.fault("garbage_before", times=None, **body, **LOOK_UP)
    world.later(2)
    order = world.look_up(only(plan))
    assert (order.state, order.lookups, order.waits_for_person) == (S.ACCEPTED, 1, False)
    plan = world.work(plan, until=lambda: only(plan).waits_for_person, seconds=180)
    order = only(plan)
    assert order.is_open_for_long
    assert "lists it as open" in happening(order, now=world.now).sentence
    assert "cancel it there" in what_to_do(order, now=world.now)
    assert "Cancel it there" in why_not_by_hand(order, now=world.now)
    assert plan.events.filter(kind="order.waits_for_person").count() == 1
    world.later(61)
    assert world.look_up(order).is_open_for_long
    assert plan.events.filter(kind="order.waits_for_person").count() == 1
    # Once it is not listed at all, a person may close it, but not at once.
    world.exchange.clear_faults()
    world.later(61)
    order = world.look_up(order)
    assert (order.waits_for_person, order.is_open_for_long) == (False, False)
    plan = world.work(plan, until=lambda: only(plan).waits_for_person, seconds=180)
    assert why_not_by_hand(only(plan), now=world.now) == ""


def test_an_order_that_is_listed_again_no_longer_waits_for_a_person(world: World) -> None:
    plan = world.start(PEPE)
    body = accepted(world, plan)
    world.exchange.fault("garbage_before", **body)
    world.run(only(plan))
    world.later(2)
    assert world.look_up(only(plan)).unknown_since is not None  # it is not listed
    CloseOrder.objects.update(waits_for_person=True)
    world.exchange.fault("garbage_before", **body, **LOOK_UP)
    order = world.look_up(only(plan))
    assert (order.unknown_since, order.waits_for_person, order.lookups) == (None, False, 2)


@pytest.mark.parametrize("field", ["executedQty", "origQty", "cummulativeQuoteQty"])
def test_an_amount_that_is_none_is_no_usable_answer(world: World, field: str) -> None:
    plan = world.start(PEPE)
    order = only(plan)
    said = {"status": "FILLED", "origQty": "5000", "executedQty": "5000"}
    said |= {"cummulativeQuoteQty": "0.04", field: "nan"}
    body = order_answer(order, **said)
    world.exchange.fault("garbage_after", body=body)
    assert world.run(order).state is S.UNKNOWN
    world.exchange.fault("garbage_before", body=body, **LOOK_UP)
    world.later(2)
    order = world.look_up(order)
    assert (order.state, order.lookups, order.claim_token) == (S.UNKNOWN, 1, "")
    assert only(world.work(plan)).state is S.FILLED
    assert len(world.sent()) == 1


@pytest.mark.parametrize("field", ["price", "qty", "commission"])
def test_a_trade_with_an_amount_that_is_none_is_no_usable_answer(world: World, field: str) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    placed = world.exchange.ledger()["orders"][0]["order_id"]
    trade = {"symbol": "PEPEUSDT", "id": 1, "orderId": placed, "price": "0.000008", "qty": "5000"}
    trade |= {"commission": "0", "commissionAsset": "USDT", "time": 1, field: "nan"}
    world.exchange.fault(
        "garbage_before", method="GET", path="/api/v3/myTrades", body=json.dumps([trade])
    )
    world.later(2)
    order = world.look_up(order)
    assert (order.state, order.lookups, order.claim_token) == (S.UNKNOWN, 1, ""), told(plan)
    assert only(world.work(plan)).state is S.FILLED


def test_an_exchange_that_tells_less_than_before_is_asked_again(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    order = world.run(only(plan))
    CloseOrder.objects.filter(pk=order.pk).update(
        status=S.PARTIALLY_FILLED, filled_quantity=Decimal(2000)
    )
    world.exchange.fault("garbage_before", **accepted(world, plan), **LOOK_UP)
    order = world.look_up(order)
    assert (order.state, order.filled_quantity) == (S.PARTIALLY_FILLED, Decimal(2000))
    assert "told less than it had told before" in order.message
    assert only(world.work(plan)).state is S.FILLED
