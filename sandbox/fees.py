"""Fees as the exchange takes them.

A seller pays in quote. At Binance a buyer pays in base, and either in BNB at a discount when the
account burns BNB and has enough of it; at Kraken a buyer pays in quote, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.amounts import cut
from sandbox.state import State

BNB = "BNB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """The scenario's fee rates, as parts of the traded amount."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    bnb_discount: Decimal = Decimal("0.25")
    in_quote: bool = False  # whoever trades pays in quote

    def with_fee(self, quote_quantity: Decimal) -> Decimal:
        """Return what a buyer needs at most to pay for an amount of quote."""
        if not self.in_quote:
            return quote_quantity
        return quote_quantity + cut(quote_quantity * max(self.maker, self.taker))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One side of one trade, as far as its fee depends on it."""

    api_key: str
    quote: str
    paid_asset: str
    got_asset: str
    got: Decimal
    quote_quantity: Decimal
    is_maker: bool


def commission_of(state: State, fees: Fees, trade: Trade) -> tuple[Decimal, str]:
    """Return what a trade costs its owner, and in which asset."""
    rate = fees.maker if trade.is_maker else fees.taker
    if fees.in_quote:
        return cut(trade.quote_quantity * rate), trade.quote
    account = state.account(trade.api_key)
    # Never from what is being sold: the order's next fill needs it.
    if account is not None and account.bnb_burn and trade.paid_asset != BNB:
        price = _bnb_price(state, trade.quote)
        if price is not None:
            in_bnb = cut(trade.quote_quantity * rate * (1 - fees.bnb_discount) / price)
            if in_bnb <= state.balance(trade.api_key, BNB).free:
                return in_bnb, BNB
    return cut(trade.got * rate), trade.got_asset


def _bnb_price(state: State, quote: str) -> Decimal | None:
    if quote == BNB:
        return Decimal(1)
    market = state.markets.get(f"{BNB}{quote}")
    return market.last if market else None
