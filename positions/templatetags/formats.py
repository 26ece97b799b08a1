"""Turn exact numbers and times into the words of the pages: Decimal in, text out.

A value that is not known reads "unknown"; it is never shown as 0, a dash or a blank. A float is
refused: by the time it gets here, digits are already lost.
"""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

UNKNOWN = "unknown"
MINUS = "\u2212"

Number = Decimal | int | str | None
Span = timedelta | int | Decimal | float


def _decimal(value: Number) -> Decimal | None:
    """Return the exact value, or None if it is not known; raise TypeError for a float."""
    if value is None or value == "":
        return None
    if isinstance(value, (bool, float)):
        raise TypeError(f"{value!r} is a {type(value).__name__}: amounts must be exact.")
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _rounded(number: Decimal, places: int) -> Decimal:
    # Room for every digit: the default of 28 makes `quantize` raise for very large amounts.
    with localcontext() as context:
        context.prec = max(28, abs(number.adjusted()) + places + 2)
        return number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def _sign(number: Decimal, *, plus: bool = False) -> str:
    if number < 0:
        return MINUS
    return "+" if plus and number > 0 else ""


def _money(value: Number, places: int, *, plus: bool = False) -> str:
    number = _decimal(value)
    if number is None:
        return UNKNOWN
    least = Decimal(1).scaleb(-places)
    if 0 < number < least:
        return f"less than ${least:f}"
    if -least < number < 0:
        return f"more than {MINUS}${least:f}"
    return f"{_sign(number, plus=plus)}${_rounded(number.copy_abs(), places):,f}"


@register.filter
def usd(value: Number) -> str:
    """Return USD with 2 decimals; a value under a cent says so."""
    return _money(value, 2)


def threshold_text(threshold: Decimal) -> str:
    """Return a threshold as people write it: cents, and more digits where it has them."""
    if threshold == threshold.quantize(Decimal("0.01")):
        return usd(threshold)
    return f"${quantity(threshold)}"


@register.filter
def usd4(value: Number) -> str:
    """Return USD with 4 decimals, for fees and net proceeds."""
    return _money(value, 4)


@register.filter
def signed_usd4(value: Number) -> str:
    """Return a difference in USD with 4 decimals and its sign."""
    return _money(value, 4, plus=True)


@register.filter
def quantity(value: Number) -> str:
    """Return every digit of a quantity, grouped, without trailing zeros or an exponent."""
    number = _decimal(value)
    if number is None:
        return UNKNOWN
    text = f"{number.copy_abs():,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return _sign(number) + text


@register.filter
def price(value: Number) -> str:
    """Return a price in USD with as many digits as its size needs: five that count at most."""
    number = _decimal(value)
    if number is None:
        return UNKNOWN
    size = number.copy_abs()
    if size >= 10 or size == 0:
        least = 2
    elif size >= Decimal("0.01"):
        least = 4
    elif size >= Decimal("0.0001"):
        least = 6
    else:
        least = 8
    places = max(least, 4 - size.adjusted()) if size else least
    text = f"{_rounded(size, places):,f}"
    spare = places - least
    while spare and text.endswith("0"):
        text, spare = text[:-1], spare - 1
    return f"{_sign(number)}${text}"


@register.filter
def rate(value: Number, digits: int = 8) -> str:
    """Return a price without its currency, with so many digits that count at most."""
    number = _decimal(value)
    if not number:
        return quantity(value)
    return quantity(_rounded(number, max(0, digits - 1 - number.adjusted())))


@register.filter
def percent(value: Number) -> str:
    """Return a ratio (0.02) in percent (2%), with two decimals at most."""
    number = _decimal(value)
    if number is None:
        return UNKNOWN
    size = number.copy_abs() * 100
    if 0 < size < Decimal("0.01"):
        return f"more than {MINUS}0.01%" if number < 0 else "less than 0.01%"
    return f"{_sign(number)}{quantity(_rounded(size, 2))}%"


def _span(seconds: int) -> str:
    """Return a time span in its two largest units."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        parts = [f"{days} d", f"{hours} h" if hours else ""]
    elif hours:
        parts = [f"{hours} h", f"{minutes} min" if minutes else ""]
    elif minutes:
        parts = [f"{minutes} min", f"{rest} s" if rest else ""]
    else:
        parts = [f"{rest} s"]
    return " ".join(part for part in parts if part)


def _seconds(value: Span) -> int:
    return int(value.total_seconds() if isinstance(value, timedelta) else value)


@register.filter
def duration(value: Span | None) -> str:
    """Return a span of seconds as "3 min 20 s"."""
    return UNKNOWN if value is None or value == "" else _span(_seconds(value))


@register.filter
def age(value: datetime | Span | None, now: datetime | None = None) -> str:
    """Return how old something is, from its age in seconds or its time: "38 s old"."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, datetime):
        value = (now or timezone.now()) - value
    seconds = _seconds(value)
    # Seconds stop mattering after the first minute; dropping them keeps the text calm.
    return f"{_span(seconds if seconds < 60 else seconds - seconds % 60)} old"


@register.filter
def utc_time(value: datetime | None) -> str:
    """Return the time of day as "12:03:52 UTC"; raise ValueError for a time without a zone."""
    return UNKNOWN if not value else f"{_utc(value):%H:%M:%S} UTC"


@register.filter
def utc_date(value: datetime | None) -> str:
    """Return day and time as "19 Nov 2026, 09:14 UTC"; raise ValueError without a zone."""
    if not value:
        return UNKNOWN
    at = _utc(value)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


@register.simple_tag
def utc(value: datetime | None, style: str = "time") -> SafeString | str:
    """Return a <time> element; `style` is "time", "date" (with the day) or "clock" (no zone)."""
    if not value:
        return UNKNOWN
    at = _utc(value)
    text = {"time": utc_time(at), "date": utc_date(at), "clock": f"{at:%H:%M:%S}"}[style]
    return format_html('<time datetime="{}">{}</time>', f"{at:%Y-%m-%dT%H:%M:%SZ}", text)


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone.")
    return value.astimezone(UTC)
