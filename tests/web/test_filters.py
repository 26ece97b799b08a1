"""The table of positions by category, route and reason, together with everything else it can do."""

import re
from datetime import datetime

import pytest
from django.test import Client

from positions.domain.valuation import Doubt, Hop
from positions.models import ExchangeAccount
from tests.web import builders

TABLE = {"HX-Request": "true", "HX-Target": "positions"}
PAGE = "/accounts/desk-one/"


@pytest.fixture
def desk(db: None, now: datetime) -> ExchangeAccount:
    """Return an account with every route and several reasons."""
    account = builders.account(now=now)
    builders.snapshot(account, at=now, holdings=builders.small_balances())
    return account


def _assets(web: Client, **asked: str) -> list[str]:
    """Return the assets of the shown rows, from top to bottom."""
    text = web.get(PAGE, asked, headers=TABLE).text
    return re.findall(r'class="card-title"><b class="main">(\w+)</b>', text)


def _current(text: str) -> list[str]:
    return re.findall(r'id="((?:filter|why)-\w+)"[^>]*aria-current="true"', text)


@pytest.mark.parametrize(
    ("asked", "assets"),
    [
        ({"route": "SELL"}, ["ADA"]),
        ({"route": "CONVERT"}, ["DOGE", "ONE"]),
        ({"route": "KEEP"}, ["NFTY", "SOL", "BNB", "FTT", "KNC"]),
        ({"reason": "MARKET_HALTED"}, ["FTT"]),
        ({"reason": "below_min_notional"}, ["KNC"]),
        ({"reason": "FEE_ASSET"}, ["BNB"]),
        ({"category": "UNPRICED"}, ["NFTY"]),
        ({"category": "DUST", "route": "KEEP"}, ["FTT", "KNC"]),
        ({"route": "SELL", "reason": "MARKET_HALTED"}, []),
        ({"route": "KEEP", "find": "n"}, ["NFTY", "BNB", "KNC"]),
        ({"route": "CONVERT", "sort": "value"}, ["ONE", "DOGE"]),
        ({"route": "CONVERT", "sort": "-net"}, ["DOGE", "ONE"]),
        ({"reason": "NOT_DUST", "threshold": "0.50"}, ["SOL", "DOGE", "FTT"]),
    ],
)
def test_each_filter_leaves_what_it_names(
    desk: ExchangeAccount, web: Client, asked: dict[str, str], assets: list[str]
) -> None:
    assert _assets(web, **asked) == assets


@pytest.mark.parametrize("name", ["category", "route", "reason"])
def test_what_is_no_filter_shows_everything(desk: ExchangeAccount, web: Client, name: str) -> None:
    everything = _assets(web)
    assert len(everything) == 8
    assert _assets(web, **{name: "NONSENSE"}) == everything
    text = web.get(PAGE, {name: "NONSENSE"}).text
    assert _current(text) == ["filter-all"]


def test_every_reason_has_its_count_and_the_chosen_one_stays_open(
    desk: ExchangeAccount, web: Client
) -> None:
    text = web.get(PAGE).text
    assert '<details class="more"><summary id="by-reason">By reason</summary>' in text
    assert re.findall(r'id="(why-\w+)".*?>([^<]+) <span>(\d+)</span>', text) == [
        ("why-unpriced", "Unpriced", "1"),
        ("why-not_dust", "Not dust", "1"),
        ("why-fee_asset", "Paying fees", "1"),
        ("why-market_halted", "With a halted market", "1"),
        ("why-below_min_notional", "Below the exchange minimum", "1"),
    ]
    chosen = web.get(PAGE, {"reason": "UNPRICED"}).text
    assert '<details class="more" open>' in chosen
    assert _current(chosen) == ["why-unpriced"]


def test_filters_keep_the_threshold_the_sort_and_what_is_sought(
    desk: ExchangeAccount, web: Client
) -> None:
    text = web.get(PAGE, {"threshold": "0.50", "sort": "asset", "find": "n", "page": "1"}).text
    (link,) = re.findall(r'id="why-unpriced" href="([^"]+)"', text)
    assert link == f"{PAGE}?threshold=0.50&amp;sort=asset&amp;find=n&amp;reason=UNPRICED"
    assert 'name="reason" value="UNPRICED"' in web.get(PAGE, {"reason": "UNPRICED"}).text


def test_pages_of_one_reason_hold_all_of_it(web: Client, db: None, now: datetime) -> None:
    account = builders.account(now=now)
    holdings = [
        builders.holding(f"A{number:03}", "1", "0.10", active=number % 2 == 0)
        for number in range(120)
    ]
    builders.snapshot(account, at=now, holdings=holdings)
    first = _assets(web, reason="MARKET_HALTED")
    second = _assets(web, reason="MARKET_HALTED", page="2")
    assert (len(first), len(second)) == (50, 10)
    assert len({*first, *second}) == 60
    text = web.get(PAGE, {"reason": "MARKET_HALTED"}).text
    assert f"{PAGE}?reason=MARKET_HALTED&amp;page=2" in text
    answer = web.get(PAGE, {"reason": "MARKET_HALTED", "page": "2"}, headers=TABLE)
    assert answer["HX-Push-Url"] == f"{PAGE}?reason=MARKET_HALTED&page=2"


def test_a_price_over_several_markets_names_each_with_its_price(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account(now=now)
    hops = (
        Hop(symbol="STEEM/BTC", price=builders.D("0.0000022")),
        Hop(symbol="BTC/USDT", price=builders.D("97500")),
    )
    steem = builders.holding("STEEM", "2", "0.2145", price_hops=hops, price_doubts=tuple(Doubt)[:1])
    one = builders.holding(
        "ONE", "2", "0.015", price_hops=(Hop(symbol="ONE/USDT", price=builders.D("0.015")),)
    )
    builders.snapshot(account, at=now, holdings=[steem, one])
    text = web.get(PAGE).text
    assert "via STEEM/BTC at 0.0000022, BTC/USDT at 97,500" in text
    assert "via ONE/USDT<" in text
    assert f"Price: {next(iter(Doubt)).sentence}" in text
