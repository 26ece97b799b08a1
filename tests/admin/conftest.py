"""One account's whole history, with a plan of several orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from positions.models import Attempt, BotToken, CleanupPlan, Conversion, ExchangeAccount, Fill
from positions.services import audit, halts
from positions.services.actors import Actor
from positions.services.drafts import draft_plan
from positions.services.starts import start_plan
from tests.bots import claim, hire_bot, lease
from tests.commands import builders

ASSETS = ("DOGE", "XRP", "ADA", "PEPE")
SECRET = "not-to-be-seen"


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    """Name static files without their hashes, which only collected files have."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def root(db: None) -> User:
    """Return a superuser."""
    return User.objects.create_superuser("root", password="a long enough one")


@pytest.fixture
def as_root(root: User) -> Client:
    """Return a superuser's browser."""
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def history(root: User) -> CleanupPlan:
    """Return a running plan with attempts, fills and events, a bot with what it holds, a halt."""
    account = builders.account("demo")
    plan = started(account, actor=Actor.person(root))
    order = plan.orders.get(asset="DOGE")
    Attempt.objects.create(
        order=order,
        number=1,
        claim_token=SECRET,
        quantity=order.quantity,
        signed_at_ms=1,
        valid_until_ms=2,
        answer="ACCEPTED",
        request={"symbol": order.symbol},
        created_at=timezone.now(),
    )
    Fill.objects.create(
        order=order,
        trade_id="trade-1",
        price="0.18",
        quantity="5",
        fee="0.0009",
        fee_currency="USDT",
        at=timezone.now(),
    )
    made = Conversion.objects.create(
        plan=plan,
        number=1,
        target="BNB",
        client_id="conversion-id",
        claim_token=SECRET,
        signed_at_ms=1,
        valid_until_ms=2,
        answer="UNKNOWN",
        answer_code="-1007",
        answer_text="<i>Timeout</i>",
        request={"assets": ["PEPE"], "target": "BNB"},
        wire={"path": "/sapi/v1/asset/dust"},
        created_at=timezone.now(),
    )
    plan.orders.filter(asset="PEPE").update(
        route="CONVERT", symbol="", quote="BNB", client_order_id=None, conversion=made
    )
    with transaction.atomic():
        audit.record(
            "order.filled",
            "DOGE: <b>5 sold</b>",
            actor=Actor.service("worker"),
            at=timezone.now(),
            order=order,
            data={"filled_quantity": order.quantity},
        )
    bot = hire_bot(account, now=timezone.now())
    BotToken.objects.update(secret_hash=SECRET)
    lease(account, "NEW", bot=bot, now=timezone.now(), key="key-1")
    claim(account, "KEPT", bot=bot, now=timezone.now())
    halts.press(account=account, reason="Test", actor=Actor.person(root), now=timezone.now())
    return plan


def started(account: ExchangeAccount, *, actor: Actor, assets: Any = ASSETS) -> CleanupPlan:
    """Return a running plan that closes the assets."""
    now = timezone.now()
    taken = builders.snapshot(account, age=timedelta(seconds=1))
    builders.position(taken, "USDT", free="100", price="1")
    for asset in assets:
        builders.position(taken, asset, free="5", price="0.18")
    plan = draft_plan(account, threshold=None, actor=actor, now=now)
    return start_plan(plan, hash_seen=plan.hash, actor=actor, now=now)
