"""What the scenarios hold, as a client sees it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox import scenario
from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw, connect

CASH = {"USDT", "USDC", "FDUSD"}


@pytest.fixture(scope="module")
def minimums() -> Iterator[SandboxProcess]:
    with SandboxProcess("minimums") as process:
        yield process


def values(exchange: SandboxProcess) -> dict[str, Decimal | None]:
    """Return each position's value in USDT by its last price; None without one."""
    client = connect(exchange)
    try:
        tickers = client.fetch_tickers()
        total = client.fetch_balance()["total"]
    finally:
        client.session.close()
    bitcoin = Decimal(tickers["BTC/USDT"]["last"])
    found: dict[str, Decimal | None] = {}
    for asset, quantity in total.items():
        if asset in CASH or Decimal(quantity) == 0:
            continue
        price = None
        if f"{asset}/USDT" in tickers:
            price = Decimal(tickers[f"{asset}/USDT"]["last"])
        elif f"{asset}/BTC" in tickers:
            price = Decimal(tickers[f"{asset}/BTC"]["last"]) * bitcoin
        found[asset] = None if price is None else price * Decimal(quantity)
    return found


def test_seed8_is_the_reference_case(exchange: SandboxProcess) -> None:
    assert values(exchange) == {
        "SOL": Decimal("27.90"),
        "BNB": Decimal("12.40"),
        "DOGE": Decimal("0.91"),
        "XRP": Decimal("0.62"),
        "ADA": Decimal("0.33"),
        "ONE": Decimal("0.15"),
        "SHIB": Decimal("0.06"),
        "PEPE": Decimal("0.04"),
    }
    assert exchange.balance("USDT")["free"] == "184.2"


def test_seed8_holds_whole_steps_only() -> None:
    held = scenario.load("seed8")
    steps = {market.base: market.step for market in held.markets}
    for asset, quantity in held.account["balances"].items():
        if asset != "USDT":
            assert Decimal(quantity) % steps[asset] == 0


def test_minimums_has_forty_positions_with_one_of_each_odd_case(minimums: SandboxProcess) -> None:
    found = values(minimums)
    assert len(found) == 40
    assert {asset for asset, value in found.items() if value is None} == {"NFTY", "LDDOGE"}
    worth = [value for value in found.values() if value is not None]
    assert sum(value >= 5 for value in worth) == 7
    assert sum(1 <= value < 5 for value in worth) == 7
    assert sum(value < 1 for value in worth) == 24
    info = Raw(minimums).public("/api/v3/exchangeInfo").data["symbols"]
    listed = {symbol["symbol"]: symbol for symbol in info}
    assert [name for name, symbol in listed.items() if symbol["status"] == "BREAK"] == ["FTTUSDT"]
    for asset in ("ARDR", "STEEM", "DCR", "QKC"):
        assert f"{asset}BTC" in listed
        assert f"{asset}USDT" not in listed
    for symbol in info:
        rule = next(each for each in symbol["filters"] if each["filterType"] == "NOTIONAL")
        assert rule["minNotional"] == (
            "5.00000000" if symbol["quoteAsset"] == "USDT" else "0.00010000"
        )


def test_minimums_has_a_position_partly_locked_in_a_resting_order(
    minimums: SandboxProcess,
) -> None:
    assert minimums.balance("LINK") == {"free": "1.7", "locked": "1.5"}
    book = Raw(minimums).public("/api/v3/depth?symbol=LINKUSDT").data
    assert book["asks"][-1] == ["25.00000000", "1.50000000"]


def test_no_dust_of_minimums_can_be_sold(minimums: SandboxProcess) -> None:
    raw = Raw(minimums)
    assert raw.sell("DOGEUSDT", "4").data["msg"] == "Filter failure: NOTIONAL"
    assert raw.sell("FTTUSDT", "0.3").data["msg"] == "Market is closed."


def test_crowded_has_three_hundred_positions_from_a_tenth_of_a_cent_to_500() -> None:
    with SandboxProcess("crowded") as exchange:
        found = values(exchange)
    worth = sorted(value for value in found.values() if value is not None)
    assert len(found) == len(worth) == 300
    assert Decimal("0.0009") < worth[0] < Decimal("0.0012")
    assert Decimal("499") < worth[-1] < Decimal("501")
    assert sum(value < 1 for value in worth) == 158


def test_crowded_is_the_same_every_time() -> None:
    one, two = scenario.load("crowded"), scenario.load("crowded")
    assert one == two
    minimums = {plain.min_notional for plain in one.markets}
    assert {Decimal("0.01"), Decimal(5)} <= minimums
    assert all(market.bid and market.ask and market.bid < market.ask for market in one.markets)


@pytest.mark.parametrize(
    ("name", "positions", "markets"),
    [
        ("wide", 300, 3000),
        ("wide:positions=2000", 2000, 3000),
        ("dusty", 200, 200),
        ("dusty:positions=1000", 1000, 1000),
        ("dusty:positions=1,markets=40", 1, 40),
    ],
)
def test_a_crowd_has_as_many_markets_and_positions_as_it_is_told(
    name: str, positions: int, markets: int
) -> None:
    held = scenario.load(name)
    quoted = {market.base for market in held.markets} - {"BTC", "BNB", "USDC"}
    assert len(quoted) == markets
    assert len(set(held.account["balances"]) & quoted) == positions
    assert scenario.load(name) == held
    assert scenario.load(f"{name}{',' if ':' in name else ':'}seed=other") != held


def test_every_position_of_dusty_can_be_sold_and_is_dust() -> None:
    with SandboxProcess("dusty:positions=1000") as exchange:
        raw = Raw(exchange)
        none = {"orders": [{"limit": 100000, "interval_seconds": 1}]}
        exchange.control("POST", "limits", none)
        found = {asset: value for asset, value in values(exchange).items() if value is not None}
        assert len(found) == 1000
        assert Decimal("0.09") < min(found.values()) < max(found.values()) < Decimal("0.91")
        held = exchange.ledger()["balances"][raw.keys["api_key"]]
        answers = [raw.sell(f"{asset}USDT", held[asset]["free"]).data for asset in found]
        assert {answer["status"] for answer in answers} == {"FILLED"}
        left = exchange.ledger()["balances"][raw.keys["api_key"]]
        assert {left[asset]["free"] for asset in found} == {"0"}


def test_the_widest_exchange_starts_within_three_seconds_of_work(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with SandboxProcess("wide", state_file=tmp_path / "state"):
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
