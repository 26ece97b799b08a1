"""Bots are let in and shut out on their page, and what they hold is ended on the account's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from positions.models import AuditEvent, BotToken, ExchangeAccount, Lease, LeaseEnd
from positions.services import tokens
from positions.services.actors import Actor
from tests.bots import claim, hire_bot, lease
from tests.web import builders
from tests.web.test_every_page import HOLES, MOST_QUERIES, Page

SignedIn = Callable[..., Client]
BOTS = "/bots/"
TEXT = re.compile(r"dust_[0-9a-f]{12}_[\w-]{43}")
GROUPS = ["Viewer", "Operator", "Approver", "Administrator"]


@pytest.fixture
def admin(signed_in: SignedIn) -> Client:
    """Return an administrator's client."""
    return signed_in("Administrator")


def entered(*accounts: ExchangeAccount, **changes: Any) -> dict[str, Any]:
    """Return what a person enters to let a bot in."""
    return {
        "last": "",
        "bot": "grid-7",
        "accounts": [account.pk for account in accounts],
        "scopes": ["read", "lease"],
        "days": "90",
        **changes,
    }


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_token_is_issued_and_opens_what_was_chosen(
    admin: Client, desk: ExchangeAccount, now: datetime
) -> None:
    builders.account("other", now=now)
    response = admin.post(BOTS, entered(desk))
    assert response.status_code == 200
    assert "It is shown this once." in response.text
    token = tokens.token_of(TEXT.findall(response.text)[0], now=now)
    assert (token.bot, list(token.accounts.all())) == ("grid-7", [desk])
    assert token.scopes == ["lease", "read"]
    assert timedelta(days=90) <= token.expires_at - now < timedelta(days=90, minutes=1)
    assert AuditEvent.objects.get(kind="token.issued").actor_name == token.created_by_name


def test_the_text_stands_in_the_one_answer_and_nowhere_else(
    admin: Client, desk: ExchangeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    response = admin.post(BOTS, entered(desk))
    (text,) = TEXT.findall(response.text)
    secret = text.split("_", 2)[2]
    assert "no-store" in response["Cache-Control"]
    assert response.text.count(secret) == 1
    token = BotToken.objects.get()
    for address in (
        BOTS,
        f"/bots/{token.prefix}/revoke/",
        f"/accounts/{desk.slug}/",
        f"/admin/positions/bottoken/{token.pk}/change/",
        "/admin/positions/bottoken/",
        "/admin/positions/auditevent/",
    ):
        page = admin.get(address)
        assert page.status_code == 200
        assert secret not in page.text, address
        assert token.secret_hash not in page.text, address
    kept = [
        *(session.get_decoded() for session in Session.objects.all()),
        *response.headers.items(),
    ]
    kept += [cookie.value for cookie in admin.cookies.values()]
    kept += [(event.summary, event.data) for event in AuditEvent.objects.all()]
    assert secret not in str(kept)
    assert secret not in caplog.text


def test_a_form_that_is_sent_again_issues_no_second_token_unasked(
    admin: Client, desk: ExchangeAccount
) -> None:
    admin.post(BOTS, entered(desk))
    again = admin.post(BOTS, entered(desk))
    token = BotToken.objects.get()
    assert again.status_code == 409
    assert (
        f"You issued the token {token.prefix} for grid-7 after this form was shown." in again.text
    )
    assert TEXT.search(again.text) is None
    assert 'value="grid-7"' in again.text
    (last,) = re.findall(r'name="last" value="(\d+)"', again.text)
    assert admin.post(BOTS, entered(desk, last=last)).status_code == 200
    assert BotToken.objects.count() == 2


def test_what_somebody_else_issued_is_in_nobodys_way(
    signed_in: SignedIn, desk: ExchangeAccount
) -> None:
    for _ in range(2):
        assert signed_in("Administrator").post(BOTS, entered(desk)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"bot": " "}, "bot", "Name the bot."),
        ({"bot": "x" * 61}, "bot", "Name the bot in at most 60 characters."),
        ({"bot": "grid\u200b7"}, "bot", "Name the bot, in at most 60 characters."),
        ({"accounts": []}, "accounts_0", "Choose at least one account."),
        ({"accounts": ["999"]}, "accounts_0", "Choose accounts of this list."),
        ({"accounts": ["x"]}, "accounts_0", "Choose accounts of this list."),
        ({"scopes": []}, "scopes_0", "Choose what the bot may do."),
        ({"scopes": ["trade"]}, "scopes_0", "Choose rights of this list."),
        ({"days": ""}, "days", "Enter a whole number of days from 1 to 365."),
        ({"days": "0"}, "days", "Enter a whole number of days from 1 to 365."),
        ({"days": "366"}, "days", "Enter a whole number of days from 1 to 365."),
        ({"days": "1.5"}, "days", "Enter a whole number of days from 1 to 365."),
    ],
)
def test_bad_input_is_one_sentence_beside_its_field_and_nothing_is_lost(
    admin: Client, desk: ExchangeAccount, changes: dict[str, Any], field: str, sentence: str
) -> None:
    response = admin.post(BOTS, entered(desk, **changes))
    assert response.status_code == 400
    assert f'<a href="#id_{field}">' in response.text
    assert f'id="id_{field}"' in response.text
    assert response.text.count(f"</svg>{sentence}</p>") == 1
    assert response.text.count('class="field-error"') == 1
    assert not BotToken.objects.exists()
    kept = entered(desk, **changes)
    if kept["bot"] != " ":
        assert f'name="bot" value="{kept["bot"]}"' in response.text
    if kept["days"]:
        assert f'name="days" value="{kept["days"]}"' in response.text
    for name, value in (("accounts", str(desk.pk)), ("scopes", "lease")):
        checked = re.search(rf'name="{name}" value="{value}"[^>]* checked', response.text)
        assert (checked is not None) is (name not in changes), name


@pytest.mark.parametrize("days", ["1", "365"])
def test_a_token_lasts_from_a_day_to_a_year(
    admin: Client, desk: ExchangeAccount, days: str
) -> None:
    assert admin.post(BOTS, entered(desk, days=days)).status_code == 200


def test_without_an_account_nothing_can_be_issued(admin: Client) -> None:
    text = admin.get(BOTS).text
    assert "A token opens accounts, and there is none yet." in text
    assert "No bot has a token yet, so none gets in." in text
    assert "<form class=" not in text
    assert admin.post(BOTS, entered()).status_code == 400


def test_the_list_tells_of_each_token_what_it_opens_and_whether(
    admin: Client, desk: ExchangeAccount, now: datetime
) -> None:
    old, gone, used = (hire_bot(desk, name=name, now=now).token for name in ("old", "gone", "<b>"))
    assert old
    assert gone
    assert used
    BotToken.objects.filter(pk=old.pk).update(expires_at=now)
    root = builders.person("root", "Administrator")
    tokens.revoke(gone, actor=Actor.person(root), now=now)
    BotToken.objects.filter(pk=used.pk).update(last_used_at=now)
    text = admin.get(BOTS).text
    rows = {
        token.prefix: next(row for row in text.split("<tr data-row>") if token.prefix in row)
        for token in (old, gone, used)
    }
    assert text.index(used.prefix) < min(text.index(old.prefix), text.index(gone.prefix))
    assert "Expired" in rows[old.prefix]
    assert "Revoked" in rows[gone.prefix]
    assert "by root" in rows[gone.prefix]
    assert "&lt;b&gt;" in rows[used.prefix]
    assert "Valid" in rows[used.prefix]
    assert f"{now:%H:%M} UTC" in rows[used.prefix]
    assert "never" in rows[old.prefix]
    for words in (desk.slug, "Reserve slots", "by test"):
        assert words in rows[used.prefix]
    # Only what opens something can be revoked.
    assert re.findall(r'href="/bots/(\w+)/revoke/"', text) == [used.prefix]


def test_the_list_takes_the_same_queries_for_any_number_of_tokens(
    admin: Client, desk: ExchangeAccount, now: datetime, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        hire_bot(desk, name=f"bot-{number}", now=now)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert admin.get(BOTS).text.count("<tr data-row>") == 30


def test_a_token_is_revoked_after_a_page_that_says_what_happens(
    admin: Client, desk: ExchangeAccount, now: datetime
) -> None:
    bot, other = hire_bot(desk, now=now), hire_bot(desk, now=now)
    token = bot.token
    assert token
    assert other.token
    lease(desk, "NEW", bot=bot, now=now)
    claim(desk, "PEPE", bot=other, now=now)
    address = f"/bots/{token.prefix}/revoke/"
    text = admin.get(address).text
    assert f"Revoke the token {token.prefix} of grid-7?" in text
    assert f"grid-7 still gets in with <code>{other.token.prefix}</code>." in text
    assert "NEW" in text
    assert "PEPE" in text
    token.refresh_from_db()
    assert token.revoked_at is None
    answer = admin.post(address, follow=True)
    assert answer.redirect_chain == [(BOTS, 302)]
    assert f"The token {token.prefix} of grid-7 is revoked" in answer.text
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert "Nothing to revoke" in admin.get(address).text
    assert admin.post(address).status_code == 302
    assert AuditEvent.objects.filter(kind="token.revoked").count() == 1
    last = admin.get(f"/bots/{other.token.prefix}/revoke/").text
    assert "grid-7 has no other valid token: it is shut out." in last
    assert admin.get("/bots/nothing/revoke/").status_code == 404


@pytest.mark.parametrize("group", [None, *GROUPS])
def test_everybody_who_sees_the_panel_sees_tokens_and_only_an_administrator_issues_and_revokes(
    signed_in: SignedIn, desk: ExchangeAccount, now: datetime, group: str | None
) -> None:
    token = hire_bot(desk, now=now).token
    assert token
    web, may = signed_in(group), group == "Administrator"
    response = web.get(BOTS)
    assert response.status_code == (200 if group else 403)
    assert (token.prefix in response.text) is bool(group)
    assert ("Issue the token" in response.text) is may
    assert ("/revoke/" in response.text) is may
    revoke = f"/bots/{token.prefix}/revoke/"
    assert web.get(revoke).status_code == (200 if may else 403)
    assert web.post(BOTS, entered(desk)).status_code == (200 if may else 403)
    assert web.post(revoke).status_code == (302 if may else 403)
    token.refresh_from_db()
    assert (token.revoked_at is not None) is may
    assert BotToken.objects.count() == (2 if may else 1)


def test_a_stranger_is_sent_to_the_sign_in(desk: ExchangeAccount, client: Client) -> None:
    for response in (client.get(BOTS), client.post(BOTS, entered(desk))):
        assert response.status_code == 302
        assert response["Location"].startswith("/auth/")


def test_nothing_is_done_without_the_forms_own_token(desk: ExchangeAccount, now: datetime) -> None:
    bot = hire_bot(desk, now=now)
    assert bot.token
    held, claimed = lease(desk, "NEW", bot=bot, now=now), claim(desk, "PEPE", bot=bot, now=now)
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(builders.person("root", "Administrator"))
    assert careful.post(BOTS, entered(desk)).status_code == 403
    assert careful.post(f"/bots/{bot.token.prefix}/revoke/").status_code == 403
    assert careful.post(ending(desk, held.pk)).status_code == 403
    assert careful.post(giving_back(desk, claimed.pk)).status_code == 403


def test_the_bots_pages_are_found_in_the_bar_and_are_whole(
    admin: Client, desk: ExchangeAccount, now: datetime
) -> None:
    token = hire_bot(desk, now=now).token
    assert token
    answers = [
        admin.get(BOTS),
        admin.post(BOTS, entered(desk, days="")),
        admin.post(BOTS, entered(desk)),
        admin.get(f"/bots/{token.prefix}/revoke/"),
    ]
    for response in answers:
        page = Page(response.text)
        assert page.forbidden == []
        assert page.headings == 1
        assert len(page.ids) == len(set(page.ids))
        assert all(hole not in response.text for hole in HOLES)
        assert '<a href="/bots/" aria-current="true">Bots</a>' in response.text
    accounts = admin.get("/").text
    assert '<a href="/bots/">Bots</a>' in accounts
    assert '<a href="/" aria-current="true">Accounts</a>' in accounts
    # Loading the answer to a POST again has to load the list.
    assert 'data-at="/bots/"' not in answers[0].text
    assert 'data-at="/bots/"' in answers[2].text


# --- What bots hold -------------------------------------------------------------------------------


def ending(account: ExchangeAccount, pk: int) -> str:
    return f"/accounts/{account.slug}/leases/{pk}/end/"


def giving_back(account: ExchangeAccount, pk: int) -> str:
    return f"/accounts/{account.slug}/claims/{pk}/give-back/"


def panel(web: Client, account: ExchangeAccount) -> str:
    """Return the part of the account's page that tells of bots."""
    text = web.get(f"/accounts/{account.slug}/").text
    return text[text.index('id="bots"') :].partition("</section>")[0]


def test_without_holds_the_panel_says_how_a_bot_gets_in(
    desk: ExchangeAccount, web: Client, admin: Client
) -> None:
    text = panel(web, desk)
    assert "No bot holds a slot or an asset here." in text
    assert '<a href="/bots/">see who has one</a>' in text
    assert '<a href="/bots/">issue one</a>' in panel(admin, desk)


def test_the_panel_lists_what_bots_hold_within_the_pages_budget(
    desk: ExchangeAccount, web: Client, now: datetime, django_assert_max_num_queries: Any
) -> None:
    bot = hire_bot(desk, name="<grid>", now=now)
    lease(desk, "NEW", bot=bot, now=now, ttl=3600)
    claim(desk, "PEPE", bot=bot, now=now)
    with django_assert_max_num_queries(MOST_QUERIES):
        text = panel(web, desk)
    assert text.index("NEW") < text.index("PEPE")
    assert "&lt;grid&gt;" in text
    assert "<grid>" not in text
    assert f"{now + timedelta(hours=1):%H:%M} UTC" in text
    assert "End the lease" in text
    assert "Give PEPE back" in text


def test_a_lease_is_ended_and_its_slot_goes_on_counting_until_nothing_was_opened_is_said(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    held = lease(desk, "NEW", bot=hire_bot(desk, now=now), now=now)
    answer = web.post(ending(desk, held.pk), follow=True)
    assert answer.redirect_chain == [(f"/accounts/{desk.slug}/#bots", 302)]
    assert "The lease of NEW by grid-7 has ended." in answer.text
    assert "It goes on taking its slot until the next snapshot." in answer.text
    assert "5 <small>of 8 free</small>" in answer.text
    held.refresh_from_db()
    assert (held.ended_how, held.opened) == (LeaseEnd.RELEASED, None)
    assert AuditEvent.objects.get(kind="lease.released").actor_name == "operator"
    text = panel(web, desk)
    assert "Ended lease" in text
    assert "its slot counts until the next snapshot" in text
    assert "End the lease" not in text
    answer = web.post(ending(desk, held.pk), {"opened": "no"}, follow=True)
    assert "Nothing was opened: it takes no slot any more." in answer.text
    assert "6 <small>of 8 free</small>" in answer.text
    held.refresh_from_db()
    assert (held.ended_how, held.opened) == (LeaseEnd.NOT_OPENED, False)
    assert "No bot holds" in panel(web, desk)


def test_a_lease_of_which_nothing_was_opened_is_free_at_once(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    held = lease(desk, "NEW", bot=hire_bot(desk, now=now), now=now)
    answer = web.post(ending(desk, held.pk), {"opened": "no"}, follow=True)
    assert "6 <small>of 8 free</small>" in answer.text
    assert "No bot holds" in panel(web, desk)


def test_an_expired_lease_is_listed_until_a_snapshot_tells_what_became_of_it(
    web: Client, now: datetime
) -> None:
    account = builders.account("slow", now=now)
    builders.snapshot(account, at=now - timedelta(minutes=2))
    lease(account, "NEW", bot=hire_bot(account, now=now), now=now)
    Lease.objects.update(expires_at=now - timedelta(seconds=90))
    text = panel(web, account)
    assert "Ended lease" in text
    assert "Free its slot" in text
    builders.snapshot(account, at=now)
    assert "No bot holds" in panel(web, account)


def test_the_end_of_a_lease_is_not_listed_where_its_asset_counts_anyway_or_was_opened(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    bot = hire_bot(desk, now=now)
    counted = lease(desk, "SOL", bot=bot, now=now)
    opened = lease(desk, "NEW", bot=bot, now=now)
    web.post(ending(desk, counted.pk))
    assert "SOL" not in panel(web, desk)
    opened.ended_at, opened.opened = now, True
    opened.save()
    text = panel(web, desk)
    assert "A trade was opened" in text
    assert "<form" not in text
    refused = web.post(ending(desk, opened.pk), {"opened": "no"})
    assert refused.status_code == 409
    assert "the opposite of `opened` was said then" in refused.text


def test_of_several_ended_leases_of_an_asset_the_newest_that_counts_is_listed(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    bot = hire_bot(desk, now=now)
    for _ in range(2):
        web.post(ending(desk, lease(desk, "NEW", bot=bot, now=now).pk))
    for left in (1, 1, 0):
        text = panel(web, desk)
        assert text.count("<tr data-row>") == left
        if left:
            (address,) = re.findall(r'action="([^"]+)"', text)
            web.post(address, {"opened": "no"})


def test_a_claim_is_given_back_and_the_asset_may_be_closed_again(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    made = claim(desk, "PEPE", bot=hire_bot(desk, now=now), now=now)
    assert "Claimed by grid-7" in web.get(f"/accounts/{desk.slug}/").text
    answer = web.post(giving_back(desk, made.pk), follow=True)
    assert answer.redirect_chain == [(f"/accounts/{desk.slug}/#bots", 302)]
    assert "PEPE is no longer claimed by grid-7: plans may close it." in answer.text
    assert "Claimed by grid-7" not in answer.text
    made.refresh_from_db()
    assert made.ended_at is not None
    assert web.post(giving_back(desk, made.pk)).status_code == 302
    assert AuditEvent.objects.filter(kind="claim.given_back").count() == 1


def test_a_claim_on_an_account_that_was_never_read_is_listed_and_given_back(
    web: Client, now: datetime
) -> None:
    account = builders.account("fresh", now=now)
    made = claim(account, "PEPE", bot=hire_bot(account, now=now), now=now)
    assert "Give PEPE back" in panel(web, account)
    web.post(giving_back(account, made.pk))
    assert "No bot holds" in panel(web, account)


def test_what_a_bot_holds_is_ended_under_its_own_account_and_by_post_alone(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    other = builders.account("other", now=now)
    bot = hire_bot(desk, now=now)
    held, claimed = lease(desk, "NEW", bot=bot, now=now), claim(desk, "PEPE", bot=bot, now=now)
    for address in (ending(desk, held.pk), giving_back(desk, claimed.pk)):
        assert web.get(address).status_code == 405
    for address in (ending(other, held.pk), giving_back(other, claimed.pk), ending(desk, 999)):
        assert web.post(address).status_code == 404
    held.refresh_from_db()
    claimed.refresh_from_db()
    assert held.ended_at is claimed.ended_at is None


@pytest.mark.parametrize("group", [None, *GROUPS])
def test_whoever_may_lease_and_claim_may_end_it_and_nobody_else(
    signed_in: SignedIn, desk: ExchangeAccount, now: datetime, group: str | None
) -> None:
    bot = hire_bot(desk, now=now)
    held, claimed = lease(desk, "NEW", bot=bot, now=now), claim(desk, "PEPE", bot=bot, now=now)
    web, may = signed_in(group), group in {"Operator", "Approver", "Administrator"}
    if group:
        text = panel(web, desk)
        assert "NEW" in text
        assert ("End the lease" in text) is may
        assert ("Give PEPE back" in text) is may
    status = 302 if may else 403
    assert web.post(ending(desk, held.pk)).status_code == status
    assert web.post(giving_back(desk, claimed.pk)).status_code == status
    held.refresh_from_db()
    claimed.refresh_from_db()
    assert (held.ended_at is not None) is may
    assert (claimed.ended_at is not None) is may


@pytest.mark.parametrize("permission", ["lease_slot", "claim_asset"])
def test_each_button_goes_by_its_own_permission(
    signed_in: SignedIn, desk: ExchangeAccount, now: datetime, permission: str
) -> None:
    bot = hire_bot(desk, now=now)
    lease(desk, "NEW", bot=bot, now=now)
    claim(desk, "PEPE", bot=bot, now=now)
    web = signed_in("Viewer")
    viewer = User.objects.get(username__startswith="viewer")
    viewer.user_permissions.add(DjangoPermission.objects.get(codename=permission))
    text = panel(web, desk)
    assert ("End the lease" in text) is (permission == "lease_slot")
    assert ("Give PEPE back" in text) is (permission == "claim_asset")
