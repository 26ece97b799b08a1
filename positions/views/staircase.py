"""Describe the staircase chart once for all sizes and thresholds: the values, and what is free.

x is the value of a position, logarithmic in whole decades; y is how many slots would be free if
the threshold were there. Floats are for pixels only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions.domain.what_if import Step, WhatIf

LOWEST = -2  # the exponent of the left edge: $0.01
LEAST_HIGHEST = 2  # the right edge is at least $100
_LEFT_EDGE = Decimal(1).scaleb(LOWEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Riser:
    """One step with its place: the share of the axis, and the free slots below and above it."""

    step: Step
    share: float
    before: int
    after: int


class Staircase:
    """One classified snapshot as a staircase, whatever the threshold is."""

    def __init__(self, what_if: WhatIf) -> None:
        """Place every priced holding."""
        policy = what_if.policy
        self.lo = LOWEST
        # Everything fits, in whole decades; no threshold is above the policy's guard.
        shown = [policy.winning_threshold, policy.max_threshold, policy.dust_threshold]
        shown += [step.value_usd for step in what_if.steps[-1:]]
        self.hi = max(LEAST_HIGHEST, math.ceil(math.log10(max(shown))))
        self.cap = policy.position_cap
        self.winning_threshold = policy.winning_threshold
        self.exchange_minimum_usd = what_if.exchange_minimum_usd
        self.unpriced = [item.asset for item in what_if.unpriced]
        self.unpriced_counted = sum(item.counted for item in what_if.unpriced)
        first = what_if.at(Decimal(0))
        self.start = self.cap - first.counted - first.leased  # free where nothing is dust
        self.lowest = min(0, self.cap - len(what_if.steps) - len(self.unpriced) - first.leased)
        self.risers = self._placed(what_if.steps)
        self.end = self.risers[-1].after if self.risers else self.start  # free where all is dust

    def _placed(self, steps: Sequence[Step]) -> list[Riser]:
        free, found = self.start, []
        for step in steps:
            found.append(
                Riser(
                    step=step,
                    share=self.share(step.value_usd),
                    before=free,
                    after=free + step.frees,
                )
            )
            free += step.frees
        return found

    def share(self, value: Decimal) -> float:
        """Return where a value stands on the axis; smaller ones than its left edge stand on it."""
        if value <= _LEFT_EDGE:
            return 0.0
        return min(1.0, (math.log10(value) - self.lo) / (self.hi - self.lo))
