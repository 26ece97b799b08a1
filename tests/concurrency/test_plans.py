"""People and services that change one plan, or one account, at the same moment."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AuditChain, AuditEvent, CleanupPlan, ExchangeAccount, Halt
from positions.services import accounts, audit, drafts, key_changes, policies, starts, stops
from positions.services.actors import Actor
from positions.services.credentials import Credentials
from positions.services.plans import PlanRefused
from positions.services.transitions import note_order
from tests.concurrency.queues import queued_behind
from tests.trading import TEST, World, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)


def start(world: World, plan: CleanupPlan) -> CleanupPlan:
    return starts.start_plan(plan, hash_seen=plan.hash, actor=TEST, now=world.now)


def halt_all(world: World) -> int:
    return stops.halt_everything(None, reason="Test", actor=TEST, now=world.now)


def kinds(plan: CleanupPlan) -> Counter[str]:
    return Counter(plan.events.values_list("kind", flat=True))


def chain_of(account: ExchangeAccount | None) -> AuditChain:
    return AuditChain.objects.get(scope="" if account is None else str(account.pk))


def test_two_starts_of_one_plan_start_it_once(world: World) -> None:
    plan = world.draft()
    found = queued_behind(plan, lambda: start(world, plan), lambda: start(world, plan))
    (refused,) = [item for item in found if not isinstance(item, CleanupPlan)]
    assert isinstance(refused, PlanRefused)
    assert "can't be started" in str(refused)
    assert fresh(plan).state is P.RUNNING
    assert kinds(plan)["plan.started"] == kinds(plan)["plan.approved"] == 1
    assert audit.verify_all() == []


def test_a_plan_that_starts_while_everything_is_stopped_does_not_outlive_the_stop(
    world: World,
) -> None:
    """Whoever comes first: a start that has passed its checks is halted, a later one refused.

    The press does not wait for it; the dispatcher halts what it could not see.
    """
    plan = world.draft()
    started, halted = queued_behind(
        chain_of(world.account), lambda: start(world, plan), lambda: halt_all(world)
    )
    if isinstance(started, PlanRefused):
        assert halted == 0
        assert fresh(plan).state is P.DRAFT
    else:
        assert halted in {0, 1}
        world.clock.ahead += timedelta(seconds=11)
        stops.halt_what_may_not_run(now=world.now)
        assert fresh(plan).state is P.HALTED
        assert {order.state for order in plan.orders.all()} == {S.DENIED}
    assert not CleanupPlan.objects.filter(status=P.RUNNING).exists()


def test_a_release_waits_for_a_start_that_was_checked_before_the_stop_and_halts_its_plan(
    world: World,
) -> None:
    plan = world.draft()
    person = Actor.person(User.objects.create_superuser("approver"))
    found = queued_behind(
        chain_of(world.account),
        lambda: start(world, plan),
        lambda: halt_all(world),
        lambda: stops.release_stop(None, actor=person, now=world.now),
    )
    events = AuditEvent.objects.order_by("pk")
    begun, released = (
        events.filter(kind=kind).first() for kind in ("plan.started", "halt.released")
    )
    if begun and released and begun.pk < released.pk:
        assert fresh(plan).state is P.HALTED, told(plan)
    if connection.vendor == "postgresql":  # it has one order; SQLite chooses
        assert found[1:] == [0, True], found
        assert fresh(plan).state is P.HALTED, told(plan)


def test_whoever_stops_everything_waits_for_nobody_who_holds_an_account(world: World) -> None:
    done = threading.Event()

    def press() -> None:
        halt_all(world)
        done.set()

    _, was_done = queued_behind(world.account, press, done.is_set)
    assert was_done or connection.vendor != "postgresql"  # SQLite has one writer
    assert done.is_set()


def test_a_plan_that_is_resumed_while_it_is_halted_stays_halted(world: World) -> None:
    plan = world.start()
    stops.pause_plan(plan, actor=TEST, now=world.now)
    plan = fresh(plan)
    queued_behind(
        plan,
        lambda: stops.resume_plan(plan, actor=TEST, now=world.now),
        lambda: stops.halt_plan(plan, actor=TEST, now=world.now),
    )
    assert fresh(plan).state is P.HALTED, told(plan)
    assert {order.state for order in plan.orders.all()} == {S.DENIED}


def test_two_people_who_stop_everything_at_once_write_one_stop(world: World) -> None:
    plan = world.start()
    found = queued_behind(world.account, lambda: halt_all(world), lambda: halt_all(world))
    assert sum(found) == 1, found
    assert Halt.objects.count() == 1
    assert AuditEvent.objects.filter(kind="halt.pressed").count() == 1
    assert kinds(plan)["plan.halted"] == 1


def test_a_draft_is_drawn_under_the_policy_that_its_place_in_the_history_says(
    world: World,
) -> None:
    world.snapshot()

    def change() -> object:
        return policies.change(
            world.account, {"dust_threshold": Decimal("0.05")}, actor=TEST, now=world.now
        )

    def draft() -> CleanupPlan:
        return drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)

    for calls in ((change, draft), (draft, change)):
        version = policies.in_force(world.account).version
        queued_behind(world.account, *calls)
        plan = CleanupPlan.objects.get(status=P.DRAFT)
        drafted = plan.events.get(kind="plan.drafted").sequence
        changed = AuditEvent.objects.filter(
            account=world.account, kind="policy.changed", sequence__lt=drafted
        )
        newest = changed.order_by("-sequence").first()
        expected = newest.data["version"] if newest else version
        assert plan.policy.version == expected
        assert plan.threshold == plan.policy.dust_threshold
        policies.change(
            world.account, {"dust_threshold": Decimal("1.00")}, actor=TEST, now=world.now
        )


def test_a_plan_does_not_start_under_a_policy_that_was_replaced_before_it(world: World) -> None:
    plan = world.draft()
    _, started = queued_behind(
        world.account,
        lambda: policies.change(
            world.account, {"price_drift": Decimal("0.01")}, actor=TEST, now=world.now
        ),
        lambda: start(world, plan),
    )
    (changed,) = AuditEvent.objects.filter(kind="policy.changed")
    begun = plan.events.filter(kind="plan.started").first()
    if begun is None:
        assert isinstance(started, PlanRefused)
        assert fresh(plan).state is P.EXPIRED
    else:
        assert begun.sequence < changed.sequence


def test_two_drafts_at_once_leave_one_with_all_assets(world: World) -> None:
    world.snapshot()

    def draft() -> CleanupPlan:
        return drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)

    found = queued_behind(world.account, draft, draft, draft)
    assert Counter(fresh(plan).state for plan in found) == {P.DRAFT: 1, P.EXPIRED: 2}
    (kept,) = [plan for plan in found if fresh(plan).state is P.DRAFT]
    assert kept.orders.count() == 6
    assert audit.verify_all() == []


def test_two_changes_of_the_policy_at_once_are_two_versions(world: World) -> None:
    def ignore(asset: str) -> object:
        return policies.ignore(
            world.account, asset, reason="not ours", actor=TEST, now=world.now
        ).version

    found = queued_behind(world.account, lambda: ignore("PEPE"), lambda: ignore("SHIB"))
    assert sorted(found) == [2, 3]
    assert set(policies.in_force(world.account).ignored_assets) == {"PEPE", "SHIB"}


def test_a_key_is_replaced_while_an_order_takes_a_step_without_either_being_stuck(
    world: World,
) -> None:
    """Both need the chain, the order and the account: in one sequence, or PostgreSQL ends one."""
    plan = world.start("0.05")
    world.exchange.fault("drop_after")
    order = world.run(plan.orders.get())
    stops.halt_plan(plan, actor=TEST, now=world.now)
    new = Credentials(**world.exchange.control("POST", "keys/replace", {}))
    candidate = key_changes.with_new_key(world.account, new, actor=TEST)
    found = key_changes.compared(world.account, accounts.tried(candidate, new))

    def step() -> None:
        with transaction.atomic():
            told = {"kind": "order.asked", "summary": "Asked", "actor": TEST, "now": world.now}
            note_order(order, **told, due_at=world.now)

    def replace() -> None:
        key_changes.replace_key(candidate, found, moves=False, actor=TEST, now=world.now)

    assert queued_behind(chain_of(world.account), step, replace) == [None, None]
    assert fresh(world.account).key_fingerprint == candidate.key_fingerprint
    assert audit.verify_all() == []
