"""A market: its rules, its quotes and the shape of its book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Generic, TypeVar

from sandbox.amounts import ZERO, BadValue, ceil_to, floor_to, parse_amount, plain

T = TypeVar("T")
TRADING = "TRADING"
NOTIONAL = "NOTIONAL"
PERCENT_PRICE = "PERCENT_PRICE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The synthetic book: `levels` a side, each `level_step` further and `level_quote` deep."""

    spread: Decimal = Decimal("0.0004")  # of the price, between best bid and best ask
    levels: int = 10
    level_step: Decimal = Decimal("0.0002")  # of the best price
    level_quote: Decimal = Decimal("5000")  # quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One symbol. A quote that is None does not exist: that side of the book is empty."""

    symbol: str
    base: str
    quote: str
    status: str = TRADING
    tick: Decimal = Decimal("0.01")  # quote
    step: Decimal = Decimal("0.00001")  # base
    min_quantity: Decimal | None = None  # base; None: one step
    max_quantity: Decimal = Decimal("9000000000")  # base
    market_min_quantity: Decimal = ZERO  # base; zero, here and below: no rule beyond LOT_SIZE
    market_max_quantity: Decimal = Decimal("9000000000")  # base
    market_step: Decimal = ZERO  # base
    notional_filter: str = NOTIONAL
    min_notional: Decimal = Decimal("5")  # quote
    min_applies_to_market: bool = True
    max_notional: Decimal = Decimal("9000000")  # quote; MIN_NOTIONAL has none
    percent_filter: str = "PERCENT_PRICE_BY_SIDE"
    percent_up: Decimal = Decimal("5")  # of the average price
    percent_down: Decimal = Decimal("0.2")
    buy_percent_up: Decimal | None = None  # None: the same as for sells
    buy_percent_down: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    average: Decimal | None = None  # what NOTIONAL uses for market orders; None: last
    depth: Depth = Depth()

    @property
    def smallest_quantity(self) -> Decimal:
        """Return LOT_SIZE's minQty."""
        return self.step if self.min_quantity is None else self.min_quantity

    def percent_range(self, *, is_buy: bool) -> tuple[Decimal, Decimal]:
        """Return the lowest and highest limit price, as parts of the average price."""
        low, high = self.percent_down, self.percent_up
        if is_buy and self.percent_filter != PERCENT_PRICE:
            low = low if self.buy_percent_down is None else self.buy_percent_down
            high = high if self.buy_percent_up is None else self.buy_percent_up
        return low, high

    @property
    def average_price(self) -> Decimal | None:
        """Return the price Binance's filters call the average of five minutes."""
        return self.last if self.average is None else self.average

    def at_price(self, price: Decimal | None) -> Market:
        """Return the market quoted around `price`, or with an empty book for None."""
        if price is None:
            return replace(self, bid=None, ask=None, last=None, average=None)
        half = price * self.depth.spread / 2
        bid = floor_to(price - half, self.tick)
        ask = ceil_to(price + half, self.tick)
        if ask <= bid:
            ask = bid + self.tick
        # A price of one tick leaves no room for a lower bid.
        return replace(self, bid=bid or self.tick, ask=ask, last=price, average=None)


class PerMarket(Generic[T]):
    """A function of a market that is computed anew only when the market has changed."""

    def __init__(self, compute: Callable[[Market], T]) -> None:
        self._compute = compute
        self._known: dict[str, tuple[Market, T]] = {}

    def __call__(self, market: Market) -> T:
        """Return the function's value; nobody may change it."""
        known = self._known.get(market.symbol)
        if known is None or known[0] is not market:
            known = self._known[market.symbol] = market, self._compute(market)
        return known[1]


_CHOICES = {
    "status": (TRADING, "BREAK", "HALT"),
    "notional_filter": (NOTIONAL, "MIN_NOTIONAL"),
    "percent_filter": ("PERCENT_PRICE_BY_SIDE", PERCENT_PRICE),
}
_POSITIVE = {"tick", "step"}
_AMOUNTS = {f.name for f in fields(Market) if f.type in ("Decimal", "Decimal | None")}
_QUOTES = {"bid", "ask", "last", "average"}
RULES = frozenset((_AMOUNTS - _QUOTES) | set(_CHOICES) | {"depth", "min_applies_to_market"})


def changed(market: Market, changes: Mapping[str, Any]) -> Market:
    """Return the market with other rules; raise BadValue naming the first bad field."""
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in RULES:
            raise BadValue(f"unknown market field {name!r}; known: {', '.join(sorted(RULES))}")
        if name == "depth":
            values[name] = _depth(market.depth, value)
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise BadValue(f"{name} must be one of {', '.join(_CHOICES[name])}")
            values[name] = value
        elif name == "min_applies_to_market":
            if not isinstance(value, bool):
                raise BadValue(f"{name} must be true or false")
            values[name] = value
        else:
            values[name] = parse_amount(value)
            if name in _POSITIVE and values[name] == 0:
                raise BadValue(f"{name} must be above zero")
    old, market = market, replace(market, **values)
    requoted = market.tick != old.tick or market.depth.spread != old.depth.spread
    if requoted and market.last is not None and market.bid and market.ask:
        market = replace(market.at_price(market.last), average=market.average)
    return market


def priced(market: Market, spec: object) -> Market:
    """Return the market with new quotes: a price, null, or any of bid, ask, last, average."""
    if spec is None:
        return market.at_price(None)
    if isinstance(spec, str):
        return market.at_price(_price(spec))
    if not isinstance(spec, dict) or not spec:
        raise BadValue(f"the price of {market.symbol} must be a string, null or an object")
    if unknown := set(spec) - _QUOTES:
        raise BadValue(f"unknown price field {min(unknown)!r}; known: {', '.join(sorted(_QUOTES))}")
    quotes: dict[str, Any] = {
        name: None if value is None else _price(value) for name, value in spec.items()
    }
    market = replace(market, **quotes)
    if market.bid is not None and market.ask is not None and market.bid >= market.ask:
        raise BadValue(f"the bid of {market.symbol} must be below its ask")
    return market


def _price(text: object) -> Decimal:
    price = parse_amount(text)
    if price == 0:
        raise BadValue("a price must be above zero; null takes it away")
    return price


def _depth(depth: Depth, value: object) -> Depth:
    if not isinstance(value, dict):
        raise BadValue("depth must be an object")
    known = {f.name for f in fields(Depth)}
    if unknown := set(value) - known:
        raise BadValue(f"unknown depth field {min(unknown)!r}; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for name, item in value.items():
        if name == "levels":
            if not isinstance(item, int) or isinstance(item, bool) or not 0 <= item <= 1000:
                raise BadValue("depth levels must be an integer from 0 to 1000")
            values[name] = item
        else:
            values[name] = parse_amount(item)
    return replace(depth, **values)


def to_data(market: Market) -> dict[str, Any]:
    """Return the market as plain data; decimals become strings."""
    data: dict[str, Any] = {}
    for field in fields(Market):
        value = getattr(market, field.name)
        if isinstance(value, Depth):
            value = {
                "spread": plain(value.spread),
                "levels": value.levels,
                "level_step": plain(value.level_step),
                "level_quote": plain(value.level_quote),
            }
        data[field.name] = plain(value) if isinstance(value, Decimal) else value
    return data


def from_data(data: Mapping[str, Any]) -> Market:
    """Return the market that `to_data` described."""
    values = dict(data)
    for name in _AMOUNTS:
        if values.get(name) is not None:
            values[name] = Decimal(values[name])
    values["depth"] = _depth(Depth(), values["depth"])
    return Market(**values)


def listed(symbol: str, data: Mapping[str, Any]) -> Market:
    """Return a new market as a scenario describes it: base, quote, rules and a price."""
    rules = dict(data)
    try:
        base, quote = rules.pop("base"), rules.pop("quote")
    except KeyError as error:
        raise BadValue(f"the market {symbol} needs {error.args[0]!r}") from None
    if not (isinstance(base, str) and isinstance(quote, str) and symbol == base + quote):
        raise BadValue(f"the market {symbol} must be named after its base and quote")
    price = rules.pop("price", None)
    return priced(changed(Market(symbol=symbol, base=base, quote=quote), rules), price)
