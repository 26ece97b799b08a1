"""Not finding an order proves its absence only after its validity, by the exchange's own clock."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from positions.domain.absence import AbsenceRule
from positions.exchanges.profiles import PROFILES

VALID_UNTIL = 1_000_000


def make_rule(**facts: Any) -> AbsenceRule:
    """Return a rule with a margin of a second."""
    known = {
        "proof": "signature validity",
        "look_up": "by id",
        "history": "all orders",
        "history_rows": 1000,
        "ahead_ms": 1_000,
        "margin_ms": 1_000,
        "apart_ms": 2_000,
        "source": "documentation",
        "read": "2026-11",
    }
    return AbsenceRule(**(known | facts))


@pytest.mark.parametrize(
    ("exchange_ms", "counts", "left_ms"),
    [
        (VALID_UNTIL - 4_000, False, 5_001),
        (VALID_UNTIL, False, 1_001),
        (VALID_UNTIL + 1_000, False, 1),
        (VALID_UNTIL + 1_001, True, 0),
        (VALID_UNTIL + 60_000, True, 0),
    ],
)
def test_a_look_up_counts_once_validity_and_margin_are_over(
    exchange_ms: int, counts: bool, left_ms: int
) -> None:
    times = {"valid_until_ms": VALID_UNTIL, "exchange_ms": exchange_ms}
    assert make_rule().counts(**times) is counts
    assert make_rule().counts_in(**times) == timedelta(milliseconds=left_ms)


@pytest.mark.parametrize(
    ("placed_at_ms", "may_be"), [(3_999, False), (4_000, False), (4_001, True), (9_000, True)]
)
def test_an_order_from_before_its_request_is_somebody_elses(
    placed_at_ms: int, may_be: bool
) -> None:
    """An exchange that takes requests from less than a second ahead dates them so much earlier."""
    rule = make_rule(ahead_ms=1_000)
    assert rule.may_be_its_order(placed_at_ms=placed_at_ms, signed_at_ms=5_000) is may_be


def test_every_rule_says_how_absence_is_proved_and_who_says_so() -> None:
    rules = {name: profile.absence for name, profile in PROFILES.items() if profile.absence}
    assert rules
    for exchange, rule in rules.items():
        assert PROFILES[exchange].orders_verified, exchange
        assert all(getattr(rule, item.name) for item in fields(rule)), exchange
        assert rule.apart_ms >= 1_000
