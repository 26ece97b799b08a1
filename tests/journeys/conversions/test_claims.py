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
from positions.models import AuditEvent, CloseOrder, Conversion
from positions.services import (
    audit,
    claims,
    conversion_lookups,
    conversion_requests,
    conversions,
    dispatch,
)
from positions.services.actors import Actor
from positions.services.attempts import CLAIM, UNSENT
from positions.services.holds import OrderInFlight
from positions.services.resolutions import resolve_order
from tests.bots import claim, hire_bot, lease
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


# A bot's hold on an asset -------------------------------------------------------------------------


@pytest.mark.parametrize(("take", "reason"), [(lease, "LEASED"), (claim, "CLAIMED_BY_BOT")])
def test_what_a_bot_has_taken_is_left_out_and_the_others_are_converted(
    world: World, take: Any, reason: str
) -> None:
    world.change_policy(position_cap=30)
    plan = world.start(LITTLE)
    others = set(plan.orders.values_list("asset", flat=True)) - {"SHIB"}
    take(world.account, "SHIB", bot=hire_bot(world.account, now=world.now), now=world.now)
    plan = world.work(plan)
    denied = order_of(plan, "SHIB")
    assert (denied.state, denied.reason) == (S.DENIED, reason), told(plan)
    assert "grid-7" in denied.message
    assert made(world) == others
    assert sent(world) == 1


def test_a_batch_of_which_bots_have_everything_is_not_sent(world: World) -> None:
    plan = world.start(LITTLE)
    bot = hire_bot(world.account, now=world.now)
    for order in plan.orders.all():
        claim(world.account, order.asset, bot=bot, now=world.now)
    plan = world.work(plan)
    assert states(plan) == {S.DENIED}, told(plan)
    assert plan.state is P.COMPLETED
    assert sent(world) == 0


def test_what_is_committed_with_a_batch_no_bot_gets_until_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    bot = hire_bot(world.account, now=world.now)
    refused: list[int] = []
    send = conversion_requests.send

    def sends(*args: Any, **more: Any) -> None:
        for take in (lease, claim):
            with pytest.raises(OrderInFlight) as found:
                take(world.account, "SHIB", bot=bot, now=world.now)
            refused.append(found.value.order.plan_id)
        send(*args, **more)

    monkeypatch.setattr(conversions, "send", sends)
    plan = world.work(plan)
    assert refused == [plan.pk, plan.pk]
    assert states(plan) == {S.FILLED}, told(plan)
    claim(world.account, "SHIB", bot=bot, now=world.now)


@pytest.mark.parametrize("_round", range(3))
def test_bots_that_take_assets_while_a_batch_is_sent_never_share_one(
    world: World, _round: int
) -> None:
    plan = world.start(LITTLE)
    bot = hire_bot(world.account, now=world.now)
    assets = list(plan.orders.values_list("asset", flat=True))
    taking = [
        lambda asset=asset: claim(world.account, asset, bot=bot, now=world.now) for asset in assets
    ]
    _, *found = at_once(lambda: conversions.run_conversion(plan.pk, clock=world.clock), *taking)
    plan = world.work(plan)
    for asset, taken in zip(assets, found, strict=True):
        order = order_of(plan, asset)
        if order.state is S.DENIED:
            assert order.reason == "CLAIMED_BY_BOT", told(plan)
            assert taken.asset == asset
            assert asset not in made(world)
        else:
            assert order.state is S.FILLED, told(plan)
            if not isinstance(taken, OrderInFlight):
                # It was over before the bot came.
                begun = AuditEvent.objects.get(kind="claim.made", data__asset=asset)
                assert order.events.get(kind="order.filled").sequence < begun.sequence
    assert audit.verify_all() == []


def test_what_was_a_bots_since_the_look_is_not_converted(world: World) -> None:
    """The bot has bought and given back between our look at the balances and the commit."""
    plan = world.start(LITTLE)
    port = world.port
    assert port.conversion_rule is not None
    ready = conversions._ready(
        conversions._claimed(plan.pk, now=world.now),
        port,
        rule=port.conversion_rule,
        clock=world.clock,
    )
    assert ready is not None
    orders, quote, looked_at, _ = ready
    bot = hire_bot(world.account, now=world.now)
    made_by_bot = claim(world.account, orders[0].asset, bot=bot, now=world.now)
    claims.give_back(made_by_bot, actor=bot, now=world.now)
    committed = conversion_requests.commit(
        orders, quote, exchange=world.port, looked_at=looked_at, now=world.now
    )
    assert committed is None
    assert fresh(orders[0]).reason == "CLAIMED_BY_BOT"
    plan = world.work(plan)
    assert sent(world) == 1
    assert {order.state for order in plan.orders.exclude(pk=orders[0].pk)} == {S.FILLED}, told(plan)
