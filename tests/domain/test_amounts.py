"""Amounts are read and written exactly, and only from text that is clearly a number."""

import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions.domain import PRECISION
from positions.domain.amounts import BadAmount, canonical, exact, floor_to_step, typed
from tests.domain.builders import decimals

LONG = Decimal("99999999.99999999")


def amounts_of_28_digits() -> st.SearchStrategy[Decimal]:
    largest = 10**28 - 1
    return st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent),
        st.integers(-largest, largest),
        st.integers(-28, 10),
    )


@given(amounts_of_28_digits())
def test_an_amount_of_28_digits_survives_text_and_back(amount: Decimal) -> None:
    assert exact(canonical(amount)) == amount


@given(amounts_of_28_digits())
def test_equal_amounts_have_one_text_without_exponent(amount: Decimal) -> None:
    text = canonical(amount)
    assert "E" not in text
    assert canonical(amount * Decimal("1.000")) == text
    assert canonical(exact(text)) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("99999999.99999999", "99999999.99999999"),
        ("1.50", "1.5"),
        ("100", "100"),
        ("100.000", "100"),
        ("1E+3", "1000"),
        ("1E-8", "0.00000001"),
        ("0.00", "0"),
        ("0E-20", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("-1.10", "-1.1"),
    ],
)
def test_the_canonical_text_has_no_exponent_no_trailing_zero_and_no_negative_zero(
    written: str, text: str
) -> None:
    assert canonical(Decimal(written)) == text


@pytest.mark.parametrize(
    ("written", "amount"),
    [("1e-05", "0.00001"), ("5000", "5000"), ("0.1", "0.1"), ("-2.5", "-2.5")],
)
def test_an_exchange_may_write_numbers_with_an_exponent(written: str, amount: str) -> None:
    assert exact(written) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["NaN", "sNaN", "-NaN", "Infinity", "-inf", "", "abc", "1,5", "1 0"]
)
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(BadAmount):
        exact(text)


def test_a_missing_amount_is_refused_and_never_zero() -> None:
    with pytest.raises(BadAmount):
        exact(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", "1"),
        ("1.00", "1.00"),
        (" 1.50 ", "1.50"),
        ("$1", "1"),
        ("$ 1", "1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+5", "5"),
        ("-5", "-5"),  # read as written; whether it makes sense is the policy's question
        ("007", "7"),
        ("0." + "0" * 29 + "1", "1E-30"),
        ("9" * 30, "9" * 30),
    ],
)
def test_a_person_may_type_plain_numbers(text: str, amount: str) -> None:
    assert typed(text, name="the threshold") == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "nan",
        "sNaN",
        "inf",
        "Infinity",
        "-Infinity",
        "1e3",
        "1E-2",
        "1e999",
        "abc",
        "one",
        "0x10",
        "1_000",
        "1 000",
        "1.2.3",
        ".",
        "-",
        "+-1",
        "--1",
        "$$1",
        "-$1",
        "1%",
        "\u0661",  # Arabic-Indic one
        "\uff11",  # full-width one
        "\u22125",  # a real minus sign
        "\u00bd",  # one half
        "1\n2",
    ],
)
def test_what_a_person_did_not_write_as_a_plain_number_is_refused(text: str) -> None:
    with pytest.raises(BadAmount, match="as a plain number"):
        typed(text, name="the threshold")


@pytest.mark.parametrize("text", ["", "   ", "$", " $ "])
def test_nothing_typed_is_not_zero(text: str) -> None:
    with pytest.raises(BadAmount, match="Enter a number for the threshold"):
        typed(text, name="the threshold")


@pytest.mark.parametrize("text", ["1,5", "1,000", "1,000.50", ","])
def test_a_comma_is_never_guessed_at(text: str) -> None:
    with pytest.raises(BadAmount, match="with a point and without commas"):
        typed(text, name="the threshold")


@pytest.mark.parametrize("text", ["0." + "0" * 30 + "1", "1" * 31, "-" + "1" * 31])
def test_more_than_30_digits_on_one_side_of_the_point_are_refused(text: str) -> None:
    with pytest.raises(BadAmount, match="fewer digits"):
        typed(text, name="the threshold")


@pytest.mark.parametrize(
    ("quantity", "step", "floored"),
    [
        ("1.99", "1", "1"),
        ("2", "1", "2"),
        ("2.01", "1", "2"),
        ("0.99", "1", "0"),
        ("0.3", "0.1", "0.3"),
        ("11", "3", "9"),
        ("99999999.99999999", "0.00000001", "99999999.99999999"),
    ],
)
def test_flooring_goes_down_to_the_step_and_never_up(
    quantity: str, step: str, floored: str
) -> None:
    assert floor_to_step(Decimal(quantity), Decimal(step)) == Decimal(floored)


@given(decimals("0", "100000000"), decimals("0.00000001", "5"))
def test_a_floored_quantity_is_a_multiple_of_the_step_less_than_one_step_below(
    quantity: Decimal, step: Decimal
) -> None:
    floored = floor_to_step(quantity, step)
    assert floored % step == 0
    assert 0 <= quantity - floored < step


def test_sums_of_28_digits_are_exact_in_every_thread() -> None:
    large, small = Decimal("9" * 28), Decimal("0." + "1" * 28)
    seen: list[Decimal] = []
    worker = threading.Thread(target=lambda: seen.append(large + small - large))
    worker.start()
    worker.join()
    assert seen == [small]
    assert large + small - large == small
    assert PRECISION >= 56
