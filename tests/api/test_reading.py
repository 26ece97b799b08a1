"""What bots read beside their slots is what the commands print; and the documentation."""

import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client

from positions.api import reading
from positions.models import AuditEvent, ExchangeAccount
from positions.services import drafts
from tests.api.conftest import Bot, refused
from tests.web import builders


def test_positions_are_what_the_command_prints(bot: Bot, desk: ExchangeAccount) -> None:
    told = bot.get("positions").json()
    output = StringIO()
    call_command("check_dust_positions", desk.slug, json=True, stdout=output)
    assert told.pop("fresh") is True
    assert told == json.loads(output.getvalue())


def test_positions_of_an_old_snapshot_tell_no_free_slot(
    bot: Bot, desk: ExchangeAccount, now: datetime
) -> None:
    moment = now - timedelta(hours=1)
    desk.snapshots.update(asked_at=moment, taken_at=moment)
    told = bot.get("positions").json()
    assert told["fresh"] is False
    assert told["slots"] == {"cap": 8, "used": None, "available": None, "over_cap": None}
    assert {item["available"] for item in told["thresholds"]} == {None}
    assert len(told["positions"]) == 8


def test_positions_of_an_account_that_was_never_read_are_unknown(
    bot: Bot, desk: ExchangeAccount
) -> None:
    desk.snapshots.all().delete()
    refused(bot.get("positions"), 503, "slots_unknown")


def test_a_plan_is_what_the_command_prints(bot: Bot, desk: ExchangeAccount, now: datetime) -> None:
    plan = drafts.draft_plan(desk, threshold=None, actor=builders.SCHEDULER, now=now)
    told = bot.get(f"/plans/{plan.pk}").json()
    assert told["plan"]["hash"] == plan.hash
    assert told["plan"]["dry_run"] is True
    assert {item["asset"] for item in told["orders"]} == {item.asset for item in plan.orders.all()}


def test_a_foreign_plan_is_refused_and_an_unknown_one_is_not_found(bot: Bot, now: datetime) -> None:
    other = builders.account("desk-two", now=now)
    builders.snapshot(other, at=now)
    plan = drafts.draft_plan(other, threshold=None, actor=builders.SCHEDULER, now=now)
    refused(bot.get(f"/plans/{plan.pk}"), 403, "forbidden")
    refused(bot.get("/plans/999"), 404, "not_found")


def test_a_snapshot_is_asked_for(bot: Bot, desk: ExchangeAccount, now: datetime) -> None:
    answer = bot.post("snapshots")
    assert (answer.status_code, answer.json()["account"]) == (202, "desk-one")
    desk.refresh_from_db()
    first = desk.snapshot_due_at
    assert first is not None
    assert first >= now
    bot.post("snapshots")
    desk.refresh_from_db()
    assert desk.snapshot_due_at is not None
    assert desk.snapshot_due_at > first
    assert AuditEvent.objects.filter(kind="snapshot.asked").count() == 1
    ExchangeAccount.objects.update(is_enabled=False)
    refused(bot.post("snapshots"), 409, "account_disabled")


def test_a_database_that_does_not_answer_is_no_answer(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A double: a database that is gone takes the token with it, which other tests do."""

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("secret host")

    monkeypatch.setattr(reading, "slots_on", gone)
    answer = bot.get("slots")
    assert "secret" not in refused(answer, 503, "unavailable")


def test_what_nobody_foresaw_is_a_problem_without_details(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A double: nothing known breaks."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(reading, "slots_on", broken)
    assert "secret" not in refused(bot.get("slots"), 500, "broken")


@pytest.mark.django_db
def test_the_schema_is_public_and_has_examples() -> None:
    document = Client().get("/api/v1/openapi.json").json()
    paths = document["paths"]
    assert set(paths) == {
        "/api/v1/accounts/{slug}/slots",
        "/api/v1/accounts/{slug}/positions",
        "/api/v1/accounts/{slug}/snapshots",
        "/api/v1/accounts/{slug}/leases",
        "/api/v1/accounts/{slug}/leases/{pk}/renew",
        "/api/v1/accounts/{slug}/leases/{pk}/release",
        "/api/v1/accounts/{slug}/claims",
        "/api/v1/accounts/{slug}/claims/{pk}/release",
        "/api/v1/plans/{pk}",
        "/api/v1/token",
    }
    examples = document["components"]["schemas"]["LeaseWanted"]["properties"]
    assert all("examples" in field for field in examples.values())
    conflict = paths["/api/v1/accounts/{slug}/leases"]["post"]["responses"]["409"]
    assert list(conflict["content"]) == ["application/problem+json"]


def test_a_length_that_is_no_number_is_a_problem(db: None) -> None:
    answer: Any = Client().get("/api/v1/token", CONTENT_LENGTH="abc")
    refused(answer, 400, "bad_request")


def test_the_documentation_is_a_page_for_people_and_loads_nothing_from_elsewhere(
    db: None, web: Client
) -> None:
    page = web.get("/api/v1/", follow=True)
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert Client().get("/api/v1/docs").status_code == 302  # to the sign-in


@pytest.fixture
def web(db: None) -> Client:
    """Return a viewer's client."""
    client = Client()
    client.force_login(builders.person("viewer", "Viewer"))
    return client


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("get", "/api/v1/nothing", 404, "not_found"),
        ("get", "/api/v1/a%0Ab", 404, "not_found"),
        ("post", "/api/v1/accounts/desk-one/orders", 404, "not_found"),
        ("delete", "/api/v1/accounts/desk-one/leases", 405, "method_not_allowed"),
        ("get", "/api/v1/accounts/desk-one/leases/1/renew", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_a_problem_too(
    db: None, method: str, address: str, status: int, code: str
) -> None:
    answer: Any = getattr(Client(), method)(address)
    refused(answer, status, code)
    assert status != 405 or "POST" in answer["Allow"]
