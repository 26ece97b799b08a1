"""A database that goes and comes back while a worker waits for the exchange."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections

from positions.domain.orders import OrderState as S
from tests.journeys.oracle import assert_all_true
from tests.trading import World, told

pytestmark = pytest.mark.django_db(transaction=True)


def cut_all_connections() -> None:
    """Close every connection to this database, as a restart does; SQLite's file has none."""

    def cut() -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        connections.close_all()

    thread = threading.Thread(target=cut)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()


@pytest.mark.parametrize("fault", [None, "drop_after"])
def test_what_the_exchange_said_is_recorded_over_a_new_connection(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    order = world.start("0.05").orders.get()
    if fault:
        world.exchange.fault(fault)
    session = world.port._client.ccxt.session
    send = session.send

    def sent(request: Any, **named: Any) -> Any:
        if request.method == "POST":
            cut_all_connections()
        return send(request, **named)

    monkeypatch.setattr(session, "send", sent)
    order = world.run(order)
    assert order.state is (S.UNKNOWN if fault else S.FILLED), told(order.plan)
    assert_all_true(world.exchange)
