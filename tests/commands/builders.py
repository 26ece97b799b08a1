"""Make the rows that commands need where no exchange is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from positions.models import ExchangeAccount, Position, Snapshot, SnapshotStatus
from positions.models.fields import rank_of
from positions.services import policies
from positions.services.actors import Actor
from positions.services.credentials import Credentials, encrypted

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
    worth = None if price is None else Decimal(price)
    return Position.objects.create(
        snapshot=held,
        asset=asset,
        free=free,
        locked="0",
        price_usd=worth,
        price_path="" if price is None else f"{asset}/USDT",
        price_problem="" if price else "no market leads to USD",
        value_rank=rank_of(None if worth is None else worth * Decimal(free)),
        symbol=f"{asset}/USDT",
        market_active=True,
        step_size="0.00000001",
        min_quantity="0",
        min_notional="0",
        taker_fee="0.001",
        bid=worth,
        ask=worth,
        last=worth,
        quote_price_usd="1",
    )


def person(name: str, group: str | None = None, **values: Any) -> User:
    """Return a user in a group."""
    user = User.objects.create_user(name, password="a long enough one", **values)
    if group is not None:
        user.groups.add(Group.objects.get(name=group))
    return user
