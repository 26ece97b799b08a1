"""One conversion a window, whoever makes it; what was sent counts before the history has it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from positions.domain.orders import OrderState as S
from positions.models import AnswerClass
from positions.services import conversion_lookups, conversions
from tests.journeys.conversions.steps import (
    CONVERT,
    LITTLE,
    change,
    leases_end,
    made,
    opens_again,
    sent,
    states,
)
from tests.trading import World, at_once, fresh, told

SIX_HOURS = timedelta(hours=6)


def kept(world: World) -> list[datetime]:
    """Return when the account is known to have converted."""
    return [datetime.fromisoformat(text) for text in fresh(world.account).conversions_at]


def test_two_plans_at_once_convert_once(world: World) -> None:
    first, second = world.start(LITTLE), world.start()
    at_once(
        lambda: conversions.run_conversion(first.pk, clock=world.clock),
        lambda: conversions.run_conversion(second.pk, clock=world.clock),
    )
    ended = [states(world.work(plan)) for plan in (first, second)]
    assert sorted(ended, key=str) == [{S.DENIED}, {S.FILLED}], told(first) + told(second)
    assert sent(world) == 1


def test_a_plan_does_not_convert_while_another_ones_end_is_unknown(world: World) -> None:
    first, second = world.start(LITTLE), world.start()
    world.exchange.fault("drop_before", **CONVERT)
    conversions.run_conversion(first.pk, clock=world.clock)
    assert states(first) == {S.UNKNOWN}
    conversions.run_conversion(second.pk, clock=world.clock)
    assert states(second) == {S.DENIED}, told(second)
    assert "opens at" in second.orders.all()[0].message
    assert sent(world) == 1


def test_a_window_that_closes_after_the_last_check_lets_nothing_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked, and both have committed, before one of them leaves."""
    first, second = world.start(LITTLE), world.start()
    send = conversions.send

    def after_another(*args: object, **kwargs: object) -> None:
        monkeypatch.setattr(conversions, "send", send)
        conversions.run_conversion(second.pk, clock=world.clock)
        send(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(conversions, "send", after_another)
    conversions.run_conversion(first.pk, clock=world.clock)
    assert states(second) == {S.FILLED}, told(second)
    assert states(first) == {S.PLANNED}, told(first)
    assert sent(world) == 1
    first = world.work(first)
    assert states(first) == {S.DENIED}, told(first)
    assert set(first.orders.values_list("reason", flat=True)) == {"CONVERT_WINDOW_CLOSED"}
    assert sent(world) == 1


def test_somebody_who_converts_between_our_look_and_our_request_closes_the_window(
    world: World,
) -> None:
    plan = world.start(LITTLE)
    theirs = change("convert", {"assets": ["XRP"]})
    world.exchange.fault("change", first=[theirs], **CONVERT)
    before = world.now
    plan = world.work(plan)
    assert states(plan) == {S.REJECTED}, told(plan)
    assert set(plan.orders.values_list("reason", flat=True)) == {"CONVERT_WINDOW_CLOSED"}
    assert plan.conversions.get().answer == AnswerClass.REJECTED
    assert made(world) == {"XRP"}
    # It is theirs that is known now, and ours counts no more.
    (at,) = kept(world)
    assert at != plan.conversions.get().sent_at
    assert before - timedelta(seconds=5) < at < world.now
    assert opens_again(world, "ADA")
    world.later(SIX_HOURS.total_seconds())
    again = world.work(world.start(LITTLE))
    assert states(again) == {S.FILLED}, told(again)


def test_a_closed_window_that_nobody_explains_counts_from_our_request(world: World) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("error", code=-5006, msg="Only once in 24 hours.", **CONVERT)
    plan = world.work(plan)
    assert states(plan) == {S.REJECTED}, told(plan)
    assert kept(world) == [plan.conversions.get().sent_at]
    assert opens_again(world, "ADA")


def test_a_history_that_does_not_answer_after_a_refusal_costs_nothing_but_the_time(
    world: World,
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("change", first=[change("convert", {"assets": ["XRP"]})], **CONVERT)
    world.exchange.fault(
        "status_before", method="GET", path="/sapi/v1/asset/dribblet", after_count=1
    )
    plan = world.work(plan)
    assert states(plan) == {S.REJECTED}, told(plan)
    assert kept(world) == [plan.conversions.get().sent_at]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("rate_limit", {"retry_after": 1}),
        ("error", {"code": -1021, "msg": "Timestamp for this request is outside."}),
        ("error", {"code": -5001, "msg": "Don't allow transfer to micro assets."}),
        ("error", {"code": -2015, "msg": "Invalid API-key.", "status": 401}),
    ],
)
def test_a_request_that_was_not_processed_gives_its_window_back(
    world: World, kind: str, spec: dict[str, object]
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault(kind, **spec, **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    assert sent(world) == 1
    assert kept(world) == []


def test_a_request_whose_worker_vanished_keeps_the_window_until_its_absence_is_proved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(LITTLE)
    world.exchange.fault("drop_before", **CONVERT)
    conversions.run_conversion(plan.pk, clock=world.clock)
    (conversion,) = plan.conversions.all()
    assert kept(world) == [conversion.sent_at]
    valid_ms = conversion.valid_until_ms - conversion.signed_at_ms
    world.later(valid_ms / 1000 + 29)  # the margin is 30 s
    for _ in range(2):
        leases_end(plan)
        conversion_lookups.look_up_conversion(conversion.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    world.later(3)
    leases_end(plan)
    conversion_lookups.look_up_conversion(conversion.pk, clock=world.clock)
    world.later(3)  # less than 5 s after the first that counts
    leases_end(plan)
    conversion_lookups.look_up_conversion(conversion.pk, clock=world.clock)
    assert states(plan) == {S.UNKNOWN}, told(plan)
    assert kept(world) == [conversion.sent_at]
    world.later(3)
    leases_end(plan)
    conversion_lookups.look_up_conversion(conversion.pk, clock=world.clock)
    assert states(plan) == {S.DENIED}, told(plan)
    assert kept(world) == []
    assert sent(world) == 1
