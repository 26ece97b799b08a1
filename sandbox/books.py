"""The order book: synthetic depth around a price, resting orders, and walking through both.

The synthetic part is there again after every order, as if market makers refilled it at once;
resting orders of accounts are used up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sandbox.amounts import ZERO, ceil_to, cut, floor_to
from sandbox.markets import Market, PerMarket

BUY = "BUY"
SELL = "SELL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A price and what can be traded there; `order_id` when it is an account's resting order."""

    price: Decimal  # quote
    quantity: Decimal  # base
    order_id: int | None = None


def opposite(side: str) -> str:
    """Return the side an order of `side` trades against."""
    return SELL if side == BUY else BUY


def synthetic_levels(market: Market, side: str) -> list[Level]:
    """Return the makers' levels of one side, best first; empty without a quote."""
    return _both_sides(market)[side]


@PerMarket
def _both_sides(market: Market) -> dict[str, list[Level]]:
    return {side: _side(market, side) for side in (BUY, SELL)}


def _side(market: Market, side: str) -> list[Level]:
    best = market.bid if side == BUY else market.ask
    if best is None:
        return []
    depth = market.depth
    quantities: dict[Decimal, Decimal] = {}
    for index in range(depth.levels):
        distance = best * depth.level_step * index
        if side == BUY:
            price = floor_to(best - distance, market.tick)
        else:
            price = ceil_to(best + distance, market.tick)
        if price <= 0:
            break
        quantity = floor_to(depth.level_quote / price, market.step)
        # A coarse tick puts several levels on one price.
        quantities[price] = quantities.get(price, ZERO) + quantity
    return [Level(price=p, quantity=q) for p, q in quantities.items() if q > 0]


def merge(levels: Sequence[Level], resting: Iterable[Level], side: str) -> list[Level]:
    """Return one side with resting orders in it, best first; at one price accounts come first."""
    both = [*resting, *levels]
    if len(both) == len(levels):
        return both
    return sorted(both, key=lambda level: level.price, reverse=side == BUY)


def walk(
    levels: Iterable[Level], quantity: Decimal, *, worst: Decimal | None, side: str
) -> list[Level]:
    """Return what an order of `side` takes from the other side's levels, up to `quantity`."""
    takes: list[Level] = []
    left = quantity
    for level in levels:
        if left <= 0:
            break
        if worst is not None and (level.price < worst if side == SELL else level.price > worst):
            break
        taken = min(left, level.quantity)
        takes.append(Level(price=level.price, quantity=taken, order_id=level.order_id))
        left -= taken
    return takes


def quantity_for_quote(levels: Iterable[Level], quote_quantity: Decimal, step: Decimal) -> Decimal:
    """Return the quantity, in whole steps, that `quote_quantity` pays for in these levels."""
    quantity = ZERO
    left = quote_quantity
    for level in levels:
        cost = cut(level.price * level.quantity)
        if cost >= left:
            quantity += floor_to(left / level.price, step)
            break
        quantity += level.quantity
        left -= cost
    return floor_to(quantity, step)
