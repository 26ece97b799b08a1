"""How many slots are free: known and fresh, or unknown, which never reads as free."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from positions import tasks
from positions.api import bearer
from positions.models import BotToken, ExchangeAccount
from positions.services import policies
from tests.api.conftest import Bot
from tests.web import builders

NUMBERS = ("counted", "leased", "available", "over_cap")


def test_a_fresh_account_tells_everything_about_its_slots(bot: Bot, now: datetime) -> None:
    told = bot.get("slots").json()
    assert told == {
        "account": "desk-one",
        "status": "known",
        "cap": 8,
        "dust_threshold": "1",
        "policy_version": 1,
        "counted": 2,
        "leased": 0,
        "available": 6,
        "over_cap": 0,
        "as_of": now.isoformat().replace("+00:00", "Z"),
        "fresh": True,
        "fresh_until": (now + timedelta(seconds=300)).isoformat().replace("+00:00", "Z"),
        "detail": "",
    }


def test_leases_take_slots_and_a_smaller_cap_tells_the_excess(
    bot: Bot, desk: ExchangeAccount, now: datetime
) -> None:
    bot.post("leases", {"asset": "NEW", "ttl": 60, "idempotency_key": "1"})
    assert [bot.get("slots").json()[name] for name in NUMBERS] == [2, 1, 5, 0]
    policies.change(desk, {"position_cap": 2}, actor=builders.SCHEDULER, now=now)
    assert [bot.get("slots").json()[name] for name in NUMBERS] == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("case", "detail"),
    [
        ("old", "The newest snapshot of desk-one is 301 s old; snapshot_max_age is 300 s."),
        ("failed", "The newest reading of desk-one failed."),
        ("unread", "desk-one has not been read yet."),
        ("disabled", "desk-one is disabled: it is not read."),
    ],
)
def test_what_nobody_knows_never_reads_as_free(
    bot: Bot, desk: ExchangeAccount, now: datetime, case: str, detail: str
) -> None:
    match case:
        case "old":
            moment = now - timedelta(seconds=301)
            desk.snapshots.update(asked_at=moment, taken_at=moment)
        case "failed":
            builders.failed_snapshot(desk, at=now + timedelta(seconds=1))
        case "unread":
            desk.snapshots.all().delete()
        case "disabled":
            ExchangeAccount.objects.update(is_enabled=False)
    told = bot.get("slots").json()
    assert (told["status"], told["fresh"], told["fresh_until"]) == ("unknown", False, None)
    assert [told[name] for name in NUMBERS] == [None] * 4
    assert told["detail"] == detail
    refused = bot.post("leases", {"asset": "NEW", "ttl": 60, "idempotency_key": "1"})
    assert (refused.status_code, refused.json()["code"]) == (503, "slots_unknown")
    assert int(refused["Retry-After"]) > 0


def test_an_unchanged_answer_is_not_sent_again(bot: Bot, desk: ExchangeAccount) -> None:
    first = bot.get("slots")
    again = bot.get("slots", **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert bot.get("slots", **{"If-None-Match": f'"x", W/{first["ETag"]}'}).status_code == 304
    bot.post("leases", {"asset": "NEW", "ttl": 60, "idempotency_key": "1"})
    changed = bot.get("slots", **{"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed.json()["leased"]) == (200, 1)


def test_the_etag_changes_when_the_freshness_lapses(
    bot: Bot, desk: ExchangeAccount, now: datetime
) -> None:
    moment = now - timedelta(seconds=299)
    desk.snapshots.update(asked_at=moment, taken_at=moment)
    before = bot.get("slots")
    assert before.json()["fresh"]
    desk.policies.update(snapshot_max_age=298)  # as if two seconds had passed
    after = bot.get("slots", **{"If-None-Match": before["ETag"]})
    assert (after.status_code, after.json()["available"]) == (200, None)


def test_the_slots_take_three_queries_at_most(bot: Bot, desk: ExchangeAccount) -> None:
    for _ in ("nothing is remembered", "the snapshot is remembered"):
        with CaptureQueriesContext(connection) as asked:
            assert bot.get("slots").status_code == 200
        assert len(asked) <= 3, [query["sql"] for query in asked]


def test_the_last_use_is_noted_once_a_minute_by_a_worker(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    sent = []
    monkeypatch.setattr(bearer, "wake", sent.extend)
    for _ in range(3):
        bot.get("slots")
    token = BotToken.objects.get()
    assert {(due.task, due.pk) for due in sent} == {("note_token_use", token.pk)}
    assert len(sent) < 3  # two if a minute ends meanwhile
    tasks.note_token_use(token.pk)
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert token.last_used_at >= now


def test_accounts_do_not_mix(
    hire: Callable[..., Bot], desk: ExchangeAccount, now: datetime
) -> None:
    other = builders.account("desk-two", now=now, position_cap=20)
    builders.snapshot(other, at=now)
    bot = hire(accounts=(desk, other))
    bot.on("desk-two").post("leases", {"asset": "NEW", "ttl": 60, "idempotency_key": "1"})
    assert [bot.get("slots").json()[name] for name in NUMBERS] == [2, 0, 6, 0]
    assert [bot.on("desk-two").get("slots").json()[name] for name in NUMBERS] == [2, 1, 17, 0]
