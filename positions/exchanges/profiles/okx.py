"""OKX: facts with their sources.

ccxt places orders through `trade/batch-orders`; the answer carries the order's id only.

OKX's pages are those of okx.com/docs-v5 as copied in github.com/arakinyemi/exchange-api-docs (2025)
and, easy convert, in github.com/rosssaunders/coincise; read 2026-11.
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

OKX = Profile(
    exchange="okx",
    conversion=conversions.OKX,
    orders_verified=True,
    # Each endpoint has a limit of its own, private ones by user: in 2 seconds the balance 10, the
    # list of orders 60, the account's configuration 5. One budget for all is the cautious reading.
    weight_limit=Limit(allowed=10, window=2),
    # Place easy convert, Easy convert history: once in 2 seconds; the list of currencies likewise
    # from memory, to be verified.
    weights={
        "key_rights": 2,
        "conversion_quote": 10,
        "conversion": 10,
        "conversion_history": 10,
    },
    # Place multiple orders: a request with one order counts as Place order, 60 in 2 seconds by user
    # and instrument.
    order_limits=(Limit(allowed=60, window=2),),
    client_id=ClientId(
        on_the_wire="clOrdId",
        longest=32,
        source="okx.com/docs-v5, Place order: up to 32 letters and digits, unique among the "
        "pending orders only",
    ),
    look_up=LookUp(source="ccxt 4.5.90 on the wire: trade/order by clOrdId; 2026-11"),
    # Transaction timeouts: "Request effective deadline. Unix timestamp in milliseconds", also for
    # multiple orders; after it the request is not processed.
    deadline_header="expTime",
    filled_field="accFillSz",
    trades_parameter="ordId",
    loads_currencies=False,
    balances_field="data.0.details",
    lists={"open_orders": "data", "my_trades": "data"},
    # From memory, to be verified: no page says that OKX has or had such tokens.
    leveraged_names=re.compile(r"[A-Z0-9]{2,}[35][LS]"),
    key_rights=KeyRightsCall(
        method="privateGetAccountConfig",
        answers="data.0.perm",
        reads=Right(at="data.0.perm", word="read_only"),
        trades=Right(at="data.0.perm", word="trade"),
        withdraws=(Right(at="data.0.perm", word="withdraw"),),
        source="okx.com/docs-v5, Get account configuration: perm",
    ),
    # Error Code, Public.
    clock_codes=frozenset({"50102", "50112"}),
    key_codes=frozenset({"50105", "50111", "50113", "50114", "50119", "50120"}),
    # 50071 is "already exists, e.g. clOrdId"; ccxt 4.5.90 maps 51016 to InvalidOrder.
    duplicate_codes=frozenset({"51016", "50071"}),
)
