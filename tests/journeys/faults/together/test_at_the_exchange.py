"""Something happens at the exchange between the plan and the order, or to the order itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Point
from tests.journeys.faults.waiting import wait_for
from tests.trading import fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What happens, when, and how it ends."""

    happens: Callable[[Case], object]
    # None: after the plan was drafted. Otherwise a worker is held there meanwhile.
    at: Point | None = None
    ends: S
    reason: str = ""
    says: str = ""
    filled: Decimal = NOTHING
    answers: tuple[str, ...] = ()
    requests: int = 0


ROWS: dict[str, Row] = {
    "partial fill then expiry": Row(
        happens=lambda case: case.fault("partial_fill", fraction="0.4"),
        ends=S.EXPIRED,
        filled=Decimal(2),
        answers=("ACCEPTED",),
        requests=1,
    ),
    "zero fill": Row(
        happens=lambda case: case.fault("zero_fill"),
        ends=S.EXPIRED,
        answers=("ACCEPTED",),
        requests=1,
    ),
    "market halted": Row(
        happens=lambda case: case.market(status="BREAK"),
        ends=S.REJECTED,
        says="Market is closed",
        answers=("REJECTED",),
        requests=1,
    ),
    "price above the threshold": Row(
        happens=lambda case: case.price("0.5"), ends=S.DENIED, reason="NO_LONGER_DUST"
    ),
    "nobody buys": Row(happens=lambda case: case.price(None), ends=S.DENIED, reason="UNPRICED"),
    "a bot sold a part": Row(
        happens=lambda case: case.bot("trade", side="SELL", quantity="2"),
        ends=S.FILLED,
        filled=Decimal(3),
        answers=("ACCEPTED",),
        requests=1,
    ),
    "a bot sold everything": Row(
        happens=lambda case: case.bot("trade", side="SELL"), ends=S.DENIED, reason="NOT_HELD"
    ),
    "a bot's purchase goes on": Row(
        happens=lambda case: case.bot("trade", side="BUY", quantity="2"),
        ends=S.DENIED,
        reason="DRIFTED",
    ),
    "a bot's purchase is open": Row(
        happens=lambda case: case.bot("open-order", side="BUY", price="0.09"),
        ends=S.DENIED,
        reason="OPEN_ORDER",
    ),
    "a bot's sale is open": Row(
        happens=lambda case: case.bot("open-order", side="SELL", quantity="2", price="0.2"),
        ends=S.DENIED,
        reason="OPEN_ORDER",
    ),
    "minimum raised": Row(
        happens=lambda case: case.market(min_notional="5"),
        ends=S.REJECTED,
        says="Filter failure: NOTIONAL",
        answers=("REJECTED",),
        requests=1,
    ),
    "insufficient funds": Row(
        happens=lambda case: case.bot("trade", side="SELL", quantity="2"),
        at=Point.AFTER_LEAVE,
        ends=S.REJECTED,
        says="insufficient balance",
        answers=("REJECTED",),
        requests=1,
    ),
    "duplicate client id": Row(
        happens=lambda case: case.fault("error", code=-2010, msg="Duplicate order sent."),
        ends=S.FILLED,
        filled=HELD,
        answers=("UNKNOWN", "ACCEPTED"),
        requests=2,
    ),
}


@pytest.fixture(scope="module")
def cases(house: House) -> dict[str, Case]:
    """Return one case for each row, all of which run at once."""
    made = {}
    for name, row in ROWS.items():
        case = made[name] = house.case()
        case.draft()
        if row.at is None:
            row.happens(case)
            case.start()
            continue
        mark = case.arm(row.at, Action.HOLD)
        case.start()
        mark.reached()
        row.happens(case)
        mark.go_on()
    return made


@pytest.mark.parametrize("name", ROWS)
def test_what_happens_at_the_exchange_sells_nothing_twice_and_nothing_that_is_no_dust(
    cases: dict[str, Case], name: str
) -> None:
    case, row = cases[name].settled(), ROWS[name]
    order = case.order
    assert (order.state, order.reason) == (row.ends, row.reason), case.told
    assert row.says in order.message
    assert order.filled_quantity == row.filled
    assert case.answers() == list(row.answers)
    assert len([request for request in case.sent() if request["code"] != -1021]) == row.requests
    case.is_true()


def test_somebody_elses_order_with_our_client_id_is_not_taken_for_ours(house: House) -> None:
    """The exchange refuses the id while that order is open, and then finds that order by it."""
    case = house.case()
    leaves = case.arm(Point.AFTER_LEAVE, Action.HOLD)
    case.start()
    leaves.reached()
    case.bot("open-order", side="SELL", price="0.2", client_order_id=case.order.client_order_id)
    leaves.go_on()
    wait_for(lambda: case.order.lookups >= 2, what="two look-ups")
    order = case.order
    assert order.state is S.UNKNOWN, case.told
    assert "answered about another order" in order.message
    assert fresh(case.plan).state is P.RUNNING
    assert case.placed() == []
    assert case.answers() == ["UNKNOWN"]
    case.is_true(books=False)
