"""64 bots that ask the served product for six slots at the same moment."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import requests

from positions.models import Lease, Scope
from positions.services import audit, tokens
from tests.bots import let_trade
from tests.journeys.processes import shared_environment
from tests.trading import TEST, World, at_once
from tests.web_process import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))  # a benchmark runs more
BOTS, FREE = 64, 6


@pytest.fixture
def served(world: World, tmp_path: Path) -> Iterator[WebProcess]:
    """Serve the product as it is shipped, on the test's own database."""
    environment = shared_environment(tmp_path, REDIS_URL=world.valkey.url)
    with WebProcess(environment, state=tmp_path) as server:
        yield server


def test_every_slot_is_leased_once_and_nobody_gets_another_answer(
    world: World, served: WebProcess
) -> None:
    world.change_policy(snapshot_max_age=86_400)  # it stays known through all rounds
    world.snapshot()
    assets = [f"NEW{number}" for number in range(BOTS)]
    let_trade(world.account, *assets)
    texts = [_token(world, number) for number in range(BOTS)]
    for number in range(ROUNDS):
        found = at_once(
            *(
                partial(_asked, served, text, asset, number=number)
                for text, asset in zip(texts, assets, strict=True)
            )
        )
        assert Counter(found) == {201: FREE, 409: BOTS - FREE}, f"{number}: {served.said}"
        assert Lease.objects.filter(ended_at=None).count() == FREE
        Lease.objects.filter(ended_at=None).update(ended_at=world.now, opened=False)
    assert audit.verify_all() == []


def _token(world: World, number: int) -> str:
    issued = tokens.issue(
        f"bot-{number}",
        accounts=[world.account],
        scopes=[Scope.LEASE],
        expires_at=world.now + timedelta(days=1),
        actor=TEST,
        now=world.now,
    )
    return issued.text


def _asked(served: WebProcess, text: str, asset: str, *, number: int) -> int:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            f"{served.base_url}/api/v1/accounts/demo/leases",
            json={"asset": asset, "ttl": 60, "idempotency_key": f"{asset} {number}"},
            headers={"Authorization": f"Bearer {text}"},
            timeout=60,
        )
    return answer.status_code
