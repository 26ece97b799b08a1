"""Name the chart's two sizes and what stands in it."""

from dataclasses import dataclass
from functools import cached_property

from django.utils.html import format_html
from django.utils.safestring import SafeString

from positions.views.staircase import Staircase

LETTER = 6.4  # pixels, a generous average at 12 px


def px(pixels: float) -> str:
    """Return a length with one decimal at most, as short as it can be written."""
    tenths = round(pixels * 10)
    whole, rest = divmod(abs(tenths), 10)
    text = f"{whole or ''}.{rest}" if rest else str(whole)
    return f"-{text}" if tenths < 0 else text


def _at(x: float, y: float) -> SafeString:
    return format_html('x="{}" y="{}"', px(x), px(y))


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
    mark: int
    pill_top: int
    pill_height: int
    pill_before: str
    most_merged: int  # marks, once they are merged

    def shape(self, kind: str) -> str:
        """Return the id of a mark's shape; short, as a picture says it many times."""
        return f"{self.name[0]}-{kind[0]}"

    @property
    def plot_right(self) -> int:
        """Return the x of the plot's right edge."""
        return self.width - self.right

    @property
    def plot_width(self) -> int:
        """Return how wide the plot is."""
        return self.plot_right - self.left

    @property
    def floor(self) -> int:
        """Return the y of the axis."""
        return self.height - self.bottom

    @property
    def rise(self) -> float:
        """Return how high the staircase may be; the cap stays a little below the top."""
        return (self.floor - self.top) / 1.0375


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
    most_merged=44,
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
    most_merged=20,
)


@dataclass(frozen=True)
class Plot:
    """A staircase in one size: shares of the axis and free slots in, pixels out."""

    frame: Frame
    staircase: Staircase

    def x(self, share: float) -> float:
        """Return where a share of the axis ends."""
        return self.frame.left + self.frame.plot_width * share

    def y(self, free: float) -> float:
        """Return where a number of free slots stands."""
        stairs = self.staircase
        share = (free - stairs.lowest) / (stairs.cap - stairs.lowest)
        return self.frame.floor - self.frame.rise * share


@dataclass(frozen=True, kw_only=True)
class Label:
    """One text and where it stands."""

    text: str
    x: float
    y: float
    anchor: str = "middle"
    detail: str = ""  # lighter, behind the text

    @cached_property
    def at(self) -> SafeString:
        """Return the attributes that put it there."""
        place = _at(self.x, self.y)
        if self.anchor == "middle":  # as the whole picture says
            return place
        return place + format_html(' text-anchor="{}"', self.anchor)

    @property
    def width(self) -> float:
        """Return about how wide it is."""
        return LETTER * (len(self.text) + len(self.detail) + bool(self.detail))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return its left, right, upper and lower edge."""
        left = self.x - self.width * {"start": 0, "middle": 0.5, "end": 1}[self.anchor]
        return left, left + self.width, self.y - 11, self.y + 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashed:
    """A dashed line that is no threshold, with its label."""

    x: str
    label: Label


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One position's mark, or that of several that stand too close together."""

    kind: str
    hollow: bool
    x: float  # of its middle
    y: float
    shape: str  # the id of what is drawn there
    label: Label | None = None
    label_stays: bool = False  # without a hover
    title: str = ""

    @property
    def css(self) -> str:
        """Return its classes, without its label's."""
        return f"mark mark--{self.kind}{' mark--hollow' if self.hollow else ''}"

    @cached_property
    def svg(self) -> SafeString:
        """Return it drawn: a chart shows the same marks again and again."""
        use = format_html('<use href="#{}" {}', self.shape, _at(self.x, self.y))
        if self.label is None:
            return format_html("{}><title>{}</title></use>", use, self.title)
        return format_html(
            '<g class="point{}" tabindex="-1">{}/><text class="label halo" {}>{} '
            "<tspan>{}</tspan></text></g>",
            " point--labelled" if self.label_stays else "",
            use,
            self.label.at,
            self.label.text,
            self.label.detail,
        )
