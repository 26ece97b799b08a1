"""Bots reserve slots, renew and release them; each refusal is a sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from positions.domain.orders import OrderState as S
from positions.models import (
    AuditEvent,
    BotToken,
    Lease,
    LeaseEnd,
    Listing,
    Scope,
    Snapshot,
    SnapshotStatus,
)
from positions.selectors.analysis import analyse
from positions.selectors.holds import held_on, leases_in_force
from positions.selectors.slots import slots_now
from positions.services import audit, dispatch, leases
from positions.services.actors import Actor
from positions.services.holds import AssetHeld, BadHold, HoldOver, NotTheirs, OrderInFlight
from positions.services.leases import KeyReused, NoSlotFree, SlotsUnknown
from positions.services.permissions import NotPermitted
from tests.bots import claim, hire_bot, lease, let_trade
from tests.services.conftest import Hire
from tests.trading import TEST, World, fresh, order_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot(world: World) -> Actor:
    """Return a bot of the account, which was just read: two of eight slots are counted."""
    world.snapshot()
    return hire_bot(world.account, now=world.now)


def free(world: World) -> int | None:
    seen = slots_now(world.account, now=world.now)
    if seen.is_fresh:
        # One number everywhere.
        assert analyse(world.account, now=world.now).slots == seen.slots
    return seen.available


def test_a_lease_takes_a_slot_and_is_told(world: World, bot: Actor) -> None:
    assert free(world) == 6
    made = lease(world.account, " ada ", bot=bot, now=world.now, ttl=60)
    assert (made.asset, made.bot, made.ended_at) == ("ADA", "grid-7", None)
    assert made.expires_at - made.created_at == timedelta(seconds=60)
    assert free(world) == 5
    assert list(leases_in_force(world.account, now=world.now)) == [made]
    event = AuditEvent.objects.latest("pk")
    assert event.kind == "lease.reserved"
    assert event.summary == "grid-7 leased a slot for ADA"
    assert event.data["token"] == made.token.prefix
    assert audit.verify_all() == []


def test_no_more_is_leased_than_is_free(world: World, bot: Actor) -> None:
    let_trade(world.account, *(f"NEW{number}" for number in range(7)))
    for number in range(6):
        lease(world.account, f"NEW{number}", bot=bot, now=world.now)
    with pytest.raises(NoSlotFree, match="No slot of 8 is free: 2 counted, 6 leased"):
        lease(world.account, "NEW6", bot=bot, now=world.now)
    assert Lease.objects.count() == 6


def test_the_same_key_and_request_return_the_same_lease_however_it_stands(
    world: World, bot: Actor
) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now, key="one")
    assert lease(world.account, "ada", bot=bot, now=world.now, key="one") == made
    leases.release(made, opened=True, actor=bot, now=world.now)
    again = lease(world.account, "ADA", bot=bot, now=world.now, key="one")
    assert again == made
    assert again.ended_how == LeaseEnd.RELEASED
    assert Lease.objects.count() == 1


@pytest.mark.parametrize("other", [{"asset": "SOL"}, {"ttl": 61}])
def test_a_key_never_stands_for_another_request(
    world: World, bot: Actor, other: dict[str, Any]
) -> None:
    lease(world.account, "ADA", bot=bot, now=world.now, key="one")
    with pytest.raises(KeyReused, match="Use a new one"):
        lease(world.account, **{"asset": "ADA", **other}, bot=bot, now=world.now, key="one")
    another = hire_bot(world.account, name="dca-1", now=world.now)
    assert lease(world.account, "SOL", bot=another, now=world.now, key="one").bot == "dca-1"


@pytest.mark.parametrize("ttl", [0, -1, 86_401, 31_536_000, 10**30])
def test_a_lease_lasts_from_a_second_to_a_day(world: World, bot: Actor, ttl: int) -> None:
    with pytest.raises(BadHold, match="from 1 to 86400") as refused:
        lease(world.account, "ADA", bot=bot, now=world.now, ttl=ttl)
    assert refused.value.field == "ttl"
    for asset, allowed in (("ADA", 1), ("ETH", 86_400)):
        lease(world.account, asset, bot=bot, now=world.now, ttl=allowed)


def test_a_lease_that_ended_while_its_renewal_waited_is_over(world: World, bot: Actor) -> None:
    before = world.now - timedelta(seconds=10)
    made = lease(world.account, "ADA", bot=bot, now=world.now, ttl=5)
    Lease.objects.update(expires_at=world.now - timedelta(seconds=1))
    with pytest.raises(HoldOver):
        leases.renew(made, ttl=60, actor=bot, now=before)


def test_what_the_exchange_does_not_trade_is_only_taken_if_it_is_held(
    world: World, bot: Actor
) -> None:
    for take in (lease, claim):
        with pytest.raises(BadHold, match="binance trades no NOSUCH") as refused:
            take(world.account, "NOSUCH", bot=bot, now=world.now)
        assert refused.value.field == "asset"
    Listing.objects.update(assets=["USDT"])
    claim(world.account, "PEPE", bot=bot, now=world.now)  # it has lost its markets, but is held
    assert lease(world.account, "PEPE", bot=bot, now=world.now).asset == "PEPE"


@pytest.mark.parametrize("asset", ["", " ", "A B", "A,B", "Ä", "A" * 41, "A\x00", "USDT"])
def test_what_is_no_asset_or_no_position_is_not_leased(
    world: World, bot: Actor, asset: str
) -> None:
    with pytest.raises(BadHold) as refused:
        lease(world.account, asset, bot=bot, now=world.now)
    assert refused.value.field == "asset"


@pytest.mark.parametrize("key", [" ", "k" * 101, "a\x00b", "a\ud800"])
def test_a_key_is_a_printable_text(world: World, bot: Actor, key: str) -> None:
    with pytest.raises(BadHold, match="1 to 100 printable"):
        lease(world.account, "ADA", bot=bot, now=world.now, key=key)


# Unknown never means free ------------------------------------------------------------------------


def test_an_account_that_was_never_read_has_unknown_slots(world: World) -> None:
    bot = hire_bot(world.account, now=world.now)
    with pytest.raises(SlotsUnknown, match="has not been read yet"):
        lease(world.account, "ADA", bot=bot, now=world.now)
    assert free(world) is None


def test_slots_are_unknown_once_the_snapshot_is_too_old(world: World, bot: Actor) -> None:
    taken_at = Snapshot.objects.get().taken_at
    world.clock.stopped_at = taken_at + timedelta(seconds=300)
    assert free(world) == 6
    world.clock.stopped_at += timedelta(microseconds=1)
    assert free(world) is None
    with pytest.raises(SlotsUnknown, match="snapshot_max_age is 300 s"):
        lease(world.account, "ADA", bot=bot, now=world.now)


def test_slots_are_unknown_while_the_newest_reading_failed(world: World, bot: Actor) -> None:
    Snapshot.objects.create(
        account=world.account,
        status=SnapshotStatus.FAILED,
        asked_at=world.now,
        taken_at=world.now,
        trigger="test",
    )
    with pytest.raises(SlotsUnknown, match="newest reading of demo failed"):
        lease(world.account, "ADA", bot=bot, now=world.now)
    assert slots_now(world.account, now=world.now).available is None
    world.clock.ahead += timedelta(seconds=6)
    world.snapshot()
    assert free(world) == 6


def test_slots_of_a_disabled_account_are_unknown(world: World, bot: Actor) -> None:
    world.account.is_enabled = False
    world.account.save()
    with pytest.raises(SlotsUnknown, match="demo is disabled"):
        lease(world.account, "ADA", bot=bot, now=world.now)


def test_slots_are_told_in_two_queries(
    world: World, bot: Actor, django_assert_num_queries: Any
) -> None:
    lease(world.account, "ADA", bot=bot, now=world.now)
    slots_now(world.account, now=world.now)
    with django_assert_num_queries(2):
        seen = slots_now(world.account, now=world.now)
    assert seen.slots is not None
    assert (seen.slots.cap, seen.slots.counted, seen.slots.leased) == (8, 2, 1)
    assert seen.fresh_until == Snapshot.objects.get().taken_at + timedelta(seconds=300)


# The end of a lease ------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [None, True])
def test_a_released_slot_is_free_once_balances_were_asked_for_after_it(
    world: World, bot: Actor, opened: bool | None
) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now)
    ended = leases.release(made, opened=opened, actor=bot, now=world.now)
    assert (ended.ended_how, ended.opened) == (LeaseEnd.RELEASED, opened)
    assert free(world) == 5
    assert not held_on(world.account, Snapshot.objects.get(), now=world.now).holds
    world.clock.ahead += timedelta(seconds=6)
    world.snapshot()
    assert free(world) == 6


def test_told_that_nothing_was_opened_the_slot_is_free_at_once(world: World, bot: Actor) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now)
    assert leases.release(made, opened=False, actor=bot, now=world.now).ended_how == "not_opened"
    assert free(world) == 6
    assert AuditEvent.objects.latest("pk").summary.endswith("of ADA: nothing was opened")


def test_an_expired_lease_goes_on_counting_until_the_next_snapshot(
    world: World, bot: Actor
) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now, ttl=5)
    world.clock.ahead += timedelta(seconds=6)
    assert free(world) == 5
    list(dispatch.due_now(now=world.now))
    ended = fresh(made)
    assert (ended.ended_at, ended.ended_how) == (made.expires_at, LeaseEnd.EXPIRED)
    assert AuditEvent.objects.filter(kind="lease.expired").count() == 1
    assert free(world) == 5
    assert lease(world.account, "ADA", bot=bot, now=world.now).ended_at is None
    assert free(world) == 5  # one asset, one slot
    list(dispatch.due_now(now=world.now))
    assert AuditEvent.objects.filter(kind="lease.expired").count() == 1
    assert audit.verify_all() == []


def test_a_bot_may_tell_later_that_nothing_was_opened(world: World, bot: Actor) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now, ttl=5)
    world.clock.ahead += timedelta(seconds=6)
    ended = leases.release(made, opened=False, actor=bot, now=world.now)
    assert (ended.ended_at, ended.ended_how) == (made.expires_at, LeaseEnd.NOT_OPENED)
    assert free(world) == 6


def test_releasing_twice_changes_nothing_and_the_opposite_is_refused(
    world: World, bot: Actor
) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now)
    first = leases.release(made, opened=True, actor=bot, now=world.now)
    for again in (True, None):
        repeated = leases.release(made, opened=again, actor=bot, now=world.now)
        assert (repeated.ended_at, repeated.opened) == (first.ended_at, True)
    with pytest.raises(HoldOver, match="opposite"):
        leases.release(made, opened=False, actor=bot, now=world.now)
    assert AuditEvent.objects.filter(kind="lease.released").count() == 1
    assert free(world) == 5


def test_a_lease_is_renewed_from_now_on_and_only_while_it_is_in_force(
    world: World, bot: Actor
) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now, ttl=60)
    now = made.created_at + timedelta(seconds=59)
    renewed = leases.renew(made, ttl=60, actor=bot, now=now)
    assert renewed.expires_at == now + timedelta(seconds=60)
    with pytest.raises(HoldOver, match="Reserve a new one"):
        leases.renew(made, ttl=60, actor=bot, now=renewed.expires_at)
    with pytest.raises(BadHold):
        leases.renew(made, ttl=0, actor=bot, now=now)
    assert AuditEvent.objects.filter(kind="lease.renewed").count() == 1


# Whose asset it is -------------------------------------------------------------------------------


def test_an_asset_that_another_bot_has_is_refused_by_its_name(world: World, bot: Actor) -> None:
    other = hire_bot(world.account, name="dca-1", now=world.now)
    lease(world.account, "ADA", bot=bot, now=world.now)
    claim(world.account, "SOL", bot=bot, now=world.now)
    with pytest.raises(AssetHeld, match="ADA is leased by grid-7"):
        lease(world.account, "ADA", bot=other, now=world.now)
    with pytest.raises(AssetHeld, match=r"SOL is claimed by grid-7 until .* UTC: Grid"):
        lease(world.account, "SOL", bot=other, now=world.now)
    with pytest.raises(AssetHeld):
        claim(world.account, "ADA", bot=other, now=world.now)


def test_a_bot_leases_what_it_has_claimed_but_nothing_twice(world: World, bot: Actor) -> None:
    claim(world.account, "SOL", bot=bot, now=world.now)
    made = lease(world.account, "SOL", bot=bot, now=world.now)
    claim(world.account, "SOL", bot=bot, now=world.now)
    with pytest.raises(AssetHeld, match="SOL is leased by grid-7"):
        lease(world.account, "SOL", bot=bot, now=world.now)
    other = hire_bot(world.account, name="dca-1", now=world.now)
    with pytest.raises(NotTheirs, match="belongs to grid-7"):
        leases.release(made, opened=False, actor=other, now=world.now)
    # The same bot goes on with another token.
    successor = hire_bot(world.account, now=world.now)
    assert leases.release(made, opened=False, actor=successor, now=world.now).ended_at


def test_an_asset_with_an_order_in_flight_is_refused_by_the_plans_name(
    world: World, bot: Actor
) -> None:
    plan = world.start("0.05")
    lost = order_of(plan, "PEPE")
    lost.status = "UNKNOWN"
    lost.save()
    with pytest.raises(OrderInFlight, match=f"plan {plan.pk} on PEPE is under way: unknown"):
        lease(world.account, "PEPE", bot=bot, now=world.now)
    with pytest.raises(OrderInFlight):
        claim(world.account, "PEPE", bot=bot, now=world.now)


# Who may -----------------------------------------------------------------------------------------


def test_a_token_is_for_its_scopes_and_accounts_and_its_time(world: World, bot: Actor) -> None:
    reader = hire_bot(world.account, now=world.now, scopes=(Scope.READ, Scope.CLAIM))
    stranger = hire_bot(now=world.now)
    for actor in (reader, stranger, TEST):
        with pytest.raises(NotPermitted):
            lease(world.account, "ADA", bot=actor, now=world.now)
    with pytest.raises(NotPermitted):
        lease(world.account, "ADA", bot=bot, now=world.now + timedelta(days=1))
    BotToken.objects.filter(bot="grid-7").update(revoked_at=world.now)
    with pytest.raises(NotPermitted):
        lease(world.account, "ADA", bot=bot, now=world.now)
    assert not Lease.objects.exists()


def test_an_operator_ends_what_a_dead_bot_left_and_a_viewer_does_not(
    world: World, bot: Actor, hire: Hire
) -> None:
    made = lease(world.account, "ADA", bot=bot, now=world.now)
    with pytest.raises(NotPermitted):
        leases.release(made, opened=None, actor=hire("Viewer"), now=world.now)
    assert leases.release(made, opened=None, actor=hire("Operator"), now=world.now).ended_at
    assert AuditEvent.objects.latest("pk").actor == User.objects.get(username="operator")


def test_a_renewal_that_came_late_to_the_lock_takes_no_asset_from_an_order(
    world: World, bot: Actor
) -> None:
    """The lease was over when the order left; the renewal had begun before and waited."""
    plan = world.start("0.05")
    made = lease(world.account, "PEPE", bot=bot, now=world.now)
    plan.orders.update(status=S.SUBMITTING)
    with pytest.raises(OrderInFlight):
        leases.renew(made, ttl=60, actor=bot, now=made.expires_at - timedelta(seconds=1))
    assert fresh(made).expires_at == made.expires_at
