"""Let several hands wait for the same row, one behind the other, and then let go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection, connections, models, transaction

from tests.exchange_process import wait_until
from tests.trading import close_clients


def queued_behind(row: models.Model, *calls: Callable[[], Any]) -> list[Any]:
    """Begin the calls one by one while the row is locked; return what they returned or raised.

    On PostgreSQL each has come to a lock, or to its end, before the next one begins: the order is
    always the same. SQLite has one lock, doesn't tell who waits for it, and chooses who is next.
    """
    results: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error
        finally:
            close_clients()
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    with transaction.atomic():
        type(row).objects.select_for_update(no_key=True).get(pk=row.pk)
        for thread in threads:
            before = _waiting()
            thread.start()
            if connection.vendor == "postgresql":
                wait_until(
                    lambda thread=thread, before=before: (
                        not thread.is_alive() or _waiting() > before
                    ),
                    what="a lock that is waited for",
                )
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a thread did not end"
    return results


def _waiting() -> int:
    """Return how many connections to this database wait for a lock."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        # What a transaction has seen of the others stays as it was until it is thrown away.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (count,) = cursor.fetchone()
        return int(count)
