"""An exchange whose orders nobody verified: read and planned for; started once a person accepts."""

from __future__ import annotations

import pytest

from positions.domain.plans import PlanState
from positions.exchanges.profiles import PROFILES, profile_of
from positions.models import AuditEvent, ExchangeAccount
from positions.selectors.acceptance import waits_for_acceptance
from positions.services import acceptance, starts
from positions.services.accounts import BadAccount
from positions.services.permissions import NotPermitted
from positions.services.plans import PlanRefused
from tests.services.conftest import Hire
from tests.trading import TEST, World, fresh

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def unverified(world: World) -> World:
    """Return a world with a drafted plan at an exchange that has no profile of its own."""
    world.snapshot()
    world.draft()
    ExchangeAccount.objects.update(exchange="mexc")
    world.account.refresh_from_db()
    return world


def test_the_first_class_exchanges_need_no_acceptance(world: World) -> None:
    assert set(PROFILES) == {"binance", "bybit", "coinbase", "kraken", "kucoin", "okx"}
    assert all(profile.orders_verified for profile in PROFILES.values())
    assert not waits_for_acceptance(world.account)


def test_a_generic_profile_proves_no_absence() -> None:
    profile = profile_of("mexc")
    assert (profile.orders_verified, profile.absence) == (False, None)


def test_no_plan_starts_until_a_person_accepts_and_the_refusal_says_so(
    unverified: World, hire: Hire
) -> None:
    plan, person = unverified.account.plans.get(), hire("Administrator", "ada")
    with pytest.raises(PlanRefused, match="Somebody who may connect accounts can accept that"):
        starts.start_plan(plan, hash_seen=plan.hash, actor=person, now=unverified.now)
    assert fresh(plan).state is PlanState.DRAFT
    acceptance.accept_unverified(unverified.account, actor=person, now=unverified.now)
    acceptance.accept_unverified(unverified.account, actor=person, now=unverified.now)
    (event,) = AuditEvent.objects.filter(kind="account.unverified_accepted")
    assert event.actor_name == "ada"
    starts.start_plan(fresh(plan), hash_seen=plan.hash, actor=person, now=unverified.now)
    assert fresh(plan).state is PlanState.RUNNING


def test_only_a_person_who_may_connect_accounts_can_accept(unverified: World, hire: Hire) -> None:
    with pytest.raises(NotPermitted):
        acceptance.accept_unverified(
            unverified.account, actor=hire("Approver", "bob"), now=unverified.now
        )
    with pytest.raises(BadAccount, match="A person has to accept"):
        acceptance.accept_unverified(unverified.account, actor=TEST, now=unverified.now)
    assert waits_for_acceptance(fresh(unverified.account))
