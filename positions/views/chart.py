"""Lay out the staircase chart in one size: exact values in, pixels out, no library."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from weakref import WeakKeyDictionary

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from positions.domain.what_if import WhatIf
from positions.selectors.analysis import Analysis
from positions.templatetags.formats import threshold_text, usd
from positions.views.chart_axes import Axes
from positions.views.chart_line import StepLine
from positions.views.chart_marks import MOST_NAMED, Marks
from positions.views.chart_parts import LETTER, PHONE, WIDE, Frame, Label, Mark, Plot, px
from positions.views.staircase import Staircase

STEPS = 400  # of the range handle


class Drawing:
    """What no threshold moves, in one size."""

    def __init__(self, frame: Frame, staircase: Staircase) -> None:
        """Lay out axes, step line and marks; each is drawn when it is first needed."""
        self.frame = frame
        self.staircase = staircase
        self.plot = Plot(frame, staircase)
        self.axes = Axes(self.plot)
        self.line = StepLine(self.plot)
        self.marks = Marks(self.plot)

    @cached_property
    def backdrop(self) -> SafeString:
        """Return what stands behind line and marks, drawn."""
        context = {
            "frame": self.frame,
            "stairs": self.staircase,
            "axes": self.axes,
            "marks": self.marks,
        }
        return render_to_string("positions/_chart_backdrop.html", context)


_DRAWN: WeakKeyDictionary[WhatIf, tuple[Drawing, Drawing]] = WeakKeyDictionary()


def _drawings_of(what_if: WhatIf) -> tuple[Drawing, Drawing]:
    """Return both sizes of a classified snapshot; they are kept for as long as that is."""
    found = _DRAWN.get(what_if)
    if found is None:
        stairs = Staircase(what_if)
        found = _DRAWN[what_if] = (Drawing(WIDE, stairs), Drawing(PHONE, stairs))
    return found


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One account's staircase at one threshold, in one size."""

    drawing: Drawing
    analysis: Analysis

    @property
    def frame(self) -> Frame:
        """Return the size."""
        return self.drawing.frame

    @property
    def stairs(self) -> Staircase:
        """Return the staircase."""
        return self.drawing.staircase

    @cached_property
    def below(self) -> int:
        """Return how many steps are below the threshold."""
        return self.analysis.what_if.steps_below(self.analysis.threshold)

    @cached_property
    def free(self) -> int:
        """Return the free slots at the threshold; below zero over the cap."""
        effect = self.analysis.effect
        return self.stairs.cap - effect.counted - effect.leased

    @cached_property
    def description(self) -> str:
        """Return the chart in words."""
        parts = [
            f"At a threshold of {threshold_text(self.analysis.threshold)}, "
            f"{slots_sentence(self.analysis)}."
        ]
        risers = self.stairs.risers
        if len(risers) > MOST_NAMED:
            span = f"{usd(risers[0].step.value_usd)} to {usd(risers[-1].step.value_usd)}"
            parts.append(f"{len(risers)} holdings are worth {span}.")
        else:
            parts += [
                f"{riser.step.below.asset} is worth {usd(riser.step.value_usd)}."
                for riser in reversed(risers)
            ]
        if self.stairs.unpriced_counted:
            parts.append(f"Without a price, always counted: {self.stairs.unpriced_counted}.")
        return " ".join(parts)

    # --- Line and marks -------------------------------------------------------------------------

    @cached_property
    def paths(self) -> tuple[str, str]:
        """Return the step line left and right of the threshold."""
        return self.drawing.line.cut(self.below, free=self.free, x=self.threshold_x)

    @property
    def line_matrix(self) -> str:
        """Return what turns the wide chart's step line, its heights in tenths, into this one's."""
        across = self.frame.plot_width / WIDE.plot_width
        up = self.frame.rise / WIDE.rise
        left = self.frame.left - WIDE.left * across
        top = self.frame.floor - WIDE.floor * up
        return f"{across:.5g} 0 0 {up / 10:.5g} {left:.5g} {top:.5g}"

    @cached_property
    def marks(self) -> list[Mark]:
        """Return the marks, smallest value first."""
        return self.drawing.marks.at(self.below)

    @cached_property
    def groups(self) -> list[tuple[str, SafeString]]:
        """Return the marks by what they look like, drawn."""
        ordered = sorted(self.marks, key=lambda mark: mark.css)
        return [
            (css, SafeString("".join(mark.svg for mark in marks)))
            for css, marks in groupby(ordered, key=lambda mark: mark.css)
        ]

    # --- The threshold --------------------------------------------------------------------------

    @cached_property
    def threshold_x(self) -> float:
        """Return where the threshold stands."""
        return self.drawing.plot.x(self.stairs.share(self.analysis.threshold))

    @property
    def zone_width(self) -> str:
        """Return how wide the dust is."""
        return px(self.threshold_x - self.frame.left)

    @property
    def zone_height(self) -> int:
        """Return how high it is."""
        return self.frame.floor - self.frame.top + 6

    @property
    def line_at(self) -> str:
        """Return where the threshold's line stands."""
        return px(self.threshold_x)

    @property
    def ring_y(self) -> str:
        """Return where the threshold crosses the step line."""
        return px(self.drawing.plot.y(self.free))

    @property
    def handle(self) -> int:
        """Return the range handle's step."""
        return round(STEPS * self.stairs.share(self.analysis.threshold))

    @property
    def pill(self) -> str:
        """Return the threshold's label."""
        return f"{self.frame.pill_before}{threshold_text(self.analysis.threshold)}"

    @property
    def _pill_width(self) -> float:
        return max(54.0, 22 + LETTER * 1.04 * len(self.pill))

    @property
    def _pill_shift(self) -> float:
        """Return how far the pill moves so that it stays inside."""
        half, x = self._pill_width / 2, self.threshold_x
        return min(max(x, half), self.frame.width - half) - x

    @property
    def pill_width(self) -> str:
        """Return how wide its shape is."""
        return px(self._pill_width)

    @property
    def pill_left(self) -> str:
        """Return where its shape begins, from the threshold."""
        return px(self._pill_shift - self._pill_width / 2)

    @property
    def pill_middle(self) -> str:
        """Return where its text stands, from the threshold."""
        return px(self._pill_shift)

    @property
    def pill_radius(self) -> str:
        """Return the roundness of the pill."""
        return px(self.frame.pill_height / 2)

    @property
    def pill_text_y(self) -> int:
        """Return the baseline of its text."""
        return self.frame.pill_top + (16 if self.frame is WIDE else 15)

    @cached_property
    def result(self) -> Label:
        """Return what the threshold means, beside the ring, where it covers the least."""
        text = slots_sentence(self.analysis)
        x, y = self.threshold_x, self.drawing.plot.y(self.free)
        places = [
            Label(text=text, x=x + side * 12, y=y + shift, anchor=anchor)
            for shift in ((20.0, -10.0) if self.frame is PHONE else (-10.0, 20.0))
            for side, anchor in ((1, "start"), (-1, "end"))
        ]
        return min(places, key=lambda place: self._outside(place) * 20 + self._covered(place))

    def _covered(self, place: Label) -> float:
        return self.drawing.marks.covered(place, among=self.marks)

    def _outside(self, place: Label) -> float:
        """Return by how much a text would stick out of the plot."""
        frame = self.frame
        left = place.x if place.anchor == "start" else place.x - place.width
        return (
            max(0.0, frame.left - left)
            + max(0.0, left + place.width - frame.plot_right)
            + max(0.0, place.y + 3 - frame.floor)
            + max(0.0, frame.top - 8 - (place.y - 12))
        )


def charts(analysis: Analysis) -> tuple[Chart, Chart]:
    """Return both sizes; the style sheet shows one of them."""
    wide, phone = _drawings_of(analysis.what_if)
    return Chart(drawing=wide, analysis=analysis), Chart(drawing=phone, analysis=analysis)


def slots_sentence(analysis: Analysis) -> str:
    """Return the free slots in words."""
    effect = analysis.effect
    if effect.over_cap:
        return f"over the cap by {effect.over_cap}"
    return f"{effect.available} of {analysis.policy.position_cap} free"
