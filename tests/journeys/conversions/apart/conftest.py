"""A house of real workers where nothing can be sold, so that only a conversion closes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_django import DjangoDbBlocker

from tests.journeys.faults.ground import BINANCE
from tests.journeys.faults.house import House, judged_house, shared_database

GROUND = replace(BINANCE, market={**BINANCE.market, "min_notional": "5"})


@pytest.fixture(scope="module")
def house(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[House]:
    """Return a house without workers; each module starts those that it needs."""
    with shared_database(django_db_blocker), judged_house(GROUND) as made:
        yield made


@pytest.fixture
def _django_db_helper(house: House) -> None:
    """Take the place of pytest-django's, which would empty the database after each test."""
