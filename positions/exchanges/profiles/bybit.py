"""Bybit: facts with their sources.

An order's answer carries its id only, and an order is looked up in two lists: the open ones and the
history. ccxt would ask which kind of account it is before the first private call; it is pinned.
"""

import re

from positions.domain.pacing import Limit
from positions.exchanges.profiles import conversions
from positions.exchanges.profiles.profile import (
    ClientId,
    KeyRightsCall,
    LookUp,
    Profile,
    Right,
)

BYBIT = Profile(
    exchange="bybit",
    conversion=conversions.BYBIT,
    orders_verified=True,
    # bybit-exchange.github.io v5, "Rate Limit Rules": 600 requests in 5 seconds per address, the
    # endpoints by user and second; 2026-11. Ten a second is the least it allows of those we ask
    # (Get API Key Information, as others quote it).
    weight_limit=Limit(allowed=50, window=5),
    # v5, Convert Small Balances and "Rate Limit Rules": a quote and its confirmation 5 a second;
    # the history 10 on its own page, 5 in the rules. 2026-11.
    weights={"conversion_quote": 2, "conversion": 2, "conversion_history": 2},
    # v5, "API Rate Limit Rules for VIPs": spot 20 a second without a level, other products 10.
    order_limits=(Limit(allowed=10, window=1),),
    client_id=ClientId(
        on_the_wire="orderLinkId",
        longest=32,  # it takes 36
        source="bybit-exchange.github.io v5, Place Order, as others' clients quote it: 36 of "
        "letters, digits, - and _, always unique; 2026-11",
    ),
    # `clientOrderId` is not translated here and would list any order: ccxt 4.5.90 on the wire.
    look_up=LookUp(
        calls=("fetch_open_orders", "fetch_canceled_and_closed_orders"),
        parameter="orderLinkId",
        source="ccxt 4.5.90 on the wire: order/realtime and order/history; 2026-11",
    ),
    filled_field="cumExecQty",
    notional_field="cumExecValue",
    trades_parameter="orderId",
    fee_currency_field="feeCurrency",  # ccxt 4.5.90, `parse_trade`, assumes the quote
    loads_currencies=False,
    balances_field="result.list.0.coin",
    lists={
        "fetch_open_orders": "result.list",
        "fetch_canceled_and_closed_orders": "result.list",
        "open_orders": "result.list",
        "my_trades": "result.list",
    },
    # help.bybit.com, "FAQ: Bybit Leveraged Token": BTC3L, BTC3S; 2026-11. 2 and 5: from memory, to
    # be verified.
    leveraged_names=re.compile(r"[A-Z0-9]{2,}[235][LS]"),
    key_rights=KeyRightsCall(
        method="privateGetV5UserQueryApi",
        answers="result.permissions",
        reads=None,  # whoever gets this answer reads
        trades=Right(at="result.permissions.Spot", word="SpotTrade"),
        withdraws=(Right(at="result.permissions.Wallet", word="Withdraw"),),
        read_only_at="result.readOnly",
        source="bybit-exchange.github.io v5, Get API Key Information; 2026-11",
    ),
    # ccxt 4.5.90, `describe()`.
    clock_codes=frozenset({"10002"}),
    key_codes=frozenset({"10003", "10004", "10005", "10010", "33004"}),
    # v5, "Rate Limit Rules": the limit of a user, in a window of a second; 2026-11.
    order_limit_codes=frozenset({"10006"}),
    duplicate_codes=frozenset({"170141"}),  # ccxt 4.5.90 maps it to InvalidOrder
    # A unified trading account, the only kind that Bybit still opens (from memory, to be verified);
    # else ccxt asks twice first.
    options={
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
        "unifiedMarginStatus": 6,
    },
)
