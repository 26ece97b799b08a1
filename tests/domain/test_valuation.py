"""Prices come from two-sided markets by the most trustworthy path; a missing one stays missing."""

from decimal import Decimal
from typing import Any

import pytest

from positions.domain.markets import Ticker
from positions.domain.valuation import PriceList, anchor_of
from tests.domain.builders import make_market, make_ticker

NOW_MS = 1_763_986_400_000


def price_list(
    *tickers: Ticker,
    anchor: str = "USDT",
    silent: tuple[str, ...] = (),
    halted: tuple[str, ...] = (),
) -> PriceList:
    """Return a list with one market per ticker, and markets that have no ticker."""
    symbols = [*(ticker.symbol for ticker in tickers), *silent]
    return PriceList(
        anchor=anchor,
        markets={
            symbol: make_market(*symbol.split("/"), active=symbol not in halted)
            for symbol in symbols
        },
        tickers={ticker.symbol: ticker for ticker in tickers},
        now_ms=NOW_MS,
    )


def test_the_anchor_is_one_dollar() -> None:
    price = price_list().price("USDT")
    assert price.usd == 1
    assert price.path == ()


def test_an_asset_is_priced_directly_against_the_anchor() -> None:
    price = price_list(make_ticker("SOL/USDT", last="186", bid="185.9", ask="186.1")).price("SOL")
    assert price.usd == Decimal("186")
    assert price.path == ("SOL/USDT",)
    assert price.problem == ""


def test_of_equally_trustworthy_paths_the_shortest_wins() -> None:
    prices = price_list(
        make_ticker("SOL/USDT", last="186"),
        make_ticker("SOL/USDC", last="187"),
        make_ticker("USDC/USDT", last="1"),
        make_ticker("SOL/BTC", last="0.00186"),
        make_ticker("BTC/USDT", last="100000"),
    )
    assert prices.price("SOL").path == ("SOL/USDT",)


def test_an_asset_is_priced_through_another_stablecoin_at_that_coins_price() -> None:
    prices = price_list(make_ticker("ALT/USDC", last="2"), make_ticker("USDC/USDT", last="0.99"))
    price = prices.price("ALT")
    assert price.usd == Decimal("1.98")
    assert price.path == ("ALT/USDC", "USDC/USDT")


def test_another_stablecoin_without_a_price_is_not_taken_as_one_dollar() -> None:
    price = price_list(make_ticker("ALT/USDC", last="2")).price("ALT")
    assert price.usd is None
    assert price.problem


@pytest.mark.parametrize("bridge", ["BTC", "ETH", "BNB"])
def test_an_asset_without_a_cash_market_is_priced_through_a_bridge(bridge: str) -> None:
    prices = price_list(
        make_ticker(f"ALT/{bridge}", last="0.00002"), make_ticker(f"{bridge}/USDT", last="100000")
    )
    price = prices.price("ALT")
    assert price.usd == 2
    assert price.path == (f"ALT/{bridge}", f"{bridge}/USDT")


def test_a_bridge_asset_itself_has_its_direct_price() -> None:
    prices = price_list(make_ticker("BTC/USDT", last="100000"), make_ticker("ETH/BTC", last="0.04"))
    assert prices.price("BTC").usd == 100000
    assert prices.price("ETH").usd == 4000


def test_a_stablecoin_is_priced_by_its_market_and_not_assumed() -> None:
    assert price_list(make_ticker("USDC/USDT", last="0.97")).price("USDC").usd == Decimal("0.97")


@pytest.mark.parametrize(
    "broken",
    [
        {"bid": None},
        {"ask": None},
        {"bid": "0"},
        {"bid": "3", "ask": "2"},
        {"last": None, "bid": "2", "ask": "2"},
        {"last": "0", "bid": "2", "ask": "2"},
    ],
)
def test_a_one_sided_book_gives_no_price_and_says_why(broken: dict[str, Any]) -> None:
    price = price_list(make_ticker("ALT/USDT", **({"last": "2"} | broken))).price("ALT")
    assert price.usd is None
    assert "no buyers, no sellers or no trades" in price.problem


def test_a_one_sided_direct_market_is_passed_over_for_a_two_sided_one() -> None:
    prices = price_list(
        make_ticker("ALT/USDT", last="9", bid=None),
        make_ticker("ALT/BTC", last="0.00002"),
        make_ticker("BTC/USDT", last="100000"),
    )
    assert prices.price("ALT").usd == 2


def test_a_one_sided_bridge_gives_no_price() -> None:
    prices = price_list(
        make_ticker("ALT/BTC", last="0.00002"), make_ticker("BTC/USDT", last="100000", ask=None)
    )
    assert prices.price("ALT").usd is None


def test_a_market_without_a_ticker_gives_no_price() -> None:
    price = price_list(silent=("ALT/USDT",)).price("ALT")
    assert price.usd is None
    assert "no buyers" in price.problem


def test_an_asset_without_any_market_has_no_price_and_says_so() -> None:
    price = price_list(make_ticker("SOL/USDT", last="186")).price("GONE")
    assert price.usd is None
    assert price.path == ()
    assert "no market" in price.problem


def test_markets_that_quote_each_other_end_without_a_price() -> None:
    prices = price_list(make_ticker("ETH/BTC", last="0.04"), make_ticker("BTC/ETH", last="25"))
    assert prices.price("ETH").usd is None
    assert prices.price("BTC").usd is None


def test_a_price_is_exact() -> None:
    prices = price_list(
        make_ticker("ALT/BTC", last="0.000000000123456789"),
        make_ticker("BTC/USDT", last="99999999.99999999"),
    )
    assert prices.price("ALT").usd == Decimal("0.01234567889999999876543211")


STABLES = ("USDT", "USDC", "FDUSD", "TUSD")


def deviation(**last: str) -> Decimal | None:
    prices = price_list(*(make_ticker(f"{coin}/USDT", last=price) for coin, price in last.items()))
    return prices.anchor_deviation(STABLES)


@pytest.mark.parametrize(
    ("last", "share"),
    [
        ({"USDC": "1", "FDUSD": "1", "TUSD": "1"}, "0"),
        ({"USDC": "1.01", "FDUSD": "1.01", "TUSD": "1.01"}, "0.01"),
        ({"USDC": "1.0301", "FDUSD": "1.0301", "TUSD": "1.0301"}, "0.0301"),
        ({"USDC": "0.96", "FDUSD": "0.96", "TUSD": "0.96"}, "0.04"),
        ({"USDC": "1.05"}, "0.05"),
    ],
)
def test_the_anchors_deviation_is_its_distance_from_the_other_stablecoins(
    last: dict[str, str], share: str
) -> None:
    assert deviation(**last) == Decimal(share)


@pytest.mark.parametrize("price", ["0.10", "0.90", "1.50"])
def test_one_of_three_coins_that_lost_its_peg_says_nothing_about_the_anchor(price: str) -> None:
    assert deviation(USDC="1", FDUSD="1.001", TUSD=price) <= Decimal("0.001")


def test_the_deviation_is_unknown_without_another_priced_stablecoin() -> None:
    assert deviation() is None
    one_sided = price_list(make_ticker("USDC/USDT", last="1", ask=None))
    assert one_sided.anchor_deviation(STABLES) is None
    assert price_list().anchor_deviation(["USDT"]) is None


def test_the_anchor_itself_has_no_say_about_its_deviation() -> None:
    assert price_list(make_ticker("USDC/USDT", last="1.04")).anchor_deviation(
        ["USDT", "USDC"]
    ) == Decimal("0.04")


# The anchor


@pytest.mark.parametrize(
    ("symbols", "quote", "anchor"),
    [
        (["ALT/USDT"], "USDT", "USDT"),
        (["ALT/USD"], "USD", "USD"),
        (["ALT/USDT"], "USD", "USD"),
        (["ALT/USDT", "USDT/USD"], "USDT", "USD"),
        (["ALT/EUR", "EUR/USD"], "EUR", "USD"),
        (["ALT/EUR", "USD/EUR"], "EUR", "USD"),
        # One coin that is traded for dollars: every value would hang on that one book.
        (["ALT/USDT", "TRUMP/USD"], "USDT", "USDT"),
        (["ALT/USDT", "BTC/USDT", "BTC/USD"], "USDT", "USDT"),
        # Another coin's dollar market says nothing about the account's quote.
        (["ALT/USDC", "USDT/USD"], "USDC", "USDC"),
    ],
)
def test_dollars_are_the_anchor_where_the_quote_is_traded_for_them(
    symbols: list[str], quote: str, anchor: str
) -> None:
    markets = {symbol: make_market(*symbol.split("/")) for symbol in symbols}
    assert anchor_of(markets, quote=quote) == anchor


def test_a_halted_dollar_market_makes_no_anchor() -> None:
    markets = {"USDT/USD": make_market("USDT", "USD", active=False)}
    assert anchor_of(markets, quote="USDT") == "USDT"
