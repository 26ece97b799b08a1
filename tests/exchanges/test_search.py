"""An order is looked for by its id and in the list of all orders, and only our own counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import Outcome
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import AnswerUnknown, SellRequest
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import Open, sale

LOOK_UP = {"method": "GET", "path": "/api/v3/order"}
HISTORY = {"method": "GET", "path": "/api/v3/allOrders"}

Search = Callable[[CcxtExchange, SellRequest], Outcome | None]


def by_id(port: CcxtExchange, *requests: SellRequest) -> Outcome | None:
    return port.find_order(requests)


def in_history(port: CcxtExchange, *requests: SellRequest) -> Outcome | None:
    return port.find_in_history(requests)


both_ways = pytest.mark.parametrize("search", [by_id, in_history])


def test_an_order_is_found_by_its_own_id_with_all_its_trades(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"depth": {"level_quote": "0.3"}}})
    request = sale(port)
    sold = port.sell(request, may_leave=lambda: True)
    found = port.find_order([request])
    assert found is not None
    assert found.exchange_order_id == sold.exchange_order_id
    assert list(found.trades) == list(sold.trades)
    assert (found.notional, found.state) == (sold.notional, sold.state)
    assert found.placed_at_ms is not None


def test_the_notional_is_the_exchanges_own_in_the_answer_and_in_the_look_up(
    open_port: Open, exchange: SandboxProcess
) -> None:
    """Price times quantity may have more digits than the exchange books with."""
    exchange.control("POST", "markets", {"PEPEUSDT": {"tick": "0.00000001", "step": "0.001"}})
    prices = {"bid": "0.00712345", "ask": "0.00712347", "last": "0.00712346"}
    exchange.control("POST", "prices", {"PEPEUSDT": prices})
    port = open_port()
    request = sale(port, "PEPE/USDT", "123.457")
    sold = port.sell(request, may_leave=lambda: True)
    found = port.find_order([request])
    assert found is not None
    booked = Decimal(exchange.ledger()["orders"][0]["filled_quote"])
    assert (sold.notional, found.notional) == (booked, booked)


def test_other_orders_trades_are_not_taken_for_ours(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "trade", {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "2"})
    request = sale(port, quantity="3")
    port.sell(request, may_leave=lambda: True)
    found = port.find_order([request])
    assert found is not None
    assert found.filled_quantity == Decimal(3)
    assert len(found.trades) == 1


def test_an_order_that_was_never_placed_is_not_found(port: CcxtExchange) -> None:
    assert port.find_order([sale(port)]) is None


@pytest.mark.parametrize("kind", ["garbage_before", "cut_json_after", "drop_after", "no_order_id"])
def test_a_spoiled_look_up_proves_nothing(
    port: CcxtExchange, exchange: SandboxProcess, kind: str
) -> None:
    request = sale(port)
    port.sell(request, may_leave=lambda: True)
    exchange.fault(kind, method="GET")
    with pytest.raises(AnswerUnknown):
        port.find_order([request])


def test_trades_that_are_not_listed_yet_leave_the_order_unknown(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = sale(port)
    port.sell(request, may_leave=lambda: True)
    exchange.fault("garbage_before", method="GET", path="/api/v3/myTrades", body="[]")
    with pytest.raises(AnswerUnknown):
        port.find_order([request])


# Only our own


def somebody_places(
    exchange: SandboxProcess, request: SellRequest, *, how: str = "trade", **order: Any
) -> dict[str, Any]:
    """Place an order of somebody else's that carries the client id of ours."""
    known = {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "5"}
    known["client_order_id"] = request.client_order_id
    return exchange.control("POST", how, known | order)


@both_ways
def test_an_order_with_our_id_from_before_our_request_is_neither_believed_nor_passed_over(
    port: CcxtExchange, exchange: SandboxProcess, search: Search
) -> None:
    request = sale(port)
    placed = somebody_places(exchange, request)
    older = replace(request, signed_at_ms=placed["created_ms"] + 1_000)
    with pytest.raises(AnswerUnknown, match="another order"):
        search(port, older)


@both_ways
def test_an_order_may_be_dated_up_to_a_second_before_its_signing_time(
    port: CcxtExchange, exchange: SandboxProcess, search: Search
) -> None:
    request = sale(port)
    placed = somebody_places(exchange, request)
    ahead = replace(request, signed_at_ms=placed["created_ms"] + 999)
    assert search(port, ahead) is not None


@both_ways
@pytest.mark.parametrize(
    "order",
    [
        {"side": "BUY"},
        {"quantity": "4"},
        {"how": "open-order", "price": "0.3"},
    ],
)
def test_an_order_with_our_id_that_is_not_what_we_asked_for_is_not_believed(
    port: CcxtExchange, exchange: SandboxProcess, search: Search, order: dict[str, Any]
) -> None:
    request = sale(port)
    somebody_places(exchange, request, **order)
    with pytest.raises(AnswerUnknown, match="another order"):
        search(port, request)


@both_ways
def test_each_request_of_an_order_counts_with_its_own_quantity_and_time(
    port: CcxtExchange, exchange: SandboxProcess, search: Search
) -> None:
    """The balance shrank between two attempts, so the second asked for less."""
    second = sale(port, quantity="3")
    first = replace(second, quantity=Decimal(5), signed_at_ms=second.signed_at_ms - 60_000)
    port.sell(second, may_leave=lambda: True)
    found = search(port, first, second)
    assert found is not None
    assert found.filled_quantity == Decimal(3)


@both_ways
def test_an_order_without_a_date_proves_nothing(
    port: CcxtExchange, exchange: SandboxProcess, search: Search
) -> None:
    request = sale(port)
    port.sell(request, may_leave=lambda: True)
    order = json.dumps(
        {
            "symbol": "DOGEUSDT",
            "orderId": 7,
            "clientOrderId": request.client_order_id,
            "status": "FILLED",
            "origQty": "5",
            "executedQty": "5",
            "cummulativeQuoteQty": "0.9",
            "type": "MARKET",
            "side": "SELL",
        }
    )
    exchange.fault("garbage_before", body=order, **LOOK_UP)
    exchange.fault("garbage_before", body=f"[{order}]", **HISTORY)
    with pytest.raises(AnswerUnknown):
        search(port, request)


# The list of all orders


def test_an_order_that_its_id_does_not_find_is_found_in_the_list_with_all_its_trades(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"depth": {"level_quote": "0.3"}}})
    request = sale(port)
    sold = port.sell(request, may_leave=lambda: True)
    exchange.fault("error", code=-2013, msg="Order does not exist.", **LOOK_UP)
    assert port.find_order([request]) is None
    found = port.find_in_history([request])
    assert found is not None
    assert found.exchange_order_id == sold.exchange_order_id
    assert list(found.trades) == list(sold.trades)


def test_the_list_is_asked_for_from_the_first_request_on(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = sale(port)
    later = replace(request, signed_at_ms=request.signed_at_ms + 5_000)
    assert port.find_in_history([later, request]) is None
    asked = exchange.ledger()["requests"][-1]
    assert asked["path"] == HISTORY["path"]
    assert int(asked["params"]["startTime"]) == request.signed_at_ms - 1_000


@pytest.mark.parametrize("kind", ["garbage_before", "cut_json_after", "drop_after"])
def test_a_spoiled_list_proves_nothing(
    port: CcxtExchange, exchange: SandboxProcess, kind: str
) -> None:
    request = sale(port)
    port.sell(request, may_leave=lambda: True)
    exchange.fault(kind, **HISTORY)
    with pytest.raises(AnswerUnknown):
        port.find_in_history([request])


def test_a_full_list_proves_nothing(port: CcxtExchange, exchange: SandboxProcess) -> None:
    request = sale(port)
    for _ in range(2):
        exchange.control("POST", "trade", {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "1"})
    rule = port.profile.absence
    assert rule is not None
    assert port.find_in_history([request]) is None
    port._search._profile = replace(port.profile, absence=replace(rule, history_rows=2))
    with pytest.raises(AnswerUnknown, match="too many orders"):
        port.find_in_history([request])
