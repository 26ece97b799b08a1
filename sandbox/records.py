"""The rows of the exchange's books: accounts, orders, fills and requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.amounts import ZERO

NEW = "NEW"
PARTIALLY_FILLED = "PARTIALLY_FILLED"
FILLED = "FILLED"
CANCELED = "CANCELED"
EXPIRED = "EXPIRED"
OPEN_STATUSES = (NEW, PARTIALLY_FILLED)

MARKET_ORDER = "MARKET"
LIMIT_ORDER = "LIMIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One set of credentials and what belongs to it."""

    number: int
    api_key: str
    api_secret: str = field(repr=False)
    name: str
    permissions: dict[str, bool]
    bnb_burn: bool
    revoked: bool
    created_ms: int
    # How far a nonce may be below the highest one, if the protocol has nonces.
    nonce_window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account holds of one asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order; `locked` is what it still holds of its base (sell) or quote (buy)."""

    order_id: int
    api_key: str
    symbol: str
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    filled_quantity: Decimal
    filled_quote: Decimal
    locked: Decimal
    status: str
    origin: str
    created_ms: int
    updated_ms: int
    txid: str  # what it is called on the wire; empty: its number
    userref: int | None

    @property
    def is_open(self) -> bool:
        """Return whether the order can still trade."""
        return self.status in OPEN_STATUSES

    @property
    def left(self) -> Decimal:
        """Return the quantity that did not trade."""
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One trade of one order; converted dust has an order id of zero and no price."""

    trade_id: int
    order_id: int
    api_key: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    at_ms: int
    txid: str  # what it is called on the wire; empty: its number
