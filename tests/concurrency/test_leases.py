"""Bots that ask at the same moment, and bots against workers: never one slot or asset for two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from positions.domain.orders import IN_FLIGHT
from positions.domain.orders import OrderState as S
from positions.models import Attempt, AuditEvent, Claim, CloseOrder, Lease
from positions.selectors.slots import slots_now
from positions.services import attempts, audit, execution, leases
from positions.services.actors import Actor
from positions.services.holds import OrderInFlight
from positions.services.leases import KeyReused, NoSlotFree
from tests.bots import claim, hire_bot, lease, let_trade
from tests.concurrency.queues import queued_behind
from tests.exchange_process import wait_until
from tests.trading import World, at_once, connect, fresh, order_of

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 3


def bots(world: World, count: int) -> list[Actor]:
    return [hire_bot(world.account, name=f"bot-{number}", now=world.now) for number in range(count)]


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(item).__name__ for item in results)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_64_bots_get_exactly_the_six_slots_that_are_free(world: World, _round: int) -> None:
    world.snapshot()
    let_trade(world.account, *(f"NEW{number}" for number in range(64)))
    now = world.now
    calls = [
        lambda bot=bot, number=number: lease(world.account, f"NEW{number}", bot=bot, now=now)
        for number, bot in enumerate(bots(world, 64))
    ]
    assert kinds(at_once(*calls)) == {"Lease": 6, "NoSlotFree": 58}
    assert slots_now(world.account, now=now).available == 0
    assert audit.verify_all() == []


def test_one_key_sent_by_many_hands_is_one_lease(world: World) -> None:
    world.snapshot()
    (bot,) = bots(world, 1)
    now = world.now
    found = at_once(*[lambda: lease(world.account, "ADA", bot=bot, now=now, key="k")] * 16)
    assert {item.pk for item in found} == {Lease.objects.get().pk}


def test_one_key_on_two_accounts_at_once_is_one_lease(world: World) -> None:
    other = connect(
        world.exchange,
        slug="other",
        base_url=world.exchange.base_url.replace("127.0.0.1", "localhost"),
    )
    world.snapshot()
    World(exchange=world.exchange, valkey=world.valkey, account=other).snapshot()
    bot = hire_bot(world.account, other, now=world.now)
    now = world.now
    found = at_once(
        *(
            lambda account=account: lease(account, "ADA", bot=bot, now=now, key="k")
            for account in (world.account, other) * 4
        )
    )
    assert Lease.objects.count() == 1
    assert kinds(found) == {"Lease": 4, "KeyReused": 4}
    assert all(isinstance(item, Lease | KeyReused) for item in found)


def test_bots_that_want_the_same_asset_get_it_once(world: World) -> None:
    world.snapshot()
    now = world.now
    calls: list[Callable[[], Any]] = []
    for number, bot in enumerate(bots(world, 16)):
        take = lease if number % 2 else claim
        calls.append(lambda bot=bot, take=take: take(world.account, "ADA", bot=bot, now=now))
    found = at_once(*calls)
    assert kinds(found)["AssetHeld"] == 15
    assert Lease.objects.count() + Claim.objects.count() == 1


def test_leases_that_are_taken_renewed_and_released_at_once_never_exceed_the_cap(
    world: World,
) -> None:
    world.snapshot()
    let_trade(world.account, *(f"N{number}T{turn}" for number in range(12) for turn in range(4)))
    now = world.now

    def trade(bot: Actor, number: int) -> int:
        got = 0
        for turn in range(4):
            try:
                made = lease(world.account, f"N{number}T{turn}", bot=bot, now=now)
            except NoSlotFree:
                continue
            got += 1
            seen = slots_now(world.account, now=now).slots
            assert seen is not None
            assert seen.over_cap == 0
            leases.renew(made, ttl=120, actor=bot, now=now)
            leases.release(made, opened=False, actor=bot, now=now)
        return got

    found = at_once(
        *(
            lambda bot=bot, number=number: trade(bot, number)
            for number, bot in enumerate(bots(world, 12))
        )
    )
    assert sum(found) >= 6
    assert slots_now(world.account, now=now).available == 6
    assert audit.verify_all() == []


# Bots against workers ----------------------------------------------------------------------------


def check_never_both(order: CloseOrder, taken: Any) -> None:
    """Either the bot has the asset and nothing was sent, or the order was and the bot has not."""
    order = fresh(order)
    if isinstance(taken, OrderInFlight):
        assert not Claim.objects.filter(asset=order.asset).exists()
        assert not Lease.objects.filter(asset=order.asset).exists()
        assert taken.order.pk == order.pk
        assert order.attempts.exists() or order.conversion_id
    else:
        assert isinstance(taken, Claim | Lease), taken
        assert order.state not in IN_FLIGHT
        assert order.reason in {"CLAIMED_BY_BOT", "LEASED"}, (order.state, order.reason)
        assert not order.attempts.exists()
        assert not order.conversion_id


def begun(taken: Claim | Lease) -> AuditEvent:
    return AuditEvent.objects.get(
        kind__in=["claim.made", "lease.reserved"], data__asset=taken.asset
    )


@pytest.mark.parametrize("take", [claim, lease])
def test_bots_that_take_assets_while_workers_send_their_orders_never_share_one(
    world: World, take: Callable[..., Any]
) -> None:
    plan = world.start()
    orders = list(plan.orders.order_by("number"))
    hands = bots(world, len(orders))

    def bot_takes(order: CloseOrder, bot: Actor) -> Any:
        # The first order is committed then, and the others come one after the other.
        wait_until(Attempt.objects.exists, what="an attempt")
        return take(world.account, order.asset, bot=bot, now=world.now)

    workers = [
        lambda order=order: execution.run_order(order.pk, clock=world.clock) for order in orders
    ]
    takers = [
        lambda order=order, bot=bot: bot_takes(order, bot)
        for order, bot in zip(orders, hands, strict=True)
    ]
    found = at_once(*workers, *takers)[len(orders) :]
    for order, taken in zip(orders, found, strict=True):
        if fresh(order).state is S.PLANNED:
            world.run(order)  # the pace had kept it
        if fresh(order).state is S.FILLED and isinstance(taken, Claim | Lease):
            # It was over before the bot came.
            assert order.events.get(kind="order.filled").sequence < begun(taken).sequence
        else:
            check_never_both(order, taken)
    assert audit.verify_all() == []


@pytest.mark.parametrize("take", [claim, lease])
@pytest.mark.parametrize("order_of_queue", [(0, 1), (1, 0)])
def test_a_claim_and_the_commit_of_an_attempt_that_wait_for_one_row_exclude_each_other(
    world: World, take: Callable[..., Any], order_of_queue: tuple[int, int]
) -> None:
    plan = world.start("0.05")
    order = execution._claimed(order_of(plan, "PEPE").pk, now=world.now)
    assert order is not None
    (bot,) = bots(world, 1)
    slot, now_ms = execution._reserved(order, world.port, clock=world.clock)
    turn = execution.Turn(
        slot=slot, signed_at_ms=now_ms, look_ends_at=world.now + timedelta(seconds=5)
    )
    port, now = world.port, world.now
    calls = [
        lambda: attempts.commit(order, quantity=order.quantity, turn=turn, exchange=port, now=now),
        lambda: take(world.account, "PEPE", bot=bot, now=now),
    ]
    found = queued_behind(world.account, *(calls[number] for number in order_of_queue))
    attempt, taken = (found[order_of_queue.index(number)] for number in (0, 1))
    assert (attempt is None) is isinstance(taken, Claim | Lease), found
    check_never_both(order, taken)
    if connection.vendor == "postgresql":  # it has one order; SQLite chooses
        assert (attempt is not None) is (order_of_queue[0] == 0)
