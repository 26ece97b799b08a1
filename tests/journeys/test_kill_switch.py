"""Stop means stop: for every step a worker can take, across restarts, and after the release."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, User

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AuditEvent, CloseOrder
from positions.services import dispatch, drafts, execution, halts, reconciliation, starts, stops
from positions.services.actors import Actor
from positions.services.plans import PlanRefused
from tests.journeys.oracle import assert_all_true
from tests.trading import TEST, World, fresh, order_of, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)


@pytest.fixture
def approver(world: World) -> Actor:
    """Return a person who may release a stop."""
    user = User.objects.create_user("alma")
    user.groups.add(Group.objects.get(name="Approver"))
    return Actor.person(user)


# Binance is asked by POST what it would convert (asset/dust-btc).
QUESTIONS = ("/_control", "/sapi/v1/asset/dust-btc")


def changing_requests(world: World) -> list[str]:
    """Return every request that could have changed something at the exchange."""
    requests = world.exchange.ledger()["requests"]
    return [
        f"{item['method']} {item['path']}"
        for item in requests
        if item["method"] != "GET" and not item["path"].startswith(QUESTIONS)
    ]


def press_and_vanish(world: World, *, everything: bool) -> None:
    """Press the switch and end before any plan is halted, as a killed process would."""
    account = None if everything else world.account
    halts.press(account=account, reason="Odd fills", actor=TEST, now=world.now)


def take_every_step(world: World) -> None:
    """Do all that a wake-up could ask of a worker, due or not."""
    world.snapshot()
    for order in CloseOrder.objects.all():
        execution.run_order(order.pk, clock=world.clock)
        reconciliation.look_up_order(order.pk, clock=world.clock)


@pytest.mark.parametrize("everything", [True, False])
def test_under_a_stop_no_step_of_a_worker_sends_anything_but_questions(
    world: World, everything: bool
) -> None:
    plan = world.start("0.10")
    world.exchange.fault("drop_before")  # sent, never placed: its absence can be proved
    assert world.run(order_of(plan, "PEPE")).state is S.UNKNOWN
    before = changing_requests(world)
    press_and_vanish(world, everything=everything)
    for _ in range(8):
        take_every_step(world)
        world.later(15)
    assert changing_requests(world) == before
    assert order_of(plan, "SHIB").state is S.PLANNED
    assert order_of(plan, "PEPE").state is S.PLANNED, told(plan)  # proved absent, not sent again


@pytest.mark.parametrize("everything", [True, False])
def test_the_release_of_a_stop_sets_nothing_in_motion(
    world: World, approver: Actor, everything: bool
) -> None:
    plan = world.start("0.10")
    press_and_vanish(world, everything=everything)
    account = None if everything else world.account
    assert stops.release_stop(account, actor=approver, now=world.now)
    assert fresh(plan).state is P.HALTED
    assert {order.state for order in plan.orders.all()} == {S.DENIED}
    kinds = list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds.index("plan.halted") < kinds.index("halt.released")
    take_every_step(world)
    assert world.sent() == []
    assert not stops.release_stop(account, actor=approver, now=world.now)
    world.later(1)
    after = world.work(world.start("0.05"))
    assert after.state is P.COMPLETED
    assert len(world.sent()) == 1


def test_a_plan_that_is_still_live_under_a_stop_is_halted_by_the_scheduler(world: World) -> None:
    plan = world.start("0.10")
    press_and_vanish(world, everything=False)
    list(dispatch.due_now(now=world.now))
    assert fresh(plan).state is P.RUNNING  # whoever pressed it may be about to halt it
    world.later(11)
    list(dispatch.due_now(now=world.now))
    assert fresh(plan).state is P.HALTED
    assert {order.state for order in plan.orders.all()} == {S.DENIED}
    assert world.sent() == []


def test_a_release_halts_no_plan_where_nothing_was_stopped(world: World, approver: Actor) -> None:
    plan = world.start("0.05")
    assert not stops.release_stop(None, actor=approver, now=world.now)
    assert not stops.release_stop(world.account, actor=approver, now=world.now)
    assert world.work(plan).state is P.COMPLETED


def test_under_a_stop_no_plan_starts_and_no_paused_plan_goes_on(world: World) -> None:
    paused = world.start("0.05")
    stops.pause_plan(paused, actor=TEST, now=world.now)
    draft = drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)
    press_and_vanish(world, everything=True)
    with pytest.raises(PlanRefused):
        starts.start_plan(draft, hash_seen=draft.hash, actor=TEST, now=world.now)
    with pytest.raises(PlanRefused):
        stops.resume_plan(paused, actor=TEST, now=world.now)
    take_every_step(world)
    assert world.sent() == []
