"""What a person records about an order is taken only if it can be true of it."""

from decimal import Decimal

import pytest

from positions.domain.resolutions import LONGEST_REASON, BadFinding, Finding, Sale, check_finding

SURE = "The order history shows it."


def finding(
    quantity: str = "5", price: str = "0.1", *, fee: str | None = None, currency: str = ""
) -> Finding:
    sale = Sale(
        quantity=Decimal(quantity),
        average_price=Decimal(price),
        fee=None if fee is None else Decimal(fee),
        fee_currency=currency,
    )
    return Finding(sale=sale, reason=SURE)


def problems(found: Finding, *, sent: str = "5", proved: str = "0") -> dict[str, str]:
    try:
        check_finding(found, sent=Decimal(sent), proved=Decimal(proved))
    except BadFinding as error:
        return error.problems
    return {}


@pytest.mark.parametrize("quantity", ["0.00000001", "4.99999999", "5"])
def test_any_part_of_what_was_sent_can_have_been_sold(quantity: str) -> None:
    assert problems(finding(quantity)) == {}


@pytest.mark.parametrize(
    ("quantity", "proved", "sentence"),
    [
        ("5.00000001", "0", "Enter at most 5: no more was sent."),
        ("0", "0", "Enter a quantity above zero."),
        ("-1", "0", "Enter a quantity above zero."),
        ("0.3", "0.3", "Enter more than the 0.3 that the exchange has reported."),
    ],
)
def test_a_quantity_that_can_not_be_true_is_refused(
    quantity: str, proved: str, sentence: str
) -> None:
    assert problems(finding(quantity), proved=proved) == {"quantity": sentence}


@pytest.mark.parametrize("price", ["0", "-0.1"])
def test_nothing_is_sold_for_nothing(price: str) -> None:
    assert problems(finding(price=price)) == {"average_price": "Enter a price above zero."}


@pytest.mark.parametrize(
    ("fee", "currency", "field"),
    [
        ("0.1", "", "fee_currency"),
        (None, "USDT", "fee"),
        ("-0.1", "USDT", "fee"),
        ("0.1", "US DT", "fee_currency"),
        ("0.1", "=USDT", "fee_currency"),
        ("0.1", "A" * 21, "fee_currency"),
    ],
)
def test_a_fee_needs_its_currency_and_the_other_way_round(
    fee: str | None, currency: str, field: str
) -> None:
    assert set(problems(finding(fee=fee, currency=currency))) == {field}


@pytest.mark.parametrize(("fee", "currency"), [(None, ""), ("0", "USDT"), ("0.1", "BNB")])
def test_a_fee_is_known_or_not(fee: str | None, currency: str) -> None:
    assert problems(finding(fee=fee, currency=currency)) == {}


@pytest.mark.parametrize(
    ("reason", "refused"),
    [("", True), ("x", False), ("x" * LONGEST_REASON, False), ("x" * (LONGEST_REASON + 1), True)],
)
def test_a_reason_is_required_and_short(reason: str, refused: bool) -> None:
    assert set(problems(Finding(sale=None, reason=reason))) == ({"reason"} if refused else set())


def test_every_problem_is_told_at_once() -> None:
    wrong = Finding(sale=finding("9", "0", fee="1").sale, reason="")
    assert set(problems(wrong)) == {"quantity", "average_price", "fee_currency", "reason"}


def test_a_sale_brought_its_quantity_at_its_price() -> None:
    assert Sale(quantity=Decimal("5"), average_price=Decimal("0.11")).notional == Decimal("0.55")
