"""The books balance: whatever is traded, the ledger explains every balance exactly."""

from __future__ import annotations

from hypothesis import given, settings

from sandbox import ledger, scenario
from tests.exchange_process import SandboxProcess
from tests.sandbox.bookkeeping import assert_explained
from tests.sandbox.clients import Raw
from tests.sandbox.engine import Action, Exchange, actions

SEED8 = scenario.load("seed8")
MARKETS = {market.symbol: (market.base, market.quote) for market in SEED8.markets}
SYMBOLS = ["DOGEUSDT", "BNBUSDT", "SOLUSDT", "SHIBUSDT"]
RICH = {"USDT": "5000", "DOGE": "9000", "BNB": "3", "SOL": "20", "SHIB": "40000000"}


@settings(max_examples=60, deadline=None)
@given(actions(SYMBOLS))
def test_any_sequence_of_orders_prices_and_cancels_is_explained(sequence: list[Action]) -> None:
    exchange = Exchange(SEED8, RICH, SYMBOLS)
    try:
        exchange.play(sequence)
        exchange.assert_explained()
    finally:
        exchange.state.close()


def test_the_random_orders_really_trade_rest_and_meet() -> None:
    exchange = Exchange(SEED8, RICH, SYMBOLS)
    with exchange.state.transaction():
        base = {"symbol": "DOGEUSDT", "fraction": None}
        exchange.order(base | {"who": 0, "side": "SELL", "kind": "GTC", "steps": 40, "offset": 5})
        exchange.order(base | {"who": 1, "side": "BUY", "kind": "GTC", "steps": 2000, "offset": 20})
    fills = ledger.parts(exchange.state, ["fills"], since=0)["fills"]
    exchange.state.close()
    assert {fill["is_maker"] for fill in fills} == {True, False}
    assert {fill["commission_asset"] for fill in fills} == {"BNB", "DOGE"}


def test_trades_over_the_wire_and_external_changes_are_explained(
    exchange: SandboxProcess, raw: Raw
) -> None:
    raw.sell("DOGEUSDT", "3")
    raw.limit("XRPUSDT", "SELL", "0.2", "3")
    raw.limit("SOLUSDT", "BUY", "0.5", "150")
    exchange.control("POST", "balances", {"ADA": {"free": "0.1"}, "XRP": {"locked": "0.5"}})
    exchange.control("POST", "trade", {"symbol": "SOLUSDT", "side": "SELL", "quantity": "0.1"})
    exchange.control("POST", "prices", {"XRPUSDT": "3.1"})
    books = exchange.ledger()
    assert_explained(books, MARKETS)
    assert [order["origin"] for order in books["orders"]] == ["api", "api", "api", "bot"]


def test_every_request_is_in_the_ledger_with_what_was_sent(
    exchange: SandboxProcess, raw: Raw
) -> None:
    raw.sell("DOGEUSDT", "5", newClientOrderId="mine")
    raw.sell("DOGEUSDT", "5")
    first, second = exchange.ledger()["requests"]
    assert (first["method"], first["path"]) == ("POST", "/api/v3/order")
    assert first["params"]["newClientOrderId"] == "mine"
    assert first["api_key"] == raw.keys["api_key"]
    assert (first["status"], first["code"], first["weight"], first["fault"]) == (200, None, 1, None)
    assert (second["status"], second["code"]) == (400, -2010)
    assert first["counted_order"] is True
    assert exchange.ledger(since=first["id"])["requests"] == [second]
    assert raw.keys["api_secret"] not in str(exchange.ledger())
