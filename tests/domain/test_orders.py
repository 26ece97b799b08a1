"""An order moves only along its table; its proceeds are what the fills say."""

from decimal import Decimal
from itertools import product

import pytest

from positions.domain.orders import (
    CLOSED,
    IN_FLIGHT,
    OPEN,
    OUTCOMES,
    RESOLVABLE,
    TRANSITIONS,
    IllegalTransition,
    OrderState,
    Outcome,
    Trade,
    check_transition,
    net_proceeds_usd,
)
from tests.domain.builders import make_trade

# Written out on purpose: rows are "from", columns are "to", x is allowed.
COLUMNS = (
    "PLANNED SUBMITTING ACCEPTED PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED DENIED UNKNOWN"
    " RESOLVED"
)
#                    PL SU AC PF FI CA EX RE DE UN BY
ALLOWED = {
    "PLANNED":          ". x . . . . . . x . .",
    "SUBMITTING":       "x . x x x x x x . x .",
    "ACCEPTED":         ". . . x x x x x . . x",
    "PARTIALLY_FILLED": ". . . x x x x x . . x",
    "FILLED":           ". . . . . . . . . . .",
    "CANCELED":         ". . . . . . . . . . .",
    "EXPIRED":          ". . . . . . . . . . .",
    "REJECTED":         ". . . . . . . . . . .",
    "DENIED":           ". . . . . . . . . . .",
    "UNKNOWN":          "x . x x x x x x . . x",
    "RESOLVED":         ". . . . . . . . . . .",
}  # fmt: skip
EXPECTED = {
    (OrderState(current), OrderState(target)): mark == "x"
    for current, row in ALLOWED.items()
    for target, mark in zip(COLUMNS.split(), row.split(), strict=True)
}


@pytest.mark.parametrize(("current", "target"), list(product(OrderState, repeat=2)))
def test_an_order_takes_exactly_the_steps_of_the_table(
    current: OrderState, target: OrderState
) -> None:
    if EXPECTED[current, target]:
        check_transition(current, target)
    else:
        with pytest.raises(IllegalTransition, match=f"from {current} to {target}"):
            check_transition(current, target)


def test_every_state_has_its_row() -> None:
    assert TRANSITIONS.keys() == set(OrderState)


def test_the_closed_open_and_in_flight_states_are_these() -> None:
    assert set(CLOSED) == {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "DENIED", "RESOLVED"}
    assert set(OPEN) == {"PLANNED", "SUBMITTING", "ACCEPTED", "PARTIALLY_FILLED", "UNKNOWN"}
    assert set(IN_FLIGHT) == {"SUBMITTING", "ACCEPTED", "PARTIALLY_FILLED", "UNKNOWN"}


def test_an_unknown_order_is_neither_closed_nor_resent_as_it_is() -> None:
    assert OrderState.UNKNOWN in OPEN & IN_FLIGHT
    with pytest.raises(IllegalTransition):
        check_transition(OrderState.UNKNOWN, OrderState.SUBMITTING)


def test_what_the_exchange_says_is_never_our_own_word() -> None:
    ours = {OrderState.DENIED, OrderState.UNKNOWN, OrderState.PLANNED, OrderState.RESOLVED}
    assert not OUTCOMES & ours


def test_a_person_closes_only_what_the_exchange_may_have_and_does_not_tell() -> None:
    assert {"UNKNOWN", "ACCEPTED", "PARTIALLY_FILLED"} == RESOLVABLE


def outcome(*trades: Trade, filled: str = "5", notional: str = "0.5") -> Outcome:
    return Outcome(
        state=OrderState.FILLED,
        exchange_order_id="1",
        filled_quantity=Decimal(filled),
        notional=Decimal(notional),
        trades=trades,
    )


def test_the_average_price_is_notional_by_filled_quantity() -> None:
    assert outcome(filled="5", notional="0.55").average_price == Decimal("0.11")


def test_nothing_sold_has_no_average_price() -> None:
    assert outcome(filled="0", notional="0").average_price is None


@pytest.mark.parametrize(
    ("quantities", "complete"),
    [("5", True), ("2 3", True), ("2", False), ("", False), ("5 1", False)],
)
def test_trades_are_complete_when_they_explain_the_whole_filled_quantity(
    quantities: str, complete: bool
) -> None:
    trades = [make_trade(quantity=quantity) for quantity in quantities.split()]
    assert outcome(*trades).trades_are_complete is complete


def test_an_order_that_sold_nothing_needs_no_trades() -> None:
    assert outcome(filled="0", notional="0").trades_are_complete


def proceeds(*trades: Trade, notional: str = "10", **prices: str) -> Decimal | None:
    return net_proceeds_usd(
        notional=Decimal(notional),
        trades=trades,
        quote="USDT",
        prices_usd={asset: Decimal(price) for asset, price in prices.items()},
    )


def test_fees_in_the_quote_are_taken_off_at_its_price() -> None:
    fees = (make_trade(fee="0.01"), make_trade(fee="0.02"))
    assert proceeds(*fees, USDT="1") == Decimal("9.97")
    assert proceeds(*fees, USDT="0.5") == Decimal("4.985")


def test_fees_in_another_coin_are_taken_off_at_that_coins_price() -> None:
    fee = make_trade(fee="0.00001", fee_currency="BNB")
    assert proceeds(fee, USDT="1", BNB="620") == Decimal("9.9938")


def test_a_fee_without_a_known_price_makes_the_net_unknown() -> None:
    fee = make_trade(fee="0.00001", fee_currency="BNB")
    assert proceeds(fee, USDT="1") is None
    assert proceeds(make_trade(fee="0.01"), fee, USDT="1") is None


def test_a_fee_of_zero_needs_no_price() -> None:
    assert proceeds(make_trade(fee="0", fee_currency="BNB"), USDT="1") == 10


def test_a_rebate_is_added() -> None:
    assert proceeds(make_trade(fee="-0.01"), USDT="1") == Decimal("10.01")


def test_a_quote_without_a_known_price_makes_the_net_unknown() -> None:
    assert proceeds(make_trade(fee="0.01"), BNB="620") is None
