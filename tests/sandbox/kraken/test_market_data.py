"""Names, rules, tickers and books, as an unmodified ccxt client reads them."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.kraken.clients import Raw


@pytest.mark.parametrize(
    ("symbol", "pair", "altname", "wsname", "base", "quote"),
    [
        ("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", "ZUSD"),
        ("ETH/BTC", "XETHXXBT", "ETHXBT", "ETH/XBT", "XETH", "XXBT"),
        ("DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD", "XXDG", "ZUSD"),
        ("SOL/USD", "SOLUSD", "SOLUSD", "SOL/USD", "SOL", "ZUSD"),
        ("BTC/USDT", "XBTUSDT", "XBTUSDT", "XBT/USDT", "XXBT", "USDT"),
        ("ADA/USDT", "ADAUSDT", "ADAUSDT", "ADA/USDT", "ADA", "USDT"),
        ("USDT/USD", "USDTZUSD", "USDTUSD", "USDT/USD", "USDT", "ZUSD"),
    ],
)
def test_markets_have_krakens_names_on_the_wire_and_everybodys_in_the_client(
    client: ccxt.kraken, symbol: str, pair: str, altname: str, wsname: str, base: str, quote: str
) -> None:
    market = client.market(symbol)
    assert market["id"] == pair
    listed = market["info"]
    assert (listed["altname"], listed["wsname"]) == (altname, wsname)
    assert (listed["base"], listed["quote"]) == (base, quote)


def test_markets_state_their_minimums_decimals_fees_and_status(client: ccxt.kraken) -> None:
    market = client.market("ADA/USD")
    assert market["limits"]["amount"]["min"] == "0.5"
    assert market["limits"]["cost"]["min"] == "0.5"
    assert market["precision"] == {"amount": "0.00000001", "price": "0.000001"}
    assert (market["maker"], market["taker"]) == ("0.0025", "0.004")
    assert market["info"]["tick_size"] == "0.000001"
    assert market["active"] is True


def test_a_market_that_does_not_trade_is_in_cancel_only_mode(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    exchange.control("POST", "markets", {"ADAUSD": {"status": "BREAK"}})
    market = client.load_markets(reload=True)["ADA/USD"]
    assert market["active"] is False
    assert market["info"]["status"] == "cancel_only"


def test_assets_are_listed_with_those_of_earn_products(client: ccxt.kraken) -> None:
    ids = {code: currency["id"] for code, currency in client.currencies.items()}
    assert ids["BTC"] == "XXBT"
    assert ids["DOGE"] == "XXDG"
    assert (ids["DOT"], ids["DOT.S"]) == ("DOT", "DOT.S")


def test_all_tickers_come_in_one_answer(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    since = exchange.ledger()["requests"][-1]["id"]
    tickers = client.fetch_tickers()
    assert set(tickers) == set(client.markets)
    doge = tickers["DOGE/USD"]
    assert Decimal(doge["bid"]) < Decimal(doge["last"]) < Decimal(doge["ask"])
    assert Decimal(doge["quoteVolume"]) > 0
    assert len(exchange.ledger(since=since)["requests"]) == 1


def test_tickers_can_be_asked_for_by_name(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    assert set(client.fetch_tickers(["BTC/USD", "ADA/USDT"])) == {"BTC/USD", "ADA/USDT"}
    sent = exchange.ledger()["requests"][-1]["params"]
    assert sent == {"pair": "XXBTZUSD,ADAUSDT"}


@pytest.mark.parametrize("name", ["XXBTZUSD", "XBTUSD", "XBT/USD"])
def test_a_market_answers_to_each_of_its_names(raw: Raw, name: str) -> None:
    assert list(raw.public("Ticker", pair=name)["result"]) == ["XXBTZUSD"]


@pytest.mark.parametrize("call", ["Ticker", "Depth", "AssetPairs"])
def test_an_unknown_market_is_refused(raw: Raw, call: str) -> None:
    assert raw.public(call, pair="ADAUSD,NOSUCH" if call != "Depth" else "NOSUCH") == {
        "error": ["EQuery:Unknown asset pair"]
    }


def test_a_side_without_offers_is_zero(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "prices", {"ADAUSD": None})
    ticker = raw.public("Ticker", pair="ADAUSD")["result"]["ADAUSD"]
    assert Decimal(ticker["b"][0]) == Decimal(ticker["a"][0]) == Decimal(ticker["c"][0]) == 0


def test_a_book_has_both_sides_best_first(client: ccxt.kraken) -> None:
    book = client.fetch_order_book("SOL/USD", 3)
    bids, asks = ([Decimal(row[0]) for row in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 3
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


def test_time_follows_the_exchanges_clock_in_whole_seconds(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    exchange.control("POST", "clock", {"skew_ms": 3_600_000})
    assert client.fetch_time() % 1000 == 0
    assert abs(client.fetch_time() - client.milliseconds() - 3_600_000) < 5_000
    assert client.fetch_status()["status"] == "ok"


def test_a_method_that_does_not_exist_is_refused(exchange: SandboxProcess, raw: Raw) -> None:
    assert raw.public("NoSuch") == {"error": ["EGeneral:Unknown method"]}
    assert raw.refusal("Withdraw", amount="1") == "EGeneral:Unknown method"
    assert exchange.request("GET", "/api/v3/time")[0] == 404
