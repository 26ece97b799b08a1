"""Judge 2,000 positions over 3,000 markets, beside the parsing of the tickers that it rests on."""

from __future__ import annotations

import decimal
import time
from decimal import Decimal
from statistics import median
from typing import Any

import ccxt

from positions.domain.balances import Balance
from positions.domain.markets import Market, TradingRule
from positions.domain.policies import Policy
from positions.domain.valuation import PriceList
from positions.domain.what_if import WhatIf
from positions.exchanges.ccxt_answers import ticker_of
from positions.services.readings import holdings_of
from tests.benchmarks.figures import record

POSITIONS, IN_USDT, IN_BTC, TIMES = 2000, 2000, 1000, 5


def raw_ticker(symbol: str, price: Decimal) -> dict[str, Any]:
    """Return one market of Binance's GET /api/v3/ticker/24hr."""
    text = f"{price:.10f}"
    return {
        "symbol": symbol,
        "lastPrice": text,
        "bidPrice": text,
        "bidQty": "1000",
        "askPrice": f"{price * Decimal('1.001'):.10f}",
        "askQty": "1000",
        "volume": "5000",
        "quoteVolume": "5000",
        "openTime": 1_763_900_000_000,
        "closeTime": 1_763_986_400_000,
        "count": 10,
    }


def market(base: str, quote: str, minimum: str) -> Market:
    rule = TradingRule(
        step_size=Decimal("0.01"),
        min_quantity=Decimal("0.01"),
        max_quantity=None,
        min_notional=Decimal(minimum),
    )
    return Market(
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        active=True,
        delisted=False,
        taker_fee=Decimal("0.001"),
        rule=rule,
    )


def test_verdicts_take_little_beside_the_parsing_of_the_tickers() -> None:
    prices = {f"A{number:04}": Decimal(number % 97 + 1) / 50 for number in range(IN_USDT - 1)}
    markets = [market("BTC", "USDT", "5")]
    markets += [market(asset, "USDT", "5") for asset in prices]
    markets += [market(asset, "BTC", "0.0001") for asset in list(prices)[:IN_BTC]]
    raw = [raw_ticker("BTCUSDT", Decimal(100_000))]
    raw += [raw_ticker(f"{asset}USDT", price) for asset, price in prices.items()]
    raw += [raw_ticker(f"{asset}BTC", prices[asset] / 100_000) for asset in list(prices)[:IN_BTC]]
    balances = [
        Balance(asset=asset, free=Decimal("1.234"), locked=Decimal(0)) for asset in ("BTC", *prices)
    ]
    client = ccxt.binance({"number": str})
    by_id = {item.base + item.quote: item.symbol for item in markets}
    by_symbol = {item.symbol: item for item in markets}

    def parsed() -> dict[str, Any]:
        with decimal.localcontext():
            items = [client.parse_ticker(item, None) for item in raw]
        return {
            by_id[item["info"]["symbol"]]: ticker_of(by_id[item["info"]["symbol"]], item)
            for item in items
        }

    def judged(tickers: Any) -> WhatIf:
        price_list = PriceList(
            anchor="USDT", markets=by_symbol, tickers=tickers, now_ms=1_763_986_400_000
        )
        holdings = holdings_of(
            balances,
            markets=by_symbol,
            tickers=tickers,
            prices=price_list,
            quote="USDT",
            offers={},
            busy=(),
        )
        return WhatIf(holdings, policy=Policy(), cap=8)

    parsing, judging = [], []
    for _ in range(TIMES):
        began = time.perf_counter()
        tickers = parsed()
        parsing.append(time.perf_counter() - began)
        began = time.perf_counter()
        what_if = judged(tickers)
        judging.append(time.perf_counter() - began)
    assert len(what_if.classified(Decimal(1)).positions) == POSITIONS
    record(
        f"verdicts for {POSITIONS} positions over {len(markets)} markets",
        median(judging),
        "s",
        limit=0.5,
        parsing_of_the_tickers=round(median(parsing), 3),
    )
