"""Fixtures of the pages' tests: people in their groups, the reference account, and a client."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from positions.models import ExchangeAccount
from tests.trading import exchange, fresh_process, running_exchange, running_valkey, valkey
from tests.web import builders

__all__ = ["exchange", "fresh_process", "running_exchange", "running_valkey", "valkey"]


@pytest.fixture
def now() -> datetime:
    """Return one moment for the whole test."""
    return timezone.now()


@pytest.fixture
def operator(db: None) -> User:
    """Return a person who may draft, start and stop."""
    return builders.person("operator", "Operator")


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    """Return what makes a signed-in client of a new person in a group."""

    def make(group: str | None = "Operator") -> Client:
        name = f"{(group or 'nobody').lower()}-{User.objects.count()}"
        client = Client()
        client.force_login(builders.person(name, *([group] if group else [])))
        return client

    return make


@pytest.fixture
def web(operator: User) -> Client:
    """Return the operator's client."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def desk(db: None, now: datetime) -> ExchangeAccount:
    """Return the reference account, just read."""
    account = builders.account(now=now)
    builders.snapshot(account, at=now)
    return account
