"""Describe a market's rules and prices as the exchange publishes them."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRule:
    """State what the exchange accepts in one market."""

    step_size: Decimal  # base
    min_quantity: Decimal  # base
    max_quantity: Decimal | None  # base, for market orders; None: no limit published
    min_notional: Decimal  # quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A spot market with its rule."""

    symbol: str
    base: str
    quote: str
    active: bool
    taker_fee: Decimal  # share of the notional
    rule: TradingRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """The top of a market's book and its last trade, in quote; None where there is none."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None

    @property
    def two_sided(self) -> bool:
        """Tell whether somebody buys and somebody sells, at sensible prices."""
        return (
            self.bid is not None
            and self.ask is not None
            and self.last is not None
            and 0 < self.bid <= self.ask
            and self.last > 0
        )
