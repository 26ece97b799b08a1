"""The control surface: what it accepts, and what it refuses with a sentence."""

from __future__ import annotations

import json

import pytest

from tests.exchange_process import ControlError, SandboxProcess
from tests.sandbox.clients import Raw


def test_health_names_scenario_process_and_clock(exchange: SandboxProcess) -> None:
    health = exchange.control("GET", "health")
    assert (health["scenario"], health["protocol"]) == ("seed8", "binance")
    assert health["pid"] == exchange.pid
    assert health["now_ms"] > 1_600_000_000_000


def test_markets_are_listed_by_the_names_of_the_books(exchange: SandboxProcess) -> None:
    listed = exchange.control("GET", "markets")
    assert listed["DOGEUSDT"] == ["DOGE", "USDT"]
    assert len(listed) == 11


def test_control_requests_are_not_in_the_ledger_and_cost_nothing(exchange: SandboxProcess) -> None:
    exchange.control("GET", "health")
    assert exchange.ledger()["requests"] == []


def test_a_bot_may_trade_and_place_orders_on_the_account(
    exchange: SandboxProcess, raw: Raw
) -> None:
    traded = exchange.control(
        "POST", "trade", {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "2"}
    )
    placed = exchange.control(
        "POST",
        "open-order",
        {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "2", "price": "0.3"},
    )
    assert (traded["status"], placed["status"]) == ("FILLED", "NEW")
    assert exchange.balance("DOGE") == {"free": "1", "locked": "2"}
    opened = raw.call("GET", "/api/v3/openOrders").data
    assert [order["orderId"] for order in opened] == [placed["order_id"]]
    assert len(raw.call("GET", "/api/v3/myTrades", symbol="DOGEUSDT").data) == 1


def test_a_balance_change_from_outside_is_recorded(exchange: SandboxProcess) -> None:
    exchange.control("POST", "balances", {"DOGE": {"free": "7.5", "locked": "1"}})
    change = exchange.ledger()["external_changes"][0]
    assert (change["asset"], change["free_change"], change["locked_change"]) == ("DOGE", "2.5", "1")
    assert exchange.balance("DOGE") == {"free": "7.5", "locked": "1"}


def test_a_new_market_can_be_listed(exchange: SandboxProcess, raw: Raw) -> None:
    market = {"base": "NEW", "quote": "USDT", "price": "2", "step": "0.1", "tick": "0.001"}
    exchange.control("POST", "markets", {"NEWUSDT": market})
    exchange.control("POST", "balances", {"NEW": {"free": "10"}})
    assert raw.sell("NEWUSDT", "10").data["status"] == "FILLED"


def test_reset_starts_anew_with_the_same_keys(exchange: SandboxProcess, raw: Raw) -> None:
    keys = exchange.credentials()
    raw.sell("DOGEUSDT", "5")
    exchange.control("POST", "clock", {"skew_ms": 60_000})
    exchange.control("POST", "latency", {"seconds": "0.01"})
    exchange.control("POST", "markets", {"DOGEUSDT": {"status": "BREAK"}})
    exchange.control("POST", "limits", {"weight": {"limit": 1, "interval_seconds": 60}})
    exchange.control("POST", "keys/revoke", {})
    exchange.fault("error", times=None)
    exchange.control("POST", "reset")
    assert exchange.credentials() == keys
    ledger = exchange.ledger()
    assert ledger["orders"] == ledger["fills"] == ledger["requests"] == []
    assert exchange.control("GET", "faults") == {"faults": []}
    assert raw.sell("DOGEUSDT", "5").data["status"] == "FILLED"


def test_permissions_and_balances_of_another_account_are_reached_by_key(
    exchange: SandboxProcess,
) -> None:
    keys = exchange.control("POST", "accounts", {"balances": {}})
    exchange.control("POST", "permissions", {"enableReading": False}, key=keys["api_key"])
    assert Raw(exchange, keys).call("GET", "/api/v3/account").data["code"] == -2015
    assert Raw(exchange).call("GET", "/api/v3/account").status == 200
    exchange.control("POST", "balances", {"ADA": {"free": "3"}}, key=keys["api_key"])
    assert exchange.balance("ADA", keys["api_key"])["free"] == "3"
    assert exchange.balance("ADA")["free"] == "0.5"


def test_a_replaced_key_opens_the_same_account_and_the_old_one_nothing(
    exchange: SandboxProcess, raw: Raw
) -> None:
    old = exchange.credentials()
    sold = raw.sell("DOGEUSDT", "5").data
    before = raw.call("GET", "/api/v3/account").data
    new = exchange.control("POST", "keys/replace", {})
    assert exchange.credentials() == new
    assert new["api_key"] != old["api_key"]
    assert Raw(exchange, old).call("GET", "/api/v3/account").data["code"] == -2008
    after = Raw(exchange, new).call("GET", "/api/v3/account").data
    assert (after["uid"], after["balances"]) == (before["uid"], before["balances"])
    query = {"symbol": "DOGEUSDT", "origClientOrderId": sold["clientOrderId"]}
    assert Raw(exchange, new).call("GET", "/api/v3/order", **query).data["status"] == "FILLED"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("prices", {"NOPEUSDT": "1"}, "unknown symbol"),
        ("prices", {"DOGEUSDT": 0.2}, "must be a string"),
        ("prices", {"DOGEUSDT": "0"}, "above zero"),
        ("prices", {"DOGEUSDT": "1e-5"}, "plain decimal"),
        ("prices", {"DOGEUSDT": {"mid": "1"}}, "unknown price field"),
        ("prices", {"DOGEUSDT": {"bid": "3", "ask": "2"}}, "below its ask"),
        ("markets", {"DOGEUSDT": {"colour": "red"}}, "unknown market field"),
        ("markets", {"DOGEUSDT": {"status": "OPEN"}}, "TRADING, BREAK"),
        ("markets", {"DOGEUSDT": {"step": "0"}}, "above zero"),
        ("markets", {"DOGEUSDT": {"depth": {"levels": "3"}}}, "integer"),
        ("markets", {"NEWUSDT": {"quote": "USDT"}}, "needs 'base'"),
        ("balances", {"DOGE": {"free": "-1"}}, "plain decimal"),
        ("balances", {"DOGE": {"total": "1"}}, "unknown field"),
        ("balances", {"doge": {"free": "1"}}, "name of an asset"),
        ("balances", {"DOGE": "1"}, "needs"),
        ("accounts", {"balances": []}, "balances must be"),
        ("accounts", {"balances": {}, "permissions": {"enableMagic": True}}, "unknown permission"),
        ("accounts", {"balances": {}, "bnb_burn": "yes"}, "true or false"),
        ("permissions", {"enableReading": "no"}, "true or false"),
        ("keys/revoke", {"key": "unknown"}, "unknown field"),
        ("keys/replace", {"key": "unknown"}, "unknown field"),
        ("clock", {"skew_ms": "5"}, "integer"),
        ("clock", {"skew_ms": 5, "zone": "UTC"}, "unknown field"),
        ("latency", {"seconds": 1}, "plain decimal"),
        ("limits", {"orders": [{"limit": 1}]}, "needs"),
        ("limits", {"orders": [{"limit": 0, "interval_seconds": 1}]}, "above zero"),
        ("limits", {"speed": 1}, "unknown limit"),
        ("trade", {"symbol": "DOGEUSDT", "side": "SELL"}, "plain decimal"),
        ("trade", {"symbol": "DOGEUSDT", "side": "HOLD", "quantity": "1"}, "BUY or SELL"),
        ("trade", {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "99"}, "insufficient"),
        ("open-order", {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "1"}, "plain decimal"),
        ("convert", {"assets": "DOGE"}, "list of strings"),
        ("convert", {"assets": ["USDT"]}, "micro assets"),
        ("nothing", {}, "404"),
    ],
)
def test_a_wrong_control_request_is_refused_and_changes_nothing(
    exchange: SandboxProcess, path: str, body: object, said: str
) -> None:
    before = exchange.ledger()
    with pytest.raises(ControlError, match=said):
        exchange.control("POST", path, body)
    assert exchange.ledger() == before


def test_a_refused_list_of_prices_leaves_all_of_them_alone(
    exchange: SandboxProcess, raw: Raw
) -> None:
    with pytest.raises(ControlError):
        exchange.control("POST", "prices", {"DOGEUSDT": "9", "NOPEUSDT": "1"})
    ticker = raw.public("/api/v3/ticker/24hr?symbol=DOGEUSDT").data
    assert ticker["lastPrice"] == "0.18200000"


def test_locked_cannot_fall_below_what_open_orders_hold(exchange: SandboxProcess, raw: Raw) -> None:
    raw.limit("DOGEUSDT", "SELL", "3", "0.30")
    with pytest.raises(ControlError, match="open orders lock 3 DOGE"):
        exchange.control("POST", "balances", {"DOGE": {"locked": "2"}})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "-1"}, "request id"),
        ({"since": 2**63}, "request id"),
        ({"parts": "x"}, "unknown"),
    ],
)
def test_a_wrong_question_to_the_ledger_is_refused(
    exchange: SandboxProcess, query: dict[str, object], said: str
) -> None:
    with pytest.raises(ControlError, match=said):
        exchange.control("GET", "ledger", **query)


@pytest.mark.parametrize("body", ["{", "[]", '"text"'])
def test_a_body_that_is_no_json_object_is_refused(exchange: SandboxProcess, body: str) -> None:
    status, _, text = exchange.request("POST", "/_control/prices", body)
    assert status == 400
    assert "JSON" in json.loads(text)["error"]


def test_control_refuses_names_that_are_not_loopback(exchange: SandboxProcess) -> None:
    status, _, text = exchange.request(
        "GET", "/_control/credentials", headers={"Host": "attacker.example"}
    )
    assert status == 403
    assert "api_key" not in text
