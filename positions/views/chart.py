"""Lay out the staircase chart: exact values in, pixels out, no library.

x is the value of a position, logarithmic in whole decades; y is how many slots would be free if
the threshold were there. Floats are for pixels only.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category
from positions.selectors.analysis import Analysis
from positions.templatetags.formats import quantity, usd
from positions.views.chart_parts import PHONE, WIDE, Dashed, Frame, Point, Tick

LOWEST = -2  # the exponent of the left edge: $0.01
LEAST_HIGHEST = 2  # the right edge is at least $100
MOST_LABELS = 12
MOST_BIG_MARKS = 20
STEPS = 400  # of the range handle
_LETTER = 6.4  # pixels, a generous average at 12 px


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One account's staircase at one threshold, in one size."""

    frame: Frame
    analysis: Analysis

    # --- Scales ---------------------------------------------------------------------------------

    @property
    def lo(self) -> int:
        """Return the exponent of the left edge."""
        return LOWEST

    @cached_property
    def hi(self) -> int:
        """Return the exponent of the right edge: everything fits, in whole decades."""
        policy = self.analysis.policy
        shown = [
            *(item.value_usd for item in self.analysis.positions if item.value_usd),
            self.analysis.threshold,
            policy.winning_threshold,
            policy.max_threshold,
        ]
        return max(LEAST_HIGHEST, math.ceil(max(_log(value) for value in shown)))

    def x(self, value: Decimal) -> float:
        """Return where a value stands; smaller ones than the left edge stand on it."""
        share = (_log(value) - self.lo) / (self.hi - self.lo)
        return self.frame.left + (self.frame.plot_right - self.frame.left) * min(1, max(0, share))

    @cached_property
    def cap(self) -> int:
        """Return the highest number of free slots."""
        return self.analysis.policy.position_cap

    @cached_property
    def lowest(self) -> int:
        """Return the lowest number of free slots that any threshold means, 0 or below."""
        return min(
            0, self.cap - len(self.analysis.positions) - len(self.analysis.classified.residue)
        )

    def y(self, free: float) -> float:
        """Return where a number of free slots stands."""
        frame = self.frame
        height = (frame.floor - frame.top) / 1.0375
        return frame.floor - height * (free - self.lowest) / (self.cap - self.lowest)

    # --- What stands in it ----------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[ClassifiedPosition]:
        """Return the priced positions, smallest first."""
        priced = [item for item in self.analysis.positions if item.value_usd is not None]
        return sorted(priced, key=lambda item: (item.value_usd or 0, item.asset))

    @cached_property
    def unpriced(self) -> list[ClassifiedPosition]:
        """Return the positions without a price; they count at every threshold."""
        return [item for item in self.analysis.positions if item.value_usd is None]

    @property
    def unpriced_counted(self) -> int:
        """Return how many of them take a slot: neither staked nor ignored."""
        return sum(item.counted for item in self.unpriced)

    @cached_property
    def _start(self) -> int:
        """Return the free slots at the left edge: nothing is dust."""
        effect = self.analysis.effect_of(Decimal(1).scaleb(-30))
        return self.cap - effect.counted

    @cached_property
    def free_at_threshold(self) -> int:
        """Return the free slots at the threshold; below zero over the cap."""
        return self.cap - self.analysis.effect.counted

    @cached_property
    def _risers(self) -> list[tuple[ClassifiedPosition, float, int, int]]:
        """Return each priced position with its x and the free slots below and above it."""
        free, found = self._start, []
        for item in self.steps:
            after = free if item.holding.earn else free + 1
            found.append((item, self.x(item.value_usd or Decimal(0)), free, after))
            free = after
        return found

    @cached_property
    def paths(self) -> tuple[str, str]:
        """Return the step line left and right of the threshold."""
        split = self.x(self.analysis.threshold)
        left = [f"M{self.frame.left} {self.y(self._start):.1f}"]
        right: list[str] = []
        level = self._start
        for item, x, _, after in self._risers:
            if (item.value_usd or 0) >= self.analysis.threshold and not right:
                left.append(f"H{split:.1f}")
                right.append(f"M{split:.1f} {self.y(level):.1f}")
            (right or left).append(f"H{x:.1f}V{self.y(after):.1f}")
            level = after
        if not right:
            left.append(f"H{split:.1f}")
            right.append(f"M{split:.1f} {self.y(level):.1f}")
        right.append(f"H{self.frame.plot_right}")
        return "".join(left), "".join(right)

    @cached_property
    def points(self) -> list[Point]:
        """Return the marks, mid-riser, with their labels."""
        return list(self._points())

    def _points(self) -> Iterator[Point]:
        size = 9.0 if len(self.steps) > MOST_BIG_MARKS else self.frame.mark
        labelled = len(self.steps) <= MOST_LABELS
        for item, x, before, after in self._risers:
            y = self.y((before + after) / 2)
            hollow = is_stuck(item)
            stuck = " stuck" if hollow and item.category is Category.DUST else ""
            text = f"{usd(item.value_usd)}{stuck}"
            gap = 12 if labelled else 8
            room = x - gap - _LETTER * (len(item.asset) + 1 + len(text))
            left = room >= self.frame.left - 4
            yield Point(
                asset=item.asset,
                text=text,
                kind=item.category.value.lower(),
                hollow=hollow,
                x=x - size / 2,
                y=y - size / 2,
                label_x=x - gap if left else x + gap,
                label_y=y + 4,
                anchor="end" if left else "start",
                labelled=labelled,
            )

    @property
    def mark_size(self) -> float:
        """Return the marks' size, pixels."""
        return 9.0 if len(self.steps) > MOST_BIG_MARKS else self.frame.mark

    @cached_property
    def gutter(self) -> list[tuple[str, float, float]]:
        """Return the squares of the unpriced positions, from the axis up."""
        x = 6.0 if self.frame is WIDE else -9.0
        most = 12
        return [
            (item.asset, x, self.frame.floor - 14.0 - 13.0 * number)
            for number, item in enumerate(self.unpriced[:most])
        ]

    @cached_property
    def y_ticks(self) -> list[Tick]:
        """Return the labels of free slots; the cap and zero among them."""
        span = self.cap - self.lowest
        every = next(
            step
            for step in (1, 2, 5, 10, 20, 25, 50, 100, 250, 500, 1000, 5000)
            if span / step <= 5
        )
        first = -(-self.lowest // every) * every
        steps = [value for value in range(first, self.cap, every) if self.cap - value > every / 2]
        values = sorted({*steps, 0, self.cap})
        return [Tick(at=self.y(value), text=str(value).replace("-", "−")) for value in values]

    @cached_property
    def x_ticks(self) -> list[Tick]:
        """Return the decades."""
        found = []
        every = 2 if self.frame is PHONE and self.hi - self.lo > 5 else 1
        for exponent in range(self.lo, self.hi + 1, every):
            value = Decimal(1).scaleb(exponent)
            text = f"${value:,.2f}" if value < 1 else f"${value:,.0f}"
            anchor = {self.lo: "start", self.hi: "end"}.get(exponent, "middle")
            found.append(Tick(at=self.x(value), text=text, anchor=anchor))
        return found

    @cached_property
    def minor_ticks(self) -> list[float]:
        """Return where the values between the decades stand."""
        if self.frame is PHONE:
            return []
        return [
            self.x(digit * Decimal(1).scaleb(exponent))
            for exponent in range(self.lo, self.hi)
            for digit in range(2, 10)
        ]

    @cached_property
    def dashed(self) -> list[Dashed]:
        """Return the exchange's minimum and the winning threshold, where there is one."""
        wide = self.frame is WIDE
        analysis, found = self.analysis, []
        minimum = analysis.exchange_minimum_usd
        if minimum:
            text = f"exchange minimum {usd(minimum)}" if wide else f"min. {usd(minimum)}"
            found.append((self.x(minimum), text))
        winning = analysis.policy.winning_threshold
        if minimum == winning:
            both = "minimum and winning"
            found = [(self.x(winning), f"{both} {usd(winning)}" if wide else both)]
        else:
            found.append((self.x(winning), f"winning from {usd(winning)}" if wide else "winning"))
        found.sort()
        return list(self._placed(found))

    def _placed(self, lines: Sequence[tuple[float, str]]) -> Iterator[Dashed]:
        """Keep the labels apart: of two close lines, the left one's stands left of it."""
        close = len(lines) == 2 and lines[1][0] - lines[0][0] < _LETTER * 0.55 * sum(
            len(text) for _, text in lines
        )
        for number, (x, text) in enumerate(lines):
            anchor, shift = "middle", 0.0
            half = _LETTER * len(text) / 2
            if close:
                anchor, shift = ("end", -3.0) if number == 0 else ("start", 3.0)
            elif x + half > self.frame.width:
                anchor = "end"
            elif x - half < 0:
                anchor = "start"
            yield Dashed(
                x=x, text=text, text_x=x + shift, text_y=self.frame.top - 12.0, anchor=anchor
            )

    # --- The threshold --------------------------------------------------------------------------

    @property
    def threshold_x(self) -> float:
        """Return where the threshold stands."""
        return self.x(self.analysis.threshold)

    @property
    def zone_width(self) -> float:
        """Return how wide the dust is."""
        return self.threshold_x - self.frame.left

    @property
    def ring_y(self) -> float:
        """Return where the threshold crosses the step line."""
        return self.y(self.free_at_threshold)

    @property
    def pill(self) -> str:
        """Return the threshold's label."""
        return f"{self.frame.pill_before}{threshold_text(self.analysis.threshold)}"

    @property
    def pill_width(self) -> float:
        """Return how wide its label is."""
        return max(54.0, 22 + _LETTER * 1.04 * len(self.pill))

    @property
    def pill_shift(self) -> float:
        """Return how far the pill moves so that it stays inside."""
        half, x = self.pill_width / 2, self.threshold_x
        return min(max(x, half), self.frame.width - half) - x

    @cached_property
    def result(self) -> Dashed:
        """Return what the threshold means, beside the ring, where it covers the least."""
        text = slots_sentence(self.analysis)
        width = _LETTER * 1.1 * len(text)
        x, y = self.threshold_x, self.ring_y
        places = [
            Dashed(x=x, text=text, text_x=x + side * 12, text_y=y + shift, anchor=anchor)
            for shift in ((20.0, -10.0) if self.frame is PHONE else (-10.0, 20.0))
            for side, anchor in ((1, "start"), (-1, "end"))
        ]
        return min(places, key=lambda place: self._covered(place, width=width))

    def _covered(self, place: Dashed, *, width: float) -> float:
        """Return how much a text at this place would cover, or stick out by."""
        left = place.text_x if place.anchor == "start" else place.text_x - width
        right, top, bottom = left + width, place.text_y - 12, place.text_y + 3
        outside = max(0.0, self.frame.left - left) + max(0.0, right - self.frame.plot_right)
        outside += max(0.0, bottom - self.frame.floor) + max(0.0, self.frame.top - 8 - top)
        found = outside * 20
        for point in self.points:
            boxes = [(point.x, point.x + self.mark_size, point.y, point.y + self.mark_size)]
            if point.labelled:
                length = _LETTER * (len(point.asset) + 1 + len(point.text))
                start = point.label_x - (length if point.anchor == "end" else 0)
                boxes.append((start, start + length, point.label_y - 10, point.label_y + 3))
            for x0, x1, y0, y1 in boxes:
                found += max(0.0, min(x1, right) - max(x0, left)) * max(
                    0.0, min(y1, bottom) - max(y0, top)
                )
        return found

    @property
    def handle(self) -> int:
        """Return the range handle's step."""
        width = self.frame.plot_right - self.frame.left
        return round(STEPS * (self.threshold_x - self.frame.left) / width)

    @property
    def zero_y(self) -> float:
        """Return where no slot is free."""
        return self.y(0)

    @property
    def over_height(self) -> float:
        """Return how high the part over the cap is."""
        return self.frame.floor - self.zero_y

    @property
    def over_text_y(self) -> float:
        """Return where the words for it stand."""
        return self.zero_y + 16

    @property
    def zone_height(self) -> int:
        """Return how high the zone of dust is."""
        return self.frame.floor - self.frame.top + 6

    @property
    def plot_width(self) -> int:
        """Return how wide the plot is."""
        return self.frame.plot_right - self.frame.left

    @property
    def y_text_x(self) -> int:
        """Return where the labels of free slots end."""
        return self.frame.left - (10 if self.frame is WIDE else 8)

    @property
    def x_text_y(self) -> int:
        """Return the baseline of the decades' labels."""
        return self.frame.floor + (36 if self.frame is WIDE else 32)

    @property
    def pill_left(self) -> float:
        """Return where the pill begins, from the threshold."""
        return self.pill_shift - self.pill_width / 2

    @property
    def pill_radius(self) -> float:
        """Return the roundness of the pill."""
        return self.frame.pill_height / 2

    @property
    def pill_text_y(self) -> int:
        """Return the baseline of the pill's text."""
        return self.frame.pill_top + (16 if self.frame is WIDE else 15)

    @property
    def description(self) -> str:
        """Return the chart in words."""
        analysis = self.analysis
        parts = [
            f"At a threshold of {threshold_text(analysis.threshold)}, {slots_sentence(analysis)}.",
            *(
                f"{item.asset} is worth {usd(item.value_usd)}."
                for item in reversed(self.steps[-MOST_LABELS:])
            ),
        ]
        if self.unpriced_counted:
            parts.append(f"Without a price, always counted: {self.unpriced_counted}.")
        return " ".join(parts)


def is_stuck(item: ClassifiedPosition) -> bool:
    """Tell whether a mark is hollow: it can't be closed now. Nobody wants to close a winner."""
    return item.category is not Category.WINNING and item.closing.route is None


def charts(analysis: Analysis) -> tuple[Chart, Chart]:
    """Return both sizes; the style sheet shows one of them."""
    return Chart(frame=WIDE, analysis=analysis), Chart(frame=PHONE, analysis=analysis)


def slots_sentence(analysis: Analysis) -> str:
    """Return the free slots in words."""
    effect = analysis.effect
    if effect.over_cap:
        return f"over the cap by {effect.over_cap}"
    return f"{effect.available} of {analysis.policy.position_cap} free"


def threshold_text(threshold: Decimal) -> str:
    """Return a threshold as people write it: cents, and more digits where it has them."""
    if threshold == threshold.quantize(Decimal("0.01")):
        return usd(threshold)
    return f"${quantity(threshold)}"


def _log(value: Decimal) -> float:
    # `Decimal.log10` is exact where a float would underflow to zero.
    return float(value.log10()) if value > 0 else -math.inf
