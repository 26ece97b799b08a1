"""The policy page: who may change what, bad input, conflicts, and versions side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from positions.domain.policies import Policy
from positions.domain.policy_fields import FIELDS, GROUPS, written
from positions.models import DustPolicy, ExchangeAccount
from positions.services import policies
from tests.web import builders

SignedIn = Callable[..., Client]
D = Decimal
ADDRESS = "/accounts/desk-one/policy/"


def typed(account: ExchangeAccount, **changes: str) -> dict[str, str]:
    """Return what a browser sends when a person changed these fields of the form."""
    row = policies.in_force(account)
    policy = row.as_domain()
    shown = {name: written(field, getattr(policy, name)) for name, field in FIELDS.items()}
    return {**shown, "version": str(row.version), "note": "why not", **changes}


def daily(account: ExchangeAccount, **changes: str) -> dict[str, str]:
    """Return what the form of an operator sends."""
    sent = {"version", "note", *policies.DAILY_FIELDS}
    return {name: text for name, text in typed(account, **changes).items() if name in sent}


def versions_of(account: ExchangeAccount) -> int:
    return DustPolicy.objects.filter(account=account).count()


def test_every_field_of_the_policy_stands_in_one_group_of_the_page() -> None:
    listed = [field.name for group in GROUPS for field in group.fields]
    assert sorted(listed) == sorted({item.name for item in fields(Policy)} - {"version"})
    for field in FIELDS.values():
        assert field.meaning.endswith("."), field
        assert bool(field.empty) is (getattr(Policy(), field.name) is None), field


def test_an_administrator_changes_any_field_as_a_new_version(
    desk: ExchangeAccount, signed_in: SignedIn
) -> None:
    web = signed_in("Administrator")
    response = web.post(
        ADDRESS,
        typed(
            desk,
            max_plan_value="75",
            approval_above="20",
            fee_assets="BNB, kcs",
            sell_enabled="false",
            note="a bigger cleanup",
        ),
        follow=True,
    )
    assert "Policy v2 of desk-one is in force." in response.text
    row = policies.in_force(desk)
    assert (row.version, row.max_plan_value, row.approval_above) == (2, D(75), D(20))
    assert (row.fee_assets, row.sell_enabled, row.note) == (
        ["BNB", "KCS"],
        False,
        "a bigger cleanup",
    )
    assert row.created_by_name.startswith("administrator")


def test_an_operator_changes_the_daily_fields_and_sees_the_others(
    desk: ExchangeAccount, web: Client
) -> None:
    text = web.get(ADDRESS).text
    assert 'name="dust_threshold"' in text
    assert 'name="max_plan_value"' not in text
    assert "$50.00" in text
    sent = daily(desk, dust_threshold="0.50", protected_assets="xrp")
    assert web.post(ADDRESS, sent).status_code == 302
    row = policies.in_force(desk)
    assert (row.dust_threshold, row.protected_assets) == (D("0.5"), ["XRP"])


def test_an_operator_can_not_send_a_field_that_is_not_theirs(
    desk: ExchangeAccount, web: Client
) -> None:
    response = web.post(ADDRESS, daily(desk) | {"max_plan_value": "9999"})
    assert response.status_code == 403
    assert "may not change this field of the policy" in response.text
    assert versions_of(desk) == 1


@pytest.mark.parametrize("group", ["Viewer", None])
def test_others_change_nothing(
    desk: ExchangeAccount, signed_in: SignedIn, group: str | None
) -> None:
    web = signed_in(group)
    response = web.get(ADDRESS)
    assert response.status_code == (200 if group else 403)
    assert not any(f'name="{name}"' in response.text for name in FIELDS)
    assert web.post(ADDRESS, typed(desk, dust_threshold="2")).status_code == 403
    assert versions_of(desk) == 1


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("dust_threshold", "1,50", "with a point"),
        ("dust_threshold", "", "Enter a number"),
        ("dust_threshold", "99", "max_threshold"),
        ("position_cap", "8.5", "whole number"),
        ("position_cap", "0", "at least one slot"),
        ("max_slippage", "2", "below 1"),
        ("protected_assets", "<b>", "asset codes"),
        ("sell_enabled", "perhaps", "valid choice"),
        ("note", "", "Say why"),
        ("version", "x", "whole number"),
        ("version", "99999999999999999999", "less than"),
        ("version", "7", "no such version"),
    ],
)
def test_bad_input_names_its_field_and_loses_nothing(
    desk: ExchangeAccount, signed_in: SignedIn, name: str, text: str, sentence: str
) -> None:
    web = signed_in("Administrator")
    response = web.post(ADDRESS, typed(desk, **{"plan_ttl": "1234", name: text}))
    assert response.status_code == 400
    summary = response.text[response.text.index('class="error-summary"') :][:900]
    assert f'href="#id_{name}"' in summary
    assert sentence in summary
    assert "data-focus-on-load" in summary
    assert 'value="1234"' in response.text
    assert versions_of(desk) == 1


def test_saving_what_is_in_force_makes_no_version(desk: ExchangeAccount, web: Client) -> None:
    response = web.post(ADDRESS, daily(desk), follow=True)
    assert "Nothing was changed: policy v1 stays in force." in response.text
    assert versions_of(desk) == 1


def test_a_field_that_was_not_sent_is_not_changed(desk: ExchangeAccount, web: Client) -> None:
    policies.protect(desk, "XRP", reason="x", actor=builders.SCHEDULER, now=desk.created_at)
    web.post(ADDRESS, {"version": "2", "note": "n", "dust_threshold": "0.5"})
    assert policies.in_force(desk).protected_assets == ["XRP"]


def test_a_version_written_meanwhile_is_shown_and_nothing_is_lost(
    desk: ExchangeAccount, signed_in: SignedIn, now: datetime
) -> None:
    web = signed_in("Administrator")
    mine = typed(desk, dust_threshold="0.75", plan_ttl="600", note="mine")
    policies.change(
        desk,
        {"dust_threshold": D("0.25"), "position_cap": 12},
        actor=builders.SCHEDULER,
        now=now,
        note="theirs",
    )
    response = web.post(ADDRESS, mine)
    assert response.status_code == 409
    text = response.text
    assert "scheduler made policy v2 while you were editing" in text
    assert "Dust threshold from $1.00 to $0.25." in text
    assert "Position cap from 8 to 12." in text
    assert "Both of you changed Dust threshold" in text
    assert versions_of(desk) == 2
    for name, value in (
        ("dust_threshold", "0.75"),  # both changed it: the person's own stays in the form
        ("plan_ttl", "600"),
        ("position_cap", "12"),  # theirs only: saving again must not take it back
        ("version", "2"),
        ("note", "mine"),
    ):
        assert f'name="{name}" value="{value}"' in text, name
    again = mine | {"version": "2", "position_cap": "12"}
    assert web.post(ADDRESS, again).status_code == 302
    row = policies.in_force(desk)
    assert (row.version, row.dust_threshold, row.position_cap) == (3, D("0.75"), 12)


def test_the_versions_say_who_when_why_and_what_changed(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    policies.change(
        desk,
        {"protected_assets": frozenset({"XRP", "ADA"})},
        actor=builders.SCHEDULER,
        now=now,
        note="kept for long",
    )
    policies.change(
        desk, {"protected_assets": frozenset({"ADA"})}, actor=builders.SCHEDULER, now=now
    )
    text = web.get(ADDRESS).text
    table = text[text.index('id="versions"') :]
    assert "Protected assets: ADA, XRP added." in table
    assert "Protected assets: XRP taken off." in table
    assert "kept for long" in table
    assert "The first version." in table
    assert table.index(">v3<") < table.index(">v2<") < table.index(">v1<")


def test_two_versions_stand_side_by_side_marked_by_word_and_shape(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    policies.change(desk, {"dust_threshold": D("0.5")}, actor=builders.SCHEDULER, now=now)
    text = web.get(ADDRESS, {"left": "1", "right": "v2"}).text
    table = text[text.index('id="compare"') : text.index('id="versions"')]
    assert "1 field differs" in table
    row = next(part for part in table.split("<tr") if "Dust threshold" in part)
    assert "$1.00" in row
    assert "$0.50" in row
    assert "i-pencil" in row
    assert "Differs" in row
    assert table.count("Differs") == 1
    same = web.get(ADDRESS, {"left": "2", "right": "2"}).text
    assert "No field differs" in same


@pytest.mark.parametrize("asked", [{"left": "1", "right": "99"}, {"left": "x"}, {"right": "-1"}])
def test_a_version_that_is_not_there_is_said_in_a_sentence(
    desk: ExchangeAccount, web: Client, asked: dict[str, str]
) -> None:
    response = web.get(ADDRESS, asked)
    assert response.status_code == 400
    assert "desk-one does not have both of these versions." in response.text


def test_old_versions_stand_on_further_pages_within_the_query_budget(
    desk: ExchangeAccount, web: Client, now: datetime, django_assert_max_num_queries: Any
) -> None:
    for number in range(1, 46):
        policies.change(desk, {"plan_ttl": 900 + number}, actor=builders.SCHEDULER, now=now)
    with django_assert_max_num_queries(10):
        text = web.get(ADDRESS, {"left": "3", "right": "44"}).text
    assert ">v46<" in text
    assert ">v27<" in text
    assert ">v26<" not in text
    assert "?before=27#versions" in text
    older = web.get(ADDRESS, {"before": "7"}).text
    assert ">v6<" in older
    assert "Older versions" not in older


def test_the_account_page_leads_to_its_policy(desk: ExchangeAccount, web: Client) -> None:
    text = web.get("/accounts/desk-one/").text
    assert f'href="{reverse("positions:policy_detail", args=["desk-one"])}">Policy v1' in text


def test_a_person_protects_and_ignores_and_takes_both_back(
    desk: ExchangeAccount, web: Client
) -> None:
    page = "/accounts/desk-one/"
    for verb, listed, undo in (
        ("protect", "protected_assets", "Stop protecting"),
        ("ignore", "ignored_assets", "Stop ignoring"),
    ):
        assert undo not in web.get(page).text
        web.post(f"{page}{verb}/", {"asset": "XRP", "reason": "a gift"})
        assert getattr(policies.in_force(desk), listed) == ["XRP"]
        assert web.get(page).text.count(undo) == 1
        refused = web.post(f"{page}un{verb}/", {"asset": "XRP", "reason": " "})
        assert refused.status_code == 400
        assert "Say why" in refused.text
        said = web.post(f"{page}un{verb}/", {"asset": "XRP", "reason": "sold"}, follow=True)
        assert "XRP is not" in said.text
        assert getattr(policies.in_force(desk), listed) == []
