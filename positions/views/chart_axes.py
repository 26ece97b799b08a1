"""Draw what the steps stand in: decades, free slots, and the lines that are no threshold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from positions.templatetags.formats import usd
from positions.views.chart_parts import LETTER, PHONE, WIDE, Dashed, Frame, Label, Plot, px

_LINE = 14  # pixels that a label is high
_STEPS_BETWEEN_TICKS = (1, 2, 5, 10, 20, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000)


@dataclass(frozen=True)
class Axes:
    """The axes of one plot; no threshold moves them."""

    plot: Plot

    @property
    def frame(self) -> Frame:
        """Return the plot's size."""
        return self.plot.frame

    @property
    def y_values(self) -> list[int]:
        """Return the labelled numbers of free slots: zero, those around it, the cap if it fits."""
        cap, lowest = self.plot.staircase.cap, self.plot.staircase.lowest
        fitting = (step for step in _STEPS_BETWEEN_TICKS if (cap - lowest) / step <= 5)
        every = next(fitting, _STEPS_BETWEEN_TICKS[-1])
        first = -(-lowest // every) * every
        steps = (value for value in range(first, cap, every) if cap - value > every / 2)
        has_room = self.plot.y(0) - self.plot.y(cap) >= _LINE
        return sorted({*steps, 0, *([cap] if has_room else [])})

    @property
    def grid(self) -> str:
        """Return the path of the lines across."""
        frame = self.frame
        return "".join(
            f"M{frame.left} {px(self.plot.y(value))}H{frame.plot_right}" for value in self.y_values
        )

    @property
    def zero_y(self) -> str:
        """Return where no slot is free."""
        return px(self.plot.y(0))

    @property
    def over_height(self) -> str:
        """Return how high the part over the cap is."""
        return px(self.frame.floor - self.plot.y(0))

    @property
    def over_label(self) -> Label:
        """Return the words for it, on the left if the step line ends where they stand."""
        y, end = self.plot.y(0) + 16, self.plot.y(self.plot.staircase.end)
        if abs(end - y) < _LINE * 2:
            return Label(text="over the cap", x=self.frame.left + 8, y=y, anchor="start")
        return Label(text="over the cap", x=self.frame.plot_right, y=y, anchor="end")

    @property
    def y_labels(self) -> list[Label]:
        """Return the numbers of free slots."""
        x = self.frame.left - (10 if self.frame is WIDE else 8)
        return [
            Label(text=f"{value:,}".replace("-", "−"), x=x, y=self.plot.y(value) + 4)
            for value in self.y_values
        ]

    @cached_property
    def _decades(self) -> list[tuple[Decimal, float]]:
        lo, hi = self.plot.staircase.lo, self.plot.staircase.hi
        every = 2 if self.frame is PHONE and hi - lo > 5 else 1
        values = [Decimal(1).scaleb(exponent) for exponent in range(lo, hi + 1, every)]
        return [(value, self._at(value)) for value in values]

    def _at(self, value: Decimal) -> float:
        return self.plot.x(self.plot.staircase.share(value))

    @property
    def ticks(self) -> str:
        """Return the path of the decades' ticks."""
        return "".join(f"M{px(x)} {self.frame.floor}v6" for _, x in self._decades)

    @property
    def minor_ticks(self) -> str:
        """Return the path of the ticks between the decades."""
        if self.frame is PHONE:
            return ""
        return "".join(
            f"M{px(self._at(digit * decade))} {self.frame.floor}v4"
            for decade, _ in self._decades[:-1]
            for digit in range(2, 10)
        )

    @property
    def x_labels(self) -> list[Label]:
        """Return the decades' values."""
        y = self.frame.floor + (36 if self.frame is WIDE else 32)
        frame = self.frame
        return [
            Label(
                text=f"${value:,.2f}" if value < 1 else f"${value:,.0f}",
                x=x,
                y=y,
                anchor={frame.left: "start", frame.plot_right: "end"}.get(round(x), "middle"),
            )
            for value, x in self._decades
        ]

    @property
    def dashed(self) -> list[Dashed]:
        """Return the exchange's minimum and the winning threshold, where there is one."""
        wide = self.frame is WIDE
        minimum, found = self.plot.staircase.exchange_minimum_usd, []
        winning = self.plot.staircase.winning_threshold
        if minimum == winning:
            both = "minimum and winning"
            found.append((winning, f"{both} {usd(winning)}" if wide else both))
        else:
            if minimum:
                found.append((minimum, f"{'exchange minimum' if wide else 'min.'} {usd(minimum)}"))
            found.append((winning, f"winning from {usd(winning)}" if wide else "winning"))
        return list(self._apart(sorted((self._at(value), text) for value, text in found)))

    def _apart(self, lines: Sequence[tuple[float, str]]) -> Iterator[Dashed]:
        """Keep the labels apart: of two close lines, the left one's stands left of it."""
        close = len(lines) == 2 and lines[1][0] - lines[0][0] < LETTER * 0.55 * sum(
            len(text) for _, text in lines
        )
        for number, (x, text) in enumerate(lines):
            anchor, shift = "middle", 0.0
            half = LETTER * len(text) / 2
            if close:
                anchor, shift = ("end", -3.0) if number == 0 else ("start", 3.0)
            elif x + half > self.frame.width:
                anchor = "end"
            elif x - half < 0:
                anchor = "start"
            label = Label(text=text, x=x + shift, y=self.frame.top - 12.0, anchor=anchor)
            yield Dashed(x=px(x), label=label)
