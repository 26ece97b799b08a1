"""Every kind of fault, as an unmodified client sees it and as the ledger knows it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.client import HTTPException

import ccxt
import pytest

from tests.exchange_process import ControlError, SandboxProcess, wait_until
from tests.sandbox.clients import Raw


def sell(client: ccxt.binance) -> dict[str, object]:
    order: dict[str, object] = client.create_order("DOGE/USDT", "market", "sell", "5")
    return order


def sold(exchange: SandboxProcess) -> bool:
    return exchange.balance("DOGE")["free"] == "0"


def last_order_request(exchange: SandboxProcess) -> dict[str, object]:
    found = [each for each in exchange.ledger()["requests"] if each["method"] == "POST"]
    last: dict[str, object] = found[-1]
    return last


@pytest.mark.parametrize(
    ("kind", "extra", "error", "is_sold", "status"),
    [
        ("drop_before", {}, ccxt.NetworkError, False, None),
        ("drop_after", {}, ccxt.NetworkError, True, None),
        ("drop_midway", {}, ccxt.NetworkError, True, None),
        ("hang_before", {"seconds": "0.1"}, ccxt.NetworkError, False, None),
        ("status_before", {}, ccxt.ExchangeNotAvailable, False, 502),
        ("status_after", {}, ccxt.ExchangeNotAvailable, True, 502),
        ("status_after", {"status": 504, "body": "late"}, ccxt.NetworkError, True, 504),
        ("rate_limit", {"retry_after": 7}, ccxt.DDoSProtection, False, 429),
        ("ban", {"retry_after": 7}, ccxt.DDoSProtection, False, 418),
        ("error", {"code": -1007, "msg": "Timeout"}, ccxt.RequestTimeout, False, 400),
        ("error", {"code": -1021, "msg": "Timestamp"}, ccxt.InvalidNonce, False, 400),
        ("error", {"code": -2010, "msg": "Market is closed."}, ccxt.MarketClosed, False, 400),
    ],
)
def test_a_fault_that_raises(
    exchange: SandboxProcess,
    client: ccxt.binance,
    kind: str,
    extra: dict[str, object],
    error: type[Exception],
    is_sold: bool,
    status: int | None,
) -> None:
    exchange.fault(kind, **extra)
    with pytest.raises(error):
        sell(client)
    assert sold(exchange) is is_sold
    request = last_order_request(exchange)
    assert (request["fault"], request["status"]) == (kind, status)
    assert exchange.control("GET", "faults")["faults"][0]["fired"] == 1


@pytest.mark.parametrize(
    ("kind", "is_sold"),
    [("garbage_before", False), ("garbage_after", True), ("cut_json_after", True)],
)
def test_a_fault_that_ccxt_takes_for_an_order(
    exchange: SandboxProcess, client: ccxt.binance, kind: str, is_sold: bool
) -> None:
    exchange.fault(kind)
    assert sell(client)["id"] is None
    assert sold(exchange) is is_sold


def test_an_answer_without_an_order_id_was_still_processed(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("no_order_id")
    assert sell(client)["id"] is None
    assert sold(exchange)


def test_an_answer_may_describe_another_order(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("other_order")
    order = client.create_order("DOGE/USDT", "market", "sell", "5", None, {"clientOrderId": "me"})
    real = exchange.ledger()["orders"][0]
    assert real["client_order_id"] == "me"
    assert order["clientOrderId"] != "me"
    assert order["id"] != str(real["order_id"])


def test_a_partial_fill_expires_with_its_fraction(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("partial_fill", fraction="0.5")
    order = sell(client)
    assert (order["status"], order["filled"]) == ("expired", "2.00000000")
    assert exchange.balance("DOGE") == {"free": "3", "locked": "0"}


def test_a_zero_fill_expires_with_nothing(exchange: SandboxProcess, client: ccxt.binance) -> None:
    exchange.fault("zero_fill")
    order = sell(client)
    assert (order["status"], Decimal(str(order["filled"]))) == ("expired", 0)
    assert exchange.balance("DOGE")["free"] == "5"


def test_an_account_may_look_empty_once(exchange: SandboxProcess, client: ccxt.binance) -> None:
    exchange.fault("empty_balances", method="GET", path="/api/v3/account")
    assert client.fetch_balance()["total"] == {}
    assert Decimal(client.fetch_balance()["total"]["DOGE"]) == 5


def test_fills_and_open_orders_may_look_absent_once(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    sell(client)
    for path in ("/api/v3/myTrades", "/api/v3/allOrders"):
        exchange.fault("empty_list", method="GET", path=path)
    assert client.fetch_my_trades("DOGE/USDT") == []
    assert client.fetch_orders("DOGE/USDT") == []
    assert len(client.fetch_my_trades("DOGE/USDT")) == len(client.fetch_orders("DOGE/USDT")) == 1


def test_an_order_may_not_be_found_for_a_while(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    missing = {"code": -2013, "msg": "Order does not exist."}
    exchange.fault("error", method="GET", times=2, **missing)
    order = sell(client)
    for _ in range(2):
        with pytest.raises(ccxt.OrderNotFound):
            client.fetch_order(order["id"], "DOGE/USDT")
    assert client.fetch_order(order["id"], "DOGE/USDT")["status"] == "closed"


def test_a_request_that_hangs_unprocessed_outlives_the_clients_patience(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("hang_before")
    client.timeout = 200
    with pytest.raises(ccxt.RequestTimeout):
        sell(client)
    assert not sold(exchange)


def test_cut_json_makes_an_account_look_empty(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("cut_json_after", method="GET", path="/api/v3/account")
    assert client.fetch_balance()["total"] == {}


def test_a_delay_after_processing_outlives_the_clients_patience(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("delay_after", seconds="1")
    client.timeout = 200
    with pytest.raises(ccxt.RequestTimeout):
        sell(client)
    assert sold(exchange)


def test_a_delayed_request_is_processed_late_and_refused_by_its_timestamp(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.fault("delay_before", seconds="0.3")
    answer = raw.sell("DOGEUSDT", "5", recvWindow=200)
    assert answer.data["code"] == -1021
    assert not sold(exchange)


def test_a_delayed_request_is_processed_even_if_the_client_left(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("delay_before", seconds="0.3")
    client.timeout = 100
    with pytest.raises(ccxt.RequestTimeout):
        sell(client)
    assert not sold(exchange)
    wait_until(lambda: sold(exchange))


def test_a_hanging_answer_ends_after_its_seconds(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("hang_after", seconds="0.2")
    began = time.monotonic()
    with pytest.raises((HTTPException, OSError)):
        raw.sell("DOGEUSDT", "5")
    assert 0.2 <= time.monotonic() - began < 5
    assert sold(exchange)
    assert last_order_request(exchange)["status"] is None


def test_a_hanging_answer_does_not_hold_other_requests_up(
    exchange: SandboxProcess, client: ccxt.binance, raw: Raw
) -> None:
    exchange.fault("hang_after")
    client.timeout = 200
    with pytest.raises(ccxt.RequestTimeout):
        sell(client)
    assert raw.public("/api/v3/ping").status == 200


def test_a_fault_waits_for_its_turn_and_ends(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("error", times=2, after_count=1)
    statuses = [raw.sell("DOGEUSDT", "1").status for _ in range(5)]
    assert statuses == [200, 400, 400, 200, 200]


def test_a_fault_for_ever_ends_when_cleared(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("error", times=None, status=503)
    assert {raw.sell("DOGEUSDT", "1").status for _ in range(4)} == {503}
    exchange.clear_faults()
    assert raw.sell("DOGEUSDT", "1").status == 200
    assert exchange.control("GET", "faults") == {"faults": []}


def test_a_fault_may_be_meant_for_one_symbol_or_one_key(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("error", times=None, match={"symbol": "XRPUSDT"})
    exchange.fault("error", times=None, api_key="B" * 64)
    assert raw.sell("DOGEUSDT", "5").status == 200
    assert raw.sell("XRPUSDT", "0.25").status == 400


def test_latency_holds_for_every_request(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "latency", {"seconds": "0.1"})
    began = time.monotonic()
    raw.public("/api/v3/ping")
    assert time.monotonic() - began >= 0.1


def test_requests_that_wait_for_the_latency_wait_at_the_same_time(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "balances", {"PEPE": {"free": "500000"}})
    exchange.control("POST", "latency", {"seconds": "0.4"})
    with ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda _: raw.sell("PEPEUSDT", "5000").status, range(20)))
        took = time.monotonic() - began
    assert answers == [200] * 20
    assert 0.4 <= took < 4  # one after the other would take eight seconds


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"kind": "explode"}, "unknown kind"),
        ({"kind": "drop_after", "seconds": "1"}, "no field 'seconds'"),
        ({"kind": "partial_fill", "fraction": "2"}, "between 0 and 1"),
        ({"kind": "partial_fill", "fraction": 0.5}, "plain decimal"),
        ({"kind": "drop_after", "times": 0}, "above zero"),
        ({"kind": "drop_after", "match": {"symbol": 1}}, "strings"),
        ({"kind": "status_after", "status": 99}, "HTTP status"),
        ({"kind": "status_after", "status": "502"}, "an integer"),
        ({"kind": "drop_after", "after_count": -1}, "negative"),
    ],
)
def test_a_wrong_fault_is_refused_with_a_sentence(
    exchange: SandboxProcess, spec: dict[str, object], said: str
) -> None:
    with pytest.raises(ControlError, match=said):
        exchange.control("POST", "faults", spec)
