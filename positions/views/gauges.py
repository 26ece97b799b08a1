"""Turn slots into the cells of a gauge; the sentence beside it says the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category
from positions.selectors.accounts import AccountReading
from positions.selectors.analysis import Analysis

# Above this many slots a bar stands for the cells.
MOST_CELLS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One slot."""

    kind: str
    hollow: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """The slots of one account at one moment."""

    cap: int
    used: Sequence[Cell]
    skipped: Sequence[Cell]  # free, because the dust in them takes none
    free: Sequence[Cell]
    over: Sequence[Cell]

    @property
    def cells(self) -> list[Cell]:
        """Return all of them, from the left."""
        return [*self.used, *self.skipped, *self.free, *self.over]

    @property
    def as_bar(self) -> bool:
        """Tell whether there are too many for cells."""
        return self.cap > MOST_CELLS

    @property
    def used_share(self) -> int:
        """Return the used part of the bar, percent."""
        return min(100, round(100 * len(self.used) / self.cap))


def gauge_of(
    positions: Sequence[ClassifiedPosition],
    *,
    cap: int,
    counting_everything: bool = False,
    leased: int = 0,
) -> Gauge:
    """Return the gauge by policy, or as a bot sees it that counts every holding."""
    taking = [item for item in positions if counting_everything or item.counted]
    taking.sort(key=lambda item: (_ORDER.index(item.category), -(item.value_usd or 0)))
    used = [
        Cell(
            kind=item.category.value.lower(),
            hollow=item.category is Category.DUST and item.verdict.route is None,
        )
        for item in taking
    ]
    used += [Cell(kind="leased")] * leased
    dust = [
        item
        for item in positions
        if item.category is Category.DUST and not (counting_everything or item.counted)
    ]
    dust.sort(key=lambda item: -(item.value_usd or 0))
    room = max(0, cap - len(used))
    skipped = [Cell(kind="skipped", hollow=item.verdict.route is None) for item in dust[:room]]
    over = len(used) - cap
    return Gauge(
        cap=cap,
        used=used[:cap],
        skipped=skipped,
        free=[Cell(kind="free")] * (room - len(skipped)),
        over=[Cell(kind="over", count=over)] if over > 0 else [],
    )


_ORDER = [Category.WINNING, Category.SMALL, Category.UNPRICED, Category.DUST]


def unknown_gauge(cap: int) -> Gauge:
    """Return the gauge of slots that nobody knows."""
    return Gauge(
        cap=cap, used=[], skipped=[], free=[Cell(kind="unknown")] * min(cap, MOST_CELLS), over=[]
    )


def account_gauge(analysis: Analysis) -> Gauge:
    """Return the gauge of an analysis."""
    if not analysis.is_fresh:
        return unknown_gauge(analysis.policy.position_cap)
    return gauge_of(
        analysis.positions, cap=analysis.policy.position_cap, leased=analysis.slots.leased
    )


def small_gauge(reading: AccountReading) -> Gauge:
    """Return the overview's gauge: used and free, without what is in them."""
    cap = reading.policy_row.position_cap
    if reading.analysis is None or not reading.slots_known:
        return unknown_gauge(cap)
    slots = reading.analysis.slots
    return Gauge(
        cap=cap,
        used=[Cell(kind="used")] * min(slots.used, cap),
        skipped=[],
        free=[Cell(kind="free")] * slots.available,
        over=[Cell(kind="over", count=slots.over_cap)] if slots.over_cap else [],
    )
