"""One house for all modules of this folder: what happens here harms no process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.journeys.faults.house import House, judged_house, shared_database


@pytest.fixture(scope="package")
def house(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[House]:
    """Return a house in which two workers and a scheduler are at work."""
    with shared_database(django_db_blocker), judged_house() as made:
        made.start_crew(workers=2)
        yield made


@pytest.fixture
def _django_db_helper(house: House) -> None:
    """Take the place of pytest-django's, which would empty the database after each test."""
