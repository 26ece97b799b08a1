"""The markets' filters: what they refuse, and how they are published."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from sandbox import filters
from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw

FILTER = "Filter failure: "
POOR = (400, -2010, "Account has insufficient balance for requested action.")
MIN_NOTIONAL = {"notional_filter": "MIN_NOTIONAL"}
ONE_RANGE = {"percent_filter": "PERCENT_PRICE"}


def published(raw: Raw, name: str) -> dict[str, Any]:
    symbols = raw.public("/api/v3/exchangeInfo?symbol=DOGEUSDT").data["symbols"]
    found: dict[str, Any] = next(
        each for each in symbols[0]["filters"] if each["filterType"] == name
    )
    return found


@pytest.mark.parametrize(
    ("changes", "quantity", "expected"),
    [
        ({}, "5", None),
        ({}, "5.0", None),
        ({}, "6", POOR),
        ({}, "0", (400, -1013, FILTER + "LOT_SIZE")),
        ({}, "4.5", (400, -1013, FILTER + "LOT_SIZE")),
        ({"min_quantity": "6"}, "5", (400, -1013, FILTER + "LOT_SIZE")),
        ({"max_quantity": "4"}, "5", (400, -1013, FILTER + "LOT_SIZE")),
        ({"market_max_quantity": "4"}, "5", (400, -1013, FILTER + "MARKET_LOT_SIZE")),
        ({"market_step": "2"}, "5", (400, -1013, FILTER + "MARKET_LOT_SIZE")),
        ({"market_step": "2"}, "4", None),
        ({"market_min_quantity": "5"}, "5", None),
        ({"market_min_quantity": "6"}, "5", (400, -1013, FILTER + "MARKET_LOT_SIZE")),
        ({"min_notional": "0.91"}, "5", None),
        ({"min_notional": "0.92"}, "5", (400, -1013, FILTER + "NOTIONAL")),
        (MIN_NOTIONAL | {"min_notional": "0.91"}, "5", None),
        (MIN_NOTIONAL | {"min_notional": "0.92"}, "5", (400, -1013, FILTER + "MIN_NOTIONAL")),
        ({"min_applies_to_market": False, "min_notional": "5"}, "5", None),
        ({"max_notional": "0.5"}, "5", None),
        ({"status": "BREAK"}, "5", (400, -2010, "Market is closed.")),
        ({"status": "HALT"}, "5", (400, -2010, "Market is closed.")),
        (
            {},
            "5.123456789",
            (400, -1111, "Parameter 'quantity' has too much precision."),
        ),
    ],
)
def test_a_market_sell_meets_the_filters(
    exchange: SandboxProcess,
    raw: Raw,
    changes: dict[str, object],
    quantity: str,
    expected: tuple[int, int, str] | None,
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": changes})
    answer = raw.sell("DOGEUSDT", quantity)
    if expected is None:
        assert answer.data["status"] == "FILLED"
    else:
        assert answer.refusal == expected
        assert exchange.balance("DOGE") == {"free": "5", "locked": "0"}
        assert exchange.ledger()["orders"] == []


def test_the_minimum_notional_uses_the_average_price(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"min_notional": "0.9"}})
    exchange.control("POST", "prices", {"DOGEUSDT": {"average": "0.17"}})
    assert raw.sell("DOGEUSDT", "5").refusal == (400, -1013, FILTER + "NOTIONAL")


def test_the_average_price_can_be_asked(exchange: SandboxProcess, client: ccxt.binance) -> None:
    assert client.publicGetAvgPrice({"symbol": "DOGEUSDT"})["price"] == "0.18200000"
    exchange.control("POST", "prices", {"DOGEUSDT": {"average": "0.17"}})
    assert client.publicGetAvgPrice({"symbol": "DOGEUSDT"})["price"] == "0.17000000"


@pytest.mark.parametrize(("quote", "expected"), [("0.92", None), ("0.91", FILTER + "NOTIONAL")])
def test_an_amount_of_quote_meets_the_minimum(
    exchange: SandboxProcess, raw: Raw, quote: str, expected: str | None
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"min_notional": "0.92"}})
    answer = raw.order(symbol="DOGEUSDT", side="BUY", type="MARKET", quoteOrderQty=quote)
    assert answer.data.get("msg") == expected


@pytest.mark.parametrize(
    ("side", "changes", "price", "expected"),
    [
        ("SELL", {}, "0.30", None),
        ("SELL", {}, "0.300001", "PRICE_FILTER"),
        ("SELL", {}, "0", "PRICE_FILTER"),
        ("SELL", {"percent_up": "9000000"}, "1000000", None),
        ("SELL", {"percent_up": "9000000"}, "1000000.00001", "PRICE_FILTER"),
        ("SELL", {}, "0.91", None),
        ("SELL", {}, "0.91001", "PERCENT_PRICE_BY_SIDE"),  # more than five times 0.182
        ("SELL", {}, "0.03640", None),
        ("SELL", {}, "0.03639", "PERCENT_PRICE_BY_SIDE"),  # less than a fifth
        ("BUY", {"buy_percent_up": "1.5"}, "0.27300", None),
        ("BUY", {"buy_percent_up": "1.5"}, "0.27301", "PERCENT_PRICE_BY_SIDE"),
        ("SELL", {"buy_percent_up": "1.5"}, "0.27301", None),
        ("BUY", {"buy_percent_down": "0.5"}, "0.09100", None),
        ("BUY", {"buy_percent_down": "0.5"}, "0.09099", "PERCENT_PRICE_BY_SIDE"),
        ("BUY", ONE_RANGE | {"buy_percent_up": "1.5"}, "0.27301", None),
        ("BUY", ONE_RANGE, "0.91001", "PERCENT_PRICE"),
        ("SELL", {"max_notional": "1.5"}, "0.30", None),
        ("SELL", {"max_notional": "1.49"}, "0.30", "NOTIONAL"),
        ("SELL", {"max_notional": "1.49", "notional_filter": "MIN_NOTIONAL"}, "0.30", None),
        ("SELL", {"min_notional": "1.51", "min_applies_to_market": False}, "0.30", "NOTIONAL"),
    ],
)
def test_a_limit_order_meets_the_filters(
    exchange: SandboxProcess,
    raw: Raw,
    side: str,
    changes: dict[str, object],
    price: str,
    expected: str | None,
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": changes})
    answer = raw.limit("DOGEUSDT", side, "5", price)
    if expected is None:
        assert answer.data["status"] in ("NEW", "FILLED")
    else:
        assert answer.refusal == (400, -1013, FILTER + expected)


def test_a_price_too_far_from_the_average_does_not_stop_a_market_order(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "prices", {"DOGEUSDT": {"average": "9"}})
    assert raw.limit("DOGEUSDT", "SELL", "5", "0.3").data["msg"] == FILTER + "PERCENT_PRICE_BY_SIDE"
    assert raw.sell("DOGEUSDT", "5").data["status"] == "FILLED"


def test_an_account_has_at_most_as_many_open_orders_as_published(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "balances", {"DOGE": {"free": "1000"}})
    most = published(raw, "MAX_NUM_ORDERS")["maxNumOrders"]
    assert most == filters.MAX_OPEN_ORDERS
    placed = {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "1", "price": "0.3"}
    for _ in range(most):
        exchange.control("POST", "open-order", placed)
    refused = raw.limit("DOGEUSDT", "SELL", "1", "0.3")
    assert refused.refusal == (400, -1013, FILTER + "MAX_NUM_ORDERS")
    assert raw.sell("DOGEUSDT", "1").data["status"] == "FILLED"
    assert raw.limit("XRPUSDT", "SELL", "0.1", "3").data["status"] == "NEW"


def test_the_older_filters_are_published_under_their_own_names(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    changes = MIN_NOTIONAL | ONE_RANGE | {"min_notional": "7", "min_applies_to_market": False}
    exchange.control("POST", "markets", {"DOGEUSDT": changes})
    assert published(raw, "MIN_NOTIONAL") == {
        "filterType": "MIN_NOTIONAL",
        "minNotional": "7.00000000",
        "applyToMarket": False,
        "avgPriceMins": 5,
    }
    assert published(raw, "PERCENT_PRICE") == {
        "filterType": "PERCENT_PRICE",
        "multiplierUp": "5.00000000",
        "multiplierDown": "0.20000000",
        "avgPriceMins": 5,
    }
    market = client.load_markets(reload=True)["DOGE/USDT"]
    assert Decimal(market["limits"]["cost"]["min"]) == 7


def test_buys_and_sells_have_their_own_published_range(exchange: SandboxProcess, raw: Raw) -> None:
    changes = {"buy_percent_up": "1.2", "percent_down": "0.8"}
    exchange.control("POST", "markets", {"DOGEUSDT": changes})
    assert published(raw, "PERCENT_PRICE_BY_SIDE") == {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "1.20000000",
        "bidMultiplierDown": "0.80000000",
        "askMultiplierUp": "5.00000000",
        "askMultiplierDown": "0.80000000",
        "avgPriceMins": 5,
    }


@pytest.mark.parametrize(
    ("setup", "error"),
    [
        ({"min_notional": "5"}, ccxt.BadRequest),
        (MIN_NOTIONAL | {"min_notional": "5"}, ccxt.BadRequest),
        ({"status": "HALT"}, ccxt.MarketClosed),
        ({"status": "BREAK"}, ccxt.MarketClosed),
        ({"market_step": "2"}, ccxt.InvalidOrder),
    ],
)
def test_ccxt_understands_the_refusals(
    exchange: SandboxProcess, client: ccxt.binance, setup: dict[str, object], error: type[Exception]
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": setup})
    with pytest.raises(error):
        client.create_order("DOGE/USDT", "market", "sell", "5")
