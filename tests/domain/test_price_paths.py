"""Of several paths to a price the most trustworthy one counts, and its doubts stay with it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.domain.markets import Market, Ticker
from positions.domain.valuation import ONE, STALE_AFTER_MS, WIDEST, Doubt, Hop, PriceList
from tests.domain.builders import make_market, make_ticker
from tests.domain.test_valuation import NOW_MS, price_list


def around(symbol: str, middle: str, spread: str, **facts: Any) -> Ticker:
    """Return a book whose sides are so far apart, as a share of their middle."""
    half = Decimal(spread) / 2
    bid, ask = (Decimal(middle) * (1 - half), Decimal(middle) * (1 + half))
    return make_ticker(symbol, last=middle, bid=str(bid), ask=str(ask), **facts)


BTC = make_ticker("BTC/USDT", last="100000")

# How long a path may be


def test_three_markets_in_a_row_are_a_path_and_each_keeps_its_price() -> None:
    price = price_list(
        make_ticker("ALT/BTC", last="0.00002"),
        BTC,
        make_ticker("USDT/USD", last="0.999"),
        anchor="USD",
    ).price("ALT")
    assert price.usd == Decimal("1.998")
    assert price.path == ("ALT/BTC", "BTC/USDT", "USDT/USD")
    assert [hop.factor for hop in price.hops] == [
        Decimal("0.00002"),
        Decimal("100000"),
        Decimal("0.999"),
    ]


def test_four_markets_in_a_row_are_none() -> None:
    price = price_list(
        make_ticker("ALT/BNB", last="0.01"),
        make_ticker("BNB/BTC", last="0.006"),
        BTC,
        make_ticker("USDT/USD", last="1"),
        anchor="USD",
    ).price("ALT")
    assert price.usd is None
    assert "No market here leads from it to a known price." in price.problem


def test_a_market_is_gone_backwards_where_only_that_leads_to_the_anchor() -> None:
    prices = price_list(
        make_ticker("ALT/TRY", last="80"),
        make_ticker("USDT/TRY", last="40"),
    )
    assert prices.price("TRY").usd == Decimal("0.025")
    assert prices.price("ALT").usd == 2
    assert [hop.inverted for hop in prices.price("ALT").hops] == [False, True]


def test_no_path_leads_through_a_coin_that_nothing_is_quoted_in() -> None:
    prices = price_list(make_ticker("ALT/EUR", last="2"), make_ticker("ALT/USDT", last="2"))
    assert prices.price("EUR").usd is None


def test_a_path_that_leads_in_a_circle_is_no_second_opinion() -> None:
    # ETH -> BTC -> ETH -> USDT would agree with ETH/USDT, whatever the truth is.
    prices = price_list(
        make_ticker("ETH/USDT", last="4000"),
        make_ticker("ETH/BTC", last="0.04"),
        make_ticker("ALT/ETH", last="1"),
        make_ticker("BTC/USDT", last="100000", volume="0"),
        around("ETH/DAI", "5000", "0.005"),
        make_ticker("DAI/USDC", last="1"),
        make_ticker("USDC/USDT", last="1"),
    )
    assert prices.price("BTC").path == ("ETH/BTC", "ETH/USDT")
    assert prices.price("ETH").path == ("ETH/USDT",)
    assert prices.price("ETH").doubts == (Doubt.SECOND_PATH,)


# Which path is believed


@pytest.mark.parametrize(
    "direct",
    [
        around("ALT/USDT", "9", "0.0101"),
        around("ALT/USDT", "9", "0.3"),
        make_ticker("ALT/USDT", last="9", volume="0"),
        make_ticker("ALT/USDT", last="9", at_ms=NOW_MS - STALE_AFTER_MS - 1),
        make_ticker("ALT/USDT", last="9", ask=None),
    ],
    ids=["not narrow", "wide", "untraded", "stale", "one-sided"],
)
def test_a_fresh_traded_and_narrow_detour_is_believed_before_a_direct_market_that_is_not(
    direct: Ticker,
) -> None:
    price = price_list(direct, make_ticker("ALT/BTC", last="0.00002"), BTC).price("ALT")
    assert price.usd == 2
    assert price.path == ("ALT/BTC", "BTC/USDT")
    assert price.doubts == ()


@pytest.mark.parametrize(
    "detour",
    [
        around("ALT/BTC", "0.00009", "0.0101"),
        make_ticker("ALT/BTC", last="0.00009", volume="0"),
        make_ticker("ALT/BTC", last="0.00009", at_ms=0),
        make_ticker("ALT/BTC", last="0.00009", bid=None),
    ],
    ids=["not narrow", "untraded", "stale", "one-sided"],
)
def test_a_silly_market_far_off_changes_nothing_about_a_good_direct_one(detour: Ticker) -> None:
    price = price_list(make_ticker("ALT/USDT", last="2"), detour, BTC).price("ALT")
    assert (price.usd, price.doubts) == (2, ())


@pytest.mark.parametrize("last", ["0.00001", "0.00009"])
def test_a_halted_market_is_believed_only_where_there_is_no_other(last: str) -> None:
    traded, halted = make_ticker("ALT/BTC", last="0.00002"), make_ticker("ALT/USDT", last=last)
    both = price_list(traded, halted, BTC, halted=("ALT/USDT",)).price("ALT")
    assert (both.usd, both.doubts) == (2, ())
    alone = price_list(halted, halted=("ALT/USDT",)).price("ALT")
    assert (alone.usd, alone.doubts) == (Decimal(last), (Doubt.NO_VOLUME,))


def test_a_much_wider_direct_market_is_not_believed_before_a_slightly_wide_detour() -> None:
    price = price_list(
        around("ALT/USDT", "9", "0.4"), around("ALT/BTC", "0.00002", "0.02"), BTC
    ).price("ALT")
    assert (price.usd, price.doubts) == (2, ())


def test_a_hub_with_a_broken_market_is_priced_by_its_other_one() -> None:
    price = price_list(
        make_ticker("ALT/BTC", last="0.00002"),
        make_ticker("BTC/USDT", last="900000", bid=None),
        make_ticker("BTC/USDC", last="100000"),
        make_ticker("USDC/USDT", last="1"),
    ).price("ALT")
    assert price.usd == 2
    assert price.path == ("ALT/BTC", "BTC/USDC", "USDC/USDT")


def test_of_two_equally_good_paths_the_dearer_counts_whichever_is_listed_first() -> None:
    cheap, dear = make_ticker("ALT/USDC", last="1.95"), make_ticker("ALT/FDUSD", last="2")
    pegs = (make_ticker("USDC/USDT", last="1"), make_ticker("FDUSD/USDT", last="1"))
    for first, second in ((cheap, dear), (dear, cheap)):
        assert price_list(first, second, *pegs).price("ALT").usd == 2


# Doubts, at their edges


@pytest.mark.parametrize(("volume", "doubts"), [("0", (Doubt.NO_VOLUME,)), ("0.1", ()), (None, ())])
def test_nothing_traded_anywhere_on_the_path_is_a_doubt(
    volume: str | None, doubts: tuple[Doubt, ...]
) -> None:
    for symbol, hub in (("ALT/BTC", None), ("BTC/USDT", volume)):
        own = volume if symbol == "ALT/BTC" else None
        price = price_list(
            make_ticker("ALT/BTC", last="0.00002", volume=own),
            make_ticker("BTC/USDT", last="100000", volume=hub),
        ).price("ALT")
        assert (price.usd, price.doubts) == (2, doubts)


@pytest.mark.parametrize(
    ("spread", "usd", "doubts"),
    [
        ("0.0499", 2, ()),
        ("0.05", 2, ()),
        ("0.0501", 2, (Doubt.WIDE_SPREAD,)),
        ("0.4999", 2, (Doubt.WIDE_SPREAD,)),
        ("0.5", 2, (Doubt.WIDE_SPREAD,)),
        ("0.5001", None, ()),
    ],
)
def test_a_wide_spread_is_a_doubt_and_a_very_wide_one_no_price(
    spread: str, usd: int | None, doubts: tuple[Doubt, ...]
) -> None:
    price = price_list(around("ALT/USDT", "2", spread)).price("ALT")
    assert (price.usd, price.doubts) == (usd, doubts)
    assert ("too far apart" in price.problem) is (usd is None)


@pytest.mark.parametrize(
    ("second", "usd", "doubts"),
    [
        ("1.9", 2, ()),
        ("1.8999", 2, (Doubt.SECOND_PATH,)),
        ("2.1052", 2, ()),
        ("2.1053", 2, (Doubt.SECOND_PATH,)),
        ("1", 2, (Doubt.SECOND_PATH,)),
        ("0.9999", None, ()),
        ("4", 2, (Doubt.SECOND_PATH,)),
        ("4.0001", None, ()),
    ],
)
def test_a_second_path_that_differs_is_a_doubt_and_one_far_off_leaves_no_price(
    second: str, usd: int | None, doubts: tuple[Doubt, ...]
) -> None:
    price = price_list(
        make_ticker("ALT/USDT", last="2"),
        make_ticker("ALT/USDC", last=second),
        make_ticker("USDC/USDT", last="1"),
    ).price("ALT")
    assert (price.usd, price.doubts) == (usd, doubts)
    assert ("Two ways" in price.problem) is (usd is None)


@pytest.mark.parametrize(("age", "is_stale"), [(-1, False), (0, False), (1, True)])
def test_a_price_that_has_not_moved_for_more_than_an_hour_is_stale(
    age: int, is_stale: bool
) -> None:
    ticker = make_ticker("ALT/USDT", last="2", at_ms=NOW_MS - STALE_AFTER_MS - age)
    price = price_list(ticker).price("ALT")
    assert price.is_stale is is_stale
    assert (price.usd is None) is is_stale
    assert ("has not moved" in price.problem) is is_stale


def test_a_stale_hub_gives_no_price_though_the_assets_own_market_moves() -> None:
    price = price_list(
        make_ticker("ALT/BTC", last="0.00002", at_ms=NOW_MS),
        make_ticker("BTC/USDT", last="100000", at_ms=0),
    ).price("ALT")
    assert (price.usd, price.is_stale) == (None, False)


@pytest.mark.parametrize("doubt", Doubt)
def test_a_doubt_is_a_sentence(doubt: Doubt) -> None:
    assert doubt.sentence.endswith(".")


# Properties

ASSETS = ("USD", "USDT", "USDC", "BTC", "ETH", "ALT", "DOGE")


@st.composite
def readings(draw: st.DrawFn) -> tuple[dict[str, Market], dict[str, Ticker]]:
    """Return markets between any of the assets with any tickers."""
    pairs = st.tuples(st.sampled_from(ASSETS), st.sampled_from(ASSETS))
    drawn = draw(st.lists(pairs.filter(lambda pair: pair[0] != pair[1]), unique=True, max_size=14))
    markets = {f"{base}/{quote}": make_market(base, quote) for base, quote in drawn}
    tickers = {}
    for symbol in markets:
        last = draw(st.sampled_from(["0.5", "1", "1.02", "3", "7", None]))
        if last is None:
            continue
        tickers[symbol] = around(
            symbol,
            last,
            draw(st.sampled_from(["0", "0", "0.01", "0.03", "0.2", "0.6"])),
            volume=draw(st.sampled_from(["1", "0", None])),
            at_ms=draw(st.sampled_from([None, NOW_MS, NOW_MS - 2 * STALE_AFTER_MS])),
        )
        if draw(st.integers(0, 5)) == 0:
            tickers[symbol] = make_ticker(symbol, last=last, ask=None)
    return markets, tickers


def led_to(asset: str, hops: tuple[Hop, ...], markets: Mapping[str, Market]) -> list[str]:
    """Return the assets on the way; each market must start where the one before it ended."""
    way = [asset]
    for hop in hops:
        ends = (markets[hop.symbol].base, markets[hop.symbol].quote)
        start, end = reversed(ends) if hop.inverted else ends
        assert start == way[-1]
        way.append(end)
    return way


@settings(deadline=None, max_examples=150)
@given(readings(), st.sampled_from(["USD", "USDT"]))
def test_a_price_is_the_product_of_trustworthy_hops_that_lead_straight_to_the_anchor(
    reading: tuple[dict[str, Market], dict[str, Ticker]], anchor: str
) -> None:
    markets, tickers = reading
    prices = PriceList(anchor=anchor, markets=markets, tickers=tickers, now_ms=NOW_MS)
    for asset in ASSETS:
        price = prices.price(asset)
        if price.usd is None:
            assert price.problem.endswith(".")
            assert not price.hops
            continue
        product = ONE
        for hop in reversed(price.hops):
            product = hop.factor * product
            ticker = tickers[hop.symbol]
            assert ticker.two_sided
            assert ticker.at_ms is None or ticker.at_ms >= NOW_MS - STALE_AFTER_MS
            assert ticker.spread is not None
            assert ticker.spread <= WIDEST
            assert ticker.bid is not None
            assert ticker.ask is not None
            assert ticker.bid <= hop.price <= ticker.ask
        assert price.usd == product > 0
        assert len(price.hops) <= 3
        way = led_to(asset, price.hops, markets)
        assert way[-1] == anchor
        assert len(set(way)) == len(way)
        untraded = any(tickers[hop.symbol].volume == 0 for hop in price.hops)
        assert (Doubt.NO_VOLUME in price.doubts) is untraded


@settings(deadline=None, max_examples=150)
@given(readings())
def test_the_order_in_which_markets_are_listed_changes_no_price_and_no_doubt(
    reading: tuple[dict[str, Market], dict[str, Ticker]],
) -> None:
    markets, tickers = reading
    turned = dict(reversed(markets.items()))
    one = PriceList(anchor="USDT", markets=markets, tickers=tickers, now_ms=NOW_MS)
    other = PriceList(anchor="USDT", markets=turned, tickers=tickers, now_ms=NOW_MS)
    for asset in ASSETS:
        assert one.price(asset).usd == other.price(asset).usd
        assert one.price(asset).doubts == other.price(asset).doubts
