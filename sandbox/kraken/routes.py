"""The calls this exchange answers, with what they count for and the rights they need.

Rights are named as GetApiKeyInfo names them; `query-closed-trades` and `close-trades` follow the
others' form (assumed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kraken import account_calls, history_calls, market_calls, trading_calls
from sandbox.kraken.call import Call

FUNDS = "query-funds"
OPEN, CLOSED = "query-open-trades", "query-closed-trades"
MODIFY, CLOSE = "modify-trades", "close-trades"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call: its handler, its weight, and the rights of which a key needs one."""

    handler: Callable[[Call], object]
    is_private: bool = False
    rights: tuple[str, ...] = ()  # none: any key
    weight: int = 1
    # What it counts for in which markets.
    trading_cost: Callable[[Call], dict[str, int]] | None = None
    places_order: bool = False


def _private(handler: Callable[[Call], object], *rights: str, weight: int = 1) -> dict[str, Route]:
    route = Route(handler=handler, is_private=True, rights=rights, weight=weight)
    return {"POST": route}


def _public(handler: Callable[[Call], object]) -> dict[str, Route]:
    route = Route(handler=handler)
    return {"GET": route, "POST": route}


PREFIX = "/0/"
# Path below the prefix -> method -> route.
ROUTES: dict[str, dict[str, Route]] = {
    "public/Time": _public(market_calls.time),
    "public/SystemStatus": _public(market_calls.system_status),
    "public/Assets": _public(market_calls.assets),
    "public/AssetPairs": _public(market_calls.asset_pairs),
    "public/Ticker": _public(market_calls.ticker),
    "public/Depth": _public(market_calls.depth),
    "private/Balance": _private(account_calls.balance, FUNDS),
    "private/BalanceEx": _private(account_calls.balance_ex, FUNDS),
    "private/GetApiKeyInfo": _private(account_calls.api_key_info),
    "private/OpenOrders": _private(history_calls.open_orders, OPEN),
    "private/ClosedOrders": _private(history_calls.closed_orders, CLOSED),
    "private/QueryOrders": _private(history_calls.query_orders, OPEN, CLOSED),
    "private/QueryTrades": _private(history_calls.query_trades, CLOSED),
    "private/TradesHistory": _private(history_calls.trades_history, CLOSED, weight=2),
    "private/AddOrder": {
        "POST": Route(
            handler=trading_calls.add_order,
            is_private=True,
            rights=(MODIFY,),
            weight=0,
            trading_cost=trading_calls.order_cost,
            places_order=True,
        )
    },
    "private/CancelOrder": {
        "POST": Route(
            handler=trading_calls.cancel_order,
            is_private=True,
            rights=(MODIFY, CLOSE),
            weight=0,
            trading_cost=trading_calls.cancel_cost,
        )
    },
}
