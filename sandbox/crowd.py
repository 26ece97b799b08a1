"""Many positions from a seed: the same assets, prices and quantities on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from sandbox.amounts import floor_to, parse_amount, plain

_CONSONANTS, _VOWELS = "BDFGJKLMNPRSTVZ", "AEIOU"
_CHEAPEST, _DEAREST = Decimal("0.00002"), Decimal("300")  # prices in quote
_STEP_WORTH = Decimal("0.0005")  # quote: a step is never worth more
_SIGNIFICANT_DIGITS = 4


def join(data: dict[str, Any]) -> None:
    """Add the positions that a scenario's `crowd` describes to its markets and balances."""
    spec: Mapping[str, Any] = data["crowd"]
    count, seed = int(spec["count"]), str(spec["seed"])
    smallest, largest = parse_amount(spec["smallest"]), parse_amount(spec["largest"])
    minimums = [str(item) for item in spec["min_notionals"]]
    taken = {rules["base"] for rules in data["markets"].values()}
    names = _names(seed, taken)
    for index in range(count):
        asset = next(names)
        # Evenly spread on a logarithmic scale, from the smallest to the largest.
        value = smallest * (largest / smallest) ** (Decimal(index) / Decimal(count - 1))
        price, tick = _price(_part(seed, asset))
        step = Decimal(10) ** _magnitude(_STEP_WORTH / price)
        data["markets"][f"{asset}USDT"] = {
            "base": asset,
            "quote": "USDT",
            "price": plain(price),
            "tick": plain(tick),
            "step": plain(step),
            "min_notional": minimums[_number(seed, asset, "minimum") % len(minimums)],
        }
        # The nearest whole step: the smallest value may be a few steps only.
        data["account"]["balances"][asset] = plain(floor_to(value / price + step / 2, step))


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
    price = _CHEAPEST * (_DEAREST / _CHEAPEST) ** part
    tick = max(Decimal(10) ** (_magnitude(price) - _SIGNIFICANT_DIGITS + 1), Decimal("1E-8"))
    return floor_to(price, tick), tick


def _magnitude(value: Decimal) -> int:
    return int(value.log10().to_integral_value(rounding=ROUND_FLOOR))


def _part(seed: str, asset: str) -> Decimal:
    return Decimal(_number(seed, asset, "price") % 1_000_000) / 1_000_000


def _number(*words: str) -> int:
    return int.from_bytes(hashlib.sha256(":".join(words).encode()).digest()[:8], "big")
