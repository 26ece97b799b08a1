"""A market is two-sided when somebody buys, somebody sells and something was traded."""

import pytest

from tests.domain.builders import make_ticker


@pytest.mark.parametrize(
    ("bid", "ask", "last"),
    [("1", "1.01", "1"), ("1", "1", "1"), ("0.00000001", "1", "0.5"), ("1", "2", "3")],
)
def test_a_book_with_both_sides_and_a_trade_is_two_sided(bid: str, ask: str, last: str) -> None:
    assert make_ticker(bid=bid, ask=ask, last=last).two_sided


@pytest.mark.parametrize(
    ("bid", "ask", "last"),
    [
        (None, "1", "1"),
        ("1", None, "1"),
        ("1", "1", None),
        ("0", "1", "1"),
        ("-1", "1", "1"),
        ("1", "0", "1"),
        ("1", "1", "0"),
        ("1.00000001", "1", "1"),  # crossed
        (None, None, None),
    ],
)
def test_a_missing_side_a_zero_or_a_crossed_book_is_not_two_sided(
    bid: str | None, ask: str | None, last: str | None
) -> None:
    assert not make_ticker(bid=bid, ask=ask, last=last).two_sided
