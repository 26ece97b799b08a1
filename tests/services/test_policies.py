"""Policies: every change is a new version, inside its guards, by the right person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from positions.domain.policies import GuardBroken
from positions.models import AuditEvent, DustPolicy, ExchangeAccount
from positions.services import audit, policies
from positions.services.permissions import NotPermitted
from positions.services.policies import BadPolicy, PolicyConflict, change, parse
from tests.services.conftest import Hire
from tests.trading import TEST

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    made = ExchangeAccount.objects.create(
        slug="held",
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=b"none",
        key_fingerprint="none",
        created_at=timezone.now(),
    )
    policies.write_first(made, actor=TEST, now=timezone.now())
    return made


def changed(account: ExchangeAccount, **changes: Any) -> DustPolicy:
    return change(account, changes, actor=TEST, now=timezone.now())


def test_a_change_is_a_new_version_and_the_old_one_stays(account: ExchangeAccount) -> None:
    first = policies.in_force(account)
    second = changed(account, dust_threshold=D("2.50"))
    assert (second.version, second.dust_threshold) == (2, D("2.50"))
    assert policies.in_force(account) == second
    first.refresh_from_db()
    assert first.dust_threshold == D(1)
    event = AuditEvent.objects.filter(kind="policy.changed").get()
    assert event.data["changed"] == {"dust_threshold": {"from": "1", "to": "2.5"}}
    assert audit.verify_all() == []


def test_a_change_that_changes_nothing_makes_no_version(account: ExchangeAccount) -> None:
    assert changed(account, dust_threshold=D("1.0")).version == 1
    assert DustPolicy.objects.count() == 1


@pytest.mark.parametrize(("threshold", "allowed"), [("9.99", True), ("10", True), ("10.01", False)])
def test_the_threshold_stays_within_its_guard(
    account: ExchangeAccount, threshold: str, allowed: bool
) -> None:
    if allowed:
        assert changed(account, dust_threshold=D(threshold)).version == 2
        return
    with pytest.raises(GuardBroken) as broken:
        changed(account, dust_threshold=D(threshold))
    assert (broken.value.field_name, broken.value.limit) == ("max_threshold", "10")
    assert broken.value.asked == "10.01"
    assert DustPolicy.objects.count() == 1


def test_a_guard_can_not_be_lowered_below_the_threshold(account: ExchangeAccount) -> None:
    with pytest.raises(BadPolicy):
        changed(account, max_threshold=D("0.5"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dust_threshold", D("-1")),
        ("dust_threshold", D(0)),
        ("dust_threshold", D("NaN")),
        ("winning_threshold", D("Infinity")),
        ("position_cap", 0),
        ("price_drift", D(1)),
        ("max_slippage", D("1.5")),
        ("limit_share", D(0)),
        ("limit_share", D("1.1")),
        ("max_plan_orders", 0),
        ("max_order_value", D(0)),
        ("plan_ttl", 0),
        ("check_max_age", 61),
        ("snapshot_interval", -1),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_field(
    account: ExchangeAccount, name: str, value: Any
) -> None:
    with pytest.raises((BadPolicy, GuardBroken)) as refused:
        changed(account, **{name: value})
    if isinstance(refused.value, BadPolicy):
        assert name in refused.value.problems
    assert DustPolicy.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dust_threshold", "2.50", D("2.50")),
        ("dust_threshold", "$2", D(2)),
        ("position_cap", "12", 12),
        ("protected_assets", "btc, eth,", frozenset({"BTC", "ETH"})),
        ("protected_assets", "", frozenset()),
        ("sell_enabled", "False", False),
        ("max_order_value", "none", None),
        ("approval_above", "", None),
        ("approval_above", "20", D(20)),
    ],
)
def test_what_a_person_writes_is_read(name: str, text: str, value: Any) -> None:
    assert parse(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dust_threshold", "1e3"),
        ("dust_threshold", "1,5"),
        ("dust_threshold", "lots"),
        ("dust_threshold", ""),
        ("position_cap", "8.5"),
        ("position_cap", "9" * 20),
        ("sell_enabled", "yes"),
        ("protected_assets", "BTC;ETH"),
        ("protected_assets", "<script>"),
        ("version", "7"),
        ("nonsense", "1"),
        ("pk", "1"),
    ],
)
def test_what_can_not_be_read_names_its_field(name: str, text: str) -> None:
    with pytest.raises(BadPolicy) as bad:
        parse(name, text)
    assert set(bad.value.problems) == {name}


@pytest.mark.parametrize(
    ("group", "name", "value", "allowed"),
    [
        ("Viewer", "dust_threshold", D(2), False),
        ("Operator", "dust_threshold", D(2), True),
        ("Operator", "protected_assets", frozenset({"BTC"}), True),
        ("Operator", "ignored_assets", frozenset({"BTC"}), True),
        ("Operator", "cash_assets", frozenset({"USDT"}), False),
        ("Operator", "max_threshold", D(20), False),
        ("Operator", "max_plan_value", D(500), False),
        ("Operator", "approval_above", None, False),
        ("Operator", "position_cap", 9, False),
        ("Approver", "max_threshold", D(20), False),
        ("Administrator", "max_threshold", D(20), True),
        ("Administrator", "cash_assets", frozenset({"USDT"}), True),
    ],
)
def test_an_operator_changes_daily_fields_and_an_administrator_the_guards(
    account: ExchangeAccount, hire: Hire, group: str, name: str, value: Any, allowed: bool
) -> None:
    actor = hire(group)
    before = DustPolicy.objects.count()
    try:
        change(account, {name: value}, actor=actor, now=timezone.now())
    except NotPermitted:
        assert not allowed
        assert DustPolicy.objects.count() == before
    else:
        assert allowed


def test_a_guard_can_not_be_smuggled_in_beside_a_daily_field(
    account: ExchangeAccount, hire: Hire
) -> None:
    with pytest.raises(NotPermitted):
        change(
            account,
            {"dust_threshold": D(2), "max_plan_value": D(9999)},
            actor=hire("Operator"),
            now=timezone.now(),
        )


def test_protecting_needs_a_reason_which_is_kept(account: ExchangeAccount) -> None:
    with pytest.raises(BadPolicy):
        policies.protect(account, "DOGE", reason="  ", actor=TEST, now=timezone.now())
    made = policies.protect(account, "doge", reason="a gift", actor=TEST, now=timezone.now())
    assert "DOGE" in made.protected_assets
    assert made.note == "a gift"
    made = policies.ignore(account, "XRP", reason="old", actor=TEST, now=timezone.now())
    assert (made.protected_assets, made.ignored_assets) == (["DOGE"], ["XRP"])


@pytest.mark.parametrize("asset", ["", " ", "a,b", "<x>"])
def test_only_one_asset_can_be_protected_at_a_time(account: ExchangeAccount, asset: str) -> None:
    with pytest.raises(BadPolicy):
        policies.protect(account, asset, reason="why", actor=TEST, now=timezone.now())


def test_what_was_listed_is_taken_off_with_a_reason(account: ExchangeAccount) -> None:
    for asset in ("DOGE", "XRP"):
        policies.protect(account, asset, reason="kept", actor=TEST, now=timezone.now())
    policies.ignore(account, "ADA", reason="old", actor=TEST, now=timezone.now())
    with pytest.raises(BadPolicy):
        policies.unprotect(account, "DOGE", reason="", actor=TEST, now=timezone.now())
    made = policies.unprotect(account, "doge", reason="sold", actor=TEST, now=timezone.now())
    assert (made.protected_assets, made.ignored_assets, made.note) == (["XRP"], ["ADA"], "sold")
    made = policies.unignore(account, "ADA", reason="back", actor=TEST, now=timezone.now())
    assert (made.protected_assets, made.ignored_assets, made.version) == (["XRP"], [], 6)
    again = policies.unignore(account, "ADA", reason="back", actor=TEST, now=timezone.now())
    assert again.version == 6


def test_a_change_on_top_of_an_older_version_is_refused(account: ExchangeAccount) -> None:
    changed(account, dust_threshold=D(2))
    with pytest.raises(PolicyConflict) as refused:
        change(account, {"position_cap": 9}, actor=TEST, now=timezone.now(), based_on=1)
    assert refused.value.current.version == 2
    assert policies.in_force(account).position_cap == 8
    made = change(account, {"position_cap": 9}, actor=TEST, now=timezone.now(), based_on=2)
    assert (made.version, made.position_cap, made.dust_threshold) == (3, 9, D(2))
