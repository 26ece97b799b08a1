"""An order's page through its life: what happens, what may be done, the story, closing by hand."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from positions.domain.orders import OrderState
from positions.models import AnswerClass, Attempt, CleanupPlan, CloseOrder, ExchangeAccount, Fill
from positions.services import audit
from tests.web import builders
from tests.web.test_every_page import Page

HTMX = {"HX-Request": "true"}
SignedIn = Callable[..., Client]
FOUND = {"found": "nothing", "reason": "No such order in the order history."}


def _url(name: str, order: CloseOrder) -> str:
    return reverse(f"positions:{name}", args=[order.pk])


@pytest.fixture
def running(desk: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return a running plan."""
    return builders.started(desk, by=operator, now=now)


@pytest.fixture
def waiting(running: CleanupPlan, now: datetime) -> CloseOrder:
    """Return an unknown order whose look-ups are through."""
    order = running.orders.get(asset="PEPE")
    builders.put(
        order,
        OrderState.UNKNOWN,
        now=now,
        waits_for_person=True,
        unknown_since=now - timedelta(seconds=90),
        lookups=9,
        sent_quantity=order.quantity,
    )
    order.refresh_from_db()
    return order


# --- What it shows ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(OrderState))
def test_every_state_says_what_happens_and_what_may_be_done(
    running: CleanupPlan, web: Client, now: datetime, state: OrderState
) -> None:
    order = running.orders.get(asset="XRP")
    builders.put(order, state, now=now, unknown_since=now, message="Said so.")
    text = web.get(_url("order_detail", order)).text
    says = {
        "PLANNED": "Said so. Nothing was sent.",
        "SUBMITTING": "Being sent now.",
        "ACCEPTED": "Accepted, but Sandbox has not told its result since",
        "PARTIALLY_FILLED": "Accepted, but Sandbox has not told its result since",
        "FILLED": "0 sold.",
        "CANCELED": "Canceled at Sandbox. Nothing was sold.",
        "EXPIRED": "Sandbox let it expire. Nothing was sold.",
        "REJECTED": "Said so.",
        "DENIED": "Not sent. Said so.",
        "UNKNOWN": "Sent, but Sandbox has not answered since",
        "RESOLVED": "Closed by a person, not by Sandbox&#x27;s evidence.",
    }
    to_do = {
        "PLANNED": f"Pause or halt plan {running.pk}",
        "SUBMITTING": "can&#x27;t be taken back",
        "ACCEPTED": "You don&#x27;t have to do anything yet",
        "PARTIALLY_FILLED": "You don&#x27;t have to do anything yet",
        "FILLED": "Nothing is left to do.",
        "UNKNOWN": "You don&#x27;t have to do anything yet",
        "RESOLVED": "XRP is free for the next plan",
    }
    assert says[state] in text
    assert to_do.get(state, "Draft a new plan when the cause is gone") in text
    assert order.client_order_id in text


def test_an_order_that_is_followed_without_trouble_says_so(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    order = running.orders.get(asset="XRP")
    for state, sentence in (
        (OrderState.PLANNED, "Waits for its turn. Balance and price are checked first."),
        (OrderState.ACCEPTED, "Sandbox accepted it. Waiting for its result."),
        (OrderState.PARTIALLY_FILLED, "0.1 of 0.25 sold. The rest is in the market."),
    ):
        CloseOrder.objects.filter(pk=order.pk).update(status=state, filled_quantity=Decimal("0.1"))
        assert sentence in web.get(_url("order_detail", order)).text
    CloseOrder.objects.filter(pk=order.pk).update(
        status=OrderState.PLANNED, claimed_until=now + timedelta(minutes=1)
    )
    assert "Balance and price are being checked" in web.get(_url("order_detail", order)).text
    web.post(reverse("positions:pause_plan", args=[running.pk]))
    text = web.get(_url("order_detail", order)).text
    assert "Waits, the plan is paused." in text
    assert f"Go on with plan {running.pk}, or halt it" in text


def test_the_second_not_found_is_announced_as_the_proof(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    order = running.orders.get(asset="XRP")
    builders.put(order, OrderState.UNKNOWN, now=now, unknown_since=now, lookups=2, absent_since=now)
    text = web.get(_url("order_detail", order)).text
    assert "Not found once more proves that it was never placed." in text


def test_a_draft_says_that_nothing_is_sent_before_its_plan_starts(
    desk: ExchangeAccount, operator: User, web: Client, now: datetime
) -> None:
    plan = builders.draft(desk, by=operator, now=now)
    text = web.get(_url("order_detail", plan.orders.get(asset="XRP"))).text
    assert "Nothing is sent before the plan is started." in text
    assert f"Start or reject plan {plan.pk}." in text
    assert "hx-trigger" not in text


def test_the_story_has_events_and_attempts_with_the_exchanges_words(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    order = running.orders.get(asset="XRP")
    with transaction.atomic():
        audit.record(
            "order.submitting",
            "XRP: attempt 1 is being sent",
            actor=builders.SCHEDULER,
            at=now,
            order=order,
            data={"attempt": 1},
        )
    Attempt.objects.create(
        order=order,
        number=1,
        claim_token="secret-claim",
        quantity=order.quantity,
        signed_at_ms=1_700_000_000_123,
        valid_until_ms=1_700_000_005_123,
        sent_at=now,
        answered_at=now + timedelta(seconds=1),
        answer=AnswerClass.REJECTED,
        answer_code="-1013",
        answer_text='{"code":-1013,"msg":"Filter failure: <NOTIONAL>"}',
        request={"symbol": "XRPUSDT", "side": "sell", "client_order_id": order.client_order_id},
        created_at=now,
    )
    CloseOrder.objects.filter(pk=order.pk).update(
        status=OrderState.FILLED,
        filled_quantity=order.quantity,
        fee=Decimal("0.00062"),
        fee_currency="BNB",
    )
    Fill.objects.create(
        order=order,
        trade_id="trade-7",
        price=Decimal("2.48"),
        quantity=Decimal("0.25"),
        fee=Decimal("0.00062"),
        fee_currency="BNB",
        at=now,
    )
    text = web.get(_url("order_detail", order)).text
    story = text[text.index('id="order-timeline"') :]
    assert story.index("attempt 1 is being sent") < story.index("<b>Attempt 1</b>")
    assert story.count("<b>Attempt 1</b>") == 1
    assert "Signed for 22:13:20.123, valid until 22:13:25.123 on Sandbox's clock." in story
    assert "rejected" in story
    assert "-1013" in story
    assert "Filter failure: &lt;NOTIONAL&gt;" in story
    assert "symbol=XRPUSDT" in story
    assert "side=sell" in story
    # The newest first.
    assert story.index("attempt 1 is being sent") < story.index("started plan")
    assert "trade-7" in text
    assert "0.00062 BNB" in text
    assert "secret-claim" not in text


def test_every_row_of_a_plan_leads_to_its_order(
    running: CleanupPlan, operator: User, web: Client, now: datetime
) -> None:
    order = running.orders.get(asset="PEPE")
    page = reverse("positions:plan_detail", args=[running.pk])
    assert f'href="{_url("order_detail", order)}"' in web.get(page).text
    web.post(reverse("positions:halt_plan", args=[running.pk]))
    assert f'href="{_url("order_detail", order)}"' in web.get(page).text
    other = builders.account("other", now=now)
    builders.snapshot(other, at=now)
    draft = builders.draft(other, by=operator, now=now)
    text = web.get(reverse("positions:plan_detail", args=[draft.pk])).text
    assert f'href="{_url("order_detail", draft.orders.get(asset="PEPE"))}"' in text


def test_the_form_keeps_the_security_policy_and_its_budget(
    waiting: CloseOrder, signed_in: SignedIn, django_assert_max_num_queries: Any
) -> None:
    approver = signed_in("Approver")
    with django_assert_max_num_queries(9):
        text = approver.get(_url("order_detail", waiting)).text
    page = Page(text)
    assert page.forbidden == []
    assert page.headings == 1
    assert len(page.ids) == len(set(page.ids)), page.ids
    assert approver.get(_url("resolve_order", waiting)).status_code == 405


def test_unknown_ids_are_not_found(web: Client) -> None:
    for address in ("/orders/999/", "/orders/999/progress/", f"/orders/{'9' * 30}/"):
        assert web.get(address).status_code == 404, address
    assert web.post("/orders/999/resolve/").status_code in {403, 404}


# --- The poll -----------------------------------------------------------------------------------


def _poll(text: str) -> str:
    (found,) = re.findall(r'hx-get="([^"]*/orders/[^"]*)"', text)
    return str(found.replace("&amp;", "&"))


def test_the_poll_brings_the_rest_only_when_it_changed(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    order = running.orders.get(asset="XRP")
    builders.put(order, OrderState.SUBMITTING, now=now)
    poll = _poll(web.get(_url("order_detail", order)).text)
    quiet = web.get(poll, headers=HTMX).text
    assert quiet.lstrip().startswith('<div id="order-now" data-poll')
    assert "hx-swap-oob" not in quiet
    CloseOrder.objects.filter(pk=order.pk).update(
        status=OrderState.ACCEPTED, change=CloseOrder.objects.get(pk=order.pk).change + 1
    )
    told = web.get(poll, headers=HTMX).text
    for part in ("order-status", "order-facts", "order-timeline"):
        assert f'id="{part}" hx-swap-oob="true"' in told
    assert "Accepted" in told


def test_the_poll_stops_itself(running: CleanupPlan, web: Client, now: datetime) -> None:
    order = running.orders.get(asset="XRP")
    builders.put(order, OrderState.UNKNOWN, now=now)
    poll = _poll(web.get(_url("order_detail", order)).text)
    CloseOrder.objects.filter(pk=order.pk).update(waits_for_person=True)
    # Then there is a form to be shown.
    assert web.get(poll, headers=HTMX)["HX-Refresh"] == "true"
    poll = _poll(web.get(_url("order_detail", order)).text)
    assert "HX-Refresh" not in web.get(poll, headers=HTMX)
    CloseOrder.objects.filter(pk=order.pk).update(status=OrderState.FILLED, waits_for_person=False)
    assert web.get(poll, headers=HTMX)["HX-Refresh"] == "true"
    ended = web.get(_url("order_detail", order)).text
    assert "hx-trigger" not in ended
    assert "http-equiv" not in ended


def test_without_script_the_page_loads_itself_again_unless_there_is_a_form(
    waiting: CloseOrder, running: CleanupPlan, web: Client, signed_in: SignedIn
) -> None:
    other = running.orders.get(asset="XRP")
    refresh = f'content="5; url={_url("order_detail", other)}"'
    assert refresh in web.get(_url("order_detail", other)).text
    assert web.get(_url("order_progress", other))["Location"] == _url("order_detail", other)
    assert "http-equiv" not in signed_in("Approver").get(_url("order_detail", waiting)).text


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 30, "1.5", "²"])
def test_a_bad_cursor_means_everything(
    running: CleanupPlan, web: Client, now: datetime, since: str
) -> None:
    order = running.orders.get(asset="XRP")
    response = web.get(_url("order_progress", order), {"since": since, "waits": "0"}, headers=HTMX)
    assert response.status_code == 200
    assert "hx-swap-oob" in response.text


# --- Closing it by hand -------------------------------------------------------------------------


def test_an_approver_closes_it_and_everything_says_so(
    waiting: CloseOrder, signed_in: SignedIn, now: datetime
) -> None:
    plan = waiting.plan
    for order in plan.orders.exclude(pk=waiting.pk):
        builders.fill(order, now=now)
    approver = signed_in("Approver")
    assert "Close it by hand" in approver.get(_url("order_detail", waiting)).text
    text = approver.post(_url("resolve_order", waiting), FOUND, follow=True).text
    assert "PEPE is closed by hand. Nothing was sent." in text
    assert "Closed by a person, not by Sandbox&#x27;s evidence." in text
    assert "recorded: nothing was sold. Why: No such order in the order history." in text
    assert "Closed by hand" in text
    result = approver.get(reverse("positions:plan_detail", args=[plan.pk])).text
    assert "5 of 6 positions closed; a person closed 1 order" in result
    assert "PEPE was closed by a person, not by Sandbox's evidence." in result
    report = approver.get(reverse("positions:plan_report", args=[plan.pk])).text
    assert "RESOLVED" in report
    assert "No such order in the order history." in report


def test_what_was_typed_is_read_exactly(waiting: CloseOrder, signed_in: SignedIn) -> None:
    sold = {
        "found": "sold",
        "quantity": "5000",
        "average_price": "0.000008",
        "fee": "0.00004",
        "fee_currency": "usdt",
        "reason": " The order history\nshows it. ",
    }
    signed_in("Approver").post(_url("resolve_order", waiting), sold)
    waiting.refresh_from_db()
    assert waiting.state is OrderState.RESOLVED
    assert waiting.net_usd == Decimal("0.03996")
    assert waiting.fee_currency == "USDT"
    assert waiting.message.endswith("Why: The order history shows it.")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({}, "Choose what you found."),
        ({"found": "nothing"}, "Say why you are sure"),
        ({"found": "nothing", "reason": "  "}, "Say why you are sure"),
        ({"found": "sold", "reason": "Seen."}, "Enter a number for the quantity."),
        (
            {"found": "sold", "reason": "Seen.", "quantity": "1,5", "average_price": "0.1"},
            "Write the quantity with a point and without commas",
        ),
        (
            {"found": "sold", "reason": "Seen.", "quantity": "5000.1", "average_price": "0.1"},
            "Enter at most 5000: no more was sent.",
        ),
        (
            {
                "found": "sold",
                "reason": "Seen.",
                "quantity": "5000",
                "average_price": "0.1",
                "fee": "0.1",
            },
            "Enter the currency of the fee",
        ),
    ],
)
def test_what_can_not_be_used_is_said_at_its_field_and_nothing_typed_is_lost(
    waiting: CloseOrder, signed_in: SignedIn, typed: dict[str, str], sentence: str
) -> None:
    response = signed_in("Approver").post(_url("resolve_order", waiting), typed)
    assert response.status_code == 400
    assert sentence in response.text
    assert "There is a problem" in response.text
    for name in {"quantity", "average_price", "fee"} & set(typed):
        assert f'value="{typed[name]}"' in response.text
    if typed.get("reason", "").strip():
        assert ">\nSeen.</textarea>" in response.text
    waiting.refresh_from_db()
    assert waiting.state is OrderState.UNKNOWN


@pytest.mark.parametrize("group", ["Viewer", "Operator"])
def test_who_may_not_sees_who_may(waiting: CloseOrder, signed_in: SignedIn, group: str) -> None:
    web = signed_in(group)
    text = web.get(_url("order_detail", waiting)).text
    assert "An approver can then close it by hand" in text
    assert "<textarea" not in text
    refused = web.post(_url("resolve_order", waiting), FOUND)
    assert refused.status_code == 403
    assert "may not close an order by hand" in refused.text
    assert 'id="order-now"' in refused.text
    waiting.refresh_from_db()
    assert waiting.state is OrderState.UNKNOWN


def test_an_order_that_is_looked_for_says_why_it_can_not_be_closed_yet(
    running: CleanupPlan, signed_in: SignedIn, now: datetime
) -> None:
    order = running.orders.get(asset="PEPE")
    builders.put(order, OrderState.UNKNOWN, now=now, unknown_since=now)
    approver = signed_in("Approver")
    text = approver.get(_url("order_detail", order)).text
    why = "It can be closed by hand once the look-ups are through"
    assert why in text
    assert "<textarea" not in text
    refused = approver.post(_url("resolve_order", order), FOUND)
    assert refused.status_code == 409
    assert why in refused.text
    assert f'data-at="{_url("order_detail", order)}"' in refused.text


def test_a_look_up_that_runs_this_moment_goes_first_and_nothing_typed_is_lost(
    waiting: CloseOrder, signed_in: SignedIn, now: datetime
) -> None:
    CloseOrder.objects.filter(pk=waiting.pk).update(claimed_until=now + timedelta(minutes=1))
    response = signed_in("Approver").post(_url("resolve_order", waiting), FOUND)
    assert response.status_code == 409
    assert "Sandbox is being asked for PEPE this moment" in response.text
    assert ">\nNo such order in the order history.</textarea>" in response.text
    assert "There is a problem" not in response.text


def test_an_answer_that_came_first_counts(
    waiting: CloseOrder, signed_in: SignedIn, now: datetime
) -> None:
    CloseOrder.objects.filter(pk=waiting.pk).update(
        status=OrderState.FILLED, waits_for_person=False, filled_quantity=waiting.quantity
    )
    response = signed_in("Approver").post(_url("resolve_order", waiting), FOUND)
    assert response.status_code == 409
    assert "PEPE is filled: only an order whose end Sandbox does not tell" in response.text
    assert "5000 sold" in response.text


def test_an_accepted_order_that_is_no_longer_listed_is_red_and_closed_by_hand(
    running: CleanupPlan, signed_in: SignedIn, now: datetime
) -> None:
    order = running.orders.get(asset="PEPE")
    builders.put(
        order,
        OrderState.ACCEPTED,
        now=now,
        unknown_since=now - timedelta(seconds=90),
        waits_for_person=True,
        message="The exchange does not list an order that it had accepted.",
    )
    approver = signed_in("Approver")
    plan = approver.get(reverse("positions:plan_detail", args=[running.pk])).text
    assert "PEPE: accepted, but Sandbox has not told its result since" in plan
    assert "1 unknown" in plan
    assert 'class="row--bad"' in plan
    assert "PEPE was sent, but Sandbox has not answered" in approver.get("/").text
    approver.post(_url("resolve_order", order), FOUND)
    order.refresh_from_db()
    assert order.state is OrderState.RESOLVED


def test_a_partly_filled_order_asks_for_what_is_more_than_proved(
    running: CleanupPlan, signed_in: SignedIn, now: datetime
) -> None:
    order = running.orders.get(asset="XRP")
    changes: dict[str, Any] = {"filled_quantity": Decimal("0.1"), "waits_for_person": True}
    builders.put(order, OrderState.PARTIALLY_FILLED, now=now, unknown_since=now, **changes)
    text = signed_in("Approver").get(_url("order_detail", order)).text
    assert "No more than the 0.1 reported was sold" in text
    assert "More was sold" in text
