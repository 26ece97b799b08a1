"""Describe what an account holds, before anything is said about its worth."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from positions.domain.amounts import ZERO
from positions.domain.conversions import Offer
from positions.domain.markets import SaleMarket
from positions.domain.valuation import Doubt, Hop


class Kind(StrEnum):
    """What sort of thing a balance is, as its exchange's profile tells by its name."""

    SPOT = "SPOT"
    EARN = "EARN"  # staked or in an earn product: not spot, never sold from here
    LEVERAGED = "LEVERAGED"  # a token that holds a leveraged position
    AIRDROP = "AIRDROP"  # sent unasked, its name advertises a site


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One asset's quantity: `total = free + locked`; only `free` can be sold."""

    asset: str
    free: Decimal
    locked: Decimal
    kind: Kind = Kind.SPOT
    debt: Decimal = ZERO  # borrowed of it and to be paid back

    @property
    def total(self) -> Decimal:
        """Return the whole quantity, base."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One held asset with everything a verdict needs, as one snapshot saw it.

    `price_usd` is None when no trustworthy price was found; then `price_problem` says why.
    """

    asset: str
    free: Decimal
    locked: Decimal
    kind: Kind = Kind.SPOT
    debt: Decimal = ZERO
    price_usd: Decimal | None = None
    price_hops: tuple[Hop, ...] = ()
    price_doubts: tuple[Doubt, ...] = ()
    price_problem: str = ""
    price_is_stale: bool = False
    sales: tuple[SaleMarket, ...] = ()  # the account's quote first
    offer: Offer | None = None  # what the exchange's own conversion would pay
    has_open_order: bool = False
    # The dust threshold at which it was counted when it was read; None: it was not.
    counted_at: Decimal | None = None

    @property
    def total(self) -> Decimal:
        """Return the whole quantity, base."""
        return self.free + self.locked

    @property
    def value_usd(self) -> Decimal | None:
        """Return what the whole quantity is worth, or None when nobody can say."""
        return None if self.price_usd is None else self.total * self.price_usd

    @property
    def step_size(self) -> Decimal | None:
        """Return the smallest step in which it could be sold, base; None without a market."""
        return min((sale.market.rule.step_size for sale in self.sales), default=None)
