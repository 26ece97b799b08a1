"""Who may see and do what on pages."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client
from django.urls import reverse

from positions.domain.plans import PlanState
from positions.models import CleanupPlan, DustPolicy, ExchangeAccount, Halt
from tests.web import builders

SignedIn = Callable[..., Client]


def _pages(account: ExchangeAccount, plan: CleanupPlan) -> list[str]:
    slug, pk = account.slug, plan.pk
    return [
        reverse("positions:account_list"),
        reverse("positions:account_detail", args=[slug]),
        reverse("positions:what_if", args=[slug]),
        reverse("positions:policy_detail", args=[slug]),
        reverse("positions:plan_detail", args=[pk]),
        reverse("positions:plan_report", args=[pk]),
        reverse("positions:bot_list"),
        reverse("positions:stop_all"),
        reverse("positions:stop_account", args=[slug]),
    ]


# Only administrators see these pages, so that a viewer's 403 is the page itself.
ADMINISTRATORS_PAGES = [
    ("connect_account", ""),
    ("replace_key", "slug"),
    ("disable_account", "slug"),
    ("accept_unverified", "slug"),
]
ADMINISTRATORS_POSTS = [
    ("connect_account", "", {"do": "connect"}),
    ("replace_key", "slug", {"do": "replace", "api_key": "k", "api_secret": "s"}),
    ("disable_account", "slug", {"reason": "x"}),
    ("enable_account", "slug", {}),
    ("accept_unverified", "slug", {}),
]
POSTS = [
    ("take_snapshot", "slug", {}),
    ("set_threshold", "slug", {"threshold": "0.5"}),
    ("protect_asset", "slug", {"asset": "SOL", "reason": "long term"}),
    ("unprotect_asset", "slug", {"asset": "SOL", "reason": "sold"}),
    ("ignore_asset", "slug", {"asset": "SOL", "reason": "delisted"}),
    ("unignore_asset", "slug", {"asset": "SOL", "reason": "listed again"}),
    ("policy_detail", "slug", {"dust_threshold": "2", "version": "1", "note": "x"}),
    ("draft_plan", "slug", {"threshold": "1.00"}),
    ("draft_enforcement_plan", "slug", {}),
    ("stop_account", "slug", {}),
    ("release_account_stop", "slug", {}),
    ("start_plan", "pk", {}),
    ("approve_plan", "pk", {}),
    ("reject_plan", "pk", {}),
    ("pause_plan", "pk", {}),
    ("resume_plan", "pk", {}),
    ("halt_plan", "pk", {}),
    ("stop_all", "", {}),
    ("release_stop", "", {}),
]


def _address(name: str, key: str, account: ExchangeAccount, plan: CleanupPlan) -> str:
    args = {"slug": [account.slug], "pk": [plan.pk], "": []}[key]
    return reverse(f"positions:{name}", args=args)


@pytest.fixture
def plan(desk: ExchangeAccount, operator: object, now: datetime) -> CleanupPlan:
    """Return a draft of somebody else's."""
    return builders.draft(desk, by=operator, now=now)  # type: ignore[arg-type]


def test_without_sign_in_every_page_leads_to_the_sign_in(
    desk: ExchangeAccount, plan: CleanupPlan, client: Client
) -> None:
    hidden = [_address(name, key, desk, plan) for name, key in ADMINISTRATORS_PAGES]
    for address in _pages(desk, plan) + hidden:
        response = client.get(address)
        assert response.status_code == 302, address
        assert response["Location"].startswith("/auth/"), address


def test_a_fragment_without_sign_in_loads_the_whole_page_again(
    desk: ExchangeAccount, client: Client
) -> None:
    address = reverse("positions:what_if", args=[desk.slug])
    response = client.get(address, headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert b"what-if" not in response.content


def test_a_person_without_a_group_sees_nothing(
    desk: ExchangeAccount, plan: CleanupPlan, signed_in: SignedIn
) -> None:
    web = signed_in(None)
    for address in _pages(desk, plan):
        response = web.get(address)
        assert response.status_code == 403, address
        assert "Ask an administrator" in response.text


def test_a_viewer_sees_every_page_and_can_press_nothing(
    desk: ExchangeAccount, plan: CleanupPlan, signed_in: SignedIn
) -> None:
    web = signed_in("Viewer")
    for address in _pages(desk, plan):
        assert web.get(address).status_code == 200, address
    for name, key, data in POSTS:
        response = web.post(_address(name, key, desk, plan), data | {"hash": plan.hash})
        assert response.status_code == 403, name
        assert "may not" in response.text
    plan.refresh_from_db()
    assert plan.state is PlanState.DRAFT
    assert DustPolicy.objects.filter(account=desk).count() == 1
    assert not Halt.objects.exists()


@pytest.mark.parametrize("group", [None, "Viewer", "Operator", "Approver", "Administrator"])
def test_only_an_administrator_sees_and_reaches_what_connects_accounts(
    desk: ExchangeAccount, plan: CleanupPlan, signed_in: SignedIn, group: str | None
) -> None:
    web = signed_in(group)
    may = group == "Administrator"
    for name, key in ADMINISTRATORS_PAGES:
        response = web.get(_address(name, key, desk, plan))
        assert response.status_code == (200 if may else 403), name
        assert may or "Ask an administrator" in response.text
    for name, key, data in ADMINISTRATORS_POSTS:
        response = web.post(_address(name, key, desk, plan), data)
        assert (response.status_code == 403) is not may, name
    desk.refresh_from_db()
    assert desk.is_enabled
    assert ("Replace its key" in web.get(f"/accounts/{desk.slug}/").text) is may
    assert ("Connect account" in web.get("/").text) is may


def test_an_operator_can_stop_but_only_an_approver_can_release(
    desk: ExchangeAccount, signed_in: SignedIn
) -> None:
    operator, approver = signed_in("Operator"), signed_in("Approver")
    assert operator.post(reverse("positions:stop_all"), {"reason": "odd fills"}).status_code == 302
    assert Halt.objects.filter(account=None, released_at=None).exists()
    assert "Everything is stopped" in operator.get("/").text
    assert operator.post(reverse("positions:release_stop")).status_code == 403
    assert approver.post(reverse("positions:release_stop")).status_code == 302
    assert not Halt.objects.filter(released_at=None).exists()


def test_changes_need_a_post(desk: ExchangeAccount, plan: CleanupPlan, web: Client) -> None:
    for name, key, _ in POSTS:
        if name not in {"stop_all", "stop_account", "policy_detail"}:
            assert web.get(_address(name, key, desk, plan)).status_code == 405, name


def test_unknown_ids_are_not_found(web: Client) -> None:
    for address in (
        "/accounts/nowhere/",
        "/accounts/nowhere/what-if/",
        "/accounts/nowhere/stop/",
        "/plans/999/",
        "/plans/99999999999999999999999/",
        "/plans/999/report.csv",
        "/plans/999/progress/",
    ):
        assert web.get(address).status_code == 404, address
    assert web.post("/accounts/nowhere/plans/").status_code == 404
    assert web.post("/plans/999/start/").status_code == 404
