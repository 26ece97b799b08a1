"""A conversion that goes wrong: each case ends as the exchange's ledger says, and is made once."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from positions.domain.orders import OrderState as S
from positions.domain.planning import NothingToClose
from positions.domain.plans import PlanState as P
from positions.models import AnswerClass, AuditEvent, CleanupPlan, Conversion
from positions.services import conversion_lookups, conversion_requests, conversions, halts, stops
from tests.journeys.conversions.steps import (
    CONVERT,
    LITTLE,
    Vanished,
    books_close,
    change,
    converts_elsewhere,
    leases_end,
    made,
    opens_again,
    sent,
    states,
    vanish,
)
from tests.trading import TEST, World, fresh, order_of, told


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("rate_limit", {"retry_after": 1}),
        ("error", {"code": -1021, "msg": "Timestamp for this request is outside."}),
    ],
)
def test_a_conversion_that_was_refused_before_processing_is_made_later(
    world: World, kind: str, spec: dict[str, Any]
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault(kind, **spec, **CONVERT)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    answers = list(plan.conversions.values_list("answer", flat=True))
    assert answers == [AnswerClass.NOT_PLACED, AnswerClass.ACCEPTED]
    assert sent(world) == 2
    books_close(world, plan)


@pytest.mark.parametrize(
    "kind",
    ["drop_after", "drop_midway", "status_after", "garbage_after", "cut_json_after", "empty_list"],
)
def test_a_conversion_whose_answer_is_lost_is_found_and_never_made_again(
    world: World, kind: str
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault(kind, **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert plan.state is P.COMPLETED
    assert sent(world) == 1
    books_close(world, plan)


@pytest.mark.parametrize("kind", ["drop_before", "garbage_before", "status_before"])
def test_a_conversion_that_was_never_made_is_given_up_by_proof_and_not_repeated(
    world: World, kind: str
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault(kind, **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    plan = world.work(plan, seconds=200)
    assert states(plan) == {S.DENIED}, told(plan)
    assert "was not made" in plan.orders.all()[0].message
    assert sent(world) == 1
    assert made(world) == set()
    # The window is as it was: another plan converts at once.
    after = world.work(world.start(LITTLE))
    assert states(after) == {S.FILLED}, told(after)


def test_a_window_that_somebody_else_used_denies_before_anything_is_sent(world: World) -> None:
    plan = world.start(LITTLE)
    converts_elsewhere(world, "XRP")
    plan = world.work(plan)
    assert states(plan) == {S.DENIED}, told(plan)
    assert set(plan.orders.values_list("reason", flat=True)) == {"CONVERT_WINDOW_CLOSED"}
    assert sent(world) == 0
    assert opens_again(world, "ADA")


def test_a_window_that_closes_at_the_very_request_is_a_refusal(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("error", code=-5006, msg="Only once in 24 hours.", **CONVERT)
    plan = world.work(plan)
    assert states(plan) == {S.REJECTED}, told(plan)
    assert set(plan.orders.values_list("reason", flat=True)) == {"CONVERT_WINDOW_CLOSED"}


def test_a_batch_that_the_exchange_refuses_is_refused_whole(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("error", code=-5001, msg="Not supported.", **CONVERT)
    plan = world.work(plan)
    assert states(plan) == {S.REJECTED}, told(plan)
    assert plan.state is P.COMPLETED
    assert made(world) == set()
    books_close(world, plan)


def grows_whole(world: World, asset: str) -> None:
    world.exchange.control("POST", "balances", {asset: {"free": "1000000", "locked": "0"}})


def vanishes(world: World, asset: str) -> None:
    world.exchange.control("POST", "balances", {asset: {"free": "0", "locked": "0"}})


def is_protected(world: World, asset: str) -> None:
    world.change_policy(protected_assets=frozenset({asset}))


def halts_its_market(world: World, asset: str) -> None:
    world.exchange.control("POST", "markets", {f"{asset}USDT": {"status": "BREAK"}})


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (grows_whole, "DRIFTED"),
        (vanishes, "NOT_HELD"),
        (is_protected, "PROTECTED"),
        (halts_its_market, "NOT_CONVERTIBLE"),
    ],
)
def test_what_may_not_leave_any_more_is_left_out_and_the_rest_is_converted(
    world: World, happens: Callable[[World, str], None], reason: str
) -> None:
    plan = world.start(LITTLE)
    asset = plan.orders.all()[0].asset
    happens(world, asset)
    plan = world.work(plan)
    left_out = order_of(plan, asset)
    assert (left_out.state, left_out.reason) == (S.DENIED, reason), told(plan)
    others = plan.orders.exclude(asset=asset)
    assert set(others.values_list("status", flat=True)) == {S.FILLED}, told(plan)
    assert made(world) == set(others.values_list("asset", flat=True))


def test_more_converted_than_planned_is_told_and_halts_the_accounts_plans(world: World) -> None:
    plan = world.start(LITTLE)
    asset = plan.orders.all()[0].asset
    more = str(plan.orders.all()[0].quantity * 2)
    balances = {asset: {"free": more, "locked": "0"}}
    world.exchange.fault("change", first=[change("balances", balances)], **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    grown = order_of(plan, asset)
    assert grown.state is S.FILLED, told(plan)
    assert grown.filled_quantity > grown.quantity
    assert AuditEvent.objects.filter(kind="conversion.exceeded", plan=plan).count() == 1
    assert fresh(plan).state is P.HALTED
    assert "More was converted than planned" in fresh(plan).status_note


# --- Stops --------------------------------------------------------------------------------------


def pressed(world: World, plan: CleanupPlan) -> None:
    halts.press(account=world.account, reason="stop", actor=TEST, now=world.now)


def paused(world: World, plan: CleanupPlan) -> None:
    stops.pause_plan(fresh(plan), actor=TEST, now=world.now)


def halted(world: World, plan: CleanupPlan) -> None:
    stops.halt_plan(fresh(plan), actor=TEST, now=world.now)


@pytest.mark.parametrize("stop", [pressed, paused, halted])
@pytest.mark.parametrize(
    ("where", "step"),
    [
        (conversions, "_claimed"),
        (conversions, "_ready"),
        (conversions, "_looks"),
        (conversions, "commit"),
        (conversions, "send"),
        (conversion_requests, "may_leave"),
    ],
)
def test_a_stop_lets_nothing_leave_that_had_no_leave_yet(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[World, CleanupPlan], None],
    where: Any,
    step: str,
) -> None:
    plan = world.start(LITTLE)
    real = getattr(where, step)

    def stopped_first(*args: Any, **kwargs: Any) -> Any:
        stop(world, plan)
        return real(*args, **kwargs)

    monkeypatch.setattr(where, step, stopped_first)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert sent(world) == 0
    assert states(plan) <= {S.PLANNED, S.DENIED}, told(plan)


@pytest.mark.parametrize("stop", [pressed, paused, halted])
def test_a_stop_after_the_leave_takes_nothing_back_and_loses_nothing(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[World, CleanupPlan], None],
) -> None:
    plan = world.start(LITTLE)
    ask = conversion_requests.may_leave

    def leave(*args: Any, **kwargs: Any) -> bool:
        allowed = ask(*args, **kwargs)
        stop(world, plan)
        return allowed

    monkeypatch.setattr(conversion_requests, "may_leave", leave)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    assert fresh(plan).state in {P.COMPLETED, P.HALTED}


# --- Workers that vanish ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "step"),
    [(conversions, "send"), (conversion_requests, "apply_conversion")],
    ids=["before sending", "with the answer"],
)
def test_a_batch_whose_worker_vanished_is_converted_once(
    world: World, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str
) -> None:
    plan = world.start(LITTLE)
    with monkeypatch.context() as context:
        context.setattr(module, step, vanish)
        with pytest.raises(Vanished):
            conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.SUBMITTING}
    leases_end(plan)
    world.later(60)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    books_close(world, plan)


def test_a_worker_that_wakes_after_another_took_over_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    ask = conversion_requests.may_leave

    def slept(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(conversion_requests, "may_leave", ask)
        leases_end(plan)
        for conversion in Conversion.objects.all():
            conversion_lookups.look_up_conversion(conversion.pk, clock=world.clock)
        return ask(*args, **kwargs)

    monkeypatch.setattr(conversion_requests, "may_leave", slept)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert sent(world) == 0
    assert states(plan) == {S.PLANNED}, told(plan)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_the_same_task_twice_converts_once(world: World) -> None:
    plan = world.start(LITTLE)
    for _ in range(2):
        conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_what_is_still_being_converted_is_asked_for_until_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox converts at once; that an answer is not final yet is made up here."""
    plan = world.start(LITTLE)
    real = conversions.apply_conversion

    def not_final(conversion: Any, orders: Any, outcome: Any, **facts: Any) -> Any:
        started = type(outcome)(
            conversion_id=outcome.conversion_id, converted={}, refused={}, is_final=False
        )
        return real(conversion, orders, started, **facts)

    with monkeypatch.context() as context:
        context.setattr(conversion_requests, "apply_conversion", not_final)
        conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.ACCEPTED}, told(plan)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_a_second_plan_in_the_same_window_says_when_it_opens(world: World) -> None:
    world.work(world.start(LITTLE))
    assert opens_again(world, "XRP")
    with pytest.raises(NothingToClose):
        world.draft()
