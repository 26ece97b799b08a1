"""Read and write exact amounts: from text to `Decimal` and back, never through a float."""

import re
from decimal import ROUND_UP, Decimal

ZERO = Decimal(0)

# Longer than any balance an exchange can hold, short enough that arithmetic stays instant.
_LONGEST_INTEGER = 30
_LONGEST_FRACTION = 30
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_SCIENTIFIC = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d{1,2}")


class BadAmount(ValueError):
    """The text is no amount; the message is a sentence for the person who typed it."""


def canonical(amount: Decimal) -> str:
    """Return the one text of an amount: no exponent, no trailing zeros, no negative zero."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def exact(text: str) -> Decimal:
    """Return the amount that an exchange or the database wrote; raise `BadAmount` if it is none."""
    if not isinstance(text, str):
        raise BadAmount("There is no number.")
    if not (_PLAIN.fullmatch(text) or _SCIENTIFIC.fullmatch(text)) or not text.isascii():
        raise BadAmount(f"'{text[:40]}' is not a number.")
    return Decimal(text)


def typed(text: str, *, name: str) -> Decimal:
    """Return the amount a person typed; raise `BadAmount` with one clear sentence otherwise.

    Only digits with one point are accepted: a comma could mean thousands or decimals, and
    guessing with money is not an option.
    """
    text = text.strip().removeprefix("$").strip()
    if not text:
        raise BadAmount(f"Enter a number for {name}.")
    if "," in text:
        raise BadAmount(f"Write {name} with a point and without commas, for example 1250.50.")
    if _SCIENTIFIC.fullmatch(text) or not _PLAIN.fullmatch(text) or not text.isascii():
        raise BadAmount(f"Enter {name} as a plain number, for example 1.00.")
    whole, _, fraction = text.lstrip("+-").partition(".")
    if len(whole) > _LONGEST_INTEGER or len(fraction) > _LONGEST_FRACTION:
        raise BadAmount(f"Enter {name} with fewer digits.")
    return exact(text)


def ceil_to_step(quantity: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is not below `quantity`."""
    whole = floor_to_step(quantity, step)
    return whole if whole == quantity else whole + step


def floor_to_step(quantity: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `quantity`."""
    # Down, never half-up: rounding up would offer more than is there.
    return quantity // step * step


def dollars(amount: Decimal) -> str:
    """Return an amount of USD as people read it: cents, and more digits where they matter."""
    if 0 < amount < Decimal("0.01"):
        return f"${canonical(amount.quantize(Decimal('0.0001')))}"
    return f"${amount:,.2f}" if amount == amount.quantize(Decimal("0.01")) else f"${amount:,.4f}"


def dollars_up(amount: Decimal) -> str:
    """Return what is missing, to the next cent: less would not be enough."""
    return f"${amount.quantize(Decimal('0.01'), rounding=ROUND_UP):,}"


def percent(share: Decimal) -> str:
    """Return a share as people read it, to the hundredth of a percent."""
    return f"{canonical((share * 100).quantize(Decimal('0.01')))}%"
