"""Which leases take a slot, and what a bot's hold means for a verdict: case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from positions.domain.classification import classify
from positions.domain.leases import Hold, LeaseTime, leased_assets
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Reason
from positions.domain.what_if import WhatIf
from tests.domain.builders import make_holding, make_policy

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def lease(
    *,
    expires: timedelta = 60 * SECOND,
    ended: timedelta | None = None,
    opened: bool | None = None,
) -> LeaseTime:
    return LeaseTime(
        asset="SOL",
        expires_at=NOW + expires,
        ended_at=None if ended is None else NOW + ended,
        opened=opened,
    )


def takes_slot(item: LeaseTime, *, asked: timedelta) -> bool:
    return item.takes_slot(asked_at=NOW + asked, now=NOW)


def test_a_lease_in_force_takes_a_slot_whatever_was_read_meanwhile() -> None:
    assert takes_slot(lease(), asked=-100 * SECOND)
    assert takes_slot(lease(), asked=-SECOND)


@pytest.mark.parametrize(("asked", "takes"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("opened", [None, True])
def test_a_lease_that_ended_takes_its_slot_until_balances_were_asked_for_after_its_end(
    opened: bool | None, asked: int, takes: bool
) -> None:
    ended = lease(ended=-10 * SECOND, opened=opened)
    assert takes_slot(ended, asked=-10 * SECOND + asked * SECOND) is takes


@pytest.mark.parametrize(("asked", "takes"), [(-1, True), (0, True), (1, False)])
def test_a_lease_that_expired_does_as_well_though_nobody_has_written_it_down(
    asked: int, takes: bool
) -> None:
    assert takes_slot(lease(expires=-10 * SECOND), asked=(asked - 10) * SECOND) is takes


@pytest.mark.parametrize(("expires", "is_over"), [(1, False), (0, True), (-1, True)])
def test_a_lease_is_over_at_the_moment_of_its_expiry(expires: int, is_over: bool) -> None:
    assert (lease(expires=expires * SECOND).ended(now=NOW) is not None) is is_over


def test_told_that_nothing_was_opened_its_slot_is_free_at_once() -> None:
    assert not takes_slot(lease(ended=-SECOND, opened=False), asked=-100 * SECOND)


def test_an_asset_takes_one_slot_however_many_leases_it_has_had() -> None:
    leases = [lease(), lease(ended=-SECOND), lease(ended=-SECOND, opened=False)]
    assert leased_assets(leases, asked_at=NOW - 60 * SECOND, now=NOW) == {"SOL"}


# What a lease does to the slots ------------------------------------------------------------------


def what_if(*assets: str, leased: str = "") -> WhatIf:
    holdings = [
        make_holding("BTC", free="1", price="5"),
        make_holding("SOL", free="1", price="2"),
        make_holding("DUST", free="1", price="0.5"),
    ]
    return WhatIf(
        [item for item in holdings if item.asset in assets],
        policy=make_policy(),
        cap=8,
        circumstances=Circumstances(leased=frozenset(leased.split())),
    )


def test_a_leased_asset_that_is_counted_takes_no_second_slot() -> None:
    slots = what_if("BTC", "SOL", leased="SOL ADA").slots(Decimal(1))
    assert (slots.counted, slots.leased, slots.available) == (2, 1, 5)


@pytest.mark.parametrize(
    ("threshold", "counted", "leased"),
    [("1.99", 2, 0), ("2", 2, 0), ("2.01", 1, 1), ("5.01", 0, 1)],
)
def test_a_leased_asset_needs_its_slot_from_the_threshold_on_that_makes_it_dust(
    threshold: str, counted: int, leased: int
) -> None:
    effect = what_if("BTC", "SOL", leased="SOL").at(Decimal(threshold))
    assert (effect.counted, effect.leased) == (counted, leased)
    assert effect.available == 8 - counted - leased


def test_a_leased_asset_without_a_price_is_counted_and_takes_no_second_slot() -> None:
    found = WhatIf(
        [make_holding("SOL", free="1", price=None)],
        policy=make_policy(),
        cap=8,
        circumstances=Circumstances(leased=frozenset(["SOL"])),
    )
    assert (found.at(Decimal(1)).counted, found.at(Decimal(1)).leased) == (1, 0)


def test_what_still_counts_within_the_band_takes_no_second_slot() -> None:
    hovering = make_holding("SOL", free="1", price="0.97", counted_at="1")
    found = WhatIf(
        [hovering],
        policy=make_policy(),
        cap=8,
        circumstances=Circumstances(leased=frozenset(["SOL"])),
    )
    slots = found.slots(Decimal(1))
    assert (slots.counted, slots.leased) == (1, 0)
    assert found.counted_assets == {"SOL"}
    by_value = found.at(Decimal(1))
    assert (by_value.counted, by_value.leased) == (0, 1)


# What a hold does to a verdict -------------------------------------------------------------------

LEASED = Hold(asset="SOL", bot="grid-7")
CLAIMED = Hold(asset="SOL", bot="grid-7", note="rebalancing", until=NOW)


@pytest.mark.parametrize("price", ["0.5", "2", "50"])
@pytest.mark.parametrize(
    ("holds", "reason", "words"),
    [
        ({LEASED}, Reason.LEASED, "Leased by grid-7, which may open a trade on it."),
        (
            {CLAIMED},
            Reason.CLAIMED_BY_BOT,
            "Claimed by grid-7 until 2026-11-24 12:00 UTC: rebalancing",
        ),
        (
            {CLAIMED, LEASED},
            Reason.CLAIMED_BY_BOT,
            "Claimed by grid-7 until 2026-11-24 12:00 UTC: rebalancing",
        ),
    ],
)
def test_what_a_bot_has_stays_and_says_whose_it_is(
    holds: set[Hold], reason: Reason, words: str, price: str
) -> None:
    (position,) = classify(
        [make_holding("SOL", free="1", price=price)],
        threshold=Decimal(1),
        policy=make_policy(),
        circumstances=Circumstances(holds=frozenset(holds)),
    ).positions
    assert position.verdict.route is None
    assert position.verdict.reason is reason
    assert position.verdict.message == words
    assert position.verdict.remedy


def test_another_asset_is_not_the_bots() -> None:
    (position,) = classify(
        [make_holding("ADA", free="100", price="0.009")],
        threshold=Decimal(1),
        policy=make_policy(),
        circumstances=Circumstances(holds=frozenset({LEASED})),
    ).positions
    assert position.verdict.reason not in {Reason.LEASED, Reason.CLAIMED_BY_BOT}
