"""What holds for every page: the query budget, the security policy, one heading, no float."""

from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.bots import claim, hire_bot, lease
from tests.web import builders

HTMX = {"HX-Request": "true"}
MOST_QUERIES = 10
HOLES = ("None", "{{", "{%", "NaN", "Decimal(")
# It also walks the audit chain, and looks for what other plans sold in the same time.
MOST_QUERIES_OF = {"result": 12}


class Page(HTMLParser):
    """Collect what a security policy forbids, and what a reader needs."""

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__()
        self.forbidden: list[str] = []
        self.headings = 0
        self.ids: list[str] = []
        self._inline = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = dict(attrs)
        self.headings += tag == "h1"
        self.ids.extend(value for name, value in attrs if name == "id" and value)
        if tag == "style" or (tag == "script" and "src" not in found):
            self.forbidden.append(tag)
        self.forbidden.extend(
            f"{tag} {name}"
            for name in found
            if name == "style" or name.startswith("on") or name.startswith("hx-on")
        )
        if (found.get("href") or "").startswith("javascript:"):
            self.forbidden.append(f"{tag} href")


@pytest.fixture
def addresses(operator: User, now: datetime) -> dict[str, tuple[str, dict[str, str]]]:
    """Return every page and fragment in every state, over several accounts."""
    found: dict[str, tuple[str, dict[str, str]]] = {"accounts": ("/", {})}
    for slug, environment in (("one", "sandbox"), ("two", "live"), ("three", "testnet")):
        account = builders.account(slug, now=now, environment=environment)
        builders.snapshot(account, at=now, holdings=builders.reference(pepe_locked=True))
        builders.snapshot(account, at=now)
    builders.failed_snapshot(account, at=now)
    builders.account("fresh", now=now)
    running = builders.account("running", now=now)
    builders.snapshot(running, at=now)
    plan = builders.started(running, by=operator, now=now)
    builders.every_state(plan, now=now)
    ended = builders.account("ended", now=now)
    builders.snapshot(ended, at=now)
    result = builders.finished(ended, by=operator, now=now)
    bot = hire_bot(result.account, running, now=now)
    lease(result.account, "NEW", bot=bot, now=now)
    claim(result.account, "KEPT", bot=bot, now=now)
    draft = builders.draft(builders.ExchangeAccount.objects.get(slug="one"), by=operator, now=now)
    builders.snapshot(draft.account, at=now)
    found |= {
        "account": ("/accounts/one/?sort=-net&category=DUST", {}),
        "account after a failure": ("/accounts/three/", {}),
        "account with bots": ("/accounts/ended/", {}),
        "account never read": ("/accounts/fresh/", {}),
        "positions": ("/accounts/one/?route=SELL", HTMX | {"HX-Target": "positions"}),
        "what-if": (reverse("positions:what_if", args=["one"]) + "?threshold=2", HTMX),
        "bad what-if": (reverse("positions:what_if", args=["one"]) + "?threshold=x", HTMX),
        "snapshot": (reverse("positions:snapshot_status", args=["one"]), HTMX),
        "policy": ("/accounts/one/policy/?left=1&right=1", {}),
        "stop": ("/stop/", {}),
        "stop account": ("/accounts/one/stop/", {}),
        "preview": (f"/plans/{draft.pk}/", {}),
        "running": (f"/plans/{plan.pk}/", {}),
        "progress": (f"/plans/{plan.pk}/progress/?since=0", HTMX),
        "result": (f"/plans/{result.pk}/", {}),
        "report": (f"/plans/{result.pk}/report.csv", {}),
        "order": (f"/orders/{plan.orders.get(asset='XRP').pk}/", {}),
        "order progress": (f"/orders/{plan.orders.get(asset='XRP').pk}/progress/", HTMX),
        "ended order": (f"/orders/{result.orders.get(asset='XRP').pk}/", {}),
        "bots": ("/bots/", {}),
        "refused": ("/accounts/one/?threshold=99", {}),
    }
    return found


def test_every_page_keeps_its_query_budget(
    addresses: dict[str, tuple[str, dict[str, str]]],
    web: Client,
    django_assert_max_num_queries: Any,
) -> None:
    for name, (address, headers) in addresses.items():
        most = MOST_QUERIES_OF.get(name, MOST_QUERIES)
        with django_assert_max_num_queries(most, info=name):
            response = web.get(address, headers=headers)
        assert response.status_code in {200, 400}, name


def test_no_page_carries_an_inline_style_or_script(
    addresses: dict[str, tuple[str, dict[str, str]]], web: Client
) -> None:
    for name, (address, headers) in addresses.items():
        response = web.get(address, headers=headers)
        if response["Content-Type"].startswith("text/html"):
            page = Page(response.text)
            assert page.forbidden == [], name
            assert len(page.ids) == len(set(page.ids)), (name, page.ids)
            if not headers:
                assert page.headings == 1, name
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_no_page_leaves_a_template_hole(
    addresses: dict[str, tuple[str, dict[str, str]]], web: Client
) -> None:
    for name, (address, headers) in addresses.items():
        text = web.get(address, headers=headers).text
        for hole in HOLES:
            assert hole not in text, (name, hole)


def test_the_overview_sums_live_accounts_only_and_says_who_is_missing(
    web: Client, now: datetime
) -> None:
    assert "No account yet" in web.get("/").text
    builders.snapshot(builders.account("play", now=now), at=now)
    text = web.get("/").text
    assert "There is no live account." in text
    assert "Free slots, live accounts" not in text
    builders.snapshot(builders.account("real", now=now, environment="live"), at=now)
    builders.account("dark", now=now, environment="live")
    text = web.get("/").text
    assert "6 <small>of 8</small>" in text
    assert "dark unknown, not counted" in text
    table = text[text.index('id="accounts"') :]
    assert table.index(">dark<") < table.index(">real<")


def test_the_overview_filters_by_environment_and_name(web: Client, now: datetime) -> None:
    for slug, environment in (("play", "sandbox"), ("real", "live")):
        builders.snapshot(builders.account(slug, now=now, environment=environment), at=now)
    headers = HTMX | {"HX-Target": "accounts"}
    live = web.get("/", {"environment": "live"}, headers=headers).text
    assert live.lstrip().startswith('<section class="panel" id="accounts"')
    assert ">play<" not in live
    assert ">play<" in web.get("/", {"find": "PLA"}).text
    assert "No account matches" in web.get("/", {"find": "zzz"}).text


def test_a_stopped_account_is_said_everywhere(web: Client, now: datetime) -> None:
    builders.snapshot(builders.account("desk", now=now), at=now)
    web.post("/accounts/desk/stop/", {"reason": "odd"})
    assert "desk is stopped" in web.get("/").text
    assert "desk is stopped" in web.get("/accounts/desk/").text
