"""Many markets and positions from a seed: the same on every machine.

A scenario's file describes its crowd, and its name may carry arguments that change it, such as
`wide:markets=3000,positions=300` or `dusty:positions=1000,seed=b`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from sandbox.amounts import BadValue, floor_to, parse_amount, plain

ARGUMENTS = ("seed", "positions", "markets", "smallest", "largest", "min_notional")

_CONSONANTS, _VOWELS = "BDFGJKLMNPRSTVZ", "AEIOU"
_CHEAPEST, _DEAREST = Decimal("0.00002"), Decimal("300")  # prices in quote
_STEP_WORTH = Decimal("0.0005")  # quote: a step is never worth more
_SIGNIFICANT_DIGITS = 4
_DIGITS = 20
_COUNTS = ("positions", "markets")
_MOST_MARKETS = 5000  # there are 5,625 names


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many markets there are and how many of them are held, worth what, in quote."""

    seed: str
    positions: int
    markets: int
    smallest: Decimal
    largest: Decimal
    min_notionals: tuple[str, ...]


def described(spec: Mapping[str, Any], arguments: str) -> Crowd:
    """Return the crowd of a scenario's file, changed by `name=value,…`; raise BadValue."""
    given = _parsed(arguments)
    positions = int(given.get("positions", spec["positions"]))
    markets = int(given.get("markets", max(positions, spec.get("markets", 0))))
    minimum = given.get("min_notional")
    crowd = Crowd(
        seed=given.get("seed", spec["seed"]),
        positions=positions,
        markets=markets,
        smallest=parse_amount(given.get("smallest", spec["smallest"])),
        largest=parse_amount(given.get("largest", spec["largest"])),
        min_notionals=tuple(spec["min_notionals"]) if minimum is None else (minimum,),
    )
    if not 1 <= positions <= markets <= _MOST_MARKETS:
        raise BadValue(f"it takes 1 <= positions <= markets <= {_MOST_MARKETS}")
    if not 0 < crowd.smallest <= crowd.largest:
        raise BadValue("smallest must be above zero and not above largest")
    return crowd


def _parsed(arguments: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for argument in arguments.split(",") if arguments else []:
        name, sign, value = argument.partition("=")
        if name not in ARGUMENTS or not sign:
            raise BadValue(f"{argument!r} is no argument; known: {', '.join(ARGUMENTS)}")
        if name in _COUNTS and not (value.isascii() and value.isdigit()):
            raise BadValue(f"{name} must be a whole number")
        given[name] = value
    return given


def join(data: dict[str, Any], crowd: Crowd) -> None:
    """Add a crowd to the markets and balances of a scenario's data."""
    taken = {rules["base"] for rules in data["markets"].values()}
    names = _names(crowd.seed, taken)
    for index in range(crowd.markets):
        asset = next(names)
        price, tick = _price(_part(crowd.seed, asset))
        step = Decimal(10) ** (_STEP_WORTH / price).adjusted()
        number = _number(crowd.seed, asset, "minimum")
        data["markets"][f"{asset}USDT"] = {
            "base": asset,
            "quote": "USDT",
            "price": plain(price),
            "tick": plain(tick),
            "step": plain(step),
            "min_notional": crowd.min_notionals[number % len(crowd.min_notionals)],
        }
        if index < crowd.positions:
            # The nearest whole step: the smallest value may be a few steps only.
            quantity = floor_to(_value(crowd, index) / price + step / 2, step)
            data["account"]["balances"][asset] = plain(quantity)


def _value(crowd: Crowd, index: int) -> Decimal:
    """Return what a position is worth: they are evenly spread."""
    last = max(1, crowd.positions - 1)
    return _between(crowd.smallest, crowd.largest, Decimal(index) / last)


def _between(smallest: Decimal, largest: Decimal, part: Decimal) -> Decimal:
    """Return what lies `part` of the way from one to the other, on a logarithmic scale."""
    with localcontext() as context:
        # A power costs much with all the digits that money is counted with.
        context.prec = _DIGITS
        return smallest * (largest / smallest) ** part


def _names(seed: str, taken: set[str]) -> Iterator[str]:
    seen = set(taken)
    index = 0
    while True:
        number = _number(seed, "name", str(index))
        index += 1
        name = ""
        for letters in (_CONSONANTS, _VOWELS, _CONSONANTS, _VOWELS):
            number, letter = divmod(number, len(letters))
            name += letters[letter]
        if name not in seen:
            seen.add(name)
            yield name


def _price(part: Decimal) -> tuple[Decimal, Decimal]:
    """Return a price with four digits and its tick."""
    price = _between(_CHEAPEST, _DEAREST, part)
    tick = max(Decimal(10) ** (price.adjusted() - _SIGNIFICANT_DIGITS + 1), Decimal("1E-8"))
    return floor_to(price, tick), tick


def _part(seed: str, asset: str) -> Decimal:
    return Decimal(_number(seed, asset, "price") % 1_000_000) / 1_000_000


def _number(*words: str) -> int:
    return int.from_bytes(hashlib.sha256(":".join(words).encode()).digest()[:8], "big")
