"""Exact amounts: decimals from text, always rounded down, never through float."""

from __future__ import annotations

import decimal
import re
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

ZERO = Decimal(0)
DECIMALS = 8
UNIT = Decimal("1E-8")

# Twenty integer digits times twenty integer digits with eight decimals each still fit; threads
# started later copy this default.
decimal.DefaultContext.prec = 60
decimal.setcontext(decimal.DefaultContext)


class BadValue(ValueError):
    """Data given to the exchange can't be used; the message is a sentence for its giver."""


_AMOUNT = re.compile(r"[0-9]{1,20}(\.[0-9]{1,8})?")


def parse_amount(text: object) -> Decimal:
    """Return the amount a plain decimal text means; raise BadValue for anything else."""
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise BadValue(
            f"{text!r} is not an amount: give a plain decimal as a string, at most 8 decimals"
        )
    return Decimal(text)


def cut(value: Decimal) -> Decimal:
    """Round down to the eight decimals the exchange books with."""
    return value.quantize(UNIT, rounding=ROUND_DOWN)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `value`."""
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is not below `value`."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step


def wire(value: Decimal | None) -> str:
    """Write an amount as Binance does, with eight decimals; nothing is zero."""
    return format(cut(value if value is not None else ZERO), "f")


def plain(value: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text or "0"
