"""The exchange processed the order and its answer was lost or made no sense."""

from __future__ import annotations

from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

LOST: dict[str, dict[str, Any]] = {
    "connection dropped": {"kind": "drop_after"},
    "502 after accepting": {"kind": "status_after", "status": 502},
    "HTML with status 200": {"kind": "garbage_after"},
    "JSON cut in half": {"kind": "cut_json_after"},
    "no order id": {"kind": "no_order_id"},
    "the answer of another order": {"kind": "other_order"},
    "read timeout": {"kind": "hang_after", "seconds": "30"},
}


@pytest.fixture(scope="module")
def cases(house: House) -> dict[str, Case]:
    """Return one case for each answer, all of which run at once."""
    return {name: house.case().fault(**spec).start() for name, spec in LOST.items()}


@pytest.mark.parametrize("name", LOST)
def test_an_order_whose_answer_is_lost_is_found_and_never_sent_again(
    cases: dict[str, Case], name: str
) -> None:
    case = cases[name].settled()
    assert case.state is S.FILLED, case.told
    assert case.order.filled_quantity == HELD
    assert case.answers() == ["UNKNOWN"]
    assert len(case.sent()) == 1
    case.is_true()
