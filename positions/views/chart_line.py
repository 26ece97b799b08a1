"""Draw the step line: exact in the free slots, and in the value to the pixel."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from positions.views.chart_parts import Plot, px

MOST_EXACT = 120  # steps; of more, those in the same pixel rise as one


@dataclass(frozen=True, slots=True)
class _Corner:
    """Where the line rises: after which step, how far right, how high; in tenths of a pixel."""

    steps: int  # that are behind it
    x: int
    y: int
    drawn: str  # from the corner before


@dataclass(frozen=True)
class StepLine:
    """The step line of one plot; a threshold cuts it in two."""

    plot: Plot

    @cached_property
    def _corners(self) -> list[_Corner]:
        risers = self.plot.staircase.risers
        unit = 1 if len(risers) <= MOST_EXACT else 10
        found = [_Corner(0, 10 * self.plot.frame.left, self._tenths(self.plot.staircase.start), "")]
        places = (round(10 * self.plot.x(riser.share) / unit) * unit for riser in risers)
        for x, group in groupby(zip(places, risers, strict=True), key=lambda pair: pair[0]):
            last, same = found[-1], list(group)
            y = self._tenths(same[-1][1].after)
            across = f"h{px((x - last.x) / 10)}" if x != last.x else ""
            up = f"v{y - last.y}" if y != last.y else ""
            found.append(_Corner(last.steps + len(same), x, y, across + up))
        return found

    def _tenths(self, free: int) -> int:
        return round(10 * self.plot.y(free))

    def cut(self, below: int, *, free: int, x: float) -> tuple[str, str]:
        """Return the paths left and right of a threshold at `x` with `below` steps below it.

        Heights are in tenths of a pixel, as whole numbers: a crowded line has hundreds of them.
        """
        behind = [corner for corner in self._corners if corner.steps <= below]
        ahead = self._corners[len(behind) :]
        level = self._tenths(free)
        left = f"M{px(behind[0].x / 10)} {behind[0].y}"
        left += "".join(corner.drawn for corner in behind)
        if behind[-1].steps < below:  # the threshold is within a pixel that holds several steps
            left += f"H{px(ahead[0].x / 10)}V{level}"
        right = f"M{px(x)} {level}"
        if ahead:
            right += f"H{px(ahead[0].x / 10)}V{ahead[0].y}"
            right += "".join(corner.drawn for corner in ahead[1:])
        return f"{left}H{px(x)}", f"{right}H{self.plot.frame.plot_right}"
