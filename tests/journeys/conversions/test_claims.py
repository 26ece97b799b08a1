"""Whoever holds a batch holds all of it, and whoever lost it changes nothing any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.domain.resolutions import Finding
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.models import CloseOrder, Conversion
from positions.services import conversion_lookups, conversion_requests, conversions, dispatch
from positions.services.actors import Actor
from positions.services.attempts import CLAIM, UNSENT
from positions.services.resolutions import resolve_order
from tests.journeys.conversions.steps import (
    CONVERT,
    LITTLE,
    Vanished,
    books_close,
    leases_end,
    made,
    sent,
    states,
    vanish,
)
from tests.trading import World, at_once, fresh, order_of, told
from tests.web.builders import person


def dues(world: World, plan: Any) -> list[tuple[str, int]]:
    return [(due.task, due.pk) for due in dispatch.due_orders(now=world.now, plan=plan)]


def test_two_workers_at_once_convert_once(world: World) -> None:
    plan = world.start(LITTLE)
    at_once(*[lambda: conversions.run_conversion(plan.pk, clock=world.clock)] * 3)
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_two_look_ups_at_once_record_once(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("drop_after", **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    pk = plan.conversions.get().pk
    at_once(*[lambda: conversion_lookups.look_up_conversion(pk, clock=world.clock)] * 3)
    assert states(plan) == {S.FILLED}, told(plan)
    for order in plan.orders.all():
        assert order.events.filter(kind="order.filled").count() == 1
        assert order.fills.count() == 1


def test_a_batch_is_woken_once_and_again_in_time(world: World) -> None:
    plan = world.start(LITTLE)
    assert dues(world, plan) == [("run_conversion", plan.pk)]
    assert dues(world, plan) == []
    world.later(UNSENT.total_seconds())
    assert dues(world, plan) == [("run_conversion", plan.pk)]


def test_a_part_that_somebody_holds_keeps_the_whole_batch_back(world: World) -> None:
    plan = world.start(LITTLE)
    held = plan.orders.filter(asset="SHIB")
    held.update(claim_token="another", claimed_until=world.now + CLAIM)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.PLANNED}
    assert sent(world) == 0
    world.later(CLAIM.total_seconds())
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def test_a_batch_whose_worker_vanished_with_the_claim_is_taken_over_when_it_ran_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    with monkeypatch.context() as context:
        context.setattr(conversions, "_ready", vanish)
        with pytest.raises(Vanished):
            conversions.run_conversion(plan.pk, clock=world.clock)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert sent(world) == 0  # the claim is still his
    latest = max(order.due_at for order in plan.orders.all() if order.due_at)
    assert latest <= world.now + CLAIM
    plan = world.work(plan, seconds=60)
    assert states(plan) == {S.FILLED}, told(plan)


@pytest.mark.parametrize("step", ["_ready", "_looks", "commit"])
def test_a_worker_that_was_slow_finds_its_batch_converted_by_another(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    plan = world.start(LITTLE)
    real = getattr(conversions, step)

    def slow(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(conversions, step, real)
        leases_end(plan)
        conversions.run_conversion(plan.pk, clock=world.clock)
        return real(*args, **kwargs)

    monkeypatch.setattr(conversions, step, slow)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.FILLED}, told(plan)
    assert Conversion.objects.count() == 1
    assert sent(world) == 1


def test_a_claim_that_was_taken_over_lets_nothing_leave_even_before_the_recovery(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    ask = conversion_requests.may_leave

    def claimed_by_another(*args: Any, **kwargs: Any) -> bool:
        plan.orders.update(claim_token="another")
        return ask(*args, **kwargs)

    with monkeypatch.context() as context:
        context.setattr(conversion_requests, "may_leave", claimed_by_another)
        conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.SUBMITTING}, told(plan)
    assert sent(world) == 0
    plan = world.work(plan, seconds=60)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1


def after_the_answer(monkeypatch: pytest.MonkeyPatch, happens: Any) -> None:
    """Let something happen between the exchange's answer and its record."""
    real = CcxtExchange.convert

    def convert(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        happens()
        return answer

    monkeypatch.setattr(CcxtExchange, "convert", convert)


def test_an_answer_that_comes_after_another_took_over_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)

    def taken_over() -> None:
        leases_end(plan)
        conversion_lookups.look_up_conversion(plan.conversions.get().pk, clock=world.clock)

    after_the_answer(monkeypatch, taken_over)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    conversion = plan.conversions.get()
    assert conversion.answer_code == "LATE"
    assert "transferResult" in conversion.answer_text  # what it said is kept
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    books_close(world, plan)


def test_a_database_that_is_lost_before_the_answer_is_recorded_leaves_it_to_be_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)

    def lost(*_: Any, **__: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as context:
        context.setattr(conversion_requests, "note_answer", lost)
        with pytest.raises(OperationalError):
            conversions.run_conversion(plan.pk, clock=world.clock)
    assert states(plan) == {S.SUBMITTING}
    assert not plan.orders.exclude(filled_quantity="0").exists()
    plan = world.work(plan, seconds=60)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    books_close(world, plan)


# --- What the sandbox does not do: it converts all assets at once ------------------------------


def test_an_asset_that_is_not_decided_with_the_others_is_asked_for_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    real = CcxtExchange.convert

    def convert(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        known: Mapping[str, Any] = {
            asset: item for asset, item in answer.converted.items() if asset != "SHIB"
        }
        return replace(answer, converted=known, is_final=False)

    monkeypatch.setattr(CcxtExchange, "convert", convert)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert order_of(plan, "SHIB").state is S.ACCEPTED, told(plan)
    assert order_of(plan, "PEPE").state is S.FILLED
    plan = world.work(plan)
    assert states(plan) == {S.FILLED}, told(plan)
    assert sent(world) == 1
    books_close(world, plan)


# --- A person -----------------------------------------------------------------------------------


def test_a_person_may_close_one_asset_of_an_unknown_batch_and_the_others_are_found(
    world: World,
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("drop_after", **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    world.exchange.fault("status_before", times=None, method="GET", path="/sapi/v1/asset/dribblet")
    world.later(90)
    conversion_lookups.look_up_conversion(plan.conversions.get().pk, clock=world.clock)
    shib = order_of(plan, "SHIB")
    assert shib.waits_for_person, told(plan)
    seen = Finding(reason="Nothing is to be seen at Binance.", sale=None)
    resolve_order(shib, seen, actor=Actor.person(person("ada", "Approver")), now=world.now)
    world.exchange.clear_faults()
    plan = world.work(plan, until=lambda: not plan.orders.filter(status=S.UNKNOWN).exists())
    assert order_of(plan, "SHIB").state is S.RESOLVED
    others = plan.orders.exclude(asset="SHIB")
    assert set(others.values_list("status", flat=True)) == {S.FILLED}, told(plan)
    assert fresh(plan).state is P.COMPLETED
    assert made(world) == {"SHIB", "PEPE", "BTTC"}


def test_nothing_is_left_due_or_claimed_once_a_batch_is_closed(world: World) -> None:
    plan = world.work(world.start(LITTLE))
    for order in CloseOrder.objects.filter(plan=plan):
        assert (order.due_at, order.claim_token, order.claimed_until) == (None, "", None)
    assert dues(world, plan) == []
    assert order_of(plan, "SHIB").sent_quantity == Decimal(9000)
