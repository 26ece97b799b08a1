"""`close_dust_positions minimums` converts what can't be sold, and says so."""

from __future__ import annotations

import pytest

from positions.models import CloseOrder
from tests.commands.conftest import Manage, manage
from tests.journeys.conversions.steps import CONVERT, LITTLE, sent
from tests.trading import World

__all__ = ["manage"]

DUST = 23
COMMAND = ("close_dust_positions", "minimums", "--yes", "--inline")


def test_all_dust_leaves_by_one_conversion_and_the_command_ends_with_zero(
    world: World, manage: Manage
) -> None:
    result = manage(*COMMAND, "--json")
    assert (result.code, result.err) == (0, "")
    document = result.document
    assert document["plan"]["status"] == "COMPLETED"
    orders = document["orders"]
    assert len(orders) == DUST
    assert {order["client_order_id"] for order in orders} == {None}
    assert {order["route"] for order in orders} == {"CONVERT"}
    assert {order["status"] for order in orders} == {"FILLED"}
    assert {order["fee_currency"] for order in orders} == {"BNB"}
    totals = document["totals"]
    assert (totals["planned"], totals["filled"], totals["failed"]) == (DUST, DUST, 0)
    assert sent(world) == 1
    assert world.sent() == []
    assert CloseOrder.objects.get(asset="QKC").message == "40 converted at 0.0000125805 BNB."


def test_a_person_reads_what_each_became(world: World, manage: Manage) -> None:
    result = manage(*COMMAND, "--threshold", LITTLE)
    assert (result.code, result.err) == (0, "")
    assert "50000 converted at 0.0000000014516 BNB." in result.out


def test_a_second_run_in_the_same_window_closes_nothing_and_says_when_it_opens(
    world: World, manage: Manage
) -> None:
    assert manage(*COMMAND, "--threshold", LITTLE).code == 0
    result = manage(*COMMAND, "--json")
    assert result.code == 0
    skipped = {item["asset"]: item for item in result.document["skipped"]}
    assert skipped["ADA"]["reason"] == "CONVERT_WINDOW_CLOSED"
    assert sent(world) == 1


@pytest.mark.parametrize(
    ("fault", "failed", "unknown"),
    [
        ({"kind": "error", "code": -5001, "msg": "Not supported."}, 3, 0),
        ({"kind": "drop_after"}, 0, 0),
    ],
)
def test_what_goes_wrong_decides_the_exit_code(
    world: World, manage: Manage, fault: dict[str, object], failed: int, unknown: int
) -> None:
    world.exchange.fault(**{**fault, **CONVERT})  # type: ignore[arg-type]
    result = manage(*COMMAND, "--threshold", LITTLE, "--json")
    totals = result.document["totals"]
    assert (totals["failed"], totals["unknown"]) == (failed, unknown)
    assert result.code == (1 if failed else 0)
    assert sent(world) == 1
