"""A step that is refused is answered by the page it was taken on, as it is now; nothing is lost."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from positions.domain.plans import PlanState
from positions.models import CleanupPlan, ExchangeAccount
from positions.services import starts
from positions.services.actors import Actor
from positions.services.plans import NeedsApproval
from tests.web import builders

SignedIn = Callable[..., Client]


def _url(name: str, plan: CleanupPlan) -> str:
    return reverse(f"positions:{name}", args=[plan.pk])


@pytest.fixture
def draft(desk: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return the operator's draft."""
    return builders.draft(desk, by=operator, now=now)


@pytest.fixture
def awaiting(operator: User, now: datetime) -> CleanupPlan:
    """Return a plan of the operator's that waits for a second person."""
    account = builders.account("second", now=now, approval_above=Decimal("1"))
    builders.snapshot(account, at=now)
    plan = builders.draft(account, by=operator, now=now)
    with pytest.raises(NeedsApproval):
        starts.start_plan(plan, hash_seen=plan.hash, actor=Actor.person(operator), now=now)
    plan.refresh_from_db()
    return plan


@pytest.mark.parametrize("seen", ["", "0" * 64, "9f2c"])
def test_a_forged_or_stale_hash_is_answered_with_the_current_plan(
    draft: CleanupPlan, web: Client, seen: str
) -> None:
    response = web.post(_url("start_plan", draft), {"hash": seen})
    assert response.status_code == 409
    assert "This is not the plan that you saw." in response.text
    assert f"Plan {draft.pk}</h1>" in response.text
    assert f"Start {draft.short_hash}: close 6 positions" in response.text
    # Loaded again, or followed, it is the plan's own address.
    assert f'data-at="{_url("plan_detail", draft)}"' in response.text
    assert 'href="?' not in response.text


def test_the_page_on_its_own_address_names_no_other(draft: CleanupPlan, web: Client) -> None:
    assert "data-at" not in web.get(_url("plan_detail", draft)).text


def test_a_second_start_shows_the_running_plan(
    draft: CleanupPlan, web: Client, now: datetime
) -> None:
    web.post(_url("start_plan", draft), {"hash": draft.hash})
    response = web.post(_url("start_plan", draft), {"hash": draft.hash})
    assert response.status_code == 409
    assert "is running; it" in response.text
    assert "0 of 6 filled" in response.text
    assert f'content="5; url={_url("plan_detail", draft)}"' in response.text
    assert 'href="?' not in response.text


def test_a_halted_plan_is_not_resumed_by_anybody(
    draft: CleanupPlan, web: Client, signed_in: SignedIn
) -> None:
    web.post(_url("start_plan", draft), {"hash": draft.hash})
    web.post(_url("halt_plan", draft))
    refused = web.post(_url("resume_plan", draft))
    assert refused.status_code == 409
    assert "The plan is halted; it can&#x27;t become running." in refused.text
    assert "This plan was halted." in refused.text
    forbidden = signed_in("Viewer").post(_url("resume_plan", draft))
    assert forbidden.status_code == 403
    assert "may not start plans" in forbidden.text
    assert "This plan was halted." in forbidden.text
    draft.refresh_from_db()
    assert draft.state is PlanState.HALTED


def test_who_may_see_nothing_gets_no_page(draft: CleanupPlan, signed_in: SignedIn) -> None:
    response = signed_in(None).post(_url("start_plan", draft), {"hash": draft.hash})
    assert response.status_code == 403
    assert draft.short_hash not in response.text


def test_a_rejection_without_a_reason_asks_for_one(draft: CleanupPlan, web: Client) -> None:
    response = web.post(_url("reject_plan", draft), {"reason": "  "})
    assert response.status_code == 400
    assert f"Say why Plan {draft.pk} is rejected" in response.text
    assert "Nothing was changed." in response.text
    draft.refresh_from_db()
    assert draft.state is PlanState.DRAFT


def test_a_refused_rejection_keeps_its_reason(draft: CleanupPlan, signed_in: SignedIn) -> None:
    response = signed_in("Operator").post(_url("reject_plan", draft), {"reason": "too <late>"})
    assert response.status_code == 403
    assert f"Start {draft.short_hash}" in response.text
    approver = signed_in("Approver")
    again = approver.post(_url("approve_plan", draft), {"hash": "x", "reason": "too <late>"})
    assert again.status_code == 409
    assert 'value="too &lt;late&gt;"' in again.text


def test_a_refused_draft_shows_the_account_with_the_tried_threshold(
    web: Client, now: datetime
) -> None:
    account = builders.account("rich", now=now)
    builders.snapshot(account, at=now, holdings=[builders.holding("SOL", "1", "186")])
    address = reverse("positions:draft_plan", args=["rich"])
    response = web.post(address, {"threshold": "2.50"})
    assert response.status_code == 409
    assert "Nothing to plan" in response.text
    assert 'value="2.50"' in response.text
    assert 'data-at="/accounts/rich/"' in response.text
    assert 'href="?' not in response.text
    bad = web.post(address, {"threshold": "abc"})
    assert bad.status_code == 400
    assert 'value="abc"' in bad.text


def test_a_draft_of_an_account_without_a_snapshot_is_refused_on_its_page(
    web: Client, now: datetime
) -> None:
    builders.account("fresh", now=now)
    response = web.post(reverse("positions:draft_plan", args=["fresh"]))
    assert response.status_code == 409
    assert "fresh has no snapshot yet. Take one first." in response.text


# --- Approval -----------------------------------------------------------------------------------


def test_the_author_sees_why_they_can_not_approve(
    awaiting: CleanupPlan, web: Client, operator: User
) -> None:
    why = "You drafted this plan: a second person must approve it."
    assert why in web.get(_url("plan_detail", awaiting)).text
    operator.groups.add(Group.objects.get(name="Approver"))
    text = web.get(_url("plan_detail", awaiting)).text
    assert why in text
    assert "Approve " + awaiting.short_hash not in text
    refused = web.post(_url("approve_plan", awaiting), {"hash": awaiting.hash})
    assert refused.status_code == 409
    assert "You drafted this plan, so somebody else has to approve it." in refused.text


def test_an_approver_approves_and_starts_in_one_step(
    awaiting: CleanupPlan, signed_in: SignedIn
) -> None:
    approver = signed_in("Approver")
    text = approver.get(_url("plan_detail", awaiting)).text
    assert f"Approve {awaiting.short_hash} and start: 6 positions worth $2.11" in text
    assert f"Approve {awaiting.short_hash} only" in text
    approver.post(_url("approve_plan", awaiting), {"hash": awaiting.hash, "then": "start"})
    awaiting.refresh_from_db()
    assert awaiting.state is PlanState.RUNNING
    kinds = list(awaiting.events.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["plan.drafted", "plan.awaits_approval", "plan.approved", "plan.started"]


def test_an_approval_alone_starts_nothing(awaiting: CleanupPlan, signed_in: SignedIn) -> None:
    signed_in("Approver").post(_url("approve_plan", awaiting), {"hash": awaiting.hash})
    awaiting.refresh_from_db()
    assert awaiting.state is PlanState.APPROVED


def test_another_operator_sees_who_has_to_approve(
    awaiting: CleanupPlan, signed_in: SignedIn
) -> None:
    text = signed_in("Operator").get(_url("plan_detail", awaiting)).text
    assert "Somebody who may approve plans has to approve it." in text


def test_an_approved_live_plan_tells_an_operator_who_may_start_it(
    web: Client, operator: User, signed_in: SignedIn, now: datetime, settings: Any
) -> None:
    settings.DUSTADMIN_LIVE_TRADING = True
    account = builders.account("real", now=now, environment="live")
    builders.snapshot(account, at=now)
    plan = builders.draft(account, by=operator, now=now)
    text = web.get(_url("plan_detail", plan)).text
    assert "Live money needs the approval of a person who may give it." in text
    approver = signed_in("Approver")
    approver.post(_url("approve_plan", plan), {"hash": plan.hash})
    assert "a person who may approve has to start it" in web.get(_url("plan_detail", plan)).text
    refused = web.post(_url("start_plan", plan), {"hash": plan.hash})
    assert refused.status_code == 403
    assert f"Start {plan.short_hash}" in approver.get(_url("plan_detail", plan)).text
