"""Binance: facts with their sources.

"Binance rest-api.md" is the exchange's published spot API documentation, binance-spot-api-docs,
its chapters on endpoints as copied in github.com/arakinyemi/exchange-api-docs (2025).
"""

import re

from positions.domain.pacing import Kind, Limit
from positions.exchanges.profiles import absence, conversions
from positions.exchanges.profiles.profile import (
    ClientId,
    KeyRightsCall,
    LookUp,
    Profile,
    Right,
)

BINANCE = Profile(
    exchange="binance",
    orders_verified=True,
    absence=absence.BINANCE,
    conversion=conversions.BINANCE,
    # Binance rest-api.md, "Weight" of each endpoint for all symbols, depth for 100 levels; 2026-11.
    # exchange_info, order and time: from memory, to be verified; ccxt 4.5.90 has the same.
    weights={
        "exchange_info": 20,
        "account": 20,
        "tickers": 80,
        "tickers_of_20": 2,
        "tickers_of_100": 40,
        "open_orders": 80,
        "depth": 5,
        "order": 1,
        "query_order": 4,
        "my_trades": 20,
        "all_orders": 20,
        "time": 1,
        "key_rights": 1,
        # developers.binance.com, wallet, DustLog; Dust Transfer as others' clients quote it (10 per
        # user); asset/dust-btc as they do. 2026-11.
        "conversion_quote": 1,
        "conversion": 10,
        "conversion_history": 1,
    },
    # Published in exchangeInfo; these are the values when it does not say. The weight is in the
    # example of Binance's rate limits page; 2026-11. The orders: from memory, to be verified.
    weight_limit=Limit(allowed=6000, window=60),
    order_limits=(Limit(allowed=100, window=10), Limit(allowed=200_000, window=86_400)),
    # Binance rest-api.md, "IP Limits" and "Order Rate Limits"; 2026-11.
    usage_headers={"x-mbx-used-weight-": Kind.WEIGHT, "x-mbx-order-count-": Kind.ORDERS},
    order_limit_codes=frozenset({"-1015"}),
    loads_currencies=False,
    lists={"open_orders": "", "all_orders": "", "my_trades": ""},
    balances_field="balances",
    owner_field="uid",  # Binance rest-api.md, "Account information"; 2026-11
    filled_field="executedQty",
    answer_carries_fills=True,
    notional_field="cummulativeQuoteQty",
    client_id=ClientId(
        on_the_wire="newClientOrderId",
        longest=32,  # it takes 36
        source="binance-spot-api-docs: fix-api.md, client order ids: [a-zA-Z0-9-_]{1,36}; 2026-11",
    ),
    look_up=LookUp(source="ccxt 4.5.90 on the wire: origClientOrderId; 2026-11"),
    trades_parameter="orderId",
    key_rights=KeyRightsCall(
        method="sapiGetAccountApiRestrictions",
        answers="enableWithdrawals",
        reads=Right(at="enableReading"),
        trades=Right(at="enableSpotAndMarginTrading"),
        withdraws=(Right(at="enableWithdrawals"),),
        source="developers.binance.com, Wallet, API Key Permission; 2026-11",
    ),
    # Simple Earn balances in GET /api/v3/account: from memory, to be verified. Leveraged tokens
    # were named UP and DOWN until 2024-04-03 (press on Binance's announcement of 2024-02-19), BULL
    # and BEAR from memory; two coins that end alike are none.
    earn_names=re.compile(r"LD\w+"),
    leveraged_names=re.compile(r"(?!JUP$|SYRUP$)[A-Z0-9]{2,}(?:UP|DOWN|BULL|BEAR)"),
    # pub.dev, dashchain, BinanceTradingStatus: BREAK is a market that was delisted or pauses as
    # announced; 2026-11.
    delisted_states=frozenset({"BREAK"}),
    named_tickers=((20, "tickers_of_20"), (100, "tickers_of_100")),
    clock_codes=frozenset({"-1021"}),
    # ccxt 4.5.90, `describe()`. -2015 surfaces as DDoSProtection once that client made a private
    # call.
    key_codes=frozenset({"-2014", "-2015", "-1022", "-2008"}),
    duplicate_messages=("Duplicate order sent.",),
    options={"fetchOpenOrders": {"warnWithoutSymbol": False}},
)
