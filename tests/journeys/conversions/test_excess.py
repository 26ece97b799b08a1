"""More converted than planned stops the account: told and halted in one step, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AuditEvent, CleanupPlan
from positions.services import conversion_lookups, conversion_results, conversions
from tests.journeys.conversions.steps import (
    CONVERT,
    LITTLE,
    Vanished,
    change,
    leases_end,
    sent,
    states,
    vanish,
)
from tests.trading import World, fresh, order_of, told

MORE = Decimal(20000)  # PEPE, of which 12000.5 are planned


def somebody_buys(world: World, *, kind: str = "change") -> None:
    """Let somebody buy PEPE between our last look and the processing of our request."""
    bought = change("balances", {"PEPE": {"free": str(MORE), "locked": "0"}})
    world.exchange.fault(kind, first=[bought], **CONVERT)


def two_plans(world: World) -> tuple[CleanupPlan, CleanupPlan]:
    """Start two plans with different assets."""
    return world.start(LITTLE), world.start()


def exceeded() -> list[str]:
    return [event.summary for event in AuditEvent.objects.filter(kind="conversion.exceeded")]


def test_the_true_quantity_is_kept_and_every_live_plan_of_the_account_ends(world: World) -> None:
    first, second = two_plans(world)
    somebody_buys(world)
    conversions.run_conversion(first.pk, clock=world.clock)
    order = order_of(first, "PEPE")
    assert (order.state, order.filled_quantity) == (S.FILLED, MORE), told(first)
    assert exceeded() == ["20000 PEPE were converted, 12000.5 were planned."]
    for plan in (first, second):
        assert fresh(plan).state is P.HALTED, told(plan)
        assert "More was converted than planned" in fresh(plan).status_note
    assert states(second) == {S.DENIED}
    # Nothing of the second one is sent any more.
    conversions.run_conversion(second.pk, clock=world.clock)
    assert sent(world) == 1


def test_a_worker_that_vanishes_before_it_halts_has_recorded_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_plans(world)
    somebody_buys(world)
    with monkeypatch.context() as context:
        context.setattr(conversion_results, "halt_all", vanish)
        with pytest.raises(Vanished):
            conversions.run_conversion(first.pk, clock=world.clock)
    assert states(first) == {S.SUBMITTING}
    assert exceeded() == []
    leases_end(first)
    for _ in ("taken over", "found"):
        conversion_lookups.look_up_conversion(first.conversions.get().pk, clock=world.clock)
        leases_end(first)
    assert states(first) == {S.FILLED}, told(first)
    assert len(exceeded()) == 1
    assert {fresh(plan).state for plan in (first, second)} == {P.HALTED}
    assert sent(world) == 1


def test_an_excess_that_only_the_history_tells_of_halts_as_well(world: World) -> None:
    plan = world.start(LITTLE)
    somebody_buys(world, kind="drop_after")
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    plan = world.work(plan)
    assert order_of(plan, "PEPE").filled_quantity == MORE, told(plan)
    assert len(exceeded()) == 1
    assert plan.state is P.HALTED


def test_exactly_what_was_planned_is_no_excess(world: World) -> None:
    plan = world.work(world.start(LITTLE))
    assert plan.state is P.COMPLETED, told(plan)
    assert exceeded() == []


def test_less_than_was_offered_is_told_as_such_and_halts_nothing(world: World) -> None:
    plan = world.start(LITTLE)
    taken = change("balances", {"PEPE": {"free": "11000", "locked": "0"}})
    world.exchange.fault("change", first=[taken], **CONVERT)
    plan = world.work(plan)
    order = order_of(plan, "PEPE")
    assert (order.state, order.filled_quantity) == (S.EXPIRED, 11000), told(plan)
    assert order.message.startswith("11000 converted at ")
    assert order.message.endswith(" BNB; no more was free when it was.")
    assert plan.state is P.COMPLETED
