"""Describe what an account holds, before anything is said about its worth."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One asset's quantity: `total = free + locked`; only `free` can be sold."""

    asset: str
    free: Decimal
    locked: Decimal
    earn: bool = False  # staked or in an earn product: not spot, never sold from here

    @property
    def total(self) -> Decimal:
        """Return the whole quantity, base."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One held asset with everything a verdict needs, as one snapshot saw it.

    `price_usd` is None when no trustworthy price was found; then `price_problem` says why.
    `bid`, `ask` and `last` are quote prices of the market in which the asset would be sold.
    """

    asset: str
    free: Decimal
    locked: Decimal
    earn: bool = False
    price_usd: Decimal | None = None
    price_path: str = ""
    price_problem: str = ""
    symbol: str | None = None
    market_active: bool = False
    step_size: Decimal | None = None  # base
    min_quantity: Decimal | None = None  # base
    max_quantity: Decimal | None = None  # base
    min_notional: Decimal | None = None  # quote
    taker_fee: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    quote_price_usd: Decimal | None = None
    has_open_order: bool = False

    @property
    def total(self) -> Decimal:
        """Return the whole quantity, base."""
        return self.free + self.locked

    @property
    def value_usd(self) -> Decimal | None:
        """Return what the whole quantity is worth, or None when nobody can say."""
        return None if self.price_usd is None else self.total * self.price_usd
