"""What can be read without a key."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw


def test_ccxt_reads_the_markets_with_their_rules(client: ccxt.binance) -> None:
    market = client.market("DOGE/USDT")
    assert market["active"] is True
    assert market["spot"] is True
    assert Decimal(market["precision"]["amount"]) == 1
    assert Decimal(market["precision"]["price"]) == Decimal("0.00001")
    assert Decimal(market["limits"]["cost"]["min"]) == Decimal("0.01")
    assert Decimal(market["limits"]["amount"]["min"]) == 1


def test_a_halted_market_is_listed_as_not_active(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"status": "BREAK"}})
    assert client.load_markets(reload=True)["DOGE/USDT"]["active"] is False


def test_exchange_info_publishes_the_limits_of_the_scenario(raw: Raw) -> None:
    limits = raw.public("/api/v3/exchangeInfo").data["rateLimits"]
    assert limits == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
    ]


def test_ccxt_reads_one_some_and_all_tickers(client: ccxt.binance) -> None:
    assert client.fetch_ticker("DOGE/USDT")["last"] == "0.18200000"
    assert set(client.fetch_tickers(["DOGE/USDT", "XRP/USDT"])) == {"DOGE/USDT", "XRP/USDT"}
    assert len(client.fetch_tickers()) == len(client.markets)
    top = client.fetch_bids_asks(["DOGE/USDT"])["DOGE/USDT"]
    assert Decimal(top["bid"]) < Decimal("0.182") < Decimal(top["ask"])


def test_the_book_has_depth_on_both_sides_that_gets_worse(client: ccxt.binance) -> None:
    book = client.fetch_order_book("SOL/USDT")
    bids, asks = ([Decimal(row[0]) for row in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 10
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


def test_a_market_without_price_has_zeros_and_an_empty_book(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "prices", {"DOGEUSDT": None})
    ticker = raw.public("/api/v3/ticker/24hr?symbol=DOGEUSDT").data
    assert {ticker[name] for name in ("lastPrice", "bidPrice", "askPrice")} == {"0.00000000"}
    assert ticker["count"] == 0
    book = raw.public("/api/v3/depth?symbol=DOGEUSDT").data
    assert book["bids"] == book["asks"] == []


def test_a_one_sided_book_has_only_asks(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "prices", {"DOGEUSDT": {"bid": None}})
    top = raw.public("/api/v3/ticker/bookTicker?symbol=DOGEUSDT").data
    assert top["bidPrice"] == "0.00000000"
    assert Decimal(top["askPrice"]) > 0


def test_a_resting_order_is_the_best_offer_in_every_ticker_of_its_market_only(
    exchange: SandboxProcess, raw: Raw
) -> None:
    before = {each["symbol"]: each for each in raw.public("/api/v3/ticker/bookTicker").data}
    bot = {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "2", "price": "0.18198"}
    exchange.control("POST", "open-order", bot)
    after = {each["symbol"]: each for each in raw.public("/api/v3/ticker/bookTicker").data}
    changed = {symbol for symbol, top in after.items() if top != before[symbol]}
    assert changed == {"DOGEUSDT"}
    assert (after["DOGEUSDT"]["askPrice"], after["DOGEUSDT"]["askQty"]) == (
        "0.18198000",
        "2.00000000",
    )
    one = raw.public("/api/v3/ticker/24hr?symbol=DOGEUSDT").data
    assert one["askPrice"] == "0.18198000"


def test_the_clock_can_be_skewed(exchange: SandboxProcess, client: ccxt.binance) -> None:
    exchange.control("POST", "clock", {"skew_ms": 3_600_000})
    assert client.fetch_time() - client.milliseconds() == pytest.approx(3_600_000, abs=2000)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ticker/24hr?symbol=NOPEUSDT", (400, -1121, "Invalid symbol.")),
        ('ticker/24hr?symbols=["DOGEUSDT","NOPEUSDT"]', (400, -1121, "Invalid symbol.")),
        ("ticker/24hr?symbols=DOGE", (400, -1100, None)),
        ('ticker/24hr?symbol=DOGEUSDT&symbols=["DOGEUSDT"]', (400, -1128, None)),
        ("ticker/24hr?symbol=doge%20", (400, -1100, None)),
        ("ticker/24hr?symbol=DOGEUSDT&symbol=XRPUSDT", (400, -1101, None)),
        ("depth", (400, -1102, None)),
        ("depth?symbol=", (400, -1102, None)),
    ],
)
def test_bad_public_parameters_are_refused_with_binances_codes(
    raw: Raw, path: str, expected: tuple[int, int, str | None]
) -> None:
    target = path.replace('"', "%22")
    status, code, message = raw.public(f"/api/v3/{target}").refusal
    assert (status, code) == expected[:2]
    assert expected[2] in (None, message)


def test_an_unknown_path_is_nginx_html(raw: Raw) -> None:
    answer = raw.public("/api/v3/nothing")
    assert answer.status == 404
    assert answer.text.startswith("<html>")
