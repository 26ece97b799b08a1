"""The history of bots: who let which one in, and what it leased and claimed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from positions.models import AuditEvent, BotToken, Claim, CleanupPlan, Lease, Scope
from positions.services import claims, leases, tokens
from positions.services.actors import Actor
from tests.admin.test_exports import export
from tests.admin.test_history import listing, page, rows_of
from tests.bots import claim, hire_bot, lease
from tests.commands import builders

IN_FORCE = {BotToken: "valid", Lease: "in_force", Claim: "in_force"}
by_model = pytest.mark.parametrize("model", IN_FORCE, ids=lambda model: model.__name__)


@pytest.fixture
def another(history: CleanupPlan) -> BotToken:
    """Return another bot's token on another account, with a lease and a claim."""
    now = timezone.now()
    account = builders.account("other")
    builders.snapshot(account, age=timedelta(seconds=1))
    bot = hire_bot(account, name="trend-1", now=now)
    lease(account, "LUNA", bot=bot, now=now, key="key-2")
    claim(account, "FTT", bot=bot, now=now)
    assert bot.token
    return bot.token


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (BotToken, ["trend", "other", "prefix"]),
        (Lease, ["luna", "trend-1", "other", "prefix", "key-2"]),
        (Claim, ["ftt", "trend-1", "other", "prefix"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_bots_had_is_found_by_what_people_have_at_hand(
    as_root: Client, another: BotToken, model: type[Model], words: list[str]
) -> None:
    assert model._default_manager.count() == 2
    for word in words:
        text = another.prefix if word == "prefix" else word
        (row,) = rows_of(as_root.get(listing(model), {"q": text}))
        assert (row.bot, row.pk) == ("trend-1", model._default_manager.latest("pk").pk)


@by_model
def test_what_is_in_force_is_told_from_what_has_ended(
    as_root: Client, another: BotToken, root: User, model: type[Model]
) -> None:
    first = model._default_manager.earliest("pk")
    now = timezone.now()
    person = Actor.person(root)
    leases.release(Lease.objects.get(asset="LUNA"), opened=None, actor=person, now=now)
    claims.give_back(Claim.objects.get(asset="FTT"), actor=person, now=now)
    tokens.revoke(another, actor=person, now=now)
    name = IN_FORCE[model]
    assert rows_of(as_root.get(listing(model), {name: "yes"})) == [first]
    (ended,) = rows_of(as_root.get(listing(model), {name: "no"}))
    assert ended.pk != first.pk
    assert [row["bot"] for row in export(as_root, model, f"?{name}=no")] == ["trend-1"]


def test_an_expired_token_lease_and_claim_are_over_before_that_is_written_down(
    as_root: Client, history: CleanupPlan
) -> None:
    now = timezone.now()
    BotToken.objects.update(expires_at=now)
    Lease.objects.update(expires_at=now)
    Claim.objects.update(until=now)
    for model, name in IN_FORCE.items():
        assert rows_of(as_root.get(listing(model), {name: "yes"})) == []
        assert len(rows_of(as_root.get(listing(model), {name: "no"}))) == 1


def test_tokens_are_filtered_by_account_and_lead_to_what_was_taken_with_them(
    as_root: Client, another: BotToken
) -> None:
    account = another.accounts.get()
    assert rows_of(as_root.get(listing(BotToken), {"accounts__id__exact": account.pk})) == [another]
    text = as_root.get(page(another)).text
    for model in (Lease, Claim):
        wanted = {"token__id__exact": another.pk}
        assert f'href="{listing(model)}?token__id__exact={another.pk}"' in text
        (row,) = rows_of(as_root.get(listing(model), wanted))
        assert row.bot == "trend-1"
        assert f'href="{page(another)}"' in as_root.get(page(row)).text
    assert f'href="{page(account)}">other</a>' in text
    for model in (Lease, Claim):
        wanted = f"{listing(model)}?account__id__exact={account.pk}"
        assert f'href="{wanted}"' in as_root.get(page(account)).text
    assert f"accounts__id__exact={account.pk}" in as_root.get(page(account)).text


def test_a_page_tells_what_became_of_a_token_a_lease_and_a_claim(
    as_root: Client, history: CleanupPlan, root: User
) -> None:
    now, person = timezone.now(), Actor.person(root)
    issued = tokens.issue(
        "trend-1",
        accounts=[history.account],
        scopes=Scope,
        expires_at=now + timedelta(days=1),
        actor=person,
        now=now,
    )
    tokens.revoke(issued.token, actor=person, now=now)
    held, claimed = Lease.objects.get(), Claim.objects.get()
    leases.release(held, opened=True, actor=person, now=now)
    claims.give_back(claimed, actor=person, now=now)
    for row, kinds in (
        (issued.token, ["token.issued", "token.revoked"]),
        (held, ["lease.reserved", "lease.released"]),
        (claimed, ["claim.made", "claim.given_back"]),
    ):
        text = as_root.get(page(row)).text
        for event in AuditEvent.objects.filter(kind__in=kinds):
            assert f'href="{page(event)}"' in text
            assert event in rows_of(as_root.get(listing(AuditEvent), {"kind": event.kind}))
            assert event in rows_of(as_root.get(listing(AuditEvent), {"q": event.summary[:20]}))
        assert text.count("/admin/positions/auditevent/") == len(kinds)


def test_files_have_the_tokens_prefix_and_nothing_of_its_secret(
    as_root: Client, another: BotToken
) -> None:
    for model in (Lease, Claim):
        newest = export(as_root, model)[0]
        assert newest["token_prefix"] == another.prefix
        assert newest["account"] == "other"
    for row in export(as_root, BotToken):
        assert not any("secret" in name for name in row)
        assert another.secret_hash not in row.values()
    assert "secret" not in as_root.get(page(another)).text
