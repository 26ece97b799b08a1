"""How small balances are converted, exchange by exchange: each rule with its source and date."""

from datetime import timedelta
from decimal import Decimal

from positions.domain.absence import AbsenceRule
from positions.domain.conversions import ConversionRule

# No exchange says how soon its history follows; each has one history, which both look-ups ask.
_MARGIN_MS = 30_000
_APART_MS = 5_000

BINANCE = ConversionRule(
    target="BNB",
    charge=Decimal("0.02"),
    window=timedelta(hours=6),
    # -5006 is documented, as "once in 24 hours"; 32110, what the site shows for the six hours, is
    # from memory, to be verified.
    window_codes=frozenset({"-5006", "32110"}),
    # -5001 unsupported, -5002 -5003 not held, -5004 too much, -5005 too little, -5007 -5008 -5009;
    # -5013, not held, is undocumented: ccxt 4.5.90, `describe()`.
    refusal_codes=frozenset(
        {"-5001", "-5002", "-5003", "-5004", "-5005", "-5007", "-5008", "-5009", "-5013"}
    ),
    absence=AbsenceRule(
        proof="signature validity",
        look_up="GET /sapi/v1/asset/dribblet since the signing time",
        history="GET /sapi/v1/asset/dribblet since the signing time",
        history_rows=100,
        # A request may be a second ahead of Binance's clock, and the history tells whole seconds.
        ahead_ms=2_000,
        margin_ms=_MARGIN_MS,
        apart_ms=_APART_MS,
        source="developers.binance.com, wallet, DustLog (last 100 records); recvWindow as others' "
        "clients of Dust Transfer take it",
        read="2026-11",
    ),
    source="developers.binance.com, wallet, Error Code; binance.com support 360003012371, How to "
    "Convert Small Balances to BNB (0.0012 BTC, 6 hours, 2%)",
    read="2026-11",
)

OKX = ConversionRule(
    target="USDT",
    charge=Decimal(0),  # OKX states none, and no answer of these calls carries one
    most_assets=5,
    window=timedelta(seconds=2),  # the call's own rate limit
    per_day=5,
    waits=timedelta(seconds=60),  # it answers "running"; how long that takes is not stated
    absence=AbsenceRule(
        proof="signature validity",
        look_up="GET /api/v5/trade/easy-convert-history since the signing time",
        history="GET /api/v5/trade/easy-convert-history since the signing time",
        history_rows=100,
        ahead_ms=2_000,
        # OKX accepts a request up to 30 s after its timestamp, whatever validity we count: from
        # memory, to be verified.
        margin_ms=30_000 + _MARGIN_MS,
        apart_ms=_APART_MS,
        source="okx.com/docs-v5, Easy convert history, as copied in "
        "github.com/rosssaunders/coincise",
        read="2026-11",
    ),
    source="okx.com/docs-v5, Place easy convert, as copied in github.com/rosssaunders/coincise; "
    "okx.com/help/360041995891 (below 10 USD, five times every 24 hours)",
    read="2026-11",
)

BYBIT = ConversionRule(
    target="USDT",
    charge=Decimal("0.02"),  # as in the documented example; each quote tells its own
    most_gross=Decimal(200),
    most_assets=20,
    # 700009, a quote that was used, is none of them: a conversion exists.
    refusal_codes=frozenset(
        {
            *("32024", "700000", "700001", "700002", "700003", "700004", "700005", "700006"),
            *("700007", "700008", "700010", "700011"),
        }
    ),
    waits=timedelta(seconds=60),  # asynchronous; how long that takes is not stated
    absence=AbsenceRule(
        # How long a quote lives is not stated; Bybit's other quotes live 15 and 30 seconds.
        proof="signature validity, and the end of the quote",
        look_up="GET /v5/asset/covert/small-balance-history by quoteId",
        history="GET /v5/asset/covert/small-balance-history by quoteId",
        history_rows=100,
        ahead_ms=2_000,
        margin_ms=_MARGIN_MS,
        apart_ms=_APART_MS,
        source="bybit-exchange.github.io v5, Convert Small Balances: Confirm a Quote, Get Exchange "
        "History; the signature's window: ccxt 4.5.90, `sign`",
        read="2026-11",
    ),
    source="bybit-exchange.github.io v5, Convert Small Balances: Get Small Balance Coins, Confirm "
    "a Quote, Get Exchange History (its example's fee is 2%); 20 coins: Bybit's trading-mcp, "
    "SmallAssetQuote; codes from Convert Guideline, which is about the other conversion",
    read="2026-11",
)
