"""A short slice of a soak: random plans, faults, kills and stops, and not one violation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from positions.domain.orders import OrderState
from positions.models import CloseOrder
from tests.journeys.faults.house import shared_database
from tests.journeys.soak.run import soak

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# Its script kills a worker, ends Valkey, skews the clock and loses requests and answers.
SEED = 5199
SECONDS = 25.0


@pytest.fixture
def _django_db_helper(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Take the place of pytest-django's: real workers share the database."""
    with shared_database(django_db_blocker):
        yield


def test_a_short_soak_violates_nothing() -> None:
    done = soak(seed=SEED, seconds=SECONDS, waits_for_leases=False)
    assert not done.violations, done.story()
    assert CloseOrder.objects.filter(status=OrderState.FILLED).exists()
    assert done.figures.rows["faults met"] != "0"
    assert done.figures.rows["kills and stops"] != "0"
