"""The history: whole, append-only, and every tampering with it is found."""

from __future__ import annotations

import tracemalloc
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


@pytest.mark.parametrize("which", [0, 1, 3])
def test_an_event_that_was_moved_to_another_account_is_found(
    account: ExchangeAccount, which: int
) -> None:
    other = ExchangeAccount.objects.create(
        slug="other",
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=b"none",
        key_fingerprint="other",
        created_at=django_timezone.now(),
    )
    write(other, which)  # so that its place there is free
    event = write(account)[which]
    sql("UPDATE positions_auditevent SET account_id = %s WHERE id = %s", other.pk, event.pk)
    assert {item.chain for item in verify_all()} == {"held", "other"}


def test_an_event_that_was_moved_to_the_common_chain_is_found(account: ExchangeAccount) -> None:
    event = write(account)[3]
    sql("UPDATE positions_auditevent SET account_id = NULL WHERE id = %s", event.pk)
    assert {item.chain for item in verify_all()} == {"held", "everything"}


@pytest.mark.parametrize(
    ("which", "sequence", "problem"),
    [
        (0, 2, "An event is missing before it."),
        (1, 3, "An event is missing before it."),
        (3, 3, "The end of the history was cut off or changed."),
    ],
)
def test_a_removed_event_is_found_where_it_is_missing(
    account: ExchangeAccount, which: int, sequence: int, problem: str
) -> None:
    event = write(account)[which]
    sql("DELETE FROM positions_auditevent WHERE id = %s", event.pk)
    found = verify_all()[0]
    assert (found.chain, found.sequence, found.problem) == ("held", sequence, problem)


def test_a_removed_event_whose_gap_was_closed_is_found(account: ExchangeAccount) -> None:
    events = write(account)
    sql("DELETE FROM positions_auditevent WHERE id = %s", events[1].pk)
    for event in events[2:]:
        statement = "UPDATE positions_auditevent SET sequence = %s WHERE id = %s"
        sql(statement, event.sequence - 1, event.pk)
    sql("UPDATE positions_auditchain SET length = 3 WHERE scope = %s", str(account.pk))
    assert verify_all()


def test_a_forked_chain_is_found() -> None:
    """The database refuses a second event in the same place; somebody took its rule away."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX common_chain_never_forks")
    first, second = write(None, 2)
    fork = AuditEvent(
        sequence=second.sequence,
        kind="test.happened",
        summary="Something else",
        actor_name=TEST.name,
        at=NOW,
        previous_hash=first.hash,
    )
    fork.hash = audit.content_hash(fork)
    fork.save()
    problems = [item.problem for item in verify_all()]
    assert "A second event claims this place." in problems


def test_an_event_that_was_put_in_before_the_first_is_found() -> None:
    """Sequences begin at 1."""
    write(None, 2)
    early = AuditEvent(sequence=0, kind="x", summary="x", actor_name="x", at=NOW)
    early.hash = audit.content_hash(early)
    early.save()
    assert verify_all()[0].problem == "A second event claims this place."


@pytest.mark.parametrize(
    "change", ["last_hash = 'f'", "length = 3", "length = 5", "length = 0, last_hash = ''"]
)
def test_a_changed_end_is_found(account: ExchangeAccount, change: str) -> None:
    write(account)
    sql(f"UPDATE positions_auditchain SET {change} WHERE scope = %s", str(account.pk))  # noqa: S608
    (found,) = verify_all()
    assert found.problem == "The end of the history was cut off or changed."


def test_an_end_without_its_account_is_found(account: ExchangeAccount) -> None:
    write(None)
    AuditChain.objects.create(scope="4711", length=3, last_hash="f" * 64)
    write(account)
    (found,) = verify_all()
    assert (found.chain, found.problem) == ("account 4711", "Its account is missing.")


@pytest.mark.django_db(transaction=True)
def test_a_history_that_grows_while_it_is_walked_is_whole(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers go on writing while somebody verifies."""
    with transaction.atomic():
        write(account, 2)
    compute, more = audit.content_hash, iter(range(3))

    def meanwhile(event: AuditEvent) -> str:
        if event.pk and next(more, None) is not None:
            with monkeypatch.context() as undisturbed, transaction.atomic():
                undisturbed.setattr(audit, "content_hash", compute)
                write(account, 1)
        return compute(event)

    monkeypatch.setattr(audit, "content_hash", meanwhile)
    assert verify_all() == []
    assert next(more, None) is None
    assert AuditEvent.objects.filter(account=account).count() == 5


def test_a_long_history_is_walked_in_few_queries_and_little_memory(
    account: ExchangeAccount, django_assert_max_num_queries: Any
) -> None:
    previous, rows = "", []
    for number in range(1, 5001):
        event = AuditEvent(
            account=account,
            sequence=number,
            kind="test.happened",
            summary=f"Number {number}",
            actor_name=TEST.name,
            at=NOW + timedelta(seconds=number),
            data={"amount": "0.1"},
            previous_hash=previous,
        )
        event.hash = previous = audit.content_hash(event)
        rows.append(event)
    AuditEvent.objects.bulk_create(rows, batch_size=500)
    del rows
    AuditChain.objects.create(scope=str(account.pk), length=5000, last_hash=previous)
    tracemalloc.start()
    try:
        with django_assert_max_num_queries(12):
            assert verify_all() == []
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4_000_000  # it takes 1.5 MB; all events at once would take 7.5


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
