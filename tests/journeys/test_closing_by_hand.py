"""An order that the exchange does not tell of, closed by a person who looked: without script.

A real answer is lost and the real look-ups fail. The exchange's ledger is what the person sees on
its pages, and the judge afterwards.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.domain.resolutions import Finding, Sale
from positions.models import CleanupPlan, CloseOrder
from positions.selectors.plans import as_json, plan_view
from positions.services import audit, dispatch, results
from positions.services.actors import Actor
from positions.services.resolutions import NotResolvable, resolve_order
from tests.exchange_process import wait_until
from tests.journeys.faults.stepped.steps import LOOK_UP, PEPE, only, order_answer
from tests.journeys.oracle import assert_all_true
from tests.trading import World, at_once, fresh, told

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = Finding(sale=None, reason="No such order in the order history.")


@pytest.fixture(autouse=True)
def judged(world: World) -> Iterator[None]:
    """Ask the oracle after every test."""
    yield
    world.exchange.clear_faults()
    assert_all_true(world.exchange)


@pytest.fixture
def approver() -> Actor:
    """Return a person who may close orders by hand."""
    user = User.objects.create_user("approver", password="pw")
    user.groups.add(Group.objects.get(name="Approver"))
    return Actor.person(user)


class Reader:
    """A person without script: opens pages, fills in forms, reads text."""

    def __init__(self, actor: Actor) -> None:
        self.client = Client()
        assert actor.user is not None
        self.client.force_login(actor.user)
        self.raw = self.text = ""

    def open(self, path: str) -> str:
        return self._shown(self.client.get(path, follow=True))

    def submit(self, action: str, *, status: int = 200, **fields: str) -> str:
        """Send the page's form with this action and what was filled in."""
        for attributes, body in re.findall(r"<form([^>]*)>(.*?)</form>", self.raw, flags=re.S):
            if f'action="{action}"' in attributes:
                known = set(re.findall(r'name="([^"]+)"', body))
                assert set(fields) <= known, known
                return self._shown(self.client.post(action, fields, follow=True), status)
        raise AssertionError(f"no form for {action}")

    def _shown(self, response: Any, status: int = 200) -> str:
        assert response.status_code == status, response.status_code
        self.raw = response.text
        spaced = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>", " ", self.raw, flags=re.S)
        self.text = re.sub(r"\s+", " ", html.unescape(spaced))
        return self.text


def unknown(world: World, *, fault: str = "drop_after") -> CleanupPlan:
    """Lose one real answer and every look-up after it, until the order waits for a person."""
    plan = world.start(PEPE)
    world.exchange.fault(fault)
    world.exchange.fault("status_before", status=503, times=None, **LOOK_UP)
    return world.work(plan, until=lambda: only(plan).waits_for_person)


def as_the_exchange_shows_it(world: World) -> Finding:
    """Return what a person reads on the exchange's own pages."""
    (there,) = [item for item in world.exchange.ledger()["orders"] if item["origin"] == "api"]
    (fill,) = [
        item for item in world.exchange.ledger()["fills"] if item["order_id"] == there["order_id"]
    ]
    sale = Sale(
        quantity=Decimal(there["filled_quantity"]),
        average_price=Decimal(fill["price"]),
        fee=Decimal(fill["commission"]),
        fee_currency=fill["commission_asset"],
    )
    return Finding(sale=sale, reason="The order history shows it as filled.")


def closed_books(world: World, plan: CleanupPlan) -> CleanupPlan:
    """Read the account as a worker would, and compare the plan with it."""
    world.later(1)
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    found: CleanupPlan = fresh(plan)
    assert found.closing_snapshot is not None, told(plan)
    return found


def test_a_person_looks_and_closes_it_without_script(world: World, approver: Actor) -> None:
    plan = unknown(world)
    order = only(plan)
    seen = as_the_exchange_shows_it(world).sale
    assert seen is not None
    reader = Reader(approver)
    assert f"{world.account.slug}: PEPE was sent" in reader.open("/")
    running = reader.open(f"/plans/{plan.pk}/")
    assert "Waits for a person" in running
    assert f"Look at Sandbox for the order {order.client_order_id}." in running
    page = f"/orders/{order.pk}/"
    told_so = reader.open(page)
    assert "Sandbox could not tell what became of it. Nothing is sent again" in told_so
    assert "Attempt 1 : sell 5,000 PEPE at market." in told_so
    assert "asked again" in told_so
    refused = reader.submit(
        f"{page}resolve/", status=400, found="sold", quantity="6000", average_price="1", reason=""
    )
    assert "Enter at most 5000: no more was sent." in refused
    closed = reader.submit(
        f"{page}resolve/",
        found="sold",
        quantity=str(seen.quantity),
        average_price=f"{seen.average_price:f}",
        fee=f"{seen.fee:f}",
        fee_currency=seen.fee_currency,
        reason="The order history shows it as filled.",
    )
    assert (
        "Closed by a person, not by Sandbox's evidence. approver recorded: 5000 of 5000" in closed
    )
    assert "Nothing is left to do" not in closed
    plan = closed_books(world, plan)
    assert plan.state is P.COMPLETED
    # The person told the truth, so that the balances have nothing to add.
    assert plan.other_activity == []
    result = reader.open(f"/plans/{plan.pk}/")
    assert "0 of 1 position closed; a person closed 1 order" in result
    assert "PEPE, closed by a person, has changed as recorded" in result
    rows = list(csv.DictReader(io.StringIO(reader.client.get(f"/plans/{plan.pk}/report.csv").text)))
    assert rows[0]["status"] == "RESOLVED"
    assert rows[0]["message"].startswith("approver recorded: 5000 of 5000 sold at 0.00000799 USDT")
    assert only(plan).net_usd == only(plan).notional - seen.fee
    assert len(world.sent()) == 1
    assert audit.verify_all() == []


def test_a_wrong_record_shows_in_the_balances(world: World, approver: Actor) -> None:
    plan = unknown(world)
    resolve_order(only(plan), NOTHING, actor=approver, now=world.now)
    plan = closed_books(world, plan)
    other = {item["asset"]: Decimal(item["quantity"]) for item in plan.other_activity}
    assert other["PEPE"] == -5000
    assert other["USDT"] > 0
    text = Reader(approver).open(f"/plans/{plan.pk}/")
    assert "−5000 besides" in text


def test_what_was_never_placed_is_sold_by_the_next_plan(world: World, approver: Actor) -> None:
    plan = unknown(world, fault="drop_before")
    resolve_order(only(plan), NOTHING, actor=approver, now=world.now)
    assert list(dispatch.due_orders(now=world.now + timedelta(days=1))) == []
    closed_books(world, plan)
    world.exchange.clear_faults()
    world.later(1)
    again = world.work(world.start(PEPE))
    assert only(again).state is S.FILLED, told(again)
    assert world.sold("PEPE") == 5000


def test_the_documents_say_that_nothing_proves_a_fill(world: World, approver: Actor) -> None:
    plan = unknown(world)
    before = as_json(plan_view(plan, now=world.now), dry_run=False)["totals"]
    assert (before["unknown"], before["failed"]) == (1, 0)
    resolve_order(only(plan), as_the_exchange_shows_it(world), actor=approver, now=world.now)
    plan = closed_books(world, plan)
    document = json.loads(json.dumps(as_json(plan_view(plan, now=world.now), dry_run=False)))
    totals = document["totals"]
    assert (totals["filled"], totals["failed"], totals["unknown"]) == (0, 1, 0)
    assert document["orders"][0]["status"] == "RESOLVED"
    assert document["orders"][0]["filled_quantity"] == "5000"
    assert (totals["counts_before"], totals["counts_after"]) == (8, 7)


def test_an_answer_that_is_on_its_way_wins(world: World, approver: Actor) -> None:
    plan = unknown(world)
    order = only(plan)
    world.exchange.clear_faults()
    world.exchange.fault("delay_after", seconds="3", **LOOK_UP)
    world.later(61)

    def close_it() -> None:
        wait_until(lambda: fresh(order).claim_token != order.claim_token)
        with pytest.raises(NotResolvable, match="is being asked for PEPE this moment"):
            resolve_order(order, NOTHING, actor=approver, now=world.now)

    looked, closed = at_once(lambda: world.look_up(order), close_it)
    assert closed is None, closed
    assert looked.state is S.FILLED
    assert fresh(plan).state is P.COMPLETED
    with pytest.raises(NotResolvable, match="PEPE is filled"):
        resolve_order(order, NOTHING, actor=approver, now=world.now)


def test_two_people_close_it_once(world: World, approver: Actor) -> None:
    order = only(unknown(world))

    def close_it() -> CloseOrder:
        return resolve_order(order, NOTHING, actor=approver, now=world.now)

    answers = at_once(close_it, close_it)
    assert sorted(type(answer).__name__ for answer in answers) == ["CloseOrder", "NotResolvable"]
    assert order.events.filter(kind="order.resolved").count() == 1


def test_an_accepted_order_that_is_no_longer_listed_is_closed_by_hand(
    world: World, approver: Actor
) -> None:
    plan = world.start(PEPE)
    accepted = order_answer(
        only(plan), status="NEW", origQty="5000", executedQty="0", cummulativeQuoteQty="0"
    )
    world.exchange.fault("garbage_before", body=accepted)
    assert world.run(only(plan)).state is S.ACCEPTED
    with pytest.raises(NotResolvable, match="once the look-ups are through"):
        resolve_order(only(plan), NOTHING, actor=approver, now=world.now)
    world.work(plan, until=lambda: only(plan).waits_for_person, seconds=200)
    assert only(plan).state is S.ACCEPTED
    reader = Reader(approver)
    text = reader.open(f"/orders/{only(plan).pk}/")
    assert "Accepted, but Sandbox has not told its result since" in text
    assert "does not list an order that it had accepted" in text
    reader.submit(
        f"/orders/{only(plan).pk}/resolve/", found="nothing", reason="Not in the history."
    )
    assert only(plan).state is S.RESOLVED
    assert fresh(plan).state is P.COMPLETED
    assert len(world.sent()) == 1
