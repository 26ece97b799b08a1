"""Request weight, order counts, and what happens to those who go on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import ccxt
import pytest

from sandbox.gate import SECOND, Gate
from sandbox.limits import Limit, Limits
from sandbox.refusals import Refusal
from tests.exchange_process import SandboxProcess, wait_until
from tests.sandbox.clients import Raw


def weight(limit: int, seconds: int = 60) -> dict[str, object]:
    return {"weight": {"limit": limit, "interval_seconds": seconds}}


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("ping", 1),
        ("exchangeInfo", 20),
        ("ticker/24hr?symbol=DOGEUSDT", 2),
        ("ticker/24hr?symbols=[%22DOGEUSDT%22]", 2),
        ("ticker/24hr", 80),
        ("ticker/bookTicker?symbol=DOGEUSDT", 2),
        ("ticker/bookTicker", 4),
        ("avgPrice?symbol=DOGEUSDT", 2),
        ("depth?symbol=DOGEUSDT", 5),
        ("depth?symbol=DOGEUSDT&limit=500", 25),
        ("depth?symbol=DOGEUSDT&limit=5000", 250),
    ],
)
def test_public_calls_weigh_what_binance_documents(
    exchange: SandboxProcess, raw: Raw, path: str, cost: int
) -> None:
    exchange.control("POST", "limits", weight(6000))
    assert raw.public(f"/api/v3/{path}").headers["x-mbx-used-weight-1m"] == str(cost)


@pytest.mark.parametrize(
    ("method", "path", "params", "cost"),
    [
        ("GET", "account", {}, 20),
        ("POST", "order", {"side": "SELL", "type": "MARKET", "quantity": "5"}, 1),
        ("GET", "order", {"orderId": 1}, 4),
        ("DELETE", "order", {"orderId": 1}, 1),
        ("GET", "openOrders", {}, 6),
        ("GET", "allOrders", {}, 20),
        ("GET", "myTrades", {}, 20),
        ("GET", "myTrades", {"orderId": 1}, 5),
    ],
)
def test_signed_calls_weigh_what_binance_documents(
    exchange: SandboxProcess, raw: Raw, method: str, path: str, params: dict[str, str], cost: int
) -> None:
    exchange.control("POST", "limits", weight(6000))
    answer = raw.call(method, f"/api/v3/{path}", symbol="DOGEUSDT", **params)
    assert answer.headers["x-mbx-used-weight-1m"] == str(cost)


def test_wallet_calls_are_counted_apart(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "limits", weight(6000))
    answer = raw.call("GET", "/sapi/v1/account/apiRestrictions")
    assert answer.headers["x-sapi-used-ip-weight-1m"] == "1"
    assert raw.public("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "1"


def test_weight_beyond_the_limit_is_429_with_retry_after(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    exchange.control("POST", "limits", weight(40))
    assert raw.call("GET", "/api/v3/account").status == 200
    assert raw.call("GET", "/api/v3/account").status == 200
    refused = raw.public("/api/v3/ping")
    assert refused.refusal[:2] == (429, -1003)
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    with pytest.raises(ccxt.DDoSProtection):
        client.fetch_time()
    violation = exchange.ledger()["violations"][0]
    assert (violation["kind"], violation["observed"], violation["limit"]) == ("weight", 41, 40)


def test_after_the_time_it_was_told_the_address_is_served_again(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "limits", weight(20, seconds=1))
    assert raw.call("GET", "/api/v3/account").status == 200
    began = time.monotonic()
    assert raw.public("/api/v3/ping").status == 429
    exchange.control("POST", "limits", weight(20, seconds=1) | {"ban_after": 100000})
    assert raw.call("GET", "/api/v3/account").status == 200
    wait_until(lambda: raw.public("/api/v3/ping").status == 200)
    assert 0.5 < time.monotonic() - began < 5


def test_going_on_after_a_429_brings_a_ban(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "limits", weight(20) | {"ban_after": 3, "ban_seconds": 90})
    raw.call("GET", "/api/v3/account")
    statuses = [raw.public("/api/v3/ping").status for _ in range(6)]
    assert statuses == [429, 429, 429, 418, 418, 418]
    banned = raw.call("GET", "/api/v3/account")
    assert banned.refusal[:2] == (418, -1003)
    assert 85 <= int(banned.headers["retry-after"]) <= 90
    kinds = [violation["kind"] for violation in exchange.ledger()["violations"]]
    assert kinds == ["weight"] * 4 + ["banned"] * 3


def test_orders_beyond_the_limit_are_429_and_change_nothing(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    exchange.control("POST", "limits", {"orders": [{"limit": 2, "interval_seconds": 10}]})
    answers = [raw.sell("DOGEUSDT", "1") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-mbx-order-count-10s"] for answer in answers] == ["1", "2", "2"]
    assert answers[2].data == {
        "code": -1015,
        "msg": "Too many new orders; current limit is 2 orders per 10 SECOND.",
    }
    assert "retry-after" not in answers[2].headers
    with pytest.raises(ccxt.DDoSProtection):
        client.create_order("DOGE/USDT", "market", "sell", "1")
    assert exchange.balance("DOGE")["free"] == "3"
    violation = exchange.ledger()["violations"][0]
    assert (violation["kind"], violation["observed"], violation["limit"]) == ("orders", 3, 2)


def test_order_counts_are_kept_by_account(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "limits", {"orders": [{"limit": 1, "interval_seconds": 10}]})
    keys = exchange.control("POST", "accounts", {"balances": {"DOGE": "5"}})
    assert raw.sell("DOGEUSDT", "1").status == 200
    assert raw.sell("DOGEUSDT", "1").status == 429
    assert Raw(exchange, keys).sell("DOGEUSDT", "1").status == 200


def test_concurrent_orders_never_exceed_the_limit(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "balances", {"PEPE": {"free": "1000000"}})
    limits = {"orders": [{"limit": 10, "interval_seconds": 60}], "ban_after": 1000}
    exchange.control("POST", "limits", limits)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: raw.sell("PEPEUSDT", "5000").status, range(40)))
    assert sorted(answers) == [200] * 10 + [429] * 30
    assert len(exchange.ledger()["orders"]) == 10


@pytest.mark.parametrize("observed", [9, 10, 11])
def test_a_sliding_window_holds_at_below_and_above_its_limit(observed: int) -> None:
    limits = Limits(orders=(Limit(limit=10, interval_seconds=1),))
    gate = Gate(limits, lambda *_: None)

    def place() -> None:
        for index in range(observed):
            gate.admit_order("key", address="here", now_us=index * SECOND // observed)

    if observed > 10:
        with pytest.raises(Refusal):
            place()
    else:
        place()


def test_an_event_leaves_the_window_exactly_after_its_interval() -> None:
    gate = Gate(Limits(orders=(Limit(limit=1, interval_seconds=1),)), lambda *_: None)
    gate.admit_order("key", address="here", now_us=0)
    with pytest.raises(Refusal):
        gate.admit_order("key", address="here", now_us=SECOND - 1)
    gate.admit_order("key", address="here", now_us=SECOND)


def test_going_on_after_too_many_orders_brings_a_ban(exchange: SandboxProcess, raw: Raw) -> None:
    limits = {"orders": [{"limit": 1, "interval_seconds": 60}], "ban_after": 3}
    exchange.control("POST", "limits", limits)
    statuses = [raw.sell("DOGEUSDT", "1").status for _ in range(6)]
    assert statuses == [200, 429, 429, 429, 418, 418]
    assert raw.public("/api/v3/ping").status == 418
    assert exchange.balance("DOGE")["free"] == "4"


def test_every_ban_is_twice_as_long_as_the_last_and_three_days_at_most() -> None:
    one = Limit(limit=1, interval_seconds=1)
    gate = Gate(Limits(weight=one, ban_after=1, ban_seconds=120), lambda *_: None)
    lengths = []
    now_us = 0
    for _ in range(14):
        gate.admit_request("here", 1, is_sapi=False, now_us=now_us)
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                gate.admit_request("here", 1, is_sapi=False, now_us=now_us)
        lengths.append(refused.value.retry_after)
        assert refused.value.status == 418
        now_us = gate.address("here").banned_until_us
    assert lengths[:3] == [120, 240, 480]
    assert lengths[-2:] == [3 * 86400] * 2


def test_weight_is_counted_by_address_and_a_ban_holds_for_one_only(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "limits", weight(20) | {"ban_after": 1})
    assert raw.call("GET", "/api/v3/account").status == 200
    assert [raw.public("/api/v3/ping").status for _ in range(2)] == [429, 418]
    elsewhere = Raw(exchange, source="127.0.0.2")
    assert elsewhere.call("GET", "/api/v3/account").status == 200
    assert elsewhere.public("/api/v3/ping").status == 429
    violations = exchange.ledger()["violations"]
    assert [each["address"] for each in violations] == ["127.0.0.1"] * 2 + ["127.0.0.2"]
    assert {each["address"] for each in exchange.ledger()["requests"]} == {"127.0.0.1", "127.0.0.2"}


def test_ten_accounts_order_at_once_each_within_its_own_limit(exchange: SandboxProcess) -> None:
    limits = {"orders": [{"limit": 5, "interval_seconds": 60}], "ban_after": 1000}
    exchange.control("POST", "limits", limits)
    owners = [
        Raw(exchange, exchange.control("POST", "accounts", {"balances": {"DOGE": "100"}}))
        for _ in range(10)
    ]
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda owner: [owner.sell("DOGEUSDT", "1") for _ in range(7)], owners)
        statuses = [[answer.status for answer in each] for each in answers]
    assert statuses == [[200] * 5 + [429] * 2] * 10
    assert {exchange.balance("DOGE", owner.keys["api_key"])["free"] for owner in owners} == {"95"}
    windows = exchange.ledger()["violations"]
    assert {each["api_key"] for each in windows} == {owner.keys["api_key"] for owner in owners}
    spent = int(owners[0].public("/api/v3/ping").headers["x-mbx-used-weight-1m"])
    assert spent == 10 * 7 + 1
