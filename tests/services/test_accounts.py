"""Connecting an account: checked first, kept whole or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from positions.exchanges.port import ExchangeError, KeyRefused, Unreachable
from positions.models import AuditEvent, DustPolicy, ExchangeAccount
from positions.services import audit, policies
from positions.services.accounts import BadAccount, NewAccount, connect_account
from positions.services.credentials import Credentials
from positions.services.permissions import NotPermitted
from tests.exchange_process import SandboxProcess
from tests.services.conftest import Hire
from tests.trading import TEST, connect
from tests.valkey_process import ValkeyProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process", "valkey")]


def assert_nothing_kept() -> None:
    assert not ExchangeAccount.objects.exists()
    assert not DustPolicy.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_good_key_is_kept_with_its_first_policy_and_its_history(
    exchange: SandboxProcess,
) -> None:
    account = connect(exchange)
    assert account.environment == "sandbox"
    assert account.owner_fingerprint
    policy = policies.in_force(account)
    assert (policy.version, policy.dust_threshold) == (1, Decimal(1))
    kinds = list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["account.connected", "policy.created"]
    assert audit.verify_all() == []
    told = repr(list(AuditEvent.objects.values()))
    assert exchange.credentials()["api_key"] not in told
    assert exchange.credentials()["api_secret"] not in told


def test_a_key_that_may_withdraw_is_refused(exchange: SandboxProcess) -> None:
    exchange.control("POST", "permissions", {"enableWithdrawals": True})
    with pytest.raises(BadAccount, match="may withdraw"):
        connect(exchange)
    assert_nothing_kept()


def test_a_key_that_may_not_trade_is_refused(exchange: SandboxProcess) -> None:
    exchange.control("POST", "permissions", {"enableSpotAndMarginTrading": False})
    with pytest.raises(BadAccount, match="may not trade"):
        connect(exchange)
    assert_nothing_kept()


def test_a_key_that_may_not_read_is_refused(exchange: SandboxProcess) -> None:
    exchange.control("POST", "permissions", {"enableReading": False})
    with pytest.raises((BadAccount, KeyRefused)):
        connect(exchange)
    assert_nothing_kept()


@pytest.mark.parametrize("wrong", ["api_key", "api_secret"])
def test_a_wrong_key_is_refused(exchange: SandboxProcess, wrong: str) -> None:
    with pytest.raises(KeyRefused):
        connect(exchange, keys=exchange.credentials() | {wrong: "x" * 64})
    assert_nothing_kept()


def test_a_secret_that_was_mistyped_once_is_accepted_when_it_is_right(
    exchange: SandboxProcess,
) -> None:
    """The client of the first try must not be the client of the second."""
    with pytest.raises(KeyRefused):
        connect(exchange, keys=exchange.credentials() | {"api_secret": "x" * 64})
    assert connect(exchange).slug == "demo"


def test_rights_that_were_corrected_are_seen_at_the_next_try(exchange: SandboxProcess) -> None:
    exchange.control("POST", "permissions", {"enableWithdrawals": True})
    with pytest.raises(BadAccount):
        connect(exchange)
    exchange.control("POST", "permissions", {"enableWithdrawals": False})
    assert connect(exchange).slug == "demo"


def test_the_same_key_is_accepted_once_per_exchange_and_base_url(
    exchange: SandboxProcess,
) -> None:
    connect(exchange)
    with pytest.raises(BadAccount, match="in use by the account 'demo'"):
        connect(exchange, slug="again")
    assert ExchangeAccount.objects.count() == 1


def test_a_name_is_taken_once(exchange: SandboxProcess) -> None:
    connect(exchange)
    other = exchange.control("POST", "accounts", {"balances": {}})
    with pytest.raises(BadAccount, match="already"):
        connect(exchange, keys=other)
    assert connect(exchange, slug="other", keys=other).slug == "other"


@pytest.mark.parametrize(
    "slug",
    ["", "Demo", "a b", "ä", "-a", "a-", "a/b", "../a", "x" * 61, "a\n", "a.b", "<b>"],
)
def test_a_bad_name_is_refused_before_anything_is_asked(
    exchange: SandboxProcess, slug: str
) -> None:
    with pytest.raises(BadAccount):
        connect(exchange, slug=slug)
    assert exchange.ledger()["requests"] == []
    assert_nothing_kept()


def test_a_name_that_is_a_page_of_its_own_is_refused(exchange: SandboxProcess) -> None:
    with pytest.raises(BadAccount, match="'connect' is the name of a page here") as refused:
        connect(exchange, slug="connect")
    assert refused.value.field == "slug"
    assert exchange.ledger()["requests"] == []


@pytest.mark.parametrize("exchange_id", ["okx", "kucoin"])
def test_a_passphrase_is_asked_for_where_the_exchange_has_one(
    exchange: SandboxProcess, exchange_id: str
) -> None:
    with pytest.raises(BadAccount, match="There is no passphrase") as refused:
        connect(exchange, exchange=exchange_id)
    assert refused.value.field == "passphrase"
    assert_nothing_kept()


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange": "mtgox"},
        {"exchange": ""},
        {"exchange": "__class__"},
        {"environment": "production"},
        {"quote": "DOGE"},
        {"quote": ""},
        {"quote": "GBP"},
        {"base_url": ""},
        {"base_url": "https://api.binance.com"},
        {"base_url": "http://10.0.0.1"},
    ],
)
def test_what_can_not_be_used_is_refused(exchange: SandboxProcess, changes: dict[str, Any]) -> None:
    with pytest.raises(BadAccount):
        connect(exchange, **changes)
    assert_nothing_kept()


@pytest.mark.parametrize("text", ["", "key with\nnewline", "schlüssel", "a\tb", "x" * 4001])
@pytest.mark.parametrize("field", ["api_key", "api_secret"])
def test_text_that_is_no_key_is_refused_before_it_is_sent(
    exchange: SandboxProcess, field: str, text: str
) -> None:
    with pytest.raises(BadAccount):
        connect(exchange, keys=exchange.credentials() | {field: text})
    assert exchange.ledger()["requests"] == []


def test_an_exchange_that_is_away_keeps_nothing() -> None:
    with pytest.raises(Unreachable):
        connect_account(
            NewAccount(slug="demo", exchange="binance", base_url="http://127.0.0.1:9"),
            credentials=Credentials(api_key="k", api_secret="s"),
            actor=TEST,
            now=timezone.now(),
        )
    assert_nothing_kept()


@pytest.mark.parametrize("kind", ["garbage_before", "cut_json_after", "drop_before"])
def test_rights_that_can_not_be_read_keep_nothing(exchange: SandboxProcess, kind: str) -> None:
    exchange.fault(kind, method="GET", path="/sapi/v1/account/apiRestrictions")
    with pytest.raises(ExchangeError):
        connect(exchange)
    assert_nothing_kept()


def test_without_redis_nothing_is_kept(exchange: SandboxProcess, valkey: ValkeyProcess) -> None:
    valkey.stop()
    try:
        with pytest.raises(ExchangeError, match="Redis"):
            connect(exchange)
    finally:
        valkey.start()
    assert_nothing_kept()


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver"])
def test_only_an_administrator_connects_accounts(
    exchange: SandboxProcess, hire: Hire, group: str
) -> None:
    with pytest.raises(NotPermitted):
        connect_account(
            NewAccount(slug="demo", exchange="binance", base_url=exchange.base_url),
            credentials=Credentials(**exchange.credentials()),
            actor=hire(group),
            now=timezone.now(),
        )
    assert exchange.ledger()["requests"] == []


def test_a_live_account_asks_for_a_second_person_above_ten_dollars(
    exchange: SandboxProcess,
) -> None:
    account = connect(exchange, environment="live")
    assert policies.in_force(account).approval_above == Decimal(10)
