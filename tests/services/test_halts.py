"""The kill switch: one at a time, for one account or for all."""

from __future__ import annotations

import pytest
from django.utils import timezone

from positions.models import AuditEvent, ExchangeAccount, Halt
from positions.selectors.halts import halt_that_stops
from positions.services import audit, halts, stops
from positions.services.permissions import NotPermitted
from positions.services.plans import PlanRefused
from tests.services.conftest import Hire
from tests.trading import TEST

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return made("held")


@pytest.fixture
def other(db: None) -> ExchangeAccount:
    return made("other")


def made(slug: str) -> ExchangeAccount:
    return ExchangeAccount.objects.create(
        slug=slug,
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=b"none",
        key_fingerprint=slug,
        created_at=timezone.now(),
    )


def press(account: ExchangeAccount | None) -> Halt:
    return halts.press(account=account, reason="why", actor=TEST, now=timezone.now())


def test_a_halt_of_one_account_stops_that_account(
    account: ExchangeAccount, other: ExchangeAccount
) -> None:
    press(account)
    assert halt_that_stops(account) is not None
    assert halt_that_stops(other) is None


def test_a_halt_of_everything_stops_every_account(
    account: ExchangeAccount, other: ExchangeAccount
) -> None:
    press(None)
    assert halt_that_stops(account) is not None
    assert halt_that_stops(other) is not None


@pytest.mark.parametrize("everything", [True, False])
def test_pressing_twice_is_one_stop_and_both_are_kept(
    account: ExchangeAccount, everything: bool
) -> None:
    scope = None if everything else account
    assert press(scope) == press(scope)
    assert Halt.objects.get().presses == 2
    kinds = list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["halt.pressed", "halt.pressed_again"]
    assert list(audit.verify(scope)) == []


def test_a_released_halt_can_be_pressed_again(account: ExchangeAccount, hire: Hire) -> None:
    press(account)
    approver = hire("Approver")
    assert stops.release_stop(account, actor=approver, now=timezone.now())
    assert halt_that_stops(account) is None
    assert not stops.release_stop(account, actor=approver, now=timezone.now())
    press(account)
    assert Halt.objects.count() == 2
    kinds = list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["halt.pressed", "halt.released", "halt.pressed"]


def test_the_release_of_one_does_not_release_the_other(
    account: ExchangeAccount, hire: Hire
) -> None:
    press(account)
    press(None)
    stops.release_stop(account, actor=hire("Approver"), now=timezone.now())
    assert halt_that_stops(account) is not None


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
        assert stops.release_stop(account, actor=actor, now=timezone.now())
    else:
        with pytest.raises(NotPermitted):
            stops.release_stop(account, actor=actor, now=timezone.now())


@pytest.mark.parametrize("everything", [True, False])
def test_a_stop_that_is_pressed_while_it_is_released_stays_in_force(
    account: ExchangeAccount, hire: Hire, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    scope = None if everything else account
    press(scope)
    approver = hire("Approver")

    def somebody_presses(*_: object, **__: object) -> int:
        press(scope)
        return 0

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(stops, "halt_all", somebody_presses)
        with pytest.raises(PlanRefused, match="pressed the stop again"):
            stops.release_stop(scope, actor=approver, now=timezone.now())
    assert halt_that_stops(account) is not None
    assert not AuditEvent.objects.filter(kind="halt.released").exists()
    assert stops.release_stop(scope, actor=approver, now=timezone.now())
    assert halt_that_stops(account) is None


def test_a_stop_that_is_released_just_before_it_is_pressed_again_is_a_new_one(
    account: ExchangeAccount, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = press(account), halts._pressed_again
    approver = hire("Approver")

    def released_first(*args: object, **named: object) -> Halt | None:
        stops.release_stop(account, actor=approver, now=timezone.now())
        return again(*args, **named)

    monkeypatch.setattr(halts, "_pressed_again", released_first)
    second = press(account)
    assert (second.pk != first.pk, second.released_at) == (True, None)
    assert halt_that_stops(account) == second
