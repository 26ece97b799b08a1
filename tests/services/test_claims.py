"""Bots claim assets: nothing is planned or sent for them, and everybody sees whose they are."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from positions.domain.orders import OrderState
from positions.models import AuditEvent, Claim, Scope
from positions.selectors.analysis import analyse
from positions.selectors.holds import claims_in_force
from positions.services import audit, claims, dispatch, drafts, leases
from positions.services.actors import Actor
from positions.services.holds import BadHold, NotTheirs
from positions.services.permissions import NotPermitted
from tests.bots import claim, hire_bot, lease
from tests.services.conftest import Hire
from tests.trading import TEST, World, fresh, order_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot(world: World) -> Actor:
    """Return a bot of the account, which was just read."""
    world.snapshot()
    return hire_bot(world.account, now=world.now)


def verdict_of(world: World, asset: str) -> tuple[str | None, str]:
    positions = analyse(world.account, now=world.now).positions
    (found,) = [item.verdict for item in positions if item.asset == asset]
    return found.reason, found.message


def test_a_claimed_asset_says_whose_it_is_and_no_plan_has_it(world: World, bot: Actor) -> None:
    made = claim(world.account, "PEPE", bot=bot, now=world.now)
    reason, message = verdict_of(world, "PEPE")
    assert reason == "CLAIMED_BY_BOT"
    assert message == f"Claimed by grid-7 until {made.until:%Y-%m-%d %H:%M} UTC: Grid"
    plan = drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)
    assert "PEPE" not in plan.orders.values_list("asset", flat=True)
    (skipped,) = [item for item in plan.skipped if item["asset"] == "PEPE"]
    assert skipped["reason"] == "CLAIMED_BY_BOT"
    claims.give_back(made, actor=bot, now=world.now)
    assert verdict_of(world, "PEPE")[0] is None


def test_a_leased_asset_is_in_no_plan_and_its_slot_is_taken_before_and_after(
    world: World, bot: Actor
) -> None:
    made = lease(world.account, "PEPE", bot=bot, now=world.now)
    assert verdict_of(world, "PEPE")[0] == "LEASED"
    plan = drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)
    assert "PEPE" not in plan.orders.values_list("asset", flat=True)
    assert (plan.slots_before, plan.slots_after) == (5, 5)
    leases.release(made, opened=False, actor=bot, now=world.now)
    assert verdict_of(world, "PEPE")[0] is None


@pytest.mark.parametrize("hold", [lease, claim])
def test_an_order_is_denied_once_a_bot_has_its_asset_and_nothing_is_sent(
    world: World, bot: Actor, hold: type[Claim]
) -> None:
    plan = world.start("0.05")
    hold(world.account, "PEPE", bot=bot, now=world.now)
    order = world.run(order_of(plan, "PEPE"))
    assert order.state is OrderState.DENIED
    assert order.reason == {"lease": "LEASED", "claim": "CLAIMED_BY_BOT"}[hold.__name__]
    assert order.message.startswith("PEPE is ")
    assert "grid-7" in order.message
    assert not world.sent()
    assert fresh(plan).status == "COMPLETED"
    assert audit.verify_all() == []


def test_a_claim_that_is_over_keeps_nobody(world: World, bot: Actor) -> None:
    made = claim(world.account, "PEPE", bot=bot, now=world.now)
    Claim.objects.update(until=world.now)
    plan = world.start("0.05")
    assert world.run(order_of(plan, "PEPE")).state is OrderState.FILLED
    list(dispatch.due_now(now=world.now))
    assert fresh(made).ended_at is not None
    assert AuditEvent.objects.filter(kind="claim.expired").count() == 1
    claim(
        world.account, "PEPE", bot=hire_bot(world.account, name="b", now=world.now), now=world.now
    )


def test_a_bots_own_claim_gets_the_new_end_and_reason(world: World, bot: Actor) -> None:
    first = claim(world.account, "PEPE", bot=bot, now=world.now)
    until = world.now + timedelta(days=30)
    again = claims.claim(
        world.account, asset="pepe", until=until, reason=" DCA ", actor=bot, now=world.now
    )
    assert (again.pk, again.until, again.reason) == (first.pk, until, "DCA")
    assert list(claims_in_force(world.account, now=world.now)) == [again]
    kinds = AuditEvent.objects.filter(kind__startswith="claim.").order_by("pk")
    assert list(kinds.values_list("kind", flat=True)) == ["claim.made", "claim.changed"]


def test_a_claim_ends_from_now_on_and_within_a_month(world: World, bot: Actor) -> None:
    now = world.now
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - as a bot may write it
    month = timedelta(days=30)
    for until in (now, now - month, now + month + timedelta(microseconds=1), naive):
        with pytest.raises(BadHold) as refused:
            claims.claim(world.account, asset="PEPE", until=until, reason="x", actor=bot, now=now)
        assert refused.value.field == "until"
    claims.claim(world.account, asset="PEPE", until=now + month, reason="x", actor=bot, now=now)


@pytest.mark.parametrize("reason", ["", " ", "r" * 201, "a\x00b", "a\nb"])
def test_a_claim_says_why_in_a_line(world: World, bot: Actor, reason: str) -> None:
    with pytest.raises(BadHold, match="1 to 200 printable"):
        claims.claim(
            world.account,
            asset="PEPE",
            until=world.now + timedelta(hours=1),
            reason=reason,
            actor=bot,
            now=world.now,
        )


def test_only_its_bot_or_an_operator_gives_an_asset_back(
    world: World, bot: Actor, hire: Hire
) -> None:
    made = claim(world.account, "PEPE", bot=bot, now=world.now)
    other = hire_bot(world.account, name="dca-1", now=world.now)
    with pytest.raises(NotTheirs, match="belongs to grid-7"):
        claims.give_back(made, actor=other, now=world.now)
    reader = hire_bot(world.account, now=world.now, scopes=(Scope.READ, Scope.LEASE))
    for actor in (reader, hire("Viewer")):
        with pytest.raises(NotPermitted):
            claims.give_back(made, actor=actor, now=world.now)
    ended = claims.give_back(made, actor=hire("Operator"), now=world.now)
    assert claims.give_back(made, actor=bot, now=world.now).ended_at == ended.ended_at
    assert AuditEvent.objects.filter(kind="claim.given_back").count() == 1
