"""Say what can't be closed and why, by reason, and what would free it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions.domain.amounts import ZERO
from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category, Reason
from positions.selectors.analysis import Analysis
from positions.views.positions import reason_name

# So many of one reason are named, each with what would free it.
MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """The positions that stay for one reason."""

    reason: Reason
    positions: Sequence[ClassifiedPosition]  # largest value first

    @property
    def name(self) -> str:
        """Return the reason in words."""
        return reason_name(self.reason)

    @property
    def value_usd(self) -> Decimal | None:
        """Return what those with a price are worth; None if none has one."""
        known = [item.value_usd for item in self.positions if item.value_usd is not None]
        return sum(known, ZERO) if known else None

    @property
    def named(self) -> Sequence[ClassifiedPosition]:
        """Return those that are named, each with its own sentence."""
        return self.positions[:MOST_NAMED]

    @property
    def more(self) -> int:
        """Return how many are not named."""
        return len(self.positions) - len(self.named)

    @property
    def remedy(self) -> str:
        """Return what would free all of them; empty if each needs something else."""
        remedies = {item.verdict.remedy for item in self.positions}
        return remedies.pop() if len(remedies) == 1 else ""


def stuck_by_reason(analysis: Analysis) -> list[Stuck]:
    """Return the dust and the unpriced that can't be closed, the commonest reason first."""
    found: defaultdict[Reason, list[ClassifiedPosition]] = defaultdict(list)
    for item in analysis.positions:
        if item.verdict.reason and item.category in {Category.DUST, Category.UNPRICED}:
            found[item.verdict.reason].append(item)
    groups = [Stuck(reason=reason, positions=positions) for reason, positions in found.items()]
    return sorted(groups, key=lambda group: -len(group.positions))
