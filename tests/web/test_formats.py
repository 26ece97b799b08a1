import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from django.template import Context, Template

from positions.templatetags import formats

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 11, 19, 12, 3, 52, tzinfo=UTC)


def rendered(source: str, **context: object) -> str:
    return Template("{% load formats icons %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (Decimal("NaN"), "unknown"),
        ("", "unknown"),
        (Decimal(0), "$0.00"),
        (Decimal("0.00000001"), "less than $0.01"),
        (Decimal("0.0099999"), "less than $0.01"),
        (Decimal("0.01"), "$0.01"),
        (Decimal("0.015"), "$0.02"),
        (Decimal("1204.31"), "$1,204.31"),
        (Decimal("99999999.99999999"), "$100,000,000.00"),
        (Decimal("-0.005"), "more than −$0.01"),
        (Decimal("-1234.5"), "−$1,234.50"),
        (Decimal("1E+30"), "$1,000,000,000,000,000,000,000,000,000,000.00"),
        ("2.0660", "$2.07"),
        (7, "$7.00"),
    ],
)
def test_usd_shows_cents_and_says_when_it_is_less(value, text):
    assert formats.usd(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.0000"),
        (Decimal("0.00005"), "less than $0.0001"),
        (Decimal("0.0001"), "$0.0001"),
        (Decimal("0.9087"), "$0.9087"),
        (Decimal("-0.0009"), "−$0.0009"),
        (Decimal("-0.00001"), "more than −$0.0001"),
        (Decimal("1234.56789"), "$1,234.5679"),
    ],
)
def test_usd4_shows_four_decimals(value, text):
    assert formats.usd4(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("0.0002"), "+$0.0002"),
        (Decimal("-0.0003"), "−$0.0003"),
        (Decimal(0), "$0.0000"),
        (None, "unknown"),
    ],
)
def test_a_difference_carries_its_sign(value, text):
    assert formats.signed_usd4(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (Decimal("5000.000"), "5,000"),
        (Decimal("0.250"), "0.25"),
        (Decimal("1E+3"), "1,000"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (Decimal("0E-8"), "0"),
        (Decimal("-0.5"), "−0.5"),
        # More digits than the default context keeps.
        (Decimal("12345678901234567890123.1234567890"), "12,345,678,901,234,567,890,123.123456789"),
    ],
)
def test_quantity_keeps_every_digit_and_has_no_exponent(value, text):
    assert formats.quantity(value) == text


@pytest.mark.parametrize(
    ("value", "text", "in_a_table"),
    [
        (None, "unknown", "unknown"),
        (Decimal(0), "0", "0"),
        (Decimal("0.004"), "0.004", "0.004"),
        (Decimal("0.00029354691075514"), "0.00029354691", "0.00029355"),
        (Decimal("97500.123456"), "97,500.123", "97,500"),
        (Decimal("123456789.5"), "123,456,790", "123,456,790"),
        (Decimal("0.000000001290279571684"), "0.0000000012902796", "0.0000000012903"),
    ],
)
def test_a_rate_has_as_many_digits_as_count_and_no_currency(value, text, in_a_table):
    assert (formats.rate(value), formats.rate(value, 5)) == (text, in_a_table)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.00"),
        (Decimal(186), "$186.00"),
        (Decimal("3879.15"), "$3,879.15"),
        (Decimal("67345.128"), "$67,345.13"),
        (Decimal("12.4"), "$12.40"),
        (Decimal("2.48"), "$2.4800"),
        (Decimal("0.182"), "$0.1820"),
        (Decimal("0.18196"), "$0.18196"),
        (Decimal("0.015"), "$0.0150"),
        (Decimal("0.01489"), "$0.01489"),
        (Decimal("0.0015"), "$0.001500"),
        (Decimal("0.000012"), "$0.00001200"),
        (Decimal("0.00001196"), "$0.00001196"),
        (Decimal("0.00000000012345"), "$0.00000000012345"),
        (Decimal("9.99999"), "$10.0000"),
    ],
)
def test_price_has_the_digits_its_size_needs(value, text):
    assert formats.price(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (Decimal(0), "0%"),
        (Decimal("0.02"), "2%"),
        (Decimal("0.0053"), "0.53%"),
        (Decimal("-0.0004"), "−0.04%"),
        (Decimal("0.00001"), "less than 0.01%"),
        (Decimal("-0.00001"), "more than −0.01%"),
        (Decimal(1), "100%"),
    ],
)
def test_percent_takes_a_ratio(value, text):
    assert formats.percent(value) == text


@pytest.mark.parametrize("write", [formats.usd, formats.usd4, formats.quantity, formats.price])
def test_a_float_is_refused(write):
    with pytest.raises(TypeError, match="must be exact"):
        write(0.1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0, "0 s old"),
        (-5, "0 s old"),
        (38, "38 s old"),
        (59, "59 s old"),
        (60, "1 min old"),
        (179, "2 min old"),
        (3600, "1 h old"),
        (11_520, "3 h 12 min old"),
        (90_000, "1 d 1 h old"),
        (timedelta(days=2, minutes=5), "2 d old"),
        (Decimal("38.9"), "38 s old"),
    ],
)
def test_age_of_seconds(value, text):
    assert formats.age(value) == text


def test_age_of_a_time_is_counted_from_now():
    assert formats.age(NOON, NOON + timedelta(seconds=38)) == "38 s old"
    assert rendered("{{ at|age:now }}", at=NOON, now=NOON + timedelta(hours=2)) == "2 h old"


def test_duration_keeps_the_seconds():
    assert formats.duration(200) == "3 min 20 s"
    assert formats.duration(120) == "2 min"
    assert formats.duration(None) == "unknown"


def test_times_are_shown_in_utc():
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert formats.utc_time(there) == "12:03:52 UTC"
    assert formats.utc_date(there) == "19 Nov 2026, 12:03 UTC"
    assert formats.utc_time(None) == formats.utc_date(None) == "unknown"
    with pytest.raises(ValueError, match="no time zone"):
        formats.utc_time(there.replace(tzinfo=None))


def test_the_utc_tag_carries_the_machine_readable_time():
    assert rendered("{% utc at %}", at=NOON) == (
        '<time datetime="2026-11-19T12:03:52Z">12:03:52 UTC</time>'
    )
    assert ">12:03:52<" in rendered("{% utc at 'clock' %}", at=NOON)
    assert ">19 Nov 2026, 12:03 UTC<" in rendered("{% utc at 'date' %}", at=NOON)
    assert rendered("{% utc at %}", at=None) == "unknown"


def test_an_icon_is_hidden_from_readers_unless_it_has_a_label():
    assert 'aria-hidden="true"' in rendered("{% icon 'lock' %}")
    labelled = rendered("{% icon 'lock' label=label %}", label='<b>"')
    assert 'role="img"' in labelled
    assert "aria-hidden" not in labelled
    assert "<b>" not in labelled


def test_a_mark_is_hollow_when_the_position_can_not_be_closed():
    assert "mark--hollow" in rendered("{% mark 'DUST' hollow=True %}")
    assert "mark--hollow" not in rendered("{% mark 'DUST' %}")


def test_every_icon_the_templates_name_is_in_the_sheet():
    sheet = (ROOT / "templates/positions/_components/icons.html").read_text()
    drawn = set(re.findall(r'<symbol id="i-([a-z-]+)"', sheet))
    named = {
        name
        for template in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r"""\{% icon ["']([a-z-]+)["']""", template.read_text())
    }
    assert named <= drawn
