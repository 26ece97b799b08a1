"""KuCoin: facts with their sources.

An order's answer carries its id only. ccxt would ask which kind of account it is before the first
private call; it is pinned to the classic trading account, whose lists need no market's name.
"""

import re

from positions.domain.pacing import Limit
from positions.exchanges.profiles.profile import (
    ClientId,
    KeyRightsCall,
    LookUp,
    Profile,
    Right,
)

KUCOIN = Profile(
    exchange="kucoin",
    orders_verified=True,
    # kucoin.com/docs-new, "Rate Limit", as copied in github.com/rosssaunders/coincise; 2026-11:
    # 4,000 units in 30 seconds for spot, 2,000 for public and for management calls; one budget for
    # all. Each endpoint's weight: ccxt 4.5.90, `describe()`; a look-up one more. The list of
    # markets brings the tickers with it.
    weight_limit=Limit(allowed=2000, window=30),
    weights={
        "exchange_info": 19,
        "account": 5,
        "tickers": 15,
        "open_orders": 2,
        "order": 2,
        "query_order": 3,
        "my_trades": 10,
        "time": 3,
        "key_rights": 20,
    },
    # KuCoin's former documentation (docs.kucoin.com, Place a new order), as others quote it; today
    # an order costs its weight only. 2026-11.
    order_limits=(Limit(allowed=45, window=3),),
    client_id=ClientId(
        on_the_wire="clientOid",
        longest=32,  # it takes 40
        source="kucoin.com/docs-new, Add Order (futures), as copied in "
        "github.com/rosssaunders/coincise: 40 of letters, digits, _ and -; for spot the length is "
        "from memory, to be verified; 2026-11",
    ),
    look_up=LookUp(source="ccxt 4.5.90 on the wire: order/client-order/{clientOid}; 2026-11"),
    filled_field="dealSize",
    notional_field="dealFunds",
    trades_parameter="orderId",
    loads_currencies=False,
    # Else two signed requests for margin markets come first, dated by our own clock: ccxt 4.5.90.
    market_params={"marginables": False},
    balances_field="data",
    lists={"open_orders": "data.items", "my_trades": "data.items"},
    # KuCoin's former documentation, system error 400002, as others quote it: the time differs from
    # the server's by more than 5 seconds; 2026-11.
    lifetime_ms=5_000,
    # kucoin.com/leveraged-tokens: BTC3L, BTC3S; 2026-11. 2, UP and DOWN: from memory, to be
    # verified.
    leveraged_names=re.compile(r"[A-Z0-9]{2,}(?:[23][LS]|UP|DOWN)(?<!JUP)(?<!SYRUP)"),
    key_rights=KeyRightsCall(
        method="privateGetUserApiKey",
        answers="data.permission",
        reads=Right(at="data.permission", word="General"),
        trades=Right(at="data.permission", word="Spot"),
        withdraws=(
            Right(at="data.permission", word="Withdrawal"),
            Right(at="data.permission", word="Transfer"),
        ),
        source="kucoin.com support 900006465403: a key may Transfer, withdrawals included; the "
        "other words as others' clients quote Get Apikey Info; 2026-11",
    ),
    # ccxt 4.5.90, `describe()`.
    clock_codes=frozenset({"400002"}),
    key_codes=frozenset({"400003", "400004", "400005", "400006", "400007"}),
    options={"uta": False, "hf": False},
)
