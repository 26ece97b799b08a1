"""Snapshots: what was read, or why nothing was, and never an account that is empty by mistake."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.markets import Ticker
from positions.models import AuditEvent, Position, Snapshot
from positions.selectors.snapshots import latest, latest_good
from positions.services import snapshots
from tests.trading import TEST, World, at_once

pytestmark = pytest.mark.django_db
ACCOUNT = {"method": "GET", "path": "/api/v3/account"}


def requests_of(world: World) -> list[str]:
    return [request["path"] for request in world.exchange.ledger()["requests"]]


def test_a_snapshot_holds_what_the_exchange_says_to_the_last_digit(world: World) -> None:
    world.exchange.control("POST", "balances", {"SHIB": {"free": "5000.12345678", "locked": "1.5"}})
    snapshot = world.snapshot()
    assert (snapshot.status, snapshot.anchor) == ("GOOD", "USDT")
    row = snapshot.positions.get(asset="SHIB")
    assert (row.free, row.locked) == (Decimal("5000.12345678"), Decimal("1.5"))
    assert row.price_usd == Decimal("0.000012")
    assert row.as_domain().step_size == Decimal(1)
    assert row.as_domain().sales[0].ticker == Ticker(
        symbol="SHIB/USDT",
        bid=Decimal("0.00001199"),
        ask=Decimal("0.00001201"),
        last=Decimal("0.000012"),
    )
    assert snapshot.positions.count() == 9


def test_with_warm_markets_a_snapshot_costs_at_most_four_requests(world: World) -> None:
    world.snapshot()
    before = len(requests_of(world))
    snapshot = world.snapshot()
    asked = requests_of(world)[before:]
    assert len(asked) <= 4
    assert asked == [
        "/api/v3/account",
        "/api/v3/openOrders",
        "/api/v3/ticker/24hr",
        "/sapi/v1/asset/dust-btc",
    ]
    assert snapshot.requests == 4


@pytest.mark.parametrize(
    ("kind", "spec", "code"),
    [
        ("status_before", {"status": 503}, "ANSWER_UNKNOWN"),
        ("garbage_before", {}, "ANSWER_UNKNOWN"),
        ("garbage_before", {"body": "{}"}, "ANSWER_UNKNOWN"),
        ("cut_json_after", {}, "ANSWER_UNKNOWN"),
        ("drop_before", {}, "ANSWER_UNKNOWN"),
        ("empty_balances", {}, "READS_EMPTY"),
        ("error", {"code": -2015, "msg": "Invalid API-key."}, "KEY_REFUSED"),
        ("rate_limit", {"retry_after": 1}, "RATE_LIMITED"),
    ],
)
def test_a_failed_reading_keeps_its_reason_and_the_last_good_one_stays(
    world: World, kind: str, spec: dict[str, Any], code: str
) -> None:
    good = world.snapshot()
    world.exchange.fault(kind, **ACCOUNT, **spec)
    failed = world.snapshot()
    assert (failed.status, failed.failure_code) == ("FAILED", code)
    assert failed.failure
    assert failed.positions.count() == 0
    assert latest(world.account) == failed
    assert latest_good(world.account) == good
    event = AuditEvent.objects.filter(kind="snapshot.failed").get()
    assert event.data["code"] == code


def test_a_failure_that_goes_on_is_told_once_and_its_end_once(world: World) -> None:
    world.snapshot()
    world.exchange.fault("status_before", status=503, times=3, **ACCOUNT)
    for _ in range(4):
        world.snapshot()
    kinds = list(
        AuditEvent.objects.filter(kind__startswith="snapshot.")
        .order_by("pk")
        .values_list("kind", flat=True)
    )
    assert kinds == ["snapshot.failed", "snapshot.taken"]


def test_an_account_that_was_always_empty_is_empty(world: World) -> None:
    world.exchange.fault("empty_balances", times=None, **ACCOUNT)
    assert world.snapshot().status == "GOOD"


def test_an_account_that_stays_empty_is_believed_in_the_end(world: World) -> None:
    world.snapshot()
    world.exchange.fault("empty_balances", times=None, **ACCOUNT)
    codes = []
    for _ in range(6):
        world.later(30)
        codes.append(world.snapshot().failure_code)
    assert codes[:3] == ["READS_EMPTY"] * 3
    assert codes[-1] == ""


def test_another_failure_between_does_not_prove_emptiness(world: World) -> None:
    world.snapshot()
    world.exchange.fault("empty_balances", times=2, **ACCOUNT)
    world.exchange.fault("status_before", status=503, times=1, **ACCOUNT)
    world.exchange.fault("empty_balances", times=None, **ACCOUNT)
    for _ in range(4):
        world.later(40)
        assert world.snapshot().status == "FAILED"


def test_snapshots_asked_for_together_are_one(world: World) -> None:
    first = snapshots.take_snapshot(world.account, trigger=TEST, clock=world.clock)
    second = snapshots.take_snapshot(world.account, trigger=TEST, clock=world.clock)
    assert first == second
    world.clock.ahead += timedelta(seconds=6)
    third = snapshots.take_snapshot(world.account, trigger=TEST, clock=world.clock)
    assert third != first


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_read_at_once_read_once(world: World) -> None:
    world.exchange.control("POST", "latency", {"seconds": "0.2"})
    before = requests_of(world).count("/api/v3/account")

    def read() -> Snapshot:
        return snapshots.take_snapshot(world.account, trigger=TEST, clock=world.clock)

    found = at_once(read, read, read)
    assert len({snapshot.pk for snapshot in found}) == 1
    assert requests_of(world).count("/api/v3/account") == before + 1


def test_a_snapshot_after_a_moment_is_never_an_older_one(world: World) -> None:
    first = world.snapshot()
    assert world.snapshot() != first


def test_an_open_order_and_a_halted_market_are_kept(world: World) -> None:
    world.exchange.control("POST", "markets", {"XRPUSDT": {"status": "HALT"}})
    order = {"symbol": "ADAUSDT", "side": "SELL", "quantity": "0.2", "price": "1"}
    world.exchange.control("POST", "open-order", order)
    world.valkey_forgets_markets()
    snapshot = world.snapshot()
    ada, xrp = snapshot.positions.get(asset="ADA"), snapshot.positions.get(asset="XRP")
    assert (ada.has_open_order, ada.locked) == (True, Decimal("0.2"))
    assert [sale["active"] for sale in xrp.sales] == [False]
    assert not xrp.has_open_order


def test_an_asset_without_a_price_has_none_and_says_why(world: World) -> None:
    world.exchange.control("POST", "prices", {"DOGEUSDT": None})
    row = world.snapshot().positions.get(asset="DOGE")
    assert (row.price_usd, row.value_rank) == (None, None)
    assert "no buyers" in row.price_problem


def test_unreadable_credentials_are_a_failed_snapshot(world: World, settings: Any) -> None:
    from cryptography.fernet import Fernet

    from tests.trading import close_clients

    close_clients()
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    assert world.snapshot().failure_code == "CREDENTIALS"


@pytest.mark.parametrize("skew_ms", [60_000, -60_000])
def test_a_clock_that_moved_costs_one_snapshot_and_not_all(world: World, skew_ms: int) -> None:
    world.snapshot()
    world.exchange.control("POST", "clock", {"skew_ms": skew_ms})
    assert world.snapshot().status == "FAILED"
    assert world.snapshot().status == "GOOD"


# --- Thinning -----------------------------------------------------------------------------------


def kept_at(world: World, *ages_in_minutes: int, status: str = "GOOD") -> list[Snapshot]:
    return [
        Snapshot.objects.create(
            account=world.account,
            status=status,
            asked_at=world.now - timedelta(minutes=age),
            taken_at=world.now - timedelta(minutes=age),
            trigger="test",
        )
        for age in ages_in_minutes
    ]


def test_thinning_keeps_one_an_hour_and_the_last_day(world: World) -> None:
    start = world.now.replace(minute=59, second=0, microsecond=0)
    offset = int((world.now - start).total_seconds() // 60)
    old = kept_at(world, *[3000 + offset + minutes for minutes in range(0, 240, 5)])
    young = kept_at(world, 10, 20, 30, 1430)
    snapshots.thin(world.account, now=world.now)
    left = set(Snapshot.objects.all())
    assert set(young) <= left
    hours = [snapshot.taken_at.replace(minute=0, second=0) for snapshot in left & set(old)]
    assert len(hours) == len(set(hours)) >= 4


def test_thinning_keeps_what_a_plan_refers_to(world: World) -> None:
    plan = world.draft("0.05")
    Snapshot.objects.filter(pk=plan.snapshot_id).update(taken_at=world.now - timedelta(days=3))
    kept_at(world, *[3 * 1440 + minutes for minutes in range(-30, 30)])
    snapshots.thin(world.account, now=world.now)
    assert Snapshot.objects.filter(pk=plan.snapshot_id).exists()
    assert Position.objects.filter(snapshot=plan.snapshot_id).exists()


def test_thinning_never_takes_the_last_good_snapshot(world: World) -> None:
    """After days of failed readings it is still the one that everybody sees."""
    hour = world.now.replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
    for minutes in (1, 10, 20):
        at = hour + timedelta(minutes=minutes)
        last = Snapshot.objects.create(
            account=world.account, status="GOOD", asked_at=at, taken_at=at, trigger="test"
        )
    kept_at(world, 1000, 500, 5, status="FAILED")
    snapshots.thin(world.account, now=world.now)
    assert latest_good(world.account) == last
