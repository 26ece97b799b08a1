"""Coinbase (Advanced Trade): facts with their sources.

ccxt drops `clientOrderId` here and makes up an id of its own: the exchange's name for it is passed.
No call finds an order by it, so the market's orders are searched.
"""

from positions.domain.pacing import Limit
from positions.exchanges.profiles.profile import (
    ClientId,
    KeyRightsCall,
    LookUp,
    Profile,
    Right,
)

COINBASE = Profile(
    exchange="coinbase",
    orders_verified=True,
    # 30 private requests a second per user, 10 public ones per address: ccxt 4.5.90, `describe()`,
    # which names docs.cloud.coinbase.com/advanced-trade/docs/rest-api-rate-limits.
    weight_limit=Limit(allowed=10, window=1),
    order_limits=(Limit(allowed=10, window=1),),
    client_id=ClientId(
        parameter="client_order_id",
        on_the_wire="client_order_id",
        source="ccxt 4.5.90 on the wire; docs.cdp.coinbase.com, Create Order, as others quote it: "
        "a second order with an id is not created, the first is returned; 2026-11",
    ),
    look_up=LookUp(
        calls=("fetch_orders",),
        parameter="",
        extra={"limit": 100},
        most_rows=100,
        source="ccxt 4.5.90 on the wire: orders/historical/batch of one product; 2026-11",
    ),
    filled_field="filled_size",
    notional_field="filled_value",
    trades_parameter="order_ids",  # docs.cdp.coinbase.com, List Fills; 2026-11
    loads_currencies=False,
    # ccxt 4.5.90 puts an empty list where the answer has none, so one account at least must be
    # there; an account without any wallet is not known.
    balances_field="accounts.0",
    lists={"fetch_orders": "orders", "open_orders": "orders", "my_trades": "fills"},
    # docs.cdp.coinbase.com, Exchange API, "status" of a product: online, offline, internal or
    # delisted; that Advanced Trade has the same words: from memory, to be verified.
    delisted_states=frozenset({"delisted"}),
    # The list of products has no bid and ask.
    quotes_call="fetch_bids_asks",
    # A token is dated in seconds and holds 120 of them: ccxt 4.5.90, `create_auth_token`.
    dated_in_seconds=True,
    lifetime_ms=120_000,
    key_rights=KeyRightsCall(
        method="v3PrivateGetBrokerageKeyPermissions",
        answers="can_view",
        reads=Right(at="can_view"),
        trades=Right(at="can_trade"),
        withdraws=(Right(at="can_transfer"),),
        source="docs.cdp.coinbase.com, Get API Key Permissions; 2026-11",
    ),
    # ccxt 4.5.90 reads these as a plain ExchangeError, which would be unknown.
    refused_codes=frozenset(
        {
            "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL",
            "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL",
            "PREVIEW_INVALID_SIZE_PRECISION",
            "INVALID_SIZE_PRECISION",
        }
    ),
    options={
        # The older accounts lack what is held by orders, and add "Staked ADA" to what is free.
        "fetchBalance": "v3PrivateGetBrokerageAccounts",
        "fetchMarkets": "fetchMarketsV3",
        "fetchTime": "v3PublicGetBrokerageTime",
    },
)
