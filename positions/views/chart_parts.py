"""Name the chart's two sizes and what stands in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One size of the chart."""

    name: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    mark: float
    pill_top: int
    pill_height: int
    pill_before: str

    @property
    def plot_right(self) -> int:
        """Return the x of the plot's right edge."""
        return self.width - self.right

    @property
    def floor(self) -> int:
        """Return the y of the axis."""
        return self.height - self.bottom


WIDE = Frame(
    name="wide",
    width=872,
    height=428,
    left=54,
    right=18,
    top=52,
    bottom=58,
    mark=15,
    pill_top=8,
    pill_height=24,
    pill_before="Threshold ",
)
PHONE = Frame(
    name="phone",
    width=345,
    height=250,
    left=26,
    right=10,
    top=40,
    bottom=44,
    mark=12,
    pill_top=2,
    pill_height=21,
    pill_before="",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One label of an axis."""

    at: float
    text: str
    anchor: str = "middle"

    @property
    def text_y(self) -> float:
        """Return the baseline of a text that stands beside it."""
        return self.at + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashed:
    """A dashed line that is no threshold."""

    x: float
    text: str
    text_x: float
    text_y: float
    anchor: str = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One position's mark."""

    asset: str
    text: str
    kind: str
    hollow: bool
    x: float  # of the mark's left upper corner
    y: float
    label_x: float
    label_y: float
    anchor: str
    labelled: bool
