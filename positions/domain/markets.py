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
    delisted: bool  # not active, and nobody expects it to be again
    taker_fee: Decimal  # share of the notional
    rule: TradingRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """The top of a market's book and its last trade, in quote; None where nothing is told."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    bid_quantity: Decimal | None = None  # base, at the bid
    volume: Decimal | None = None  # of the last day; base or quote, zero tells the same
    at_ms: int | None = None  # on the exchange's clock

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

    def covers(self, quantity: Decimal) -> bool | None:
        """Tell whether the best bid takes so much base; None where nobody can say."""
        return None if self.bid_quantity is None else quantity <= self.bid_quantity

    @property
    def within_book(self) -> Decimal:
        """Return the last price, held between bid and ask: an old trade says nothing about today.

        Raise `ValueError` unless the book is two-sided.
        """
        if not self.two_sided or self.last is None or self.bid is None or self.ask is None:
            raise ValueError(f"{self.symbol} has no two-sided book")
        return min(max(self.last, self.bid), self.ask)

    @property
    def spread(self) -> Decimal | None:
        """Return the distance of ask and bid as a share of their middle; None without a book."""
        if not self.two_sided or self.bid is None or self.ask is None:
            return None
        return 2 * (self.ask - self.bid) / (self.ask + self.bid)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleMarket:
    """A market in which a holding could be sold, as one snapshot saw it."""

    market: Market
    ticker: Ticker | None
    quote_price_usd: Decimal | None
    # What selling all that is free would bring per unit, in quote, where the best bid does not
    # cover it and the book was read; None: the best bid counts.
    deep_bid: Decimal | None = None
