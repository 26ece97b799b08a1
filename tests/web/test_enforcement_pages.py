"""An account over its cap says so, and leads to a plan that another person has to approve."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from positions.domain.plans import PlanState, Purpose
from positions.models import CleanupPlan, ExchangeAccount
from positions.services import policies
from positions.services.actors import Actor
from positions.services.drafts import draft_enforcement_plan
from tests.bots import hire_bot, lease
from tests.web import builders

SignedIn = Callable[..., Client]
OFFER = "Draft an enforcement plan"


def _url(name: str, plan: CleanupPlan) -> str:
    return reverse(f"positions:{name}", args=[plan.pk])


def _page(account: ExchangeAccount) -> str:
    return reverse("positions:account_detail", args=[account.slug])


def _draft(account: ExchangeAccount) -> str:
    return reverse("positions:draft_enforcement_plan", args=[account.slug])


@pytest.fixture
def crowd(db: None, now: datetime) -> ExchangeAccount:
    """Return an account over its cap by 2: from $0.10 six positions count, the cap is 4."""
    account = builders.account("crowd", now=now, dust_threshold=Decimal("0.10"), position_cap=4)
    builders.snapshot(account, at=now)
    return account


@pytest.fixture
def plan(crowd: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return the operator's enforcement plan."""
    return draft_enforcement_plan(crowd, actor=Actor.person(operator), now=now)


def test_an_account_over_its_cap_says_by_how_much_and_offers_a_plan(
    crowd: ExchangeAccount, web: Client
) -> None:
    text = web.get(_page(crowd)).text
    assert "Over cap by 2: 6 positions count, the cap is 4." in text
    assert OFFER in text
    response = web.post(_draft(crowd))
    plan = crowd.plans.get()
    assert plan.purpose == Purpose.ENFORCE
    assert response["Location"] == _url("plan_detail", plan)
    assert "enforces the cap" in web.get(_page(crowd)).text


def test_an_account_within_its_cap_offers_none_and_refuses_one(
    desk: ExchangeAccount, web: Client
) -> None:
    assert OFFER not in web.get(_page(desk)).text
    response = web.post(_draft(desk))
    assert response.status_code == 409
    assert "not over its cap: 2 positions count, the cap is 8" in response.text
    assert not desk.plans.exists()


def test_a_viewer_sees_the_excess_and_may_not_draft(
    crowd: ExchangeAccount, signed_in: SignedIn
) -> None:
    viewer = signed_in("Viewer")
    text = viewer.get(_page(crowd)).text
    assert "Over cap by 2" in text
    assert OFFER not in text
    assert viewer.post(_draft(crowd)).status_code == 403
    assert viewer.get(_draft(crowd)).status_code == 405
    assert not crowd.plans.exists()


def test_a_stale_snapshot_offers_none_and_refuses_one(
    web: Client, operator: User, now: datetime
) -> None:
    account = builders.account("old", now=now, dust_threshold=Decimal("0.10"), position_cap=4)
    builders.snapshot(account, at=now - timedelta(minutes=10))
    assert OFFER not in web.get(_page(account)).text
    response = web.post(_draft(account))
    assert response.status_code == 409
    assert "snapshot_max_age" in response.text


def test_where_nothing_can_be_closed_the_refusal_says_so(
    crowd: ExchangeAccount, web: Client, now: datetime
) -> None:
    builders.policies.change(crowd, {"sell_enabled": False}, actor=builders.SCHEDULER, now=now)
    response = web.post(_draft(crowd))
    assert response.status_code == 409
    assert "none of the 6 counted positions can be closed now" in response.text


def test_the_preview_says_what_it_sells_and_who_has_to_approve(
    plan: CleanupPlan, web: Client, signed_in: SignedIn
) -> None:
    text = web.get(_url("plan_detail", plan)).text
    assert "This sells counted positions worth real money, $0.48 in all" in text
    assert "An approver who is not operator has to approve it" in text
    assert "Enforces the cap" in text
    assert "To keep the cap of 4" in text
    assert "Still so many over the cap" in text
    assert "Smaller positions are closed until no more than 4 count." in text
    assert "You drafted this plan: a second person must approve it." in text
    assert "start-dialog" not in text
    other = signed_in("Operator").get(_url("plan_detail", plan)).text
    assert "An approver who did not draft it has to approve" in other


def test_it_waits_for_another_approver_who_may_start_it_at_once(
    plan: CleanupPlan, web: Client, signed_in: SignedIn
) -> None:
    asked = web.post(_url("start_plan", plan), {"hash": plan.hash}, follow=True)
    assert "waits for the approval" in asked.text
    assert web.post(_url("approve_plan", plan), {"hash": plan.hash}).status_code == 403
    approver = signed_in("Approver")
    assert f"Approve {plan.short_hash} and start" in approver.get(_url("plan_detail", plan)).text
    approver.post(_url("approve_plan", plan), {"hash": plan.hash, "then": "start"})
    plan.refresh_from_db()
    assert plan.state is PlanState.RUNNING
    assert plan.approved_by_name != plan.created_by_name
    assert "To keep the cap of 4" in approver.get(_url("plan_detail", plan)).text


@pytest.mark.parametrize("superuser", [False, True])
def test_an_administrator_does_not_approve_their_own(
    crowd: ExchangeAccount,
    signed_in: SignedIn,
    superuser: bool,
) -> None:
    administrator = signed_in("Administrator")
    User.objects.filter(username__startswith="administrator").update(is_superuser=superuser)
    administrator.post(_draft(crowd))
    plan = crowd.plans.get()
    text = administrator.get(_url("plan_detail", plan)).text
    assert "You drafted this plan: a second person must approve it." in text
    refused = administrator.post(_url("approve_plan", plan), {"hash": plan.hash})
    assert refused.status_code == 409
    assert "somebody else has to approve it" in refused.text
    administrator.post(_url("start_plan", plan), {"hash": plan.hash})
    plan.refresh_from_db()
    assert plan.state is PlanState.AWAITING_APPROVAL
    administrator.post(_url("approve_plan", plan), {"hash": plan.hash, "then": "start"})
    plan.refresh_from_db()
    assert plan.state is PlanState.AWAITING_APPROVAL


def test_it_is_rejected_with_a_reason_and_drafted_again(
    plan: CleanupPlan, web: Client, signed_in: SignedIn
) -> None:
    approver = signed_in("Approver")
    assert approver.post(_url("reject_plan", plan), {"reason": " "}).status_code == 400
    approver.post(_url("reject_plan", plan), {"reason": "wait for the market"})
    ended = web.get(_url("plan_detail", plan)).text
    assert "wait for the market" in ended
    assert f'action="{_draft(plan.account)}"' in ended


def test_the_report_says_what_the_plan_was_for(plan: CleanupPlan, web: Client) -> None:
    head, *rows = web.get(_url("plan_report", plan)).text.splitlines()
    assert head.endswith(",purpose")
    assert len(rows) == 2
    assert all(row.endswith(",ENFORCE") for row in rows)


def test_the_list_of_accounts_leads_whoever_may_draft_to_that_offer(
    crowd: ExchangeAccount, web: Client, signed_in: SignedIn
) -> None:
    link = f'href="{_page(crowd)}#over-cap">'
    text = web.get("/").text
    assert "A plan can close the smallest positions that count." in text
    assert f"{link}Enforce the cap" in text
    assert "Try a threshold" not in text
    assert f"{link}Open crowd" in signed_in("Viewer").get("/").text
    assert 'id="over-cap"' in web.get(_page(crowd)).text


def test_an_account_that_leases_alone_carry_over_its_cap_offers_a_threshold(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    bot = hire_bot(desk, now=now)
    lease(desk, "NEW", bot=bot, now=now)
    policies.change(desk, {"position_cap": 2}, actor=builders.SCHEDULER, now=now)
    text = web.get("/").text
    assert "1 position over the cap" in text
    assert "Try a threshold" in text
    assert "Enforce the cap" not in text
