"""A remembered snapshot saves the reading, and never says what is no longer so."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from positions.domain.policies import Policy
from positions.domain.routes import Circumstances
from positions.domain.what_if import WhatIf
from positions.models import ExchangeAccount
from positions.selectors.accounts import account_reading
from positions.selectors.analysis import Analysis
from positions.selectors.memory import Memory, Wanted
from positions.services import policies
from tests.domain.builders import make_terms
from tests.web import builders


def _analysis(desk: ExchangeAccount, now: datetime) -> Analysis:
    analysis = account_reading(desk.slug, now=now).analysis
    assert analysis is not None
    return analysis


def test_the_positions_of_a_snapshot_are_read_once(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    first = _analysis(desk, now)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for address in ("/", f"/accounts/{desk.slug}/", f"/accounts/{desk.slug}/what-if/"):
            assert web.get(address).status_code == 200
    assert not [query for query in queries if 'FROM "positions_position"' in query["sql"]]
    assert _analysis(desk, now).what_if is first.what_if


def test_a_newer_snapshot_counts_at_once(desk: ExchangeAccount, web: Client, now: datetime) -> None:
    assert "6 of 8 positions" in web.get(f"/accounts/{desk.slug}/").text
    builders.snapshot(desk, at=now + timedelta(seconds=1), holdings=builders.reference()[:3])
    assert "1 of 3 positions" in web.get(f"/accounts/{desk.slug}/").text


def test_a_new_policy_counts_at_once(desk: ExchangeAccount, now: datetime) -> None:
    assert _analysis(desk, now).slots.available == 6
    policies.change(
        desk, {"position_cap": 5, "ignored_assets": ["SOL"]}, actor=builders.SCHEDULER, now=now
    )
    assert _analysis(desk, now).slots.available == 3
    policies.change(desk, {"cash_assets": ["USDT", "SOL"]}, actor=builders.SCHEDULER, now=now)
    assert _analysis(desk, now).slots.available == 4


def test_an_order_in_flight_counts_at_once(
    desk: ExchangeAccount, operator: User, now: datetime
) -> None:
    assert len(_analysis(desk, now).closable) == 6
    builders.started(desk, by=operator, now=now)
    assert len(_analysis(desk, now).closable) == 0


def test_a_snapshot_grows_old_while_it_is_remembered(desk: ExchangeAccount, now: datetime) -> None:
    assert _analysis(desk, now).is_fresh
    assert not _analysis(desk, now + timedelta(seconds=301)).is_fresh


def _what_if(size: int) -> WhatIf:
    rows = [builders.holding(f"A{number}", "1", "1") for number in range(size)]
    holdings = [builders.Position(**row).as_domain() for row in rows]
    return WhatIf(holdings, policy=Policy(), cap=8)


KEY = Wanted(
    snapshot=1,
    taken_at=datetime.fromisoformat("2026-11-19T12:00:00+00:00"),
    policy=Policy(),
    circumstances=Circumstances(),
    remembers=True,
)


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, snapshot=2),
        replace(KEY, taken_at=KEY.taken_at + timedelta(microseconds=1)),
        replace(KEY, policy=Policy(dust_threshold=Decimal(2))),
        replace(KEY, policy=Policy(protected_assets=frozenset({"XRP"}))),
        replace(KEY, circumstances=Circumstances(in_flight=frozenset({"XRP"}))),
        replace(KEY, circumstances=Circumstances(terms=make_terms())),
        replace(KEY, remembers=False),
    ],
)
def test_whatever_differs_is_another_key(other: Wanted) -> None:
    memory = Memory()
    memory.put(KEY, _what_if(1))
    assert memory.get(replace(KEY)) is not None
    assert memory.get(other) is None


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    memory = Memory(most=10)
    keys = [replace(KEY, snapshot=number) for number in range(4)]
    for key in keys[:2]:
        memory.put(key, _what_if(5))
    assert memory.get(keys[0]) is not None
    memory.put(keys[2], _what_if(5))
    assert [memory.get(key) is not None for key in keys] == [True, False, True, False]
    memory.put(keys[3], _what_if(30))  # more than there is room for: it stays, alone
    assert [memory.get(key) is not None for key in keys] == [False, False, False, True]
