"""The account, its exchange, its Valkey and its people for services."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User

from positions.services.actors import Actor
from tests.trading import (
    exchange,
    fresh_process,
    running_exchange,
    running_valkey,
    use_file_database,
    valkey,
    world,
)

__all__ = [
    "exchange",
    "fresh_process",
    "running_exchange",
    "running_valkey",
    "valkey",
    "world",
]

use_file_database()

Hire = Callable[..., Actor]


@pytest.fixture
def hire(db: None) -> Hire:
    """Return what makes a person in a group."""

    def made(group: str, name: str = "") -> Actor:
        user = User.objects.create_user(name or group.lower())
        user.groups.add(Group.objects.get(name=group))
        return Actor.person(User.objects.get(pk=user.pk))

    return made
