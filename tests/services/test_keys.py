"""What is checked of a key: when it is entered, and every day after that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from positions.domain.plans import PlanState
from positions.exchanges.port import BadConfiguration, KeyRights
from positions.models import AuditEvent, ExchangeAccount
from positions.services import accounts, dispatch, enabling, key_changes
from positions.services.accounts import NewAccount
from positions.services.credentials import Credentials
from positions.services.keys import Examination, Verdict, check_again
from tests.exchange_process import SandboxProcess
from tests.trading import TEST, World, fresh
from tests.valkey_process import ValkeyProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process", "valkey")]

RIGHTS = ["May not withdraw", "May trade spot", "May read"]
EVERYTHING = ["Exchange and clock", "Markets", *RIGHTS, "Balances"]


def examined(
    exchange: SandboxProcess, keys: dict[str, str] | None = None, **new: Any
) -> Examination:
    """Return what the checks say about a key that nobody keeps."""
    found = keys or exchange.credentials()
    credentials = Credentials(api_key=found["api_key"], api_secret=found["api_secret"])
    account = accounts.prepared(
        NewAccount(slug="tried", exchange="binance", **{"base_url": exchange.base_url, **new}),
        credentials=credentials,
        actor=TEST,
        now=timezone.now(),
    )
    return accounts.tried(account, credentials)


def verdicts(found: Examination) -> dict[str, str]:
    return {check.name: check.verdict.value for check in found.checks}


def test_a_good_key_passes_everything_and_nothing_is_written(exchange: SandboxProcess) -> None:
    found = examined(exchange)
    assert verdicts(found) == dict.fromkeys(EVERYTHING, "PASSED")
    assert found.failed == []
    assert found.owner_fingerprint
    assert not ExchangeAccount.objects.exists()
    assert not AuditEvent.objects.exists()
    sent = exchange.ledger()["requests"]
    assert {request["method"] for request in sent} == {"GET"}
    assert [request["path"] for request in sent].count("/api/v3/account") == 1


def test_every_right_that_is_wrong_is_told_with_what_to_do(exchange: SandboxProcess) -> None:
    exchange.control(
        "POST", "permissions", {"enableWithdrawals": True, "enableSpotAndMarginTrading": False}
    )
    found = examined(exchange)
    assert verdicts(found) == {
        **dict.fromkeys(EVERYTHING, "PASSED"),
        "May not withdraw": "FAILED",
        "May trade spot": "FAILED",
    }
    withdraw, trade = found.failed
    assert "This key may withdraw." in withdraw.said
    assert "switch off: Enable Withdrawals" in withdraw.advice
    assert "switch on: Enable Reading, Enable Spot & Margin Trading" in trade.advice


@pytest.mark.parametrize("wrong", ["api_key", "api_secret"])
def test_a_key_that_is_not_accepted_ends_the_checks(exchange: SandboxProcess, wrong: str) -> None:
    found = examined(exchange, exchange.credentials() | {wrong: "x" * 64})
    assert verdicts(found) == {
        "Exchange and clock": "PASSED",
        "Markets": "PASSED",
        "Rights": "FAILED",
        "Balances": "SKIPPED",
    }
    assert "mistyped or revoked" in found.failed[0].advice
    assert found.owner_fingerprint == ""


def test_an_exchange_that_is_away_is_told_first(exchange: SandboxProcess) -> None:
    found = examined(exchange, base_url="http://127.0.0.1:9")
    assert [check.verdict for check in found.checks] == [Verdict.FAILED] + [Verdict.SKIPPED] * 3
    assert "no connection was made" in found.failed[0].said
    assert "network" in found.failed[0].advice


def test_a_clock_that_is_off_is_told_and_allowed_for(exchange: SandboxProcess) -> None:
    exchange.control("POST", "clock", {"skew_ms": 60_000})
    found = examined(exchange)
    check = found.checks[0]
    assert (check.verdict, found.failed) == (Verdict.CAUTION, [])
    assert "ahead of this machine's" in check.said
    assert "Set this machine's clock" in check.advice


def test_a_quote_without_a_market_does_not_hide_what_the_key_may(exchange: SandboxProcess) -> None:
    exchange.control("POST", "permissions", {"enableWithdrawals": True})
    found = examined(exchange, quote="GBP")
    assert [(check.name, check.field) for check in found.failed] == [
        ("Markets", "quote"),
        ("May not withdraw", "api_key"),
    ]


def test_rights_that_an_exchange_does_not_tell_are_no_proof(exchange: SandboxProcess) -> None:
    found = examined(exchange, environment="testnet")
    told = verdicts(found)
    assert {told[name] for name in RIGHTS} == {"CAUTION"}
    assert found.failed == []
    assert "does not tell what a key may do" in found.checks[2].said


def test_without_redis_nothing_is_asked(exchange: SandboxProcess, valkey: ValkeyProcess) -> None:
    valkey.stop()
    try:
        found = examined(exchange)
    finally:
        valkey.start()
    assert "Redis" in found.failed[0].said
    assert exchange.ledger()["requests"] == []


# --- Every day ----------------------------------------------------------------------------------


def a_day_later(world: World) -> None:
    checked = world.now - timedelta(days=1, seconds=1)
    ExchangeAccount.objects.update(key_checked_at=checked)
    world.account.refresh_from_db()


@pytest.mark.django_db(transaction=True)
def test_a_key_that_gains_a_right_disables_its_account_and_halts_its_plans(world: World) -> None:
    plan = world.start()
    world.exchange.control("POST", "permissions", {"enableWithdrawals": True})
    a_day_later(world)
    assert world.snapshot().failure_code == "CONFIGURATION"
    account = fresh(world.account)
    assert not account.is_enabled
    assert account.needs_person
    assert (account.disabled_by_name, account.disabled_by) == ("scheduler", None)
    assert "may withdraw" in account.disabled_reason
    list(dispatch.due_now(now=world.now))
    plan = fresh(plan)
    assert (plan.state, plan.status_note) == (PlanState.HALTED, "The account was disabled.")
    assert world.sent() == []


def test_the_daily_check_never_judges_a_key_that_was_replaced_meanwhile(world: World) -> None:
    stale = fresh(world.account)
    new = Credentials(**world.exchange.control("POST", "keys/replace", {}))
    candidate = key_changes.with_new_key(world.account, new, actor=TEST)
    found = accounts.tried(candidate, new)
    key_changes.replace_key(candidate, found, moves=False, actor=TEST, now=world.now)
    ExchangeAccount.objects.update(key_checked_at=None)
    stale.key_checked_at = None

    class MayWithdraw:
        """The old key's answers, still under way."""

        owner = ""

        def key_rights(self) -> KeyRights:
            return KeyRights(may_read=True, may_trade=True, may_withdraw=True)

    with pytest.raises(BadConfiguration):
        check_again(stale, MayWithdraw(), now=world.now)  # type: ignore[arg-type]
    assert fresh(world.account).is_enabled


def test_enabling_checks_the_rights_with_the_next_reading(world: World) -> None:
    enabling.disable_account(world.account, reason="odd", actor=TEST, now=world.now)
    world.exchange.control("POST", "permissions", {"enableWithdrawals": True})
    enabling.enable_account(world.account, actor=TEST, now=world.now)
    world.account.refresh_from_db()
    assert world.snapshot().status == "FAILED"
    assert not fresh(world.account).is_enabled


def test_an_account_without_an_owner_learns_it_with_a_reading(world: World) -> None:
    owner = world.account.owner_fingerprint
    assert owner
    ExchangeAccount.objects.update(owner_fingerprint="")
    world.account.refresh_from_db()
    world.snapshot()
    assert fresh(world.account).owner_fingerprint == owner
