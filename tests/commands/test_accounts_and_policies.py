"""`add_account`, `set_policy`, `halt` and `verify_audit`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from positions.models import AuditEvent, CleanupPlan, ExchangeAccount, Halt
from positions.services import policies
from positions.services.actors import Actor
from tests.admin.conftest import started
from tests.commands import builders
from tests.commands.conftest import Manage
from tests.exchange_process import SandboxProcess
from tests.valkey_process import ValkeyProcess


@pytest.fixture
def keys(
    routed: SandboxProcess, fresh_process: None, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Put the sandbox's credentials where the command looks for them."""
    found = routed.credentials()
    monkeypatch.setenv("DUSTADMIN_API_KEY", found["api_key"])
    monkeypatch.setenv("DUSTADMIN_API_SECRET", found["api_secret"])
    return found


@pytest.mark.django_db
def test_add_account_checks_the_key_and_keeps_it(
    manage: Manage, valkey: ValkeyProcess, exchange: SandboxProcess, keys: dict[str, str]
) -> None:
    result = manage("add_account", "bots", "--exchange", "binance")
    assert (result.code, result.err) == (0, "")
    account = ExchangeAccount.objects.get(slug="bots")
    assert account.base_url == exchange.base_url
    assert keys["api_secret"].encode() not in bytes(account.credentials)
    assert keys["api_key"] not in result.out
    assert policies.in_force(account).version == 1
    again = manage("add_account", "others", "--exchange", "binance")
    assert again.code == 2
    assert "in use by the account 'bots'" in again.problem


@pytest.mark.django_db
def test_a_wrong_key_is_refused_and_nothing_is_kept(
    manage: Manage,
    valkey: ValkeyProcess,
    routed: SandboxProcess,
    fresh_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUSTADMIN_API_KEY", "wrong")
    monkeypatch.setenv("DUSTADMIN_API_SECRET", "very-secret")
    result = manage("add_account", "bots", "--exchange", "binance")
    assert (result.code, result.out) == (2, "")
    assert "very-secret" not in result.problem
    assert not ExchangeAccount.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["Bots!", "--exchange", "binance"], "lower-case"),
        (["bots", "--exchange", "nowhere"], "no exchange 'nowhere'"),
        (["bots", "--exchange", "kraken"], "DUSTADMIN_EXCHANGE_BASE_URLS"),
        (["bots", "--exchange", "binance", "--quote", "DOGE"], "cash asset"),
    ],
)
def test_an_account_that_makes_no_sense_is_exit_2(
    manage: Manage, keys: dict[str, str], valkey: ValkeyProcess, arguments: list[str], hint: str
) -> None:
    result = manage("add_account", *arguments)
    assert (result.code, result.out) == (2, "")
    assert hint in result.problem
    assert not ExchangeAccount.objects.exists()


@pytest.mark.django_db
def test_without_redis_there_is_one_line_and_exit_2(
    manage: Manage, keys: dict[str, str], settings: Any, tmp_path: Any
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    builders.account()
    assert "Redis does not answer" in manage("take_snapshot", "held").problem
    for arguments in (["--inline"], []):
        result = manage("close_dust_positions", "held", "--yes", *arguments)
        assert (result.code, result.out) == (2, "")
        assert "Redis does not answer" in result.problem


@pytest.mark.django_db
def test_set_policy_writes_an_audited_version_in_the_persons_name(manage: Manage) -> None:
    held = builders.account()
    builders.person("mira", "Administrator")
    result = manage(
        "set_policy",
        "held",
        "dust_threshold=0.50",
        "protected_assets=btc, ETH",
        "approval_above=none",
        "--as",
        "mira",
    )
    assert (result.code, result.err) == (0, "")
    assert result.out == "Policy v2 of held is in force: dust_threshold, protected_assets, " + (
        "approval_above.\n"
    )
    policy = policies.in_force(held)
    assert policy.dust_threshold == Decimal("0.50")
    assert policy.protected_assets == ["BTC", "ETH"]
    assert policy.created_by_name == "mira"
    assert AuditEvent.objects.filter(kind="policy.changed", actor__username="mira").count() == 1
    same = manage("set_policy", "held", "dust_threshold=0.5")
    assert (same.code, policies.in_force(held).version) == (0, 2)


@pytest.mark.django_db
def test_halt_stops_one_account_or_everything_and_twice_changes_nothing(manage: Manage) -> None:
    held = builders.account()
    first = manage("halt", "held")
    assert (first.code, first.err) == (0, "")
    assert first.out == "held is stopped: nothing is sent until it is released. " + (
        "0 plans were halted.\n"
    )
    assert manage("halt", "held").code == 0
    assert Halt.objects.get().account == held
    assert manage("halt", "--all").out.startswith("Every account is stopped")
    assert Halt.objects.filter(account=None).count() == 1


@pytest.mark.django_db
def test_halt_ends_the_plans_even_if_valkey_and_the_exchange_are_gone(
    manage: Manage, settings: Any, tmp_path: Any
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    plan = started(builders.account("held"), actor=Actor.service("test"), assets=["DOGE"])
    other = started(builders.account("other"), actor=Actor.service("test"), assets=["DOGE"])
    builders.person("otto", "Operator")
    result = manage("halt", "held", "--as", "otto")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("1 plan was halted.\n")
    plan.refresh_from_db()
    other.refresh_from_db()
    assert (plan.status, other.status) == ("HALTED", "RUNNING")
    assert Halt.objects.get().placed_by_name == "otto"
    assert [order.status for order in plan.orders.all()] == ["DENIED"]
    assert manage("halt", "--all").out.endswith("1 plan was halted.\n")
    assert manage("halt", "--all").out.endswith("0 plans were halted.\n")


@pytest.mark.django_db
def test_halt_does_not_release(manage: Manage) -> None:
    """Releasing is a person's who may approve, on the pages."""
    builders.account("held")
    manage("halt", "--all")
    for arguments in (["--release"], ["held", "--release"], ["--all", "--release"]):
        result = manage("halt", *arguments)
        assert (result.code, result.out) == (2, "")
        assert "--release" in result.problem
    assert Halt.objects.filter(released_at=None).count() == 1


@pytest.mark.django_db
def test_a_stopped_account_starts_no_plan(manage: Manage, demo: ExchangeAccount) -> None:
    manage("halt", "demo")
    result = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert result.code == 3
    assert "kill switch" in result.problem
    document = result.document
    assert document["plan"]["status"] == CleanupPlan.objects.get().status == "DRAFT"
    assert document["skipped"][0]["asset"] == "*"
    assert document["skipped"][0]["reason"] == "PLAN_REFUSED"
    assert document["totals"]["not_sent"] == document["totals"]["planned"] == 6


@pytest.mark.django_db
def test_verify_audit_finds_a_changed_event(manage: Manage) -> None:
    builders.account()
    whole = manage("verify_audit")
    assert (whole.code, whole.err) == (0, "")
    assert whole.out == "1 event in 1 chain, intact\n"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE positions_auditevent SET summary = 'nothing happened'")
    broken = manage("verify_audit")
    assert broken.code == 1
    assert broken.out == "held, event 1: Its content was changed.\n"
    assert broken.problem == "manage.py verify_audit: The history is broken at 1 place."
