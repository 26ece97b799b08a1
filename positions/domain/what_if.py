"""Show what any dust threshold would do: pure arithmetic over one classified snapshot."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from positions.domain.amounts import ZERO
from positions.domain.balances import Holding
from positions.domain.classification import closing_verdict, is_residue
from positions.domain.policies import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """How many position slots there are, are used and are free."""

    cap: int
    counted: int
    leased: int = 0

    @property
    def used(self) -> int:
        """Return the slots that are taken."""
        return self.counted + self.leased

    @property
    def available(self) -> int:
        """Return the free slots, never below zero."""
        return max(0, self.cap - self.used)

    @property
    def over_cap(self) -> int:
        """Return by how many the cap is exceeded."""
        return max(0, self.used - self.cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEffect:
    """What one threshold would mean for the account."""

    threshold: Decimal
    dust: int
    dust_value_usd: Decimal
    counted: int
    available: int
    over_cap: int
    closable: int
    closable_net_usd: Decimal
    closing_fee_usd: Decimal
    closing_slippage_usd: Decimal


class WhatIf:
    """Answer for any threshold; the positions are looked at once, each answer is a look-up."""

    def __init__(self, holdings: Sequence[Holding], *, policy: Policy, cap: int) -> None:
        """Sort the non-cash holdings by value and sum them up along the way."""
        held = [item for item in holdings if item.asset not in policy.cash_assets]
        self._policy = policy
        self._cap = cap
        self._held = held
        self._unpriced = sum(
            1
            for item in held
            if item.value_usd is None and not item.earn and item.asset not in policy.ignored_assets
        )
        priced = sorted(
            ((item.value_usd, item) for item in held if item.value_usd is not None),
            key=lambda pair: pair[0],
        )
        self._values = [value for value, _ in priced]
        self._sums = [ZERO, *accumulate(self._values)]
        countable = [0 if item.earn else 1 for _, item in priced]
        self._countable_below = [0, *accumulate(countable)]
        self._priced = [item for _, item in priced]

    def at(self, threshold: Decimal, *, in_flight: frozenset[str] = frozenset()) -> ThresholdEffect:
        """Return what this threshold would mean; more threshold never means fewer free slots."""
        below = bisect_left(self._values, threshold)
        residue = [item for item in self._priced[:below] if is_residue(item, threshold=threshold)]
        verdicts = [
            closing_verdict(item, threshold=threshold, policy=self._policy, in_flight=in_flight)
            for item in self._priced[:below]
            if not is_residue(item, threshold=threshold)
        ]
        closable = [verdict for verdict in verdicts if verdict.route is not None]
        counted = self._unpriced + self._countable_below[-1] - self._countable_below[below]
        slots = Slots(cap=self._cap, counted=counted)
        return ThresholdEffect(
            threshold=threshold,
            dust=below - len(residue),
            dust_value_usd=self._sums[below]
            - sum((item.value_usd or ZERO for item in residue), ZERO),
            counted=counted,
            available=slots.available,
            over_cap=slots.over_cap,
            closable=len(closable),
            closable_net_usd=sum((item.expected_net_usd or ZERO for item in closable), ZERO),
            closing_fee_usd=sum((item.expected_fee_usd or ZERO for item in closable), ZERO),
            closing_slippage_usd=sum(
                (item.expected_slippage_usd or ZERO for item in closable), ZERO
            ),
        )
