"""Kraken's books balance: fees in quote on both sides, and holds that include them."""

from __future__ import annotations

from decimal import Decimal

import ccxt
from hypothesis import given, settings

from sandbox import ledger, scenario
from tests.exchange_process import SandboxProcess
from tests.sandbox.bookkeeping import assert_explained
from tests.sandbox.engine import Action, Exchange, actions
from tests.sandbox.kraken.clients import Raw, limit, selling

KRAKEN8 = scenario.load("kraken8")
MARKETS = {market.symbol: (market.base, market.quote) for market in KRAKEN8.markets}
SYMBOLS = ["DOGEUSD", "SOLUSD", "ADAUSDT", "ETHBTC"]
RICH = {
    **{"USD": "3000", "USDT": "400", "BTC": "0.02", "ETH": "0.3"},
    **{"DOGE": "9000", "SOL": "20", "ADA": "800"},
}


@settings(max_examples=60, deadline=None)
@given(actions(SYMBOLS))
def test_any_sequence_of_orders_prices_and_cancels_is_explained(sequence: list[Action]) -> None:
    exchange = Exchange(KRAKEN8, RICH, SYMBOLS)
    try:
        exchange.play(sequence)
        exchange.assert_explained()
    finally:
        exchange.state.close()


def test_the_random_orders_really_trade_rest_and_meet() -> None:
    exchange = Exchange(KRAKEN8, RICH, SYMBOLS)
    base = {"do": "order", "symbol": "DOGEUSD", "fraction": None, "kind": "GTC"}
    exchange.play(
        [
            base | {"who": 0, "side": "SELL", "steps": 40, "offset": 5},
            base | {"who": 1, "side": "BUY", "steps": 2000, "offset": 20},
        ]
    )
    fills = ledger.parts(exchange.state, ["fills"], since=0)["fills"]
    exchange.state.close()
    assert {fill["is_maker"] for fill in fills} == {True, False}
    assert {fill["side"] for fill in fills} == {"BUY", "SELL"}
    assert {fill["commission_asset"] for fill in fills} == {"USD"}


def test_trades_over_the_wire_and_external_changes_are_explained(
    exchange: SandboxProcess, raw: Raw
) -> None:
    raw.result("AddOrder", **selling("XDGUSD", "3"))
    raw.result("AddOrder", **limit("sell", "XXRPZUSD", "0.2", "3"))
    raw.result("AddOrder", **limit("buy", "SOLUSD", "0.5", "150"))
    exchange.control("POST", "balances", {"ADA": {"free": "0.1"}, "DOT.S": {"free": "2"}})
    sale = {"symbol": "SOLUSD", "side": "SELL", "quantity": "0.003"}
    exchange.control("POST", "trade", sale)
    exchange.control("POST", "prices", {"XRPUSD": "3.1"})
    books = exchange.ledger()
    assert_explained(books, MARKETS)
    assert [order["origin"] for order in books["orders"]] == ["api", "api", "api", "bot"]
    for sheet in books["conservation"].values():
        assert {row["difference"] for row in sheet.values()} == {"0"}
        assert {row["locked_difference"] for row in sheet.values()} == {"0"}


def test_kraken8_is_the_reference_case(client: ccxt.kraken) -> None:
    tickers, total = client.fetch_tickers(), client.fetch_balance()["total"]
    worth = {
        asset: Decimal(quantity) * Decimal(tickers[f"{asset}/USD"]["last"])
        for asset, quantity in total.items()
        if f"{asset}/USD" in tickers
    }
    assert {asset for asset, value in worth.items() if value >= 5} == {"BTC", "ETH"}
    dust = {asset for asset, value in worth.items() if value < 1}
    assert dust == {"SOL", "DOGE", "XRP", "ADA", "TRX", "XLM", "LINK", "ATOM"}
    assert len(worth) == 10
    assert set(total) - set(worth) == {"DOT.S", "USD"}


def test_of_the_dust_in_kraken8_all_but_two_can_be_sold(client: ccxt.kraken) -> None:
    refused = {}
    for asset, quantity in client.fetch_balance()["free"].items():
        if f"{asset}/USD" not in client.markets or asset in ("BTC", "ETH"):
            continue
        try:
            client.create_order(f"{asset}/USD", "market", "sell", quantity)
        except ccxt.ExchangeError as error:
            refused[asset] = str(error)
    assert refused == {
        "LINK": 'kraken {"error":["EOrder:Order minimum not met"]}',
        "ATOM": 'kraken {"error":["EOrder:Cost minimum not met"]}',
    }
