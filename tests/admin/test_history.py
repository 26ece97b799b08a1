"""The history can be read by all groups, searched and followed, and changed by nobody."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from positions.models import (
    Attempt,
    AuditEvent,
    BotToken,
    Claim,
    CleanupPlan,
    CloseOrder,
    Conversion,
    DustPolicy,
    ExchangeAccount,
    Fill,
    Halt,
    Lease,
    Position,
    Snapshot,
)
from positions.services import audit
from positions.services.actors import Actor
from tests.admin.conftest import SECRET, started
from tests.commands import builders

HISTORY: list[type[Model]] = [
    ExchangeAccount,
    DustPolicy,
    Snapshot,
    Position,
    CleanupPlan,
    CloseOrder,
    Attempt,
    Conversion,
    Fill,
    AuditEvent,
    Halt,
    BotToken,
    Lease,
    Claim,
]
by_name = pytest.mark.parametrize("model", HISTORY, ids=lambda model: model.__name__)


def listing(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def rows_of(response: Any) -> list[Any]:
    """Return the rows that a list shows."""
    return list(response.context["cl"].result_list)


@by_name
def test_not_even_a_superuser_adds_changes_or_deletes(
    as_root: Client, history: CleanupPlan, model: type[Model]
) -> None:
    row = model._default_manager.first()
    assert row is not None
    name = f"admin:positions_{model._meta.model_name}"
    before = model._default_manager.values().get(pk=row.pk)
    assert as_root.get(page(row)).status_code == 200
    for address in (reverse(f"{name}_add"), reverse(f"{name}_delete", args=[row.pk])):
        assert as_root.get(address).status_code == 403
        assert as_root.post(address, {"post": "yes"}).status_code == 403
    assert as_root.post(page(row), dict.fromkeys(before, "1")).status_code == 403
    delete_all = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    as_root.post(listing(model), delete_all)
    assert model._default_manager.values().get(pk=row.pk) == before


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver", "Administrator"])
def test_every_group_reads_the_history_without_the_staff_flag(
    history: CleanupPlan, group: str
) -> None:
    client = Client()
    client.force_login(builders.person("vera", group))
    assert client.get(reverse("admin:index")).status_code == 200
    for model in HISTORY:
        assert client.get(listing(model)).status_code == 200, model
        row = model._default_manager.first()
        assert row is not None
        response = client.get(page(row))
        assert response.status_code == 200, model
        assert b"_save" not in response.content, model


def test_who_may_not_see_the_panel_does_not_see_the_history(history: CleanupPlan) -> None:
    for values in ({}, {"is_staff": True}):
        client = Client()
        client.force_login(builders.person(f"nobody{len(values)}", None, **values))
        response = client.get(listing(CleanupPlan), follow=True)
        assert response.status_code in {403, 404} or b"Plan" not in response.content
    former = builders.person("former", "Viewer")
    client = Client()
    client.force_login(former)
    former.is_active = False
    former.save()
    assert client.get(listing(CleanupPlan)).status_code == 302


def test_a_stranger_is_sent_to_the_one_sign_in_page(history: CleanupPlan) -> None:
    response = Client().get(reverse("admin:index"), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("account_login"))


def test_a_list_stays_within_ten_queries_however_long_it_is(
    as_root: Client, history: CleanupPlan, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        account = builders.account(f"other-{number}")
        started(account, actor=Actor.service("test"), assets=[f"A{n}" for n in range(5)])
    for model in HISTORY:
        with django_assert_max_num_queries(10, info=model.__name__):
            assert as_root.get(listing(model)).status_code == 200


def test_pages_have_query_budgets_too(
    as_root: Client, history: CleanupPlan, django_assert_max_num_queries: Any
) -> None:
    for model in HISTORY:
        for row in model._default_manager.all()[:10]:
            with django_assert_max_num_queries(16, info=model.__name__):
                assert as_root.get(page(row)).status_code == 200


@pytest.mark.parametrize(
    "model",
    [
        AuditEvent,
        Attempt,
        CloseOrder,
        CleanupPlan,
        Snapshot,
        Fill,
        Halt,
        DustPolicy,
        BotToken,
        Lease,
        Claim,
    ],
    ids=lambda model: model.__name__,
)
def test_a_list_is_drilled_down_to_the_days_of_one_month(
    as_root: Client, history: CleanupPlan, model: type[Model]
) -> None:
    field = admin.site._registry[model].date_hierarchy
    assert field is not None
    moment = getattr(model._default_manager.latest(field), field)
    day = {f"{field}__{part}": getattr(moment, part) for part in ("year", "month", "day")}
    before = day | {f"{field}__year": moment.year - 1}
    assert rows_of(as_root.get(listing(model), day))
    assert rows_of(as_root.get(listing(model), before)) == []
    month = {name: value for name, value in day.items() if not name.endswith("__day")}
    assert 'class="toplinks"' in as_root.get(listing(model), month).text


@pytest.mark.parametrize("search", ["client_order_id", "asset", "hash", "short hash"])
def test_orders_are_found_by_what_people_have_at_hand(
    as_root: Client, history: CleanupPlan, search: str
) -> None:
    order = history.orders.get(asset="DOGE")
    other = started(builders.account("other"), actor=Actor.service("test"), assets=["LUNA"])
    text = {
        "client_order_id": order.client_order_id,
        "asset": "doge",
        "hash": history.hash,
        "short hash": history.short_hash,
    }[search]
    found = rows_of(as_root.get(listing(CloseOrder), {"q": text}))
    assert order in found
    assert other.orders.get() not in found
    assert rows_of(as_root.get(listing(CleanupPlan), {"q": text})) == [history]
    assert rows_of(as_root.get(listing(AuditEvent), {"q": order.client_order_id}))


@pytest.mark.parametrize(
    "model", [CleanupPlan, CloseOrder, AuditEvent, Snapshot, DustPolicy, Halt, Lease, Claim]
)
def test_lists_are_filtered_by_account(
    as_root: Client, history: CleanupPlan, model: type[Model]
) -> None:
    started(builders.account("other"), actor=Actor.service("test"), assets=["LUNA"])
    response = as_root.get(listing(model), {"account__id__exact": history.account.pk})
    found = rows_of(response)
    assert found
    assert {row.account_id for row in found} == {history.account.pk}


@pytest.mark.parametrize("model", [Attempt, Fill])
def test_requests_and_trades_are_filtered_by_account_and_found_by_order(
    as_root: Client, history: CleanupPlan, model: type[Model]
) -> None:
    order = history.orders.get(asset="DOGE")
    wanted = {"order__account__id__exact": history.account.pk, "q": order.client_order_id}
    assert len(rows_of(as_root.get(listing(model), wanted))) == 1


def test_events_are_filtered_by_person(as_root: Client, history: CleanupPlan, root: User) -> None:
    found = rows_of(as_root.get(listing(AuditEvent), {"actor__id__exact": root.pk}))
    assert found
    assert {row.actor_id for row in found} == {root.pk}


def test_a_plans_page_leads_to_its_orders_events_and_account(
    as_root: Client, history: CleanupPlan
) -> None:
    text = as_root.get(page(history)).content.decode()
    for row in (*history.orders.all(), *history.events.all(), history.account, history.snapshot):
        assert f'href="{page(row)}"' in text


def test_an_orders_page_leads_to_its_plan_attempts_fills_and_events(
    as_root: Client, history: CleanupPlan
) -> None:
    order = history.orders.get(asset="DOGE")
    text = as_root.get(page(order)).content.decode()
    linked = (history, order.attempts.get(), order.fills.get(), *order.events.all())
    for row in linked:
        assert f'href="{page(row)}"' in text
    assert "&lt;b&gt;5 sold&lt;/b&gt;" in text
    assert "<b>5 sold</b>" not in text


@pytest.mark.parametrize(
    "model",
    [ExchangeAccount, DustPolicy, CleanupPlan, CloseOrder, Halt, BotToken, Lease, Claim],
)
def test_a_page_of_the_history_leads_to_the_panels_page_that_works(
    as_root: Client, history: CleanupPlan, model: type[Model]
) -> None:
    for row in model._default_manager.all():
        text = as_root.get(page(row)).content.decode()
        (address,) = re.findall(r'href="([^"]+)">Open [^<]+ in the panel', text)
        assert as_root.get(address).status_code == 200


def test_the_panels_pages_lead_to_the_audit_trail_for_every_group(history: CleanupPlan) -> None:
    client = Client()
    client.force_login(builders.person("vera", "Viewer"))
    account, policy = history.account, history.policy
    order = history.orders.get(asset="DOGE")
    for address, row in (
        (reverse("positions:account_detail", args=[account.slug]), account),
        (reverse("positions:policy_detail", args=[account.slug]), policy),
        (reverse("positions:plan_detail", args=[history.pk]), history),
        (reverse("positions:order_detail", args=[order.pk]), order),
    ):
        assert f'href="{page(row)}"' in client.get(address).text
        assert client.get(page(row)).status_code == 200


def test_an_orders_page_tells_one_story_in_the_order_of_time(
    as_root: Client, history: CleanupPlan
) -> None:
    order = history.orders.get(asset="DOGE")
    start, second = timezone.now(), timedelta(seconds=1)
    order.attempts.update(
        created_at=start + second,
        sent_at=start + 2 * second,
        answered_at=start + 4 * second,
        wire={"method": "POST", "path": "/api/v3/order", "status": 200},
    )
    order.fills.update(at=start + 3 * second)
    test = Actor.service("test")
    with transaction.atomic():
        audit.record("order.asked", "Asked again", actor=test, at=start + 5 * second, order=order)
    text = as_root.get(page(order)).content.decode()
    story = text[text.index("field-timeline_table") :]
    steps = [
        "5 sold",
        "Attempt 1 was committed: sell 5",
        "Attempt 1 got leave and left",
        "Trade: 5 at 0.18, fee 0.0009 USDT",
        "Attempt 1: Accepted",
        "Asked again",
    ]
    places = [story.index(step) for step in steps]
    assert places == sorted(places)
    for evidence in ("POST /api/v3/order", "HTTP 200", "trade trade-1"):
        assert evidence in story


def test_the_events_show_how_they_are_chained(as_root: Client, history: CleanupPlan) -> None:
    text = as_root.get(listing(AuditEvent)).content.decode()
    newest, before = AuditEvent.objects.filter(account=history.account)[:2]
    assert f"{newest.sequence}: {newest.hash[:8]}" in text
    assert f"{before.sequence}: {before.hash[:8]}" in text
    assert before.hash in as_root.get(page(newest)).content.decode()


def test_credentials_and_claims_are_never_shown(as_root: Client, history: CleanupPlan) -> None:
    account = history.account
    for model in HISTORY:
        row = model._default_manager.first()
        assert row is not None
        for address in (listing(model), page(row)):
            text = as_root.get(address).content.decode()
            assert bytes(account.credentials).decode() not in text
            assert account.key_fingerprint not in text
            assert SECRET not in text


def test_other_apps_pages_are_not_there() -> None:
    names = {model._meta.label for model in admin.site._registry}
    ours = {f"positions.{model.__name__}" for model in HISTORY}
    assert names == ours | {"auth.User", "auth.Group", "mfa.Authenticator"}


def test_amounts_are_shown_exactly(as_root: Client, history: CleanupPlan) -> None:
    order = history.orders.get(asset="DOGE")
    CloseOrder.objects.filter(pk=order.pk).update(quantity="123456789012345678.000000000012345678")
    for address in (page(order), listing(CloseOrder)):
        text = as_root.get(address).content.decode()
        assert "123456789012345678.000000000012345678" in text


def test_the_site_says_what_it_is(as_root: Client, db: None) -> None:
    assert b"Dust Admin history" in as_root.get(reverse("admin:index")).content


def test_a_conversion_leads_to_its_orders_and_shows_what_was_asked(
    as_root: Client, history: CleanupPlan
) -> None:
    made = history.conversions.get()
    order = made.orders.get()
    text = as_root.get(page(made)).text
    assert f'href="{page(order)}">PEPE</a>' in text
    assert "/sapi/v1/asset/dust" in text
    assert "&quot;target&quot;: &quot;BNB&quot;" in text
    assert "&lt;i&gt;Timeout&lt;/i&gt;" in text
    assert SECRET not in text
    assert f'href="{page(made)}"' in as_root.get(page(order)).text
    for words in ("PEPE", "conversion-id", "-1007", "Timeout"):
        assert rows_of(as_root.get(listing(Conversion), {"q": words})) == [made], words
    assert rows_of(as_root.get(listing(Conversion), {"q": "DOGE"})) == []
    assert rows_of(as_root.get(listing(Conversion), {"answer__exact": "ACCEPTED"})) == []
