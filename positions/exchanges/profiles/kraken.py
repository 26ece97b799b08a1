"""Kraken: facts with their sources.

Kraken answers an order with its id only, and wants every nonce of a key greater than the last.
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

KRAKEN = Profile(
    exchange="kraken",
    orders_verified=True,
    # ccxt 4.5.90, `sign`: incrementing_nonce.
    increasing_nonce=True,
    # docs.kraken.com, "Spot REST Rate Limits" (exchange/guides/rest/ratelimits); 2026-11: each key
    # has a counter of private calls. The tier Starter, the least: it holds 15 and falls by 0.33 a
    # second (Intermediate 20 and 0.5, Pro 20 and 1). Trade history costs 2, any other call 1,
    # AddOrder nothing; QueryTrades counts as history here, the page does not name it.
    # All of this limit is 12 at once and then 0.31 a second; the half of it, the default share, is
    # 6 and 0.16: a look and what follows an order need not wait. Public calls are limited by
    # address, about one a second: from memory, to be verified; ccxt 4.5.90 paces them so.
    weight_limit=Limit(allowed=52, window=120),
    weight_by_key=True,
    weights={
        "exchange_info": 0,
        "account": 1,
        "tickers": 0,
        "open_orders": 1,
        "order": 0,
        "query_order": 1,
        "my_trades": 2,
        "time": 0,
        "key_rights": 1,
    },
    # The trading engine's own counter, per pair: 60, falling by 1 a second (Starter, as Kraken's
    # kraken-cli says it), "Spot Trading Limits": an added order costs 1; 2026-11. No faster than it
    # falls, and all pairs together.
    order_limits=(Limit(allowed=10, window=10),),
    client_id=ClientId(
        on_the_wire="cl_ord_id",
        longest=32,
        source="docs.kraken.com, Spot Client Order Identifiers: UUID or free text, unique among "
        "open orders; 32 hexadecimal digits are a UUID, free text has 18 characters: "
        "nautilustrader.io, truncate_cl_ord_id; 2026-11",
    ),
    # `fetch_order` would send the id as `userref`, which is another field: ccxt 4.5.90 on the wire.
    look_up=LookUp(
        calls=("fetch_open_orders", "fetch_closed_orders"),
        extra={"trades": "true"},
        source="ccxt 4.5.90 on the wire: cl_ord_id in OpenOrders and ClosedOrders; 2026-11",
    ),
    trades_by_their_ids=True,
    # docs.kraken.com, Add Order, as others' clients quote it: "RFC3339 timestamp after which the
    # matching engine should reject the new order request", 2 to 60 seconds ahead; 2026-11.
    deadline_parameter="deadline",
    # ccxt 4.5.90: markets are found by their short name ("XBTUSDT") through this index.
    market_indexes={"marketsByAltname": "altname"},
    balances_field="result",
    lists={
        "fetch_open_orders": "result.open",
        "fetch_closed_orders": "result.closed",
        "open_orders": "result.open",
        "my_trades": "result",
    },
    # docs.kraken.com, Get Extended Balance: .B, .F, .M, .S are earn, .T tokenized; support
    # 360039879471, "What is Asset.S and Asset.M?": .P is bonded to parachains; 2026-11.
    earn_names=re.compile(r"\w+\.[BFMPST]"),
    key_rights=KeyRightsCall(
        method="privatePostGetApiKeyInfo",
        answers="result.permissions",
        reads=Right(at="result.permissions", word="query-funds"),
        trades=Right(at="result.permissions", word="modify-trades"),
        withdraws=(Right(at="result.permissions", word="withdraw-funds"),),
        source="docs.kraken.com, Get API Key Info; its words as GoCryptoTrader's tests have them; "
        "2026-11",
    ),
    clock_codes=frozenset({"EAPI:Invalid nonce"}),
    # docs.kraken.com, "Spot Error Messages"; 2026-11. ccxt 4.5.90 has no class for "Invalid
    # signature" and "Cost minimum not met": a plain ExchangeError, which would be unknown.
    key_codes=frozenset(
        {"EAPI:Invalid signature", "EAPI:Invalid key", "EGeneral:Permission denied"}
    ),
    refused_codes=frozenset({"EOrder:Cost minimum not met", "EOrder:Order minimum not met"}),
)
