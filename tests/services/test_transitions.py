"""Steps of orders and plans: checked, claimed, and told in the same transaction."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from positions.domain.orders import TRANSITIONS, IllegalTransition
from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.domain.verdicts import Reason
from positions.models import AuditEvent, CleanupPlan, CloseOrder
from positions.services import audit
from positions.services.transitions import (
    LostClaim,
    deny,
    deny_unsent,
    move_order,
    move_plan,
    note_order,
)
from tests.trading import TEST, World, fresh, order_of

pytestmark = pytest.mark.django_db


def move(world: World, order: CloseOrder, target: S, **changes: Any) -> None:
    with transaction.atomic():
        move_order(
            order, target, kind="test.moved", summary="moved", actor=TEST, now=world.now, **changes
        )


def test_only_the_tables_steps_can_be_made(world: World) -> None:
    pk = order_of(world.draft("0.05"), "PEPE").pk
    for current in S:
        for target in S:
            CloseOrder.objects.filter(pk=pk).update(status=current)
            order = CloseOrder.objects.get(pk=pk)
            events = AuditEvent.objects.count()
            if target in TRANSITIONS[current]:
                move(world, order, target)
                assert fresh(order).state is target
                assert AuditEvent.objects.count() == events + 1
            else:
                with pytest.raises(IllegalTransition):
                    move(world, order, target)
                assert fresh(order).state is current
                assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("changed", [{"status": S.DENIED}, {"claim_token": "another"}])
def test_who_saw_another_row_loses_and_leaves_no_event(
    world: World, changed: dict[str, str]
) -> None:
    order = order_of(world.draft("0.05"), "PEPE")
    CloseOrder.objects.filter(pk=order.pk).update(**changed)
    events = AuditEvent.objects.count()
    with pytest.raises(LostClaim):
        move(world, order, S.SUBMITTING)
    with pytest.raises(LostClaim), transaction.atomic():
        note_order(order, kind="test.noted", summary="x", actor=TEST, now=world.now)
    assert AuditEvent.objects.count() == events
    assert audit.verify_all() == []


def test_a_closed_order_has_nothing_due_and_no_claim(world: World) -> None:
    order = order_of(world.draft("0.05"), "PEPE")
    CloseOrder.objects.filter(pk=order.pk).update(
        claim_token="mine", due_at=world.now, claimed_until=world.now
    )
    order = fresh(order)
    with transaction.atomic():
        deny(order, Reason.DRIFTED, "x" * 500, actor=TEST, now=world.now)
    order = fresh(order)
    assert (order.claim_token, order.due_at, order.claimed_until) == ("", None, None)
    assert order.closed_at is not None
    assert len(order.message) == 300


def test_changes_count_up_within_a_plan(world: World) -> None:
    order = order_of(world.draft("0.05"), "PEPE")
    move(world, order, S.SUBMITTING)
    first = order.change
    move(world, order, S.UNKNOWN)
    assert order.change > first > 0


def test_only_what_was_never_sent_is_denied(world: World) -> None:
    plan = world.draft()
    CloseOrder.objects.filter(plan=plan, asset__in=["DOGE", "XRP"]).update(status=S.UNKNOWN)
    with transaction.atomic():
        assert deny_unsent(plan, Reason.PLAN_HALTED, "x", actor=TEST, now=world.now) == 4
    assert order_of(plan, "DOGE").state is S.UNKNOWN


def test_a_plan_that_was_changed_by_somebody_else_is_not_moved(world: World) -> None:
    plan = world.draft()
    CleanupPlan.objects.filter(pk=plan.pk).update(status=P.REJECTED)
    with pytest.raises(LostClaim), transaction.atomic():
        move_plan(plan, P.APPROVED, kind="test.moved", summary="x", actor=TEST, now=world.now)
    assert fresh(plan).state is P.REJECTED
