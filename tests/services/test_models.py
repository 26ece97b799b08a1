"""Amounts in the database: every digit comes back, whatever the database is."""

from __future__ import annotations

from decimal import Decimal, getcontext

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from positions.models import ExchangeAccount, Position, Snapshot
from positions.models.fields import ExactDecimalField, rank_of

D = Decimal


@pytest.fixture
def snapshot(db: None) -> Snapshot:
    account = ExchangeAccount.objects.create(
        slug="held",
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=b"none",
        key_fingerprint="none",
        created_at=timezone.now(),
    )
    now = timezone.now()
    return Snapshot.objects.create(
        account=account, status="GOOD", asked_at=now, taken_at=now, trigger="test"
    )


@pytest.mark.parametrize(
    "text",
    [
        "99999999.99999999",
        "1234567890123456789012345678",
        "1234567890.123456789012345678",
        "0.0000000000000000000000000001",
        "123456789012345678901234567890.123456789012345678901234567890",
        "0.1",
        "0",
        "-0.000000000000000001",
        "1E-18",
        "1E+20",
        "100",
        "1.10",
    ],
)
def test_an_amount_comes_back_as_it_was(snapshot: Snapshot, text: str) -> None:
    Position.objects.create(snapshot=snapshot, asset="X", free=D(text), locked=D(0))
    found = Position.objects.get().free
    assert found == D(text)
    assert isinstance(found, Decimal)
    assert len(found.as_tuple().digits) <= max(len(D(text).as_tuple().digits), 21)
    with connection.cursor() as cursor:
        cursor.execute("SELECT free FROM positions_position")
        (stored,) = cursor.fetchone()
    assert isinstance(stored, str)
    assert "E" not in stored.upper()


def test_sums_in_python_are_exact(snapshot: Snapshot) -> None:
    for number in range(10):
        Position.objects.create(snapshot=snapshot, asset=f"X{number}", free=D("0.1"), locked=D(0))
    assert sum(row.free for row in Position.objects.all()) == D(1)


@pytest.mark.parametrize("value", [0.1, 1.0, float("nan")])
def test_a_float_is_refused(snapshot: Snapshot, value: float) -> None:
    with pytest.raises(ValidationError):
        Position.objects.create(snapshot=snapshot, asset="X", free=value, locked=D(0))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_not_finite_is_refused(snapshot: Snapshot, value: str) -> None:
    with pytest.raises(ValidationError):
        Position.objects.create(snapshot=snapshot, asset="X", free=D(value), locked=D(0))


def test_equal_amounts_are_found_however_they_were_written(snapshot: Snapshot) -> None:
    Position.objects.create(snapshot=snapshot, asset="X", free=D("1.500"), locked=D(0))
    assert Position.objects.filter(free=D("1.5")).exists()
    assert Position.objects.filter(free="1.50").exists()


def test_unknown_is_not_zero(snapshot: Snapshot) -> None:
    Position.objects.create(snapshot=snapshot, asset="X", free=D(1), locked=D(0))
    row = Position.objects.get()
    assert (row.price_usd, row.value_rank) == (None, None)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("0.000001", "0.000002"), ("0.99", "1"), ("9", "10"), ("9" * 20, "9" * 30)],
)
def test_ranks_sort_as_values_do(smaller: str, larger: str) -> None:
    low, high = rank_of(D(smaller)), rank_of(D(larger))
    assert low is not None
    assert high is not None
    assert low <= high < 2**63
    assert rank_of(None) is None


def test_the_decimal_context_has_room_for_the_products_of_amounts() -> None:
    assert getcontext().prec >= 28
    assert ExactDecimalField().get_prep_value(D("1E+3")) == "1000"
