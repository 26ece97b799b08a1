"""Every fault means exactly one of: not placed, rejected, unknown."""

from __future__ import annotations

import json
import socket
import time
from decimal import Decimal
from typing import Any

import pytest
import redis

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import (
    AnswerUnknown,
    ClockRefused,
    ExchangeError,
    KeyRefused,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from tests.exchange_process import SandboxProcess, wait_until
from tests.exchanges.conftest import Open, sale
from tests.valkey_process import ValkeyProcess

UNKNOWN = [
    ("drop_before", {}),
    ("drop_after", {}),
    *[("status_before", {"status": status}) for status in (400, 403, 404, 500, 502, 503, 504)],
    *[("status_after", {"status": status}) for status in (500, 502, 503)],
    ("garbage_before", {}),
    ("garbage_after", {}),
    ("cut_json_after", {}),
    ("no_order_id", {}),
    ("other_order", {}),
    ("garbage_after", {"body": ""}),
    ("garbage_after", {"body": "[]"}),
    ("garbage_after", {"body": "{}"}),
    ("garbage_after", {"body": "null"}),
    ("garbage_after", {"body": '{"success": false}'}),
    ("garbage_after", {"body": '{"orderId": "<html>", "status": "FILLED"}'}),
    *[
        ("error", {"code": code, "msg": "Something happened.", "status": status})
        for code, status in (
            (-1000, 400),
            (-1001, 500),
            (-1006, 400),
            (-1007, 408),
            (-1008, 503),
            (-9999, 400),
        )
    ],
    ("error", {"code": -2010, "msg": "Duplicate order sent."}),
]
REJECTED: list[tuple[int, str, type[ExchangeError]]] = [
    (-2010, "Account has insufficient balance for requested action.", RequestRefused),
    (-2010, "Market is closed.", RequestRefused),
    (-2010, "This symbol is not permitted for this account.", RequestRefused),
    (-1013, "Filter failure: LOT_SIZE", RequestRefused),
    (-1013, "Filter failure: MARKET_LOT_SIZE", RequestRefused),
    (-1013, "Filter failure: NOTIONAL", RequestRefused),
    (-1121, "Invalid symbol.", RequestRefused),
    (-1111, "Parameter 'quantity' has too much precision.", RequestRefused),
    (-2014, "API-key format invalid.", KeyRefused),
    (-2015, "Invalid API-key, IP, or permissions for action.", KeyRefused),
    (-2008, "Invalid Api-Key ID.", KeyRefused),
    (-1022, "Signature for this request is not valid.", KeyRefused),
]


@pytest.mark.parametrize(("kind", "spec"), UNKNOWN)
def test_an_answer_that_makes_no_sense_is_unknown(
    port: CcxtExchange, exchange: SandboxProcess, kind: str, spec: dict[str, Any]
) -> None:
    exchange.fault(kind, **spec)
    with pytest.raises(AnswerUnknown):
        port.sell(sale(port), may_leave=lambda: True)


@pytest.mark.parametrize(
    ("executed", "fills"),
    [
        ("lots", []),
        ("5", [{"price": "0.18"}]),
        ("5", "none"),
        ("5", [{"price": "cheap", "qty": "5", "tradeId": 1, "commission": "0"}]),
    ],
)
def test_an_order_with_impossible_numbers_is_unknown(
    port: CcxtExchange, exchange: SandboxProcess, executed: str, fills: Any
) -> None:
    request = sale(port)
    body = {
        "symbol": "DOGEUSDT",
        "orderId": 77,
        "clientOrderId": request.client_order_id,
        "transactTime": port.now_ms(),
        "origQty": "5",
        "executedQty": executed,
        "cummulativeQuoteQty": "0.9",
        "status": "FILLED",
        "type": "MARKET",
        "side": "SELL",
        "fills": fills,
    }
    exchange.fault("garbage_before", body=json.dumps(body))
    with pytest.raises(AnswerUnknown):
        port.sell(request, may_leave=lambda: True)


@pytest.mark.parametrize(("code", "message", "kind"), REJECTED)
def test_a_refusal_is_rejected_with_the_exchanges_code(
    port: CcxtExchange, exchange: SandboxProcess, code: int, message: str, kind: type[ExchangeError]
) -> None:
    exchange.fault("error", code=code, msg=message)
    with pytest.raises(kind) as refused:
        port.sell(sale(port), may_leave=lambda: True)
    assert type(refused.value) is kind
    assert refused.value.answer_code == str(code)


def test_a_clock_refusal_is_not_placed(port: CcxtExchange, exchange: SandboxProcess) -> None:
    exchange.fault("error", code=-1021, msg="Timestamp for this request is outside.")
    with pytest.raises(ClockRefused):
        port.sell(sale(port), may_leave=lambda: True)


@pytest.mark.parametrize(("code", "status"), [(-1003, 429), (-1015, 429), (-1003, 418)])
def test_too_many_requests_is_not_placed(
    port: CcxtExchange, exchange: SandboxProcess, code: int, status: int
) -> None:
    exchange.fault("error", code=code, msg="Too many.", status=status)
    with pytest.raises(RateLimited) as limited:
        port.sell(sale(port), may_leave=lambda: True)
    assert limited.value.retry_after > 0


@pytest.mark.parametrize("kind", ["rate_limit", "ban"])
def test_retry_after_holds_every_client_of_the_place(
    open_port: Open, port: CcxtExchange, exchange: SandboxProcess, kind: str
) -> None:
    keys = exchange.control("POST", "accounts", {"balances": {"DOGE": "5"}})
    other = open_port(keys=keys, key_fingerprint="another")
    other.now_ms()
    exchange.fault(kind, retry_after=1)
    with pytest.raises(RateLimited) as limited:
        port.sell(sale(port), may_leave=lambda: True)
    assert limited.value.retry_after == Decimal(1)
    other.balances()
    refused, answered = exchange.ledger()["requests"][-2:]
    assert answered["api_key"] == keys["api_key"]
    assert answered["wall_us"] - refused["wall_us"] >= 950_000


def test_a_long_ban_is_told_at_once_instead_of_waited_for(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("ban", retry_after=300)
    with pytest.raises(RateLimited):
        port.sell(sale(port), may_leave=lambda: True)
    sent = len(exchange.ledger()["requests"])
    started = time.monotonic()
    with pytest.raises(RateLimited) as limited:
        port.balances()
    assert time.monotonic() - started < 5
    assert limited.value.retry_after > 200
    assert len(exchange.ledger()["requests"]) == sent


def test_a_revoked_key_is_refused_also_after_it_has_worked(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    port.balances()
    port.open_order_assets()
    exchange.control("POST", "keys/revoke", {"revoked": True})
    for ask in (
        port.balances,
        port.open_order_assets,
        lambda: port.sell(sale(port), may_leave=lambda: True),
    ):
        with pytest.raises(KeyRefused):
            ask()
    exchange.control("POST", "keys/revoke", {"revoked": False})
    assert port.balances()


def test_a_wrong_secret_is_refused(open_port: Open, exchange: SandboxProcess) -> None:
    keys = exchange.credentials() | {"api_secret": "x" * 64}
    with pytest.raises(KeyRefused):
        open_port(keys=keys).balances()


def test_an_unknown_key_is_refused(open_port: Open, exchange: SandboxProcess) -> None:
    keys = {"api_key": "y" * 64, "api_secret": "x" * 64}
    with pytest.raises(KeyRefused):
        open_port(keys=keys).balances()


@pytest.mark.parametrize("skew_ms", [60_000, -60_000])
def test_a_reading_recovers_from_a_clock_that_moved(
    port: CcxtExchange, exchange: SandboxProcess, skew_ms: int
) -> None:
    port.balances()
    exchange.control("POST", "clock", {"skew_ms": skew_ms})
    with pytest.raises(ClockRefused):
        port.balances()
    assert port.balances()


@pytest.mark.parametrize("skew_ms", [60_000, -60_000])
def test_a_clock_that_is_wrong_from_the_start_is_compared_first(
    open_port: Open, exchange: SandboxProcess, skew_ms: int
) -> None:
    exchange.control("POST", "clock", {"skew_ms": skew_ms})
    assert open_port().balances()


def test_a_refused_port_was_never_reached(open_port: Open, port: CcxtExchange) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    lost = open_port(base_url=nobody)
    with pytest.raises(Unreachable):
        lost.markets()


def test_an_exchange_that_went_away_is_unreachable(open_port: Open) -> None:
    with SandboxProcess("seed8") as short:
        port = open_port(keys=short.credentials(), base_url=short.base_url)
        port.markets()
        port.now_ms()
        request = sale(port)
    # What became of the open connection is not known; a new one is refused.
    with pytest.raises((Unreachable, AnswerUnknown)):
        port.sell(request, may_leave=lambda: True)
    with pytest.raises(Unreachable):
        port.sell(request, may_leave=lambda: True)


@pytest.mark.parametrize("kind", ["hang_after", "delay_after", "delay_before"])
def test_no_answer_in_time_is_unknown(open_port: Open, exchange: SandboxProcess, kind: str) -> None:
    port = open_port(timeout_ms=300)
    port.markets()
    exchange.fault(kind, seconds="1")
    with pytest.raises(AnswerUnknown):
        port.sell(sale(port), may_leave=lambda: True)
    # It may still arrive; the next test begins after that.
    wait_until(lambda: exchange.ledger()["requests"][-1]["method"] == "POST", what="the request")


def test_an_order_that_was_accepted_is_never_called_not_placed_when_redis_goes_away(
    open_port: Open, exchange: SandboxProcess
) -> None:
    """The headers of an answer feed the pacer; its failure says nothing about the order."""
    with ValkeyProcess() as server, redis.Redis.from_url(server.url) as client:
        port = open_port(client=client)
        port.markets()
        request = sale(port)
        # Redis goes away while the order is on its way: after its turn, before its answer.
        send = port._client.ccxt.session.send

        def sent(*arguments: Any, **named: Any) -> Any:
            answer = send(*arguments, **named)
            server.stop()
            return answer

        port._client.ccxt.session.send = sent
        try:
            outcome = port.sell(request, may_leave=lambda: True)
        except AnswerUnknown:
            pass  # asked for afterwards; that is safe
        else:
            assert outcome.filled_quantity == Decimal(5)
    assert len(exchange.ledger()["orders"]) == 1
