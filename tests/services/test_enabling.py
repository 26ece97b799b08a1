"""A disabled account: not read, nothing sent, its plans halted, and back again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from positions import tasks
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.models import AuditEvent, CleanupPlan, Halt
from positions.selectors.accounts import account_reading
from positions.selectors.overview import overview
from positions.services import audit, dispatch, drafts, enabling, results, snapshots, starts, stops
from positions.services.accounts import BadAccount
from positions.services.permissions import NotPermitted
from positions.services.plans import PlanRefused
from positions.services.snapshots import AccountDisabled
from tests.services.conftest import Hire
from tests.trading import TEST, World, fresh, order_of

pytestmark = [pytest.mark.django_db(transaction=True)]


def disable(world: World, reason: str = "the desk closes") -> int:
    return enabling.disable_account(world.account, reason=reason, actor=TEST, now=world.now)


def due(world: World) -> list[str]:
    return [item.task for item in dispatch.due_now(now=world.now)]


def test_a_disabled_account_is_not_read_by_anybody(world: World) -> None:
    world.snapshot()
    disable(world)
    before = len(world.exchange.ledger()["requests"])
    snapshots.want_snapshot(world.account, now=world.now)
    world.clock.ahead += timedelta(hours=1)
    assert "take_snapshot" not in due(world)
    with pytest.raises(AccountDisabled, match="demo is disabled"):
        world.snapshot()
    with pytest.raises(AccountDisabled):
        snapshots.ask_for_snapshot(world.account, actor=TEST, now=world.now)
    tasks.take_snapshot(world.account.pk)  # a wake-up that was sent before
    assert len(world.exchange.ledger()["requests"]) == before
    assert world.account.snapshots.filter(status="FAILED").count() == 0


def test_its_slots_are_unknown_and_only_the_products_own_doing_needs_a_person(
    world: World,
) -> None:
    world.snapshot()
    assert account_reading("demo", now=world.now).slots_known
    disable(world)
    reading = account_reading("demo", now=world.now)
    assert not reading.slots_known
    assert not reading.is_updating
    (row,) = overview(now=world.now, halts=[]).rows
    assert row.rank == 1  # a service disabled it
    type(world.account).objects.update(disabled_by=None, is_enabled=True)
    assert account_reading("demo", now=world.now).slots_known


def test_a_person_who_disables_is_kept_with_the_reason(world: World, hire: Hire) -> None:
    ada = hire("Administrator", "ada")
    enabling.disable_account(world.account, reason=" leaving ", actor=ada, now=world.now)
    account = fresh(world.account)
    assert (account.disabled_by, account.disabled_by_name) == (ada.user, "ada")
    assert (account.disabled_reason, account.disabled_at) == ("leaving", account.disabled_at)
    assert not account.needs_person
    (row,) = overview(now=world.now, halts=[]).rows
    assert row.rank == 6
    event = AuditEvent.objects.get(kind="account.disabled")
    assert event.summary == "ada disabled demo: leaving"
    enabling.disable_account(world.account, reason="again", actor=ada, now=world.now)
    assert AuditEvent.objects.filter(kind="account.disabled").count() == 1
    assert audit.verify_all() == []


def test_its_live_plans_are_halted_and_what_was_not_sent_never_will_be(world: World) -> None:
    plan = world.start()
    assert disable(world) == 1
    plan = fresh(plan)
    assert plan.state is PlanState.HALTED
    assert plan.status_note == "test disabled demo: the desk closes"
    assert set(plan.orders.values_list("status", flat=True)) == {OrderState.DENIED.value}
    assert due(world) == []
    assert world.sent() == []


def test_a_paused_plan_is_halted_as_well(world: World) -> None:
    plan = world.start()
    stops.pause_plan(plan, actor=TEST, now=world.now)
    assert disable(world) == 1
    assert fresh(plan).state is PlanState.HALTED


def test_the_dispatcher_halts_what_runs_on_an_account_that_somebody_else_disabled(
    world: World,
) -> None:
    plan = world.start()
    type(world.account).objects.update(is_enabled=False)
    due(world)
    assert fresh(plan).state is PlanState.HALTED


def test_no_plan_is_drafted_or_started_on_it(world: World) -> None:
    draft = world.draft()
    disable(world)
    with pytest.raises(PlanRefused, match="disabled"):
        starts.start_plan(draft, hash_seen=draft.hash, actor=TEST, now=world.now)
    with pytest.raises(PlanRefused, match="disabled"):
        drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)
    assert CleanupPlan.objects.count() == 1


def test_what_was_sent_is_looked_up_to_its_end_even_then(world: World) -> None:
    plan = world.start("0.05")
    world.exchange.fault("drop_after", times=1)
    order = world.run(order_of(plan, "PEPE"))
    assert order.state is OrderState.UNKNOWN
    disable(world)
    world.later(2)
    assert due(world) == ["look_up_order"]
    assert world.look_up(order).state is OrderState.FILLED


def test_an_enabled_account_is_read_at_once_and_closes_the_books(world: World) -> None:
    plan = world.start()
    disable(world)
    with pytest.raises(PlanRefused):
        drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)
    enabling.enable_account(world.account, actor=TEST, now=world.now)
    account = fresh(world.account)
    assert account.is_enabled
    assert (account.disabled_reason, account.disabled_by_name, account.disabled_at) == (
        "",
        "",
        None,
    )
    assert due(world) == ["take_snapshot"]
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    assert fresh(plan).state is PlanState.HALTED
    assert fresh(plan).closing_snapshot is not None
    enabling.enable_account(world.account, actor=TEST, now=world.now)
    assert AuditEvent.objects.filter(kind="account.enabled").count() == 1


def test_a_plan_that_outlived_the_disabling_is_halted_before_the_account_is_enabled(
    world: World,
) -> None:
    plan = world.start()
    type(world.account).objects.update(is_enabled=False)  # whoever did it vanished then
    enabling.enable_account(world.account, actor=TEST, now=world.now)
    assert fresh(plan).state is PlanState.HALTED
    assert fresh(world.account).is_enabled
    assert world.sent() == []


@pytest.fixture
def stuck(world: World, monkeypatch: pytest.MonkeyPatch) -> CleanupPlan:
    """Return the first of two live plans: somebody holds it for longer than one waits for a row."""
    plan = world.start("0.05")
    halt = stops.halt_plan

    def halt_others(other: CleanupPlan, **named: Any) -> CleanupPlan:
        if other == plan:
            raise OperationalError("canceling statement due to lock timeout")
        return halt(other, **named)

    monkeypatch.setattr(stops, "halt_plan", halt_others)
    return plan


def test_a_plan_that_is_stuck_keeps_no_other_from_being_halted(
    world: World, stuck: CleanupPlan
) -> None:
    other = world.start("0.10")
    assert stops.halt_everything(None, reason="", actor=TEST, now=world.now) == 1
    assert fresh(other).state is PlanState.HALTED
    assert fresh(stuck).state is PlanState.RUNNING


def test_the_dispatcher_goes_on_past_a_plan_that_is_stuck(world: World, stuck: CleanupPlan) -> None:
    stops.halt_everything(None, reason="", actor=TEST, now=world.now)
    world.clock.ahead += timedelta(hours=1)
    assert "take_snapshot" in due(world)


def test_nothing_is_let_go_while_a_plan_could_not_be_halted(
    world: World, stuck: CleanupPlan, hire: Hire
) -> None:
    ada = hire("Administrator", "ada")
    stops.halt_everything(None, reason="", actor=TEST, now=world.now)
    with pytest.raises(PlanRefused, match="could not be halted yet"):
        stops.release_stop(None, actor=ada, now=world.now)
    assert Halt.objects.get().released_at is None
    disable(world)
    with pytest.raises(PlanRefused, match="could not be halted yet"):
        enabling.enable_account(world.account, actor=ada, now=world.now)
    assert not fresh(world.account).is_enabled


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver"])
def test_only_an_administrator_takes_an_account_out_of_use_or_back(
    world: World, hire: Hire, group: str
) -> None:
    actor = hire(group)
    with pytest.raises(NotPermitted):
        enabling.disable_account(world.account, reason="why", actor=actor, now=world.now)
    with pytest.raises(NotPermitted):
        enabling.enable_account(world.account, actor=actor, now=world.now)
    assert fresh(world.account).is_enabled


def test_disabling_needs_a_reason(world: World) -> None:
    with pytest.raises(BadAccount, match="Say why"):
        disable(world, "  ")
    assert fresh(world.account).is_enabled
