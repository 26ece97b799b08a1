"""Connecting, re-keying and disabling accounts on pages, against a real sandbox exchange."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver

from positions.domain.plans import PlanState
from positions.exchanges.profiles.keys import GUIDES
from positions.models import AuditEvent, ExchangeAccount
from positions.services.accounts import RESERVED_SLUGS
from tests.exchange_process import SandboxProcess
from tests.trading import connect
from tests.web import builders
from tests.web.test_every_page import HOLES, MOST_QUERIES, Page

SignedIn = Callable[..., Client]
CONNECT = "/accounts/connect/"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process", "valkey")]


@pytest.fixture
def admin(signed_in: SignedIn) -> Client:
    """Return an administrator's client."""
    return signed_in("Administrator")


@pytest.fixture
def sandbox(exchange: SandboxProcess, settings: Any) -> SandboxProcess:
    """Let the operator's configuration name the sandbox."""
    settings.DUSTADMIN_EXCHANGE_BASE_URLS = {"binance": exchange.base_url}
    return exchange


def entered(keys: dict[str, str], **changes: str) -> dict[str, str]:
    """Return what a person enters and sends with `do`."""
    return {
        "do": "connect",
        "exchange": "binance",
        "environment": "sandbox",
        "slug": "bots",
        "quote": "usdt",
        "passphrase": "",
        **keys,
        **changes,
    }


# --- Connect --------------------------------------------------------------------------------------


def test_no_account_can_hide_a_page_and_no_page_an_account() -> None:
    routes = [str(item.pattern) for item in get_resolver("positions.urls").url_patterns]
    under = {route.split("/")[1] for route in routes if route.startswith("accounts/")}
    assert {word for word in under if word and not word.startswith("<")} == RESERVED_SLUGS


def test_the_form_says_which_rights_the_key_needs(admin: Client, sandbox: SandboxProcess) -> None:
    text = admin.get(CONNECT).text
    assert "Choose the exchange to see what it calls these rights." in text
    assert "A sandbox account can be connected at: Binance." in text
    for exchange, guide in GUIDES.items():
        page = admin.get(CONNECT, {"exchange": exchange}).text
        guidance = page[page.index('id="key-guide"') :]
        for right in (*guide.needed, *guide.never):
            assert right.replace("&", "&amp;") in guidance
        hidden = 'id="passphrase" hidden' in page
        assert hidden is not guide.has_passphrase, exchange
    assert f"to <code>{sandbox.base_url}</code>" in admin.get(CONNECT, {"exchange": "binance"}).text


def test_without_a_sandbox_address_the_page_says_so(admin: Client) -> None:
    assert "No sandbox account can be connected now" in admin.get(CONNECT).text
    keys = {"api_key": "k", "api_secret": "s"}
    response = admin.post(CONNECT, entered(keys))
    assert response.status_code == 400
    assert 'href="#id_environment"' in response.text
    assert "A sandbox account can only reach this machine." in response.text


def test_an_exchange_without_a_test_network_says_so(admin: Client) -> None:
    sent = entered({"api_key": "k", "api_secret": "s"}, exchange="kraken", environment="testnet")
    response = admin.post(CONNECT, sent)
    assert response.status_code == 400
    assert "Kraken has no test network." in response.text
    assert 'href="#id_environment"' in response.text


def test_a_base_url_is_never_a_persons(admin: Client, sandbox: SandboxProcess) -> None:
    keys = sandbox.credentials()
    admin.post(CONNECT, entered(keys, base_url="http://127.0.0.1:9", environment="live"))
    assert ExchangeAccount.objects.get(slug="bots").base_url == sandbox.base_url


def test_a_test_shows_each_check_and_writes_nothing(admin: Client, sandbox: SandboxProcess) -> None:
    response = admin.post(CONNECT, entered(sandbox.credentials(), do="test"))
    assert response.status_code == 200
    assert "The key works" in response.text
    for name in ("Exchange and clock", "Markets", "May not withdraw", "May read", "Balances"):
        assert f"{name}:" in response.text
    assert not ExchangeAccount.objects.exists()
    assert not AuditEvent.objects.exists()


def test_connecting_keeps_the_account_and_asks_for_its_first_snapshot(
    admin: Client, sandbox: SandboxProcess
) -> None:
    response = admin.post(CONNECT, entered(sandbox.credentials()), follow=True)
    assert response.redirect_chain[-1][0] == "/accounts/bots/"
    assert "bots is connected." in response.text
    account = ExchangeAccount.objects.get(slug="bots")
    assert (account.quote, account.environment) == ("USDT", "sandbox")
    assert account.snapshot_due_at is not None
    assert "Not read yet" in response.text


def test_a_key_that_may_withdraw_is_refused_with_what_to_do(
    admin: Client, sandbox: SandboxProcess
) -> None:
    sandbox.control("POST", "permissions", {"enableWithdrawals": True})
    response = admin.post(CONNECT, entered(sandbox.credentials()))
    assert response.status_code == 400
    assert "The key was refused" in response.text
    assert "This key may withdraw." in response.text
    assert "switch off: Enable Withdrawals" in response.text
    assert not ExchangeAccount.objects.exists()


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("exchange", "", "Choose an exchange."),
        ("exchange", "mtgox", "valid choice"),
        ("environment", "production", "valid choice"),
        ("slug", "", "Enter a name"),
        ("slug", "Desk One", "lower-case letters"),
        ("slug", "connect", "name of a page here"),
        ("quote", "DOGE", "cash asset"),
        ("quote", "GBP", "no market against GBP"),
        ("api_key", "", "Enter the API key."),
        ("api_secret", "", "Enter the API secret."),
        ("api_secret", "schlüssel", "characters that no exchange uses"),
    ],
)
def test_bad_input_names_its_field_and_loses_nothing_but_the_secrets(
    admin: Client, sandbox: SandboxProcess, field: str, text: str, sentence: str
) -> None:
    sent = entered(sandbox.credentials(), slug="my-desk") | {field: text}
    response = admin.post(CONNECT, sent)
    assert response.status_code == 400
    summary = response.text[response.text.index('class="error-summary"') :][:800]
    assert f'href="#id_{field}"' in summary
    assert sentence in summary
    assert "data-focus-on-load" in summary
    if field != "slug":
        assert 'value="my-desk"' in response.text
    for name in ("api_key", "api_secret", "passphrase"):
        box = response.text[response.text.index(f'name="{name}"') :].split(">")[0]
        assert "value=" not in box
        assert 'autocomplete="off"' in box
    assert not ExchangeAccount.objects.exists()


def test_a_name_or_key_that_is_taken_is_said_at_its_field(
    admin: Client, sandbox: SandboxProcess
) -> None:
    connect(sandbox, slug="bots")
    taken = admin.post(CONNECT, entered({"api_key": "k", "api_secret": "s"}))
    assert "There is an account &#x27;bots&#x27; already." in taken.text
    same = admin.post(CONNECT, entered(sandbox.credentials(), slug="other"))
    assert "in use by the account &#x27;bots&#x27;" in same.text
    assert 'href="#id_api_key"' in same.text


def test_no_secret_reaches_a_page_a_message_or_a_log(
    admin: Client, sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = sandbox.credentials()
    wrong = {"api_key": good["api_key"], "api_secret": "typed-wrong-" * 5}
    phrase = {"passphrase": "my-passphrase-text"}
    said = ""
    for sent in (
        entered(wrong, do="test", **phrase),
        entered(good, do="test", quote="GBP", **phrase),
        entered(good, slug="", **phrase),
        entered(good, **phrase),
        entered(good, slug="again", **phrase),
    ):
        response = admin.post(CONNECT, sent)
        said += response.text + str(response.headers) + str(response.cookies)
    said += admin.get("/accounts/bots/").text + admin.get("/accounts/bots/key/").text
    new = sandbox.control("POST", "keys/replace", {})
    for do in ("test", "replace"):
        response = admin.post("/accounts/bots/key/", {"do": do, **new, **phrase})
        said += response.text + str(response.headers) + str(response.cookies)
    said += admin.get("/accounts/bots/").text + caplog.text
    said += repr(list(AuditEvent.objects.values()))
    for secret in (*good.values(), *new.values(), *wrong.values(), *phrase.values()):
        assert secret not in said
    account = ExchangeAccount.objects.get(slug="bots")
    assert account.key_fingerprint not in said
    for secret in (*good.values(), *new.values(), *phrase.values()):
        assert secret.encode() not in bytes(account.credentials)


# --- A new key ------------------------------------------------------------------------------------


@pytest.fixture
def bots(sandbox: SandboxProcess) -> ExchangeAccount:
    """Return a connected account."""
    return connect(sandbox, slug="bots")


def test_a_new_key_is_tested_and_then_takes_the_old_ones_place(
    admin: Client, sandbox: SandboxProcess, bots: ExchangeAccount
) -> None:
    page = admin.get("/accounts/bots/key/").text
    assert f"<code>{bots.key_fingerprint[:8]}</code>" in page
    assert 'name="passphrase"' not in page
    new = sandbox.control("POST", "keys/replace", {})
    tested = admin.post("/accounts/bots/key/", {"do": "test", **new})
    assert tested.status_code == 200
    assert "Same account:" in tested.text
    assert ExchangeAccount.objects.get().key_fingerprint == bots.key_fingerprint
    done = admin.post("/accounts/bots/key/", {"do": "replace", **new}, follow=True)
    assert "bots has its new key." in done.text
    assert ExchangeAccount.objects.get().key_fingerprint != bots.key_fingerprint


def test_a_key_of_another_account_has_to_be_meant(
    admin: Client, sandbox: SandboxProcess, bots: ExchangeAccount
) -> None:
    new = sandbox.control("POST", "accounts", {"balances": {"ADA": "5"}})
    refused = admin.post("/accounts/bots/key/", {"do": "replace", **new})
    assert refused.status_code == 400
    assert 'href="#id_moves"' in refused.text
    assert "opens another account" in refused.text
    meant = admin.post("/accounts/bots/key/", {"do": "replace", "moves": "on", **new})
    assert meant.status_code == 302


def test_a_refused_key_leaves_the_old_one(
    admin: Client, sandbox: SandboxProcess, bots: ExchangeAccount
) -> None:
    new = sandbox.control(
        "POST", "accounts", {"balances": {}, "permissions": {"enableWithdrawals": True}}
    )
    response = admin.post("/accounts/bots/key/", {"do": "replace", "moves": "on", **new})
    assert response.status_code == 400
    assert "This key may withdraw." in response.text
    empty = admin.post("/accounts/bots/key/", {})
    assert empty.status_code == 400
    assert "Enter the API key." in empty.text
    assert ExchangeAccount.objects.get().key_fingerprint == bots.key_fingerprint


def test_no_key_changes_while_a_plan_runs_and_the_page_says_why(
    admin: Client, desk: ExchangeAccount, operator: User, now: datetime
) -> None:
    plan = builders.started(desk, by=operator, now=now)
    page = admin.get("/accounts/desk-one/key/").text
    assert f"Plan {plan.pk} of desk-one is running. Pause it first" in page
    response = admin.post(
        "/accounts/desk-one/key/", {"do": "replace", "api_key": "k", "api_secret": "s"}
    )
    assert response.status_code == 409
    assert f"Plan {plan.pk} of desk-one is running." in response.text


# --- Out of use and back --------------------------------------------------------------------------


def test_disabling_says_first_what_it_does_and_halts_what_runs(
    admin: Client, desk: ExchangeAccount, operator: User, now: datetime
) -> None:
    plan = builders.started(desk, by=operator, now=now)
    page = admin.get("/accounts/desk-one/disable/").text
    assert "Plans that run or are paused are halted at once" in page
    assert "6 orders" in page
    assert "1 plan halted" in page
    empty = admin.post("/accounts/desk-one/disable/", {"reason": " "})
    assert empty.status_code == 400
    assert 'href="#reason"' in empty.text
    assert ExchangeAccount.objects.get().is_enabled
    done = admin.post("/accounts/desk-one/disable/", {"reason": "audit"}, follow=True)
    assert "desk-one is disabled: it is not read any more. 1 plan was halted." in done.text
    plan.refresh_from_db()
    assert plan.state is PlanState.HALTED


def test_the_slots_of_a_disabled_account_are_unknown_everywhere(
    admin: Client, web: Client, desk: ExchangeAccount
) -> None:
    admin.post("/accounts/desk-one/disable/", {"reason": "leaving <this> exchange"})
    page = web.get("/accounts/desk-one/").text
    assert "desk-one is disabled." in page
    assert "leaving &lt;this&gt; exchange" in page
    assert '<p class="stat-value">Unknown</p>' in page
    assert "Take snapshot" not in page
    assert "Draft cleanup plan" in page
    assert "Not possible: the account is disabled." in page
    overview = web.get("/").text
    assert "Disabled" in overview
    assert ">unknown</span>" in overview
    assert 'id="needs"' not in overview
    for refused in (
        web.post("/accounts/desk-one/snapshot/"),
        web.post("/accounts/desk-one/plans/", {"threshold": "1"}),
    ):
        assert refused.status_code == 409
        assert "desk-one is disabled" in refused.text
    back = admin.post("/accounts/desk-one/enable/", follow=True)
    assert "desk-one is enabled." in back.text
    assert "6 <small>of 8 free</small>" in web.get("/accounts/desk-one/").text


def test_an_account_that_the_product_disabled_needs_a_person(
    admin: Client, web: Client, desk: ExchangeAccount, now: datetime
) -> None:
    ExchangeAccount.objects.update(
        is_enabled=False,
        disabled_reason="This key may withdraw.",
        disabled_by_name="scheduler",
        disabled_at=now,
    )
    for client, way_out in ((admin, "/accounts/desk-one/key/"), (web, "/accounts/desk-one/")):
        text = client.get("/").text
        assert "desk-one was disabled: This key may withdraw." in text
        needs = text[text.index('id="needs"') : text.index('id="accounts"')]
        assert f'href="{way_out}"' in needs


def test_the_pages_keep_their_query_budget_and_the_rules_of_every_page(
    admin: Client, desk: ExchangeAccount, django_assert_max_num_queries: Any
) -> None:
    for address in (CONNECT, "/accounts/desk-one/key/", "/accounts/desk-one/disable/"):
        with django_assert_max_num_queries(MOST_QUERIES):
            response = admin.get(address)
        assert response.status_code == 200
        page = Page(response.text)
        assert (page.forbidden, page.headings) == ([], 1), address
        assert len(page.ids) == len(set(page.ids)), address
        assert not any(hole in response.text for hole in HOLES), address


# --- Exchanges whose orders nobody verified -------------------------------------------------------


def test_a_person_accepts_unverified_orders_on_a_page_that_says_what_it_means(
    admin: Client, desk: ExchangeAccount
) -> None:
    assert "Accept unverified orders" not in admin.get("/accounts/desk-one/").text
    assert "Orders are verified at binance." in admin.get("/accounts/desk-one/unverified/").text
    ExchangeAccount.objects.update(exchange="mexc")
    assert 'href="/accounts/desk-one/unverified/"' in admin.get("/accounts/desk-one/").text
    page = admin.get("/accounts/desk-one/unverified/").text
    assert "it is not sent again, and waits for a person" in page
    done = admin.post("/accounts/desk-one/unverified/", follow=True).text
    assert "Plans of desk-one can start, although orders are not verified there." in done
    assert "Accept unverified orders" not in done
    assert "accepted at" in admin.get("/accounts/desk-one/unverified/").text
