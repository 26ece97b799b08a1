"""Place the marks of the positions: one each, or one for several where there are too many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category
from positions.templatetags.formats import usd
from positions.views.chart_parts import WIDE, Label, Mark, Plot
from positions.views.staircase import Riser

MOST_NAMED = 12
MOST_BIG = 20
MOST_SINGLE = 120
MOST_IN_GUTTER = 12
SMALL_MARK = 9


@dataclass(frozen=True)
class Marks:
    """The marks of one plot; which face they show is for the threshold to say."""

    plot: Plot

    @property
    def size(self) -> int:
        """Return how large a mark is, pixels."""
        return SMALL_MARK if len(self.plot.staircase.risers) > MOST_BIG else self.plot.frame.mark

    @property
    def shapes(self) -> list[tuple[str, str, float, int]]:
        """Return every shape's id, kind, left upper corner and size."""
        sizes = {
            "winning": self.size,
            "small": self.size,
            "dust": self.size,
            "unpriced": SMALL_MARK,
        }
        return [
            (self.plot.frame.shape(kind), kind, -size / 2, size) for kind, size in sizes.items()
        ]

    @property
    def half(self) -> float:
        """Return how far a mark reaches from its middle."""
        return self.size / 2

    @property
    def are_named(self) -> bool:
        """Tell whether every mark's label is always there."""
        return len(self.plot.staircase.risers) <= MOST_NAMED

    def at(self, below: int) -> list[Mark]:
        """Return the marks, smallest value first, at a threshold with `below` steps below it."""
        found: list[Mark] = []
        seen = 0
        for column in self._columns:
            if seen + len(column.risers) <= below:
                found += column.below
            elif seen >= below:
                found += column.from_on
            else:
                found += self._column(column.risers[: below - seen]).below
                found += self._column(column.risers[below - seen :]).from_on
            seen += len(column.risers)
        return found

    @cached_property
    def _columns(self) -> "list[_Column]":
        risers = self.plot.staircase.risers
        if len(risers) <= MOST_SINGLE:
            return [self._column([riser]) for riser in risers]
        return [self._column(group) for group in self._merged(risers)]

    def _column(self, risers: Sequence[Riser]) -> "_Column":
        return _Column(marks=self, risers=risers)

    def _merged(self, risers: Sequence[Riser]) -> Iterator[list[Riser]]:
        """Merge by pixel; where that leaves too many marks, by as many pixels as it takes."""
        pixels = [int(self.plot.x(riser.share)) for riser in risers]
        width, distinct = 1, set(pixels)
        while len({pixel // width for pixel in distinct}) > self.plot.frame.most_merged:
            width += 1
        pairs = zip(pixels, risers, strict=True)
        for _, group in groupby(pairs, key=lambda pair: pair[0] // width):
            yield [riser for _, riser in group]

    @cached_property
    def gutter(self) -> list[Mark]:
        """Return the squares of the unpriced positions, from the axis up; one if they are many."""
        frame, unpriced = self.plot.frame, self.plot.staircase.unpriced
        # A phone's gutter is as narrow as one square beside the numbers of free slots.
        x, most = (10.5, MOST_IN_GUTTER) if frame is WIDE else (-9.5, 1)
        floor = frame.floor - 9.5
        if len(unpriced) > most:
            titles = [f"{len(unpriced)} without a price"]
        else:
            titles = [f"{asset}, no price" for asset in unpriced]
        return [
            Mark(
                kind="unpriced",
                hollow=False,
                x=x,
                y=floor - 13.0 * number,
                shape=frame.shape("unpriced"),
                title=title,
            )
            for number, title in enumerate(titles)
        ]

    def covered(self, place: Label, *, among: Sequence[Mark]) -> float:
        """Return how much of the marks and their labels a text at this place would cover."""
        left, right, top, bottom = place.box
        found = 0.0
        for mark in among:
            for x0, x1, y0, y1 in self._boxes(mark):
                if x0 < right and x1 > left and y0 < bottom and y1 > top:
                    found += (min(x1, right) - max(x0, left)) * (min(y1, bottom) - max(y0, top))
        return found

    def _boxes(self, mark: Mark) -> Iterator[tuple[float, float, float, float]]:
        half = self.half
        yield mark.x - half, mark.x + half, mark.y - half, mark.y + half
        if mark.label and self.are_named:
            yield mark.label.box


@dataclass(frozen=True)
class _Column:
    """Holdings that share a mark."""

    marks: Marks
    risers: Sequence[Riser]

    @cached_property
    def below(self) -> list[Mark]:
        """Return their mark if all of them are below the threshold; residue has none."""
        return self._marks(
            [riser for riser in self.risers if not riser.step.is_residue], below=True
        )

    @cached_property
    def from_on(self) -> list[Mark]:
        """Return their marks if none of them is: one a category."""
        groups = groupby(self.risers, key=lambda riser: riser.step.from_on.category)
        return [mark for _, group in groups for mark in self._marks(list(group), below=False)]

    def _marks(self, risers: Sequence[Riser], *, below: bool) -> list[Mark]:
        if not risers:
            return []
        plot, first, last = self.marks.plot, risers[0], risers[-1]
        x = (plot.x(first.share) + plot.x(last.share)) / 2
        y = plot.y((first.before + last.after) / 2)
        items = [riser.step.below if below else riser.step.from_on for riser in risers]
        stuck = sum(map(is_stuck, items))
        is_merged = len(plot.staircase.risers) > MOST_SINGLE
        kind = items[0].category.value.lower()
        mark = Mark(
            kind=kind,
            hollow=stuck == len(items),
            x=round(x) if is_merged else x,
            y=round(y) if is_merged else y,
            shape=plot.frame.shape(kind),
            label=None if is_merged else self._label(items[0], x=x, y=y),
            label_stays=self.marks.are_named,
            title=_title(items, stuck=stuck) if is_merged else "",
        )
        return [mark]

    def _label(self, item: ClassifiedPosition, *, x: float, y: float) -> Label:
        """Return the label on the mark's left, or on its right where the plot begins."""
        frame = self.marks.plot.frame
        # On a phone there is no room for what the hollow shape says already.
        detail = f"{usd(item.value_usd)}{_stuck(item) if frame is WIDE else ''}"
        gap = 12 if self.marks.are_named else 8
        y += 4
        label = Label(text=item.asset, detail=detail, x=x - gap, y=y, anchor="end")
        if label.box[0] >= frame.left - 4:
            return label
        return Label(text=item.asset, detail=detail, x=x + gap, y=y, anchor="start")


def is_stuck(item: ClassifiedPosition) -> bool:
    """Tell whether a mark is hollow: it can't be closed now. Nobody wants to close a winner."""
    return item.category is not Category.WINNING and item.closing.route is None


def _stuck(item: ClassifiedPosition) -> str:
    return " stuck" if item.category is Category.DUST and is_stuck(item) else ""


def _title(items: Sequence[ClassifiedPosition], *, stuck: int) -> str:
    """Return the positions of one mark in words."""
    lowest, highest = usd(items[0].value_usd), usd(items[-1].value_usd)
    values = lowest if lowest == highest else f"{lowest} to {highest}"
    if len(items) == 1:
        return f"{items[0].asset} {values}{_stuck(items[0])}"
    told = f", {stuck} stuck" if stuck and items[0].category is Category.DUST else ""
    return f"{len(items)} at {values}{told}"
