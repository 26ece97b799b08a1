"""Make the rows that commands need where no exchange is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from positions.models import ExchangeAccount, Position, Snapshot, SnapshotStatus
from positions.models.fields import rank_of
from positions.models.snapshots import columns_of
from positions.services import policies
from positions.services.actors import Actor
from positions.services.credentials import Credentials, encrypted
from tests.domain.builders import make_holding

TEST = Actor.service("test")


def account(slug: str = "held", **values: Any) -> ExchangeAccount:
    """Return an account with the default policy; nothing listens where it points to."""
    row = ExchangeAccount.objects.create(
        slug=slug,
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=encrypted(Credentials(api_key="key", api_secret="secret")),
        key_fingerprint=f"fingerprint-of-{slug}",
        created_at=timezone.now(),
        **values,
    )
    policies.write_first(row, actor=TEST, now=timezone.now())
    return row


def snapshot(row: ExchangeAccount, *, age: timedelta = timedelta(0)) -> Snapshot:
    """Return a good snapshot of that age, still without positions."""
    at: datetime = timezone.now() - age
    return Snapshot.objects.create(
        account=row,
        status=SnapshotStatus.GOOD,
        asked_at=at,
        taken_at=at,
        anchor="USDT",
        requests=3,
        trigger="test",
    )


def position(held: Snapshot, asset: str, *, free: str, price: str | None) -> Position:
    """Return a position with an active market against USDT and no minimum."""
    holding = make_holding(
        asset,
        free=free,
        price=price,
        price_problem="" if price else "no market leads to USD",
        step_size="0.00000001",
        min_quantity="0",
    )
    return Position.objects.create(
        snapshot=held, value_rank=rank_of(holding.value_usd), **columns_of(holding)
    )


def person(name: str, group: str | None = None, **values: Any) -> User:
    """Return a user in a group."""
    user = User.objects.create_user(name, password="a long enough one", **values)
    if group is not None:
        user.groups.add(Group.objects.get(name=group))
    return user
