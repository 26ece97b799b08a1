"""A plan's page through its whole life, and everything that can be pressed on it."""

import csv
import io
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.models import CleanupPlan, CloseOrder, ExchangeAccount
from positions.selectors.cells import disarmed
from tests.web import builders

HTMX = {"HX-Request": "true"}
SignedIn = Callable[..., Client]


def _url(name: str, plan: CleanupPlan) -> str:
    return reverse(f"positions:{name}", args=[plan.pk])


@pytest.fixture
def draft(desk: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return the operator's draft."""
    return builders.draft(desk, by=operator, now=now)


@pytest.fixture
def running(desk: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return a running plan."""
    return builders.started(desk, by=operator, now=now)


def test_a_draft_leads_to_its_preview(desk: ExchangeAccount, web: Client) -> None:
    response = web.post(reverse("positions:draft_plan", args=[desk.slug]), {"threshold": "1"})
    plan = desk.plans.get()
    assert response["Location"] == _url("plan_detail", plan)
    text = web.get(response["Location"]).text
    assert "This is a dry run" in text
    assert f"Start {plan.short_hash}: close 6 positions worth $2.11" in text
    assert "6 market orders are sent" in text
    assert "It pays the trading fees." in text
    assert "8 used, <b>0 free</b>" in text
    assert "2 used, <b>6 free</b>" in text


def test_a_draft_with_nothing_to_close_is_refused_and_leaves_nothing(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("rich", now=now)
    builders.snapshot(account, at=now, holdings=[builders.holding("SOL", "1", "186")])
    response = web.post(reverse("positions:draft_plan", args=["rich"]))
    assert response.status_code == 409
    assert "Nothing to plan" in response.text
    assert not account.plans.exists()


def test_a_draft_beyond_the_plan_guard_names_it(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    builders.policies.change(
        desk, {"max_plan_value": Decimal("1")}, actor=builders.SCHEDULER, now=now
    )
    response = web.post(reverse("positions:draft_plan", args=[desk.slug]))
    assert response.status_code == 400
    assert "max_plan_value is $1" in response.text


def test_a_start_runs_exactly_what_was_seen(draft: CleanupPlan, web: Client) -> None:
    response = web.post(_url("start_plan", draft), {"hash": draft.hash}, follow=True)
    draft.refresh_from_db()
    assert draft.state is PlanState.RUNNING
    # Redis is down here: the plan runs all the same, and the page says so.
    assert "The queue (Redis) does not answer" in response.text
    assert "0 of 6 filled" in response.text


@pytest.mark.parametrize("seen", ["", "0" * 64, "9f2c"])
def test_a_stale_hash_starts_nothing(draft: CleanupPlan, web: Client, seen: str) -> None:
    response = web.post(_url("start_plan", draft), {"hash": seen})
    assert response.status_code == 409
    assert "not the plan that you saw" in response.text
    draft.refresh_from_db()
    assert draft.state is PlanState.DRAFT


def test_a_second_start_is_refused(running: CleanupPlan, web: Client) -> None:
    response = web.post(_url("start_plan", running), {"hash": running.hash})
    assert response.status_code == 409
    assert "is running; it" in response.text


def test_a_failed_check_is_shown_and_refuses(
    draft: CleanupPlan, desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    builders.policies.change(
        desk, {"dust_threshold": Decimal("0.5")}, actor=builders.SCHEDULER, now=now
    )
    text = web.get(_url("plan_detail", draft)).text
    assert "The policy has changed from v1 to v2." in text
    response = web.post(_url("start_plan", draft), {"hash": draft.hash})
    assert response.status_code == 409
    assert "expired" in response.text
    ended = web.get(_url("plan_detail", draft)).text
    assert "This plan has expired" in ended
    assert "Draft it again" in ended
    assert "start-dialog" not in ended


def test_the_author_can_not_approve_above_the_limit(
    web: Client, signed_in: SignedIn, operator: User, now: datetime
) -> None:
    account = builders.account("second", now=now, approval_above=Decimal("1"))
    builders.snapshot(account, at=now)
    plan = builders.draft(account, by=operator, now=now)
    text = web.get(_url("plan_detail", plan)).text
    assert "You drafted this plan: a second person must approve it." in text
    assert "Ask for the approval" in text
    assert "start-dialog" not in text
    asked = web.post(_url("start_plan", plan), {"hash": plan.hash}, follow=True)
    assert "waits for the approval" in asked.text
    assert web.post(_url("approve_plan", plan), {"hash": plan.hash}).status_code == 403
    approver = signed_in("Approver")
    assert f"Approve {plan.short_hash}" in approver.get(_url("plan_detail", plan)).text
    assert approver.post(_url("approve_plan", plan), {"hash": "x"}).status_code == 409
    approver.post(_url("approve_plan", plan), {"hash": plan.hash})
    plan.refresh_from_db()
    assert plan.state is PlanState.APPROVED
    assert f"Start {plan.short_hash}" in web.get(_url("plan_detail", plan)).text


def test_a_rejected_plan_says_that_nothing_was_sent(draft: CleanupPlan, web: Client) -> None:
    text = web.post(_url("reject_plan", draft), {"reason": "not now"}, follow=True).text
    assert "was rejected" in text
    assert "Nothing was sent" in text
    assert "operator: not now" in text
    assert web.post(_url("reject_plan", draft), {"reason": "again"}).status_code == 409


# --- Running ------------------------------------------------------------------------------------


def test_every_order_state_has_its_word_and_its_sentence(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    orders = list(running.orders.order_by("number"))
    states = [
        (OrderState.SUBMITTING, "Being sent now."),
        (OrderState.ACCEPTED, "accepted it. Waiting for its result."),
        (OrderState.PARTIALLY_FILLED, "The rest is in the market."),
        (OrderState.UNKNOWN, "nothing is sent again until its absence is proved."),
        (OrderState.CANCELED, "Nothing was sold."),
        (OrderState.EXPIRED, "let it expire."),
    ]
    for order, (state, _) in zip(orders, states, strict=True):
        builders.put(order, state, now=now)
    text = web.get(_url("plan_detail", running)).text
    for _, sentence in states:
        assert sentence in text
    for order, state in zip(
        orders[:3], (OrderState.RESOLVED, OrderState.REJECTED, OrderState.DENIED), strict=True
    ):
        CloseOrder.objects.filter(pk=order.pk).update(status=state, message=f"{state} said so.")
    text = web.get(_url("plan_detail", running)).text
    assert "Closed by a person, not by Sandbox&#x27;s evidence.</b> RESOLVED said so." in text
    assert ">REJECTED said so." in text
    assert "Not sent. DENIED said so." in text


def test_an_unknown_order_stands_first_in_red(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    builders.every_state(running, now=now)
    text = web.get(_url("plan_detail", running)).text
    told = text.index("XRP: sent, but Sandbox has not answered since")
    assert told < text.index("<b>1 of 6 filled</b>")
    assert "You don&#x27;t have to do anything yet" in text
    assert 'class="row--bad"' in text
    assert "status--unknown" in text
    assert "What was not sent yet never will be" in text
    overview = web.get("/").text
    assert "XRP was sent, but Sandbox has not answered" in overview


def test_an_unknown_that_waits_for_a_person_names_its_order_id(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    order = running.orders.order_by("number")[0]
    builders.put(order, OrderState.UNKNOWN, now=now, waits_for_person=True, lookups=7)
    text = web.get(_url("plan_detail", running)).text
    assert order.client_order_id in text
    assert "Waits for a person" in text


def test_the_poll_brings_only_the_rows_that_changed(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    page = web.get(_url("plan_detail", running)).text
    (poll,) = re.findall(r'hx-get="([^"]*progress[^"]*)"', page)
    poll = poll.replace("&amp;", "&")
    quiet = web.get(poll, headers=HTMX).text
    assert quiet.lstrip().startswith('<div class="stack" id="plan-progress"')
    assert 'hx-trigger="every 1s"' in quiet
    assert "<template>" not in quiet
    order = running.orders.order_by("number")[2]
    builders.fill(order, now=now)
    text = web.get(poll, headers=HTMX).text
    assert f'<template><tr id="order-{order.pk}" hx-swap-oob="true"' in text
    assert text.count('<tr id="order-') == 1
    assert "1 of 6 filled" in text
    assert f"since={CloseOrder.objects.get(pk=order.pk).change}" in text


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 30, "1.5"])
def test_a_bad_cursor_means_everything(running: CleanupPlan, web: Client, since: str) -> None:
    response = web.get(_url("plan_progress", running), {"since": since}, headers=HTMX)
    assert response.status_code == 200


def test_the_last_answer_has_no_trigger_and_loads_the_result(
    running: CleanupPlan, web: Client
) -> None:
    web.post(_url("halt_plan", running))
    response = web.get(
        _url("plan_progress", running), {"since": "0", "state": "RUNNING"}, headers=HTMX
    )
    assert response["HX-Refresh"] == "true"
    assert "hx-trigger" not in response.text


def test_pause_and_go_on(running: CleanupPlan, web: Client) -> None:
    text = web.post(_url("pause_plan", running), follow=True).text
    assert "The plan is paused. Nothing new is sent." in text
    assert "Go on" in text
    changed = web.get(
        _url("plan_progress", running), {"since": "0", "state": "RUNNING"}, headers=HTMX
    )
    assert changed["HX-Refresh"] == "true"
    assert web.post(_url("pause_plan", running)).status_code == 409
    web.post(_url("resume_plan", running))
    running.refresh_from_db()
    assert running.state is PlanState.RUNNING


def test_halt_leaves_the_rest_unsent_for_good(running: CleanupPlan, web: Client) -> None:
    asked = web.get(_url("plan_detail", running), {"confirm": "halt"}).text
    assert '<dialog class="dialog" id="halt-dialog" aria-labelledby="halt-title" open>' in asked
    text = web.post(_url("halt_plan", running), follow=True).text
    assert "This plan was halted." in text
    assert "Waiting for the closing snapshot" in text
    assert not running.orders.exclude(status=OrderState.DENIED).exists()
    assert web.post(_url("resume_plan", running)).status_code == 409


def test_stop_all_lists_what_stays_unsent_and_stops_it(running: CleanupPlan, web: Client) -> None:
    text = web.get(reverse("positions:stop_all")).text
    assert "6 orders of 1 plan" in text
    web.post(reverse("positions:stop_all"), {"reason": "drill"})
    running.refresh_from_db()
    assert running.state is PlanState.HALTED
    after = web.get(reverse("positions:stop_all")).text
    assert "Everything is stopped" in after
    assert "drill" in after


@pytest.mark.parametrize(("count", "segments"), [(24, True), (25, False)])
def test_above_24_orders_one_bar_of_counts_stands_for_the_segments(
    operator: User, web: Client, now: datetime, count: int, segments: bool
) -> None:
    account = builders.account("many", now=now)
    holdings = [builders.holding(f"D{number:02}", "1", "0.5") for number in range(count)]
    builders.snapshot(account, at=now, holdings=holdings)
    plan = builders.started(account, by=operator, now=now)
    first, second, *_ = plan.orders.order_by("number")
    builders.fill(first, now=now)
    builders.put(second, OrderState.UNKNOWN, now=now)
    text = web.get(_url("plan_detail", plan)).text
    assert f"<b>1 of {count} filled</b> 1 unknown, {count - 2} to send" in text
    assert ('class="segments"' in text) is segments
    bar = f'role="progressbar" aria-valuemin="0" aria-valuemax="{count}" aria-valuenow="1"'
    assert (bar in text) is not segments
    if not segments:
        assert '<rect class="filled" x="0.00%" width="4.00%"' in text
        assert '<rect class="unknown" x="4.00%" width="4.00%"' in text


def test_a_plan_that_only_a_person_can_end_says_so(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    first, second, *rest = running.orders.order_by("number")
    builders.put(first, OrderState.UNKNOWN, now=now, waits_for_person=True)
    for order in rest:
        builders.fill(order, now=now)
    assert "Waits for a person</span>" not in web.get(_url("plan_detail", running)).text
    builders.fill(second, now=now)
    text = web.get(_url("plan_detail", running)).text
    assert "Waits for a person</span>" in text
    assert "waits for a person</dd>" in text


# --- The result ---------------------------------------------------------------------------------


def test_the_result_compares_and_proves(
    desk: ExchangeAccount, operator: User, web: Client, now: datetime
) -> None:
    plan = builders.finished(desk, by=operator, now=now - timedelta(minutes=1))
    text = web.get(_url("plan_detail", plan)).text
    assert "6 of 6 positions closed" in text
    assert "$2.1079 came back." in text
    assert "It took 32 s." in text
    assert "USDT grew by the actual net" in text
    assert "+2.10789" in text
    assert "6 for 6 orders" in text
    assert ">intact<" in text
    assert text.count('aria-label="failed"') == 0
    assert "2 used, <b>6 free</b>" in text


def test_other_activity_is_shown_as_a_number(
    desk: ExchangeAccount, operator: User, web: Client, now: datetime
) -> None:
    plan = builders.finished(desk, by=operator, now=now)
    CleanupPlan.objects.filter(pk=plan.pk).update(
        other_activity=[{"asset": "USDT", "quantity": "-3.5"}]
    )
    text = web.get(_url("plan_detail", plan)).text
    assert "USDT also changed by -3.5 that no order explains" in text
    assert "Other activity." in text


def test_a_persons_word_is_compared_with_the_balance(
    desk: ExchangeAccount, operator: User, web: Client, now: datetime
) -> None:
    plan = builders.finished(desk, by=operator, now=now - timedelta(minutes=1))
    plan.orders.filter(asset="PEPE").update(status=OrderState.RESOLVED, message="Seen.")
    text = web.get(_url("plan_detail", plan)).text
    assert "5 of 6 positions closed; a person closed 1 order" in text
    assert "PEPE, closed by a person, has changed as recorded" in text
    assert text.count('aria-label="failed"') == 0
    CleanupPlan.objects.filter(pk=plan.pk).update(
        other_activity=[{"asset": "PEPE", "quantity": "-5000"}]
    )
    text = web.get(_url("plan_detail", plan)).text
    assert "−5000 besides" in text
    assert text.count('aria-label="failed"') == 1


def test_what_is_worth_knowing_is_told_afterwards(
    desk: ExchangeAccount, operator: User, web: Client, now: datetime
) -> None:
    plan = builders.finished(desk, by=operator, now=now - timedelta(minutes=1))
    order = plan.orders.get(asset="XRP")
    with transaction.atomic():
        builders.audit.record(
            "order.unknown",
            "XRP is unknown: no answer in time",
            actor=builders.SCHEDULER,
            at=now - timedelta(seconds=74),
            order=order,
        )
    text = web.get(_url("plan_detail", plan)).text
    assert "Worth knowing" in text
    assert "XRP is unknown: no answer in time" in text
    assert "unknown for 14 s" in text


def test_a_broken_audit_chain_fails_the_proof(
    desk: ExchangeAccount, operator: User, web: Client, now: datetime
) -> None:
    plan = builders.finished(desk, by=operator, now=now)
    event = plan.events.order_by("pk")[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE positions_auditevent SET summary = 'other' WHERE id = %s", [event.pk]
        )
    assert "Its content was changed." in web.get(_url("plan_detail", plan)).text


def test_the_closing_snapshot_ends_the_waiting(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    web.post(_url("halt_plan", running))
    assert "HX-Refresh" not in web.get(_url("closing_snapshot", running), headers=HTMX)
    closing = builders.snapshot(running.account, at=now)
    CleanupPlan.objects.filter(pk=running.pk).update(closing_snapshot=closing)
    assert web.get(_url("closing_snapshot", running), headers=HTMX)["HX-Refresh"] == "true"


# --- The report ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+A", "-B", "@SUM(A1)", "\tx", "\rx"])
def test_text_that_could_be_a_formula_is_disarmed(text: str) -> None:
    assert disarmed(text) == f"'{text}"


def test_the_report_has_exact_readable_numbers(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    orders = builders.every_state(running, now=now)
    CloseOrder.objects.filter(pk=orders[0].pk).update(net_usd=Decimal("-0.000123"))
    CloseOrder.objects.filter(pk=orders[4].pk).update(message='=HYPERLINK("x")')
    response = web.get(_url("plan_report", running))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == 6
    assert rows[0]["net_usd"] == "-0.000123"
    assert rows[1]["net_usd"] == "unknown"
    assert rows[4]["message"] == '\'=HYPERLINK("x")'
    assert Decimal(rows[5]["quantity"]) == 5000
