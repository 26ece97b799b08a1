"""What the port reads: exact, complete, and never made up."""

from __future__ import annotations

import decimal
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.balances import Kind
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import AnswerUnknown, BadConfiguration, ExchangeError, KeyRights
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import Open, sale

ACCOUNT = {"method": "GET", "path": "/api/v3/account"}
TICKERS = {"method": "GET", "path": "/api/v3/ticker/24hr"}
OPEN_ORDERS = {"method": "GET", "path": "/api/v3/openOrders"}


def answered(balances: list[dict[str, str]]) -> str:
    """Return an account as Binance would write it."""
    return json.dumps({"accountType": "SPOT", "balances": balances, "permissions": ["SPOT"]})


def test_markets_carry_the_rules_that_the_exchange_publishes(port: CcxtExchange) -> None:
    doge = port.markets()["DOGE/USDT"]
    assert (doge.base, doge.quote, doge.active) == ("DOGE", "USDT", True)
    assert doge.rule.step_size == Decimal("1")
    assert doge.rule.min_quantity == Decimal("1")
    assert doge.rule.max_quantity == Decimal("9000000000")
    assert doge.rule.min_notional == Decimal("0.01")
    assert doge.taker_fee == Decimal("0.001")
    assert port.markets()["BTC/USDT"].rule.step_size == Decimal("0.00001")
    assert len(port.markets()) == 11


def test_a_halted_market_is_read_as_inactive(open_port: Open, exchange: SandboxProcess) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"status": "HALT"}})
    port = open_port()
    assert port.markets()["DOGE/USDT"].active is False
    assert port.markets()["DOGE/USDT"].delisted is False
    assert port.markets()["XRP/USDT"].active is True


def test_a_delisted_market_is_told_from_a_halted_one(
    open_port: Open, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"status": "BREAK"}})
    markets = open_port().markets()
    assert (markets["DOGE/USDT"].active, markets["DOGE/USDT"].delisted) == (False, True)
    assert (markets["XRP/USDT"].active, markets["XRP/USDT"].delisted) == (True, False)


def test_balances_are_complete_and_exact(port: CcxtExchange, exchange: SandboxProcess) -> None:
    exchange.control("POST", "balances", {"DOGE": {"free": "4.00000001", "locked": "0.5"}})
    found = {item.asset: (item.free, item.locked) for item in port.balances()}
    assert found["DOGE"] == (Decimal("4.00000001"), Decimal("0.5"))
    assert found["USDT"] == (Decimal("184.20"), Decimal(0))
    assert set(found) == {"SOL", "BNB", "DOGE", "XRP", "ADA", "ONE", "SHIB", "PEPE", "USDT"}


@pytest.mark.parametrize(
    "quantity", ["0.123456789012345678", "123456789012.123456789012345678", "1e-18", "5E-8"]
)
def test_a_balance_keeps_every_digit(
    port: CcxtExchange, exchange: SandboxProcess, quantity: str
) -> None:
    body = answered([{"asset": "PEPE", "free": quantity, "locked": "0.000000000000000001"}])
    exchange.fault("garbage_before", body=body, **ACCOUNT)
    (balance,) = port.balances()
    assert balance.free == Decimal(quantity)
    assert balance.total == Decimal(quantity) + Decimal("0.000000000000000001")


def test_more_than_one_page_of_balances_is_read(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    many = [{"asset": f"T{number}", "free": "1", "locked": "0"} for number in range(600)]
    exchange.fault("garbage_before", body=answered(many), **ACCOUNT)
    assert len(port.balances()) == 600


def test_earn_balances_are_marked_and_their_prefix_is_not_dropped(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    held = [{"asset": name, "free": "7", "locked": "0"} for name in ("LDADA", "ADA")]
    exchange.fault("garbage_before", body=answered(held), **ACCOUNT)
    kinds = {item.asset: item.kind for item in port.balances()}
    assert kinds == {"LDADA": Kind.EARN, "ADA": Kind.SPOT}


def test_an_account_without_balances_is_empty_when_the_exchange_says_so(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("empty_balances", **ACCOUNT)
    assert port.balances() == []


def test_all_tickers_and_named_tickers_agree(port: CcxtExchange, exchange: SandboxProcess) -> None:
    everything = port.tickers()
    named = port.tickers(["DOGE/USDT", "PEPE/USDT"])
    assert set(named) == {"DOGE/USDT", "PEPE/USDT"}
    at_once = replace(everything["DOGE/USDT"], at_ms=named["DOGE/USDT"].at_ms)
    assert named["DOGE/USDT"] == at_once
    assert named["PEPE/USDT"].bid == Decimal("0.00000799")
    assert named["PEPE/USDT"].last == Decimal("0.000008")
    assert set(everything) == set(port.markets())
    last = exchange.ledger()["requests"][-1]
    assert json.loads(last["params"]["symbols"]) == ["DOGEUSDT", "PEPEUSDT"]


def test_a_market_without_quotes_has_no_price_rather_than_a_price_of_zero(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "prices", {"DOGEUSDT": None})
    ticker = port.tickers(["DOGE/USDT"])["DOGE/USDT"]
    assert (ticker.bid, ticker.ask, ticker.last) == (None, None, None)


def test_a_symbol_that_is_gone_does_not_cost_the_other_prices(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("error", code=-1121, msg="Invalid symbol.", **TICKERS)
    assert "DOGE/USDT" in port.tickers(["DOGE/USDT", "XRP/USDT"])


def test_open_orders_of_anybody_name_their_asset(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    assert port.open_order_assets() == frozenset()
    exchange.control(
        "POST",
        "open-order",
        {"symbol": "XRPUSDT", "side": "SELL", "quantity": "0.1", "price": "3"},
    )
    assert port.open_order_assets() == frozenset({"XRP"})


@pytest.mark.parametrize(
    ("permissions", "rights"),
    [
        ({}, KeyRights(may_read=True, may_trade=True, may_withdraw=False)),
        (
            {"enableWithdrawals": True},
            KeyRights(may_read=True, may_trade=True, may_withdraw=True),
        ),
        (
            {"enableSpotAndMarginTrading": False},
            KeyRights(may_read=True, may_trade=False, may_withdraw=False),
        ),
    ],
)
def test_the_keys_rights_are_read(
    port: CcxtExchange, exchange: SandboxProcess, permissions: dict[str, bool], rights: KeyRights
) -> None:
    exchange.control("POST", "permissions", permissions)
    assert port.key_rights() == rights


READS: dict[str, tuple[dict[str, str], Any]] = {
    "balances": (ACCOUNT, lambda port: port.balances()),
    "all prices": (TICKERS, lambda port: port.tickers()),
    "named prices": (TICKERS, lambda port: port.tickers(["DOGE/USDT"])),
    "open orders": (OPEN_ORDERS, lambda port: port.open_order_assets()),
    "key rights": (
        {"method": "GET", "path": "/sapi/v1/account/apiRestrictions"},
        lambda port: port.key_rights(),
    ),
    "time": ({"method": "GET", "path": "/api/v3/time"}, lambda port: port.server_time_ms()),
}
SPOILED = [
    ("garbage_before", {}),
    ("garbage_after", {}),
    ("garbage_before", {"body": ""}),
    ("garbage_before", {"body": "{}"}),
    ("garbage_before", {"body": "null"}),
    ("garbage_before", {"body": '"maintenance"'}),
    ("garbage_before", {"body": "12"}),
    ("garbage_before", {"body": '{"success": false}'}),
    ("garbage_before", {"body": '{"code": 0, "data": null}'}),
    ("garbage_before", {"body": '{"balances": null}'}),
    ("cut_json_after", {}),
    ("drop_before", {}),
    ("drop_after", {}),
    ("status_before", {"status": 502}),
    ("status_after", {"status": 500}),
    ("status_before", {"status": 403}),
]


@pytest.mark.parametrize(("kind", "spec"), SPOILED)
def test_a_spoiled_answer_is_an_error_and_never_an_empty_reading(
    port: CcxtExchange, exchange: SandboxProcess, kind: str, spec: dict[str, Any]
) -> None:
    believed: dict[str, Any] = {}
    for name, (where, ask) in READS.items():
        exchange.fault(kind, **where, **spec)
        try:
            believed[name] = ask(port)
        except ExchangeError:
            assert ask(port) is not None  # and the next reading works
    assert believed == {}


@pytest.mark.parametrize(("kind", "spec"), [*SPOILED[:2], SPOILED[3], *SPOILED[10:12]])
def test_spoiled_markets_are_an_error_and_are_not_kept(
    open_port: Open, exchange: SandboxProcess, kind: str, spec: dict[str, Any]
) -> None:
    exchange.fault(kind, method="GET", path="/api/v3/exchangeInfo", **spec)
    port = open_port()
    with pytest.raises(ExchangeError):
        port.markets()
    assert len(port.markets()) == 11


def test_a_list_of_the_wrong_things_is_an_error(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("garbage_before", body='[{"symbol": 1}, null, 5]', **OPEN_ORDERS)
    with pytest.raises(ExchangeError):
        port.open_order_assets()


def test_a_balance_that_is_no_number_is_an_error(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    body = answered([{"asset": "PEPE", "free": "lots", "locked": "0"}])
    exchange.fault("garbage_before", body=body, **ACCOUNT)
    with pytest.raises(AnswerUnknown):
        port.balances()


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "https://api.binance.com",
        "http://192.168.1.5:8080",
        "http://0.0.0.0:8080",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://example.com#127.0.0.1",
        "http://localhost.example.com:80",
    ],
)
def test_a_sandbox_account_can_only_reach_this_machine(open_port: Open, base_url: str) -> None:
    with pytest.raises(BadConfiguration):
        open_port(base_url=base_url)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_every_name_of_this_machine_works(
    open_port: Open, exchange: SandboxProcess, host: str
) -> None:
    port = open_port(base_url=f"http://{host}:{exchange.port}")
    assert "DOGE/USDT" in port.markets()


def test_an_exchange_that_ccxt_does_not_know_is_refused(open_port: Open) -> None:
    with pytest.raises(BadConfiguration):
        open_port(exchange="mtgox")


def test_a_reading_sends_nothing_to_futures_or_wallet_hosts(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    port.balances()
    port.tickers()
    port.open_order_assets()
    paths = {request["path"] for request in exchange.ledger()["requests"]}
    assert paths == {
        "/api/v3/exchangeInfo",
        "/api/v3/time",
        "/api/v3/account",
        "/api/v3/ticker/24hr",
        "/api/v3/openOrders",
    }


def test_the_threads_decimal_context_is_left_alone(port: CcxtExchange) -> None:
    before = decimal.getcontext().copy()
    port.balances()
    port.tickers()
    port.sell(sale(port), may_leave=lambda: True)
    after = decimal.getcontext()
    assert (after.prec, after.rounding) == (before.prec, before.rounding)
    assert after.traps == before.traps


def test_a_look_waits_once_and_leaves_weight_for_its_orders(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    """Three requests whose parts waited for each other would be old before they are complete."""
    waits: list[float] = []
    port.balances()  # from here on the exchange's count is known
    port.pacer._sleep = waits.append
    for _ in range(6):
        with port.look(symbols=50, orders=40):
            before = list(waits)
            port.balances()
            port.open_order_assets()
            port.tickers(["DOGE/USDT"])
            assert waits == before
    # Six looks with their orders are more than may be used at once.
    assert waits


def test_what_a_comparison_of_clocks_waits_for_its_turn_is_not_taken_for_its_way(
    port: CcxtExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, read = port._client.ccxt, port._client.ccxt.milliseconds
    waited = 0

    def wait_long(_weight: int) -> None:
        nonlocal waited
        waited = 20_000

    monkeypatch.setattr(port.pacer, "take_weight", wait_long)
    monkeypatch.setattr(raw, "milliseconds", lambda: read() + waited)
    port.server_time_ms()
    assert port.clock_offset_ms == pytest.approx(-waited, abs=2_000)
