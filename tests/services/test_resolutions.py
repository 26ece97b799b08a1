"""Close an order by hand: who may, when, what is recorded; and that nothing is ever sent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import RESOLVABLE
from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.domain.resolutions import BadFinding, Finding, Sale
from positions.models import AnswerClass, Attempt, CleanupPlan, CloseOrder
from positions.selectors.plans import as_json, plan_view
from positions.services import audit, resolutions
from positions.services.permissions import NotPermitted
from positions.services.resolutions import NotResolvable, resolve_order
from positions.services.transitions import LostClaim
from tests.services.conftest import Hire
from tests.trading import TEST, World, fresh, told

pytestmark = pytest.mark.django_db

PEPE = "0.05"  # the threshold below which only PEPE is dust
NOTHING = Finding(sale=None, reason="No order with this id in the order history.")
SOLD = Finding(
    sale=Sale(
        quantity=Decimal(5000),
        average_price=Decimal("0.000008"),
        fee=Decimal("0.00004"),
        fee_currency="USDT",
    ),
    reason="The order history shows it as filled.",
)


def waiting(world: World, state: S = S.UNKNOWN, **changes: Any) -> CloseOrder:
    """Return the order of a running plan that was sent and waits for a person."""
    order: CloseOrder = world.start(PEPE).orders.get()
    Attempt.objects.create(
        order=order,
        number=1,
        claim_token="gone",
        quantity=order.quantity,
        signed_at_ms=1,
        valid_until_ms=5001,
        sent_at=world.now,
        answer=AnswerClass.UNKNOWN,
        created_at=world.now,
    )
    values = {
        "status": state,
        "waits_for_person": True,
        "unknown_since": world.now,
        "lookups": 9,
        "sent_quantity": order.quantity,
        "due_at": world.now + timedelta(seconds=60),
    }
    CloseOrder.objects.filter(pk=order.pk).update(**(values | changes))
    return fresh(order)


def test_nothing_was_sold_closes_the_order_and_its_plan(world: World, hire: Hire) -> None:
    order, approver = waiting(world), hire("Approver")
    closed = resolve_order(order, NOTHING, actor=approver, now=world.now)
    order = fresh(order)
    assert closed.state is order.state is S.RESOLVED
    assert (order.filled_quantity, order.average_price, order.net_usd) == (0, None, None)
    assert order.message == (
        "approver recorded: nothing was sold. Why: No order with this id in the order history."
    )
    assert (order.due_at, order.waits_for_person, order.unknown_since) == (None, False, None)
    assert order.closed_at is not None
    plan = fresh(order.plan)
    assert plan.state is P.COMPLETED, told(plan)
    event = order.events.get(kind="order.resolved")
    assert event.actor == approver.user
    assert event.data == {
        "status": "RESOLVED",
        "was": "UNKNOWN",
        "sold": "no more than proved",
        "reason": NOTHING.reason,
    }
    assert audit.verify_all() == []
    assert world.sent() == []


def test_a_sale_is_recorded_to_the_last_digit(world: World, hire: Hire) -> None:
    order = waiting(world)
    resolve_order(order, SOLD, actor=hire("Approver"), now=world.now)
    order = fresh(order)
    assert (order.filled_quantity, order.average_price) == (Decimal(5000), Decimal("0.000008"))
    assert (order.notional, order.fee, order.fee_currency) == (
        Decimal("0.04"),
        Decimal("0.00004"),
        "USDT",
    )
    assert order.net_usd == Decimal("0.03996")
    assert not order.fills.exists()
    facts = order.events.get(kind="order.resolved").data
    assert (facts["sold"], facts["average_price"], facts["fee"]) == ("5000", "0.000008", "0.00004")


def test_a_sale_without_a_known_fee_has_no_known_net(world: World, hire: Hire) -> None:
    order = waiting(world)
    sale = Sale(quantity=Decimal(5000), average_price=Decimal("0.000008"))
    resolve_order(order, Finding(sale=sale, reason="Seen."), actor=hire("Approver"), now=world.now)
    assert (fresh(order).net_usd, fresh(order).fee) == (None, None)
    assert not plan_view(order.plan, now=world.now).net_is_complete


def test_it_is_never_counted_as_filled(world: World, hire: Hire) -> None:
    order = waiting(world)
    resolve_order(order, SOLD, actor=hire("Approver"), now=world.now)
    document = as_json(plan_view(order.plan, now=world.now), dry_run=False)
    totals = document["totals"]
    assert (totals["planned"], totals["filled"], totals["failed"], totals["unknown"]) == (
        1,
        0,
        1,
        0,
    )
    assert document["orders"][0]["status"] == "RESOLVED"


def test_its_asset_is_free_for_the_next_plan(world: World, hire: Hire) -> None:
    order = waiting(world)
    resolve_order(order, NOTHING, actor=hire("Approver"), now=world.now)
    world.later(1)
    assert [item.asset for item in world.draft(PEPE).orders.all()] == ["PEPE"]


def test_what_is_proved_already_stays_when_no_more_was_sold(world: World, hire: Hire) -> None:
    order = waiting(
        world,
        S.PARTIALLY_FILLED,
        filled_quantity=Decimal(2000),
        notional=Decimal("0.016"),
        average_price=Decimal("0.000008"),
        fee=Decimal("0.000016"),
        fee_currency="USDT",
        net_usd=Decimal("0.015984"),
    )
    approver = hire("Approver")
    wrong = Finding(
        sale=Sale(quantity=Decimal(2000), average_price=Decimal("0.000009")), reason="Seen."
    )
    with pytest.raises(BadFinding, match="more than the 2000"):
        resolve_order(order, wrong, actor=approver, now=world.now)
    resolve_order(order, NOTHING, actor=approver, now=world.now)
    order = fresh(order)
    assert (order.filled_quantity, order.net_usd) == (Decimal(2000), Decimal("0.015984"))
    assert "no more than 2000 was sold" in order.message


# --- Who and when -------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["Viewer", "Operator"])
def test_who_may_not_closes_nothing(world: World, hire: Hire, group: str) -> None:
    order = waiting(world)
    with pytest.raises(NotPermitted, match="may not close an order by hand"):
        resolve_order(order, NOTHING, actor=hire(group), now=world.now)
    with pytest.raises(NotPermitted):
        resolve_order(order, NOTHING, actor=TEST, now=world.now)
    assert fresh(order).state is S.UNKNOWN


@pytest.mark.parametrize("state", list(S))
def test_only_an_order_whose_end_is_not_told_is_closed_by_hand(
    world: World, hire: Hire, state: S
) -> None:
    order, approver = waiting(world, state), hire("Approver")
    if state in RESOLVABLE:
        assert resolve_order(order, NOTHING, actor=approver, now=world.now).state is S.RESOLVED
        return
    with pytest.raises(NotResolvable, match="by hand"):
        resolve_order(order, NOTHING, actor=approver, now=world.now)
    assert fresh(order).state is state
    assert not order.events.filter(kind="order.resolved").exists()


@pytest.mark.parametrize("state", sorted(RESOLVABLE))
def test_it_is_not_closed_before_the_look_ups_are_through(
    world: World, hire: Hire, state: S
) -> None:
    order = waiting(world, state, waits_for_person=False)
    with pytest.raises(NotResolvable, match="once the look-ups are through"):
        resolve_order(order, NOTHING, actor=hire("Approver"), now=world.now)
    assert fresh(order).state is state


@pytest.mark.parametrize(("left", "refused"), [(1, True), (0, False), (-1, False)])
def test_it_is_not_closed_while_it_is_being_asked_for(
    world: World, hire: Hire, left: int, refused: bool
) -> None:
    now = world.now
    order = waiting(world, claim_token="look", claimed_until=now + timedelta(seconds=left))
    if not refused:
        resolve_order(order, NOTHING, actor=hire("Approver"), now=now)
        assert fresh(order).state is S.RESOLVED
        return
    with pytest.raises(NotResolvable, match="is being asked for PEPE this moment"):
        resolve_order(order, NOTHING, actor=hire("Approver"), now=now)
    assert fresh(order).state is S.UNKNOWN


def test_a_look_up_that_begins_meanwhile_wins(
    world: World, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = waiting(world)
    check = resolutions.check_finding

    def claimed_meanwhile(*args: Any, **kwargs: Any) -> None:
        CloseOrder.objects.filter(pk=order.pk).update(claim_token="another")
        check(*args, **kwargs)

    monkeypatch.setattr(resolutions, "check_finding", claimed_meanwhile)
    with pytest.raises(LostClaim):
        resolve_order(order, NOTHING, actor=hire("Approver"), now=world.now)
    assert fresh(order).state is S.UNKNOWN
    assert not order.events.filter(kind="order.resolved").exists()


def test_the_second_person_is_told_who_was_first(world: World, hire: Hire) -> None:
    order = waiting(world)
    resolve_order(order, NOTHING, actor=hire("Approver", "first"), now=world.now)
    with pytest.raises(NotResolvable, match=r"closed by hand already\. first recorded: nothing"):
        resolve_order(order, SOLD, actor=hire("Approver", "second"), now=world.now)
    assert fresh(order).filled_quantity == 0


def test_what_can_not_be_true_changes_nothing(world: World, hire: Hire) -> None:
    order = waiting(world, sent_quantity=Decimal(4000))
    with pytest.raises(BadFinding, match="at most 4000"):
        resolve_order(order, SOLD, actor=hire("Approver"), now=world.now)
    assert fresh(order).state is S.UNKNOWN


def test_a_halted_plan_stays_halted_and_its_books_are_closed(world: World, hire: Hire) -> None:
    order = waiting(world)
    CleanupPlan.objects.filter(pk=order.plan_id).update(status=P.HALTED, finished_at=world.now)
    resolve_order(order, NOTHING, actor=hire("Approver"), now=world.now)
    assert fresh(order.plan).state is P.HALTED
    assert fresh(order).state is S.RESOLVED
