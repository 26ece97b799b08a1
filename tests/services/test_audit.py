"""The history: whole, append-only, and every tampering with it is found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone as django_timezone

from positions.models import AppendOnly, AuditChain, AuditEvent, ExchangeAccount
from positions.services import audit
from positions.services.audit import record, verify_all
from tests.trading import TEST

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return ExchangeAccount.objects.create(
        slug="held",
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=b"none",
        key_fingerprint="none",
        created_at=django_timezone.now(),
    )


def write(account: ExchangeAccount | None, count: int = 4) -> list[AuditEvent]:
    return [
        record(
            "test.happened",
            f"Number {number}",
            actor=TEST,
            at=NOW + timedelta(seconds=number),
            account=account,
            data={"amount": Decimal("0.1000"), "number": number, "of": ["ä", None, True]},
        )
        for number in range(count)
    ]


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1, "the tampering itself must work"


def test_chains_verify_after_a_round_trip(account: ExchangeAccount) -> None:
    write(account)
    write(None)
    assert verify_all() == []
    assert AuditEvent.objects.filter(account=account).earliest("pk").data["amount"] == "0.1"
    assert [event.sequence for event in AuditEvent.objects.filter(account=None)] == [4, 3, 2, 1]


def test_a_moment_in_another_time_zone_is_the_same_moment(account: ExchangeAccount) -> None:
    record(
        "test.happened",
        "elsewhere",
        actor=TEST,
        at=NOW.astimezone(timezone(timedelta(hours=5, minutes=30))),
        account=account,
    )
    assert verify_all() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("summary", "Something else"),
        ("kind", "test.invented"),
        ("actor_name", "somebody"),
        ("data", '{"amount":"9"}'),
        ("at", "2020-01-01 00:00:00"),
        ("hash", "0" * 64),
        ("previous_hash", "0" * 64),
    ],
)
@pytest.mark.parametrize("which", [0, 1, 3])
def test_changed_content_is_found(
    account: ExchangeAccount, column: str, value: str, which: int
) -> None:
    event = write(account)[which]
    sql(f"UPDATE positions_auditevent SET {column} = %s WHERE id = %s", value, event.pk)  # noqa: S608
    found = verify_all()
    assert found
    assert {item.chain for item in found} == {"held"}


def test_changed_content_with_a_hash_that_fits_is_found_by_its_successor(
    account: ExchangeAccount,
) -> None:
    event = write(account)[1]
    event.summary = "Something else"
    sql(
        "UPDATE positions_auditevent SET summary = %s, hash = %s WHERE id = %s",
        event.summary,
        audit.content_hash(event),
        event.pk,
    )
    assert [item.problem for item in verify_all()] == ["It does not follow the one before."]


def test_an_event_that_was_moved_to_another_account_is_found(account: ExchangeAccount) -> None:
    event = write(account)[3]
    sql("UPDATE positions_auditevent SET account_id = NULL WHERE id = %s", event.pk)
    assert {item.chain for item in verify_all()} == {"held", "everything"}


@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_removed_event_is_found(account: ExchangeAccount, which: int) -> None:
    event = write(account)[which]
    sql("DELETE FROM positions_auditevent WHERE id = %s", event.pk)
    assert verify_all()


def test_a_cut_tail_is_found_also_when_the_end_is_set_back(account: ExchangeAccount) -> None:
    events = write(account)
    sql("DELETE FROM positions_auditevent WHERE id = %s", events[-1].pk)
    sql("UPDATE positions_auditchain SET length = 3 WHERE scope = %s", str(account.pk))
    assert verify_all()


def test_a_removed_end_is_found(account: ExchangeAccount) -> None:
    write(account)
    sql("DELETE FROM positions_auditchain WHERE scope = %s", str(account.pk))
    assert verify_all()


def test_a_whole_history_that_was_removed_with_its_end_is_found(
    account: ExchangeAccount,
) -> None:
    """Every account has a history: it begins when the account is connected."""
    (event,) = write(account, 1)
    sql("DELETE FROM positions_auditevent WHERE id = %s", event.pk)
    sql("DELETE FROM positions_auditchain WHERE scope = %s", str(account.pk))
    assert verify_all()


def test_swapped_events_are_found(account: ExchangeAccount) -> None:
    events = write(account)
    statement = "UPDATE positions_auditevent SET sequence = %s WHERE id = %s"
    sql(statement, 99, events[1].pk)
    sql(statement, 2, events[2].pk)
    sql(statement, 3, events[1].pk)
    assert verify_all()


def test_events_can_not_be_changed_or_deleted(account: ExchangeAccount) -> None:
    event = write(account)[0]
    event.summary = "Something else"
    refused = [
        event.save,
        event.delete,
        lambda: AuditEvent.objects.update(summary="x"),
        lambda: AuditEvent.objects.all().delete(),
        lambda: AuditEvent.objects.filter(pk=event.pk).update(summary="x"),
        lambda: AuditEvent.objects.bulk_update([event], ["summary"]),
        lambda: account.events.all().delete(),
        lambda: account.events.update(summary="x"),
        lambda: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"summary": "x"}),
    ]
    for attempt in refused:
        with pytest.raises(AppendOnly), transaction.atomic():
            attempt()
    assert verify_all() == []


def test_an_account_with_a_history_can_not_be_deleted(account: ExchangeAccount) -> None:
    write(account)
    from django.db.models import ProtectedError

    with pytest.raises(ProtectedError):
        account.delete()


@pytest.mark.parametrize("data", [{"amount": 0.1}, {"deep": [{"amount": 1.0}]}])
def test_a_float_has_no_place_in_the_history(
    account: ExchangeAccount, data: dict[str, Any]
) -> None:
    with pytest.raises(TypeError), transaction.atomic():
        record("test.happened", "x", actor=TEST, at=NOW, account=account, data=data)
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_is_only_written_with_its_change() -> None:
    with pytest.raises(TransactionManagementError):
        record("test.happened", "x", actor=TEST, at=NOW)
    assert not AuditEvent.objects.exists()


def test_an_event_whose_change_is_undone_is_undone_too(account: ExchangeAccount) -> None:
    write(account)
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012 - undone together
        write(account, 1)
        raise ZeroDivisionError
    assert AuditChain.objects.get(scope=str(account.pk)).length == 4
    write(account, 1)
    assert verify_all() == []


def test_a_long_summary_is_kept_short_and_still_verifies(account: ExchangeAccount) -> None:
    record("test.happened", "x" * 1000, actor=TEST, at=NOW, account=account)
    assert verify_all() == []
