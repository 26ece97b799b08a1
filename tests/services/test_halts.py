"""The kill switch: one at a time, for one account or for all."""

from __future__ import annotations

import pytest
from django.utils import timezone

from positions.models import AuditEvent, ExchangeAccount, Halt
from positions.services import audit, halts
from positions.services.permissions import NotPermitted
from tests.services.conftest import Hire
from tests.trading import TEST

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return ExchangeAccount.objects.create(
        slug="held",
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=b"none",
        key_fingerprint="none",
        created_at=timezone.now(),
    )


def press(account: ExchangeAccount | None) -> Halt:
    return halts.press(account=account, reason="why", actor=TEST, now=timezone.now())


def test_a_halt_of_one_account_stops_that_account(account: ExchangeAccount) -> None:
    press(account)
    assert halts.in_force(account) is not None
    assert halts.in_force(None) is None


def test_a_halt_of_everything_stops_every_account(account: ExchangeAccount) -> None:
    press(None)
    assert halts.in_force(account) is not None
    assert halts.in_force(None) is not None


@pytest.mark.parametrize("everything", [True, False])
def test_pressing_twice_changes_nothing(account: ExchangeAccount, everything: bool) -> None:
    scope = None if everything else account
    assert press(scope) == press(scope)
    assert Halt.objects.count() == 1
    assert AuditEvent.objects.count() == 1
    assert list(audit.verify(scope)) == []


def test_a_released_halt_can_be_pressed_again(account: ExchangeAccount, hire: Hire) -> None:
    press(account)
    approver = hire("Approver")
    assert halts.release(account=account, actor=approver, now=timezone.now())
    assert halts.in_force(account) is None
    assert not halts.release(account=account, actor=approver, now=timezone.now())
    press(account)
    assert Halt.objects.count() == 2
    kinds = list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["halt.pressed", "halt.released", "halt.pressed"]


def test_the_release_of_one_does_not_release_the_other(
    account: ExchangeAccount, hire: Hire
) -> None:
    press(account)
    press(None)
    halts.release(account=account, actor=hire("Approver"), now=timezone.now())
    assert halts.in_force(account) is not None


@pytest.mark.parametrize(
    ("group", "presses", "releases"),
    [
        ("Viewer", False, False),
        ("Operator", True, False),
        ("Approver", True, True),
        ("Administrator", True, True),
    ],
)
def test_stopping_is_easier_than_starting_again(
    account: ExchangeAccount, hire: Hire, group: str, presses: bool, releases: bool
) -> None:
    actor = hire(group)
    if presses:
        halts.press(account=account, reason="", actor=actor, now=timezone.now())
    else:
        with pytest.raises(NotPermitted):
            halts.press(account=account, reason="", actor=actor, now=timezone.now())
    if releases:
        assert halts.release(account=account, actor=actor, now=timezone.now())
    else:
        with pytest.raises(NotPermitted):
            halts.release(account=account, actor=actor, now=timezone.now())
