"""A market is two-sided when somebody buys, somebody sells and something was traded."""

from decimal import Decimal

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


@pytest.mark.parametrize(
    ("last", "price"),
    [("0.9", "1"), ("1", "1"), ("1.1", "1.1"), ("1.2", "1.2"), ("9", "1.2")],
)
def test_an_old_trade_outside_the_book_is_held_to_the_nearer_side(last: str, price: str) -> None:
    assert make_ticker(bid="1", ask="1.2", last=last).within_book == Decimal(price)


def test_a_one_sided_book_has_no_price_and_no_spread() -> None:
    one_sided = make_ticker(ask=None)
    assert one_sided.spread is None
    with pytest.raises(ValueError, match="DOGE/USDT has no two-sided book"):
        _ = one_sided.within_book


def test_the_spread_is_a_share_of_the_middle() -> None:
    assert make_ticker(bid="0.95", ask="1.05", last="1").spread == Decimal("0.1")
    assert make_ticker(bid="1", ask="1", last="1").spread == 0


@pytest.mark.parametrize(
    ("bid_quantity", "covers"), [("4.99", False), ("5", True), ("5.01", True), (None, None)]
)
def test_the_best_bid_covers_what_it_asks_for(
    bid_quantity: str | None, covers: bool | None
) -> None:
    assert make_ticker(bid_quantity=bid_quantity).covers(Decimal(5)) is covers
