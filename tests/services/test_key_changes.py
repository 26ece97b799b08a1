"""Replacing a key: the same account goes on, another one never takes over what is under way."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.exchanges.port import KeyRefused
from positions.models import AuditEvent, CloseOrder, ExchangeAccount
from positions.selectors.snapshots import latest_good
from positions.services import accounts, audit, drafts, key_changes, policies, starts, stops
from positions.services.accounts import BadAccount
from positions.services.credentials import Credentials, decrypted
from positions.services.key_changes import KeyNeeded
from positions.services.keys import Verdict
from positions.services.permissions import NotPermitted
from positions.services.plans import PlanRefused
from tests.services.conftest import Hire
from tests.trading import TEST, World, connect, fresh, order_of

pytestmark = [pytest.mark.django_db(transaction=True)]


def replace(world: World, keys: dict[str, str], *, moves: bool = False, **more: Any) -> Any:
    """Replace the account's key as a person would; return what the checks said."""
    credentials = Credentials(api_key=keys["api_key"], api_secret=keys["api_secret"])
    actor = more.get("actor", TEST)
    candidate = key_changes.with_new_key(world.account, credentials, actor=actor)
    found = key_changes.compared(world.account, accounts.tried(candidate, credentials))
    key_changes.replace_key(candidate, found, moves=moves, actor=actor, now=world.now)
    world.account = fresh(world.account)
    return found


def another_account(world: World, **balances: str) -> dict[str, str]:
    """Return the key of another account at the same exchange."""
    return world.exchange.control("POST", "accounts", {"balances": balances})


def test_a_new_key_of_the_same_account_takes_the_old_ones_place(world: World) -> None:
    old = fresh(world.account)
    world.snapshot()
    draft = world.draft()
    new = world.exchange.control("POST", "keys/replace", {})
    with pytest.raises(KeyRefused):
        world.port.balances()
    found = replace(world, new)
    assert found.checks[-1].verdict is Verdict.PASSED
    account = fresh(world.account)
    assert decrypted(account).api_key == new["api_key"]
    assert account.key_fingerprint != old.key_fingerprint
    assert (account.owner_fingerprint, account.read_since) == (old.owner_fingerprint, None)
    assert account.snapshot_due_at is not None
    assert latest_good(account) is not None
    assert fresh(draft).state is PlanState.DRAFT
    assert world.snapshot().status == "GOOD"


def test_who_replaced_a_key_is_kept_and_the_key_is_not(world: World, hire: Hire) -> None:
    old_key = world.exchange.credentials()
    old = world.account.key_fingerprint
    new = world.exchange.control("POST", "keys/replace", {})
    replace(world, new, actor=hire("Administrator", "ada"))
    event = AuditEvent.objects.get(kind="account.key_replaced")
    assert event.summary == "ada replaced the key of demo"
    assert event.data == {
        "from": old[:8],
        "to": world.account.key_fingerprint[:8],
        "same_account": True,
    }
    told = repr(list(AuditEvent.objects.values()))
    for secret in (*new.values(), *old_key.values(), old, world.account.key_fingerprint):
        assert secret not in told
    assert audit.verify_all() == []


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver"])
def test_only_an_administrator_replaces_a_key(world: World, hire: Hire, group: str) -> None:
    with pytest.raises(NotPermitted):
        replace(world, world.exchange.credentials(), actor=hire(group))


@pytest.mark.parametrize(
    ("rights", "sentence"),
    [
        ({"enableWithdrawals": True}, "may withdraw"),
        ({"enableSpotAndMarginTrading": False}, "may not trade"),
    ],
)
def test_a_key_with_wrong_rights_is_refused_and_the_old_one_stays(
    world: World, rights: dict[str, bool], sentence: str
) -> None:
    before = fresh(world.account)
    new = another_account(world)
    world.exchange.control("POST", "permissions", rights, key=new["api_key"])
    with pytest.raises(BadAccount, match=sentence):
        replace(world, new, moves=True)
    assert fresh(world.account).key_fingerprint == before.key_fingerprint
    assert not AuditEvent.objects.filter(kind="account.key_replaced").exists()


def test_a_key_of_another_connected_account_is_refused(world: World) -> None:
    other = another_account(world)
    connect(world.exchange, slug="other", keys=other)
    with pytest.raises(BadAccount, match="in use by the account 'other'"):
        replace(world, other, moves=True)


def test_the_same_key_may_be_entered_again(world: World) -> None:
    replace(world, world.exchange.credentials())
    assert world.snapshot().status == "GOOD"


# --- Another account at the exchange --------------------------------------------------------------


def test_a_key_of_another_account_has_to_be_meant(world: World) -> None:
    before = fresh(world.account).key_fingerprint
    new = another_account(world, ADA="5")
    with pytest.raises(BadAccount, match="Tick the box") as refused:
        replace(world, new)
    assert refused.value.field == "moves"
    assert fresh(world.account).key_fingerprint == before


def test_what_was_read_of_the_old_account_counts_no_longer(world: World) -> None:
    draft = world.draft()
    new = another_account(world, ADA="5")
    found = replace(world, new, moves=True)
    assert found.checks[-1].verdict is Verdict.CAUTION
    assert "opens another account" in found.checks[-1].said
    assert latest_good(world.account) is None
    assert fresh(draft).state is PlanState.EXPIRED
    assert not CloseOrder.objects.exclude(closed_at=None).exclude(plan=draft).exists()
    with pytest.raises(PlanRefused, match="no snapshot yet"):
        drafts.draft_plan(world.account, threshold=None, actor=TEST, now=world.now)
    with pytest.raises(PlanRefused):
        starts.start_plan(draft, hash_seen=draft.hash, actor=TEST, now=world.now)
    snapshot = world.snapshot()
    assert [row.asset for row in snapshot.positions.all()] == ["ADA"]
    assert latest_good(world.account) == snapshot
    assert AuditEvent.objects.get(kind="account.key_replaced").data["same_account"] is False
    assert world.sent() == []


def test_where_nobody_can_tell_whose_key_it_is_it_has_to_be_meant_too(world: World) -> None:
    ExchangeAccount.objects.update(owner_fingerprint="")
    world.account.refresh_from_db()
    new = world.exchange.control("POST", "keys/replace", {})
    with pytest.raises(BadAccount, match="Nothing proves"):
        replace(world, new)
    found = replace(world, new, moves=True)
    assert "does not tell whether" in found.checks[-1].said
    assert world.account.owner_fingerprint


# --- While something is under way -----------------------------------------------------------------


def test_no_key_changes_while_a_plan_runs(world: World) -> None:
    plan = world.start()
    new = world.exchange.control("POST", "keys/replace", {})
    with pytest.raises(KeyNeeded, match="is running"):
        replace(world, new)
    stops.pause_plan(plan, actor=TEST, now=world.now)
    replace(world, new)
    stops.resume_plan(fresh(plan), actor=TEST, now=world.now)
    world.free_pace()
    assert world.work(plan).state is PlanState.COMPLETED


def test_a_plan_that_starts_between_the_check_and_the_change_keeps_its_key(world: World) -> None:
    draft = world.draft()
    new = world.exchange.control("POST", "keys/replace", {})
    credentials = Credentials(**new)
    candidate = key_changes.with_new_key(world.account, credentials, actor=TEST)
    found = accounts.tried(candidate, credentials)
    starts.start_plan(draft, hash_seen=draft.hash, actor=TEST, now=world.now)
    with pytest.raises(KeyNeeded):
        key_changes.replace_key(candidate, found, moves=True, actor=TEST, now=world.now)
    assert fresh(world.account).key_fingerprint == world.account.key_fingerprint


def lost_reply(world: World) -> CloseOrder:
    """Return an order that was sold, whose answer was lost, and whose key then stopped working."""
    plan = world.start("0.05")
    world.exchange.fault("drop_after", times=1)
    order = world.run(order_of(plan, "PEPE"))
    assert order.state is OrderState.UNKNOWN
    stops.pause_plan(plan, actor=TEST, now=world.now)
    return order


def test_an_unknown_order_is_looked_up_at_once_with_the_new_key(world: World) -> None:
    order = lost_reply(world)
    new = world.exchange.control("POST", "keys/replace", {})
    world.later(2)
    order = world.look_up(order)
    assert order.state is OrderState.UNKNOWN  # the old key can't ask any more
    replace(world, new)
    order = fresh(order)
    assert order.due_at is not None
    assert order.due_at <= world.now
    order = world.look_up(order)
    assert order.state is OrderState.FILLED
    assert world.sold("PEPE") == order.filled_quantity
    assert len(world.sent()) == 1


@pytest.mark.parametrize("known", [True, False])
def test_an_unknown_order_is_never_left_to_a_key_of_another_account(
    world: World, known: bool
) -> None:
    """Its look-up would find nothing there, which would read as proof that it was not placed."""
    order = lost_reply(world)
    if not known:
        ExchangeAccount.objects.update(owner_fingerprint="")
        world.account.refresh_from_db()
    stops.halt_plan(fresh(order.plan), actor=TEST, now=world.now)
    new = another_account(world, PEPE="5000")
    with pytest.raises(KeyNeeded, match=r"The order for PEPE of plan \d+ is unknown"):
        replace(world, new, moves=True)
    assert fresh(order).state is OrderState.UNKNOWN
    assert len(world.sent()) == 1


def test_a_plan_that_waits_for_its_proof_keeps_its_account(world: World) -> None:
    plan = world.work(world.start("0.05"))
    assert plan.state is PlanState.COMPLETED
    new = another_account(world)
    with pytest.raises(KeyNeeded, match="waits for its closing snapshot"):
        replace(world, new, moves=True)
    replace(world, world.exchange.control("POST", "keys/replace", {}))


def test_a_paused_plan_keeps_its_account(world: World) -> None:
    plan = world.start()
    stops.pause_plan(plan, actor=TEST, now=world.now)
    with pytest.raises(KeyNeeded, match="is open"):
        replace(world, another_account(world), moves=True)
    assert fresh(plan).state is PlanState.PAUSED


def test_two_people_who_give_two_accounts_the_same_key_give_it_to_one(world: World) -> None:
    new = another_account(world)
    other = connect(world.exchange, slug="other", keys=another_account(world))
    credentials = Credentials(**new)
    for account in (world.account, other):
        candidate = key_changes.with_new_key(account, credentials, actor=TEST)
        found = accounts.tried(candidate, credentials)
        if account == world.account:
            first, seen = candidate, found
    key_changes.replace_key(candidate, found, moves=True, actor=TEST, now=world.now)
    with pytest.raises(BadAccount, match="in use by the account 'other'"):
        key_changes.replace_key(first, seen, moves=True, actor=TEST, now=world.now)
    assert connection.in_atomic_block is False
    assert policies.in_force(world.account).version == 1
