"""What a person sees when something breaks that no view foresaw."""

from __future__ import annotations

from typing import NoReturn

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection
from django.test import Client

from positions.models import Halt
from positions.views import accounts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (OperationalError("server closed the connection"), 503, "Running plans wait"),
        (InterfaceError("connection already closed"), 503, "Running plans wait"),
        (DataError("value too long for type character varying(40)"), 400, "Nothing was sent"),
        (ZeroDivisionError("a mistake"), 500, "in the server's log"),
    ],
)
def test_a_page_tells_the_database_the_request_and_the_program_apart(
    web: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, sentence: str
) -> None:
    def breaks(**_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(accounts, "overview", breaks)
    web.raise_request_exception = False
    reply = web.get("/")
    assert reply.status_code == status
    assert sentence in reply.text
    assert str(error) not in reply.text


def test_a_reason_with_a_character_that_no_database_should_keep_stops_everything_or_nothing(
    web: Client,
) -> None:
    """PostgreSQL keeps no NUL; whoever sent one is told, and may press again."""
    web.raise_request_exception = False
    reply = web.post("/stop/", {"reason": "now\0"})
    kept = connection.vendor == "sqlite"
    assert reply.status_code == (302 if kept else 400)
    assert Halt.objects.count() == kept
    assert web.post("/stop/", {"reason": "now"}).status_code == 302
    assert Halt.objects.count() == 1
