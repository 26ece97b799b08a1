"""The kill switch in the history: shown to all, leading to the one page that does it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from positions.models import AuditEvent, CleanupPlan, ExchangeAccount, Halt
from positions.services import stops
from positions.services.actors import Actor
from tests.admin.conftest import started
from tests.admin.test_history import listing, page
from tests.commands import builders

SERVICE = Actor.service("test")
Enter = Callable[[str], Client]


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return builders.account("demo")


@pytest.fixture
def enter(db: None) -> Enter:
    """Return what signs a new member of a group in."""

    def entered(group: str) -> Client:
        client = Client()
        client.force_login(builders.person(group.lower(), group))
        return client

    return entered


def button(text: str, words: str) -> str | None:
    """Return where a link of these words leads; None if there is none."""
    found = re.search(rf'<a href="([^"]+)">{words}</a>', text)
    return found.group(1) if found else None


def everywhere(account: ExchangeAccount) -> list[tuple[str, str, ExchangeAccount | None]]:
    """Return every page with a switch: its address, the button's words, what it stops."""
    return [
        (listing(Halt), "Stop all", None),
        (page(account), "Stop demo", account),
        (page(account), "Stop all", None),
    ]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("group", ["Operator", "Approver", "Administrator"])
def test_the_buttons_lead_to_the_panels_page_that_asks_and_stops(
    account: ExchangeAccount, enter: Enter, group: str, which: int
) -> None:
    client = enter(group)
    plan = started(account, actor=SERVICE, assets=["DOGE"])
    shown_at, words, halted = everywhere(account)[which]
    way = button(client.get(shown_at).text, words)
    assert way is not None
    asked = client.get(way)
    assert "DOGE" in asked.text  # what would stay unsent
    assert not Halt.objects.exists()
    client.post(way, {"reason": "Odd fills"})
    halt = Halt.objects.get()
    assert (halt.account, halt.reason, halt.placed_by_name) == (halted, "Odd fills", group.lower())
    plan.refresh_from_db()
    assert plan.status == "HALTED"
    assert plan.status_note == (
        f"{group.lower()} stopped {'demo' if halted else 'everything'}: Odd fills"
    )


@pytest.mark.parametrize("which", range(3))
def test_a_viewer_sees_the_switch_and_may_not_press_it(
    account: ExchangeAccount, enter: Enter, which: int
) -> None:
    shown_at, words, halted = everywhere(account)[which]
    viewer = enter("Viewer")
    text = viewer.get(shown_at).text
    assert button(text, words) is None
    assert "You may not stop trading. Ask an operator." in text
    refused = viewer.post(_stop(halted))
    assert refused.status_code == 403
    assert "viewer may not stop trading." in refused.text
    assert not Halt.objects.exists()


@pytest.mark.parametrize("everything", [True, False])
@pytest.mark.parametrize(
    ("group", "releases"),
    [("Viewer", False), ("Operator", False), ("Approver", True), ("Administrator", True)],
)
def test_only_an_approver_releases_and_everybody_sees_the_reason(
    account: ExchangeAccount, enter: Enter, group: str, everything: bool, releases: bool
) -> None:
    scope = None if everything else account
    stops.halt_everything(scope, reason="Odd fills", actor=SERVICE, now=timezone.now())
    client = enter(group)
    for address in (listing(Halt), page(account)):
        text = client.get(address).text
        what = "Everything" if everything else "demo"
        assert f"{what} is stopped." in text
        assert "Odd fills" in text
        words = "Release the stop" + ("" if everything else " of demo")
        assert (button(text, words) == _stop(scope)) is releases
        assert ("An approver has to release it." in text) is not releases
    release = _stop(scope) + "release/"
    response = client.post(release)
    if releases:
        assert response.status_code == 302
        assert Halt.objects.get().released_by_name == group.lower()
        assert AuditEvent.objects.latest("pk").kind == "halt.released"
        assert "is stopped." not in client.get(listing(Halt)).text
    else:
        assert response.status_code == 403
        assert f"{group.lower()} may not release the kill switch." in response.text
        assert Halt.objects.filter(released_at=None).exists()


def test_every_page_of_the_history_says_that_everything_is_stopped(
    as_root: Client, history: CleanupPlan
) -> None:
    for address in (reverse("admin:index"), listing(AuditEvent), page(history)):
        assert "Everything is stopped." not in as_root.get(address).text
    stops.halt_everything(None, reason="", actor=SERVICE, now=timezone.now())
    for address in (reverse("admin:index"), listing(AuditEvent), page(history)):
        text = as_root.get(address).text
        assert text.count("Everything is stopped.") == 1
        assert button(text, "See what is stopped") == _stop(None)


def test_stops_are_filtered_by_whether_they_still_hold(
    as_root: Client, account: ExchangeAccount
) -> None:
    root = Actor.person(as_root.get("/").context["user"])
    stops.halt_everything(account, reason="first", actor=SERVICE, now=timezone.now())
    stops.release_stop(account, actor=root, now=timezone.now())
    stops.halt_everything(None, reason="second", actor=SERVICE, now=timezone.now())
    for choice, reasons in {"yes": ["second"], "no": ["first"]}.items():
        response = as_root.get(listing(Halt), {"in_force": choice})
        assert [halt.reason for halt in response.context["cl"].result_list] == reasons


def test_the_pages_with_switches_keep_their_query_budgets(
    as_root: Client, account: ExchangeAccount, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        other = builders.account(f"other-{number}")
        stops.halt_everything(other, reason="Odd", actor=SERVICE, now=timezone.now())
    with django_assert_max_num_queries(12):
        assert "other-11 is stopped." in as_root.get(listing(Halt)).text
    with django_assert_max_num_queries(12):
        as_root.get(page(account))


def _stop(account: ExchangeAccount | None) -> str:
    if account is None:
        return reverse("positions:stop_all")
    return reverse("positions:stop_account", args=[account.slug])
