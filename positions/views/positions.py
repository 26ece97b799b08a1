"""Filter, sort, cut and page the table of positions by what the address asks for."""

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest

from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category, Reason
from positions.selectors.analysis import PLAIN_REASONS, Analysis
from positions.templatetags.formats import threshold_text


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for: a threshold, or why it can't be used."""

    text: str
    analysis: Analysis
    problem: str = ""

    @property
    def is_policy(self) -> bool:
        """Tell whether it is the threshold in force."""
        return self.analysis.threshold == self.analysis.policy.dust_threshold


ROUTES = {"SELL": "Sell", "CONVERT": "Convert", "KEEP": "Keep"}
SORTS: dict[str, Callable[[ClassifiedPosition], Any]] = {
    "asset": lambda item: item.asset,
    "quantity": lambda item: item.holding.total,
    "price": lambda item: item.holding.price_usd,
    "value": lambda item: item.value_usd,
    "net": lambda item: item.verdict.expected_net_usd,
}
COLUMNS = (
    ("Category", "", ""),
    ("Asset", "asset", ""),
    ("Quantity", "quantity", "num"),
    ("Price", "price", "num"),
    ("Value", "value", "num"),
    ("What can be done", "", ""),
    ("Why", "", ""),
    ("Expected net", "net", "num"),
    ("Slot", "", ""),
)


ON_A_PAGE = 50
RESIDUE_SHOWN = 20
# What the address says about the table; the threshold stands beside it.
PARAMETERS = ("category", "route", "reason", "find", "sort", "page")


def positions_table(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    """Return what the table shows: filtered, sorted, paged, and cut at the threshold."""
    analysis = asked.analysis
    category = _one_of(Category.__members__, request.GET.get("category", ""))
    route = _one_of(ROUTES, request.GET.get("route", ""))
    reason = _one_of(Reason.__members__, request.GET.get("reason", ""))
    find = request.GET.get("find", "").strip()
    sort = request.GET.get("sort", "")
    shown = [
        item
        for item in analysis.positions
        if category in ("", item.category)
        and route in ("", _route(item))
        and reason in ("", item.verdict.reason)
        and find.lower() in item.asset.lower()
    ]
    shown = _sorted(shown, sort)
    page = Paginator(shown, ON_A_PAGE).get_page(request.GET.get("page"))
    routes = Counter(_route(item) for item in analysis.positions)
    reasons = Counter(item.verdict.reason for item in analysis.positions if item.verdict.reason)
    residue = analysis.classified.residue
    return {
        "asked": asked,
        "analysis": analysis,
        "page": page,
        "cut_before": _cut(shown, page) if _is_by_value(sort) else None,
        "category": category,
        "route": route,
        "reason": reason,
        "find": find,
        "categories": [
            (item.value, _CATEGORY_NAMES[item], analysis.counts[item]) for item in Category
        ],
        "routes": [(code, name, routes[code]) for code, name in ROUTES.items()],
        "reasons": [
            (code.value, reason_name(code), count) for code, count in reasons.most_common()
        ],
        "columns": [
            {
                "title": title,
                "class": css,
                "sort": _next_sort(name, sort) if name else "",
                "direction": _direction(name, sort),
            }
            for title, name, css in COLUMNS
        ],
        "shown_usd": sum((item.value_usd or Decimal(0) for item in shown), Decimal(0)),
        "shown_net": sum(
            (item.verdict.expected_net_usd or Decimal(0) for item in shown), Decimal(0)
        ),
        "counted": sum(item.counted for item in shown),
        "table_threshold_text": threshold_text(analysis.threshold),
        "residue": residue[:RESIDUE_SHOWN],
        "residue_more": len(residue[RESIDUE_SHOWN:]),
    }


def reason_name(reason: Reason) -> str:
    """Return a reason as a filter and a heading name it."""
    name = PLAIN_REASONS[reason]
    return name[0].upper() + name[1:]


def _one_of(known: Container[str], text: str) -> str:
    """Return the code that is asked for; empty, which means all of them, if there is none such."""
    return text.upper() if text.upper() in known else ""


def _is_by_value(sort: str) -> bool:
    """Tell whether the largest value comes first, as it does unless something else is asked for."""
    return sort == "-value" or sort.removeprefix("-") not in SORTS


def _sorted(positions: list[ClassifiedPosition], sort: str) -> list[ClassifiedPosition]:
    if _is_by_value(sort):
        return positions
    key = SORTS[sort.removeprefix("-")]
    known = [item for item in positions if key(item) is not None]
    unknown = [item for item in positions if key(item) is None]
    return sorted(known, key=key, reverse=sort.startswith("-")) + unknown


def _cut(shown: Sequence[ClassifiedPosition], page: Page[ClassifiedPosition]) -> int | None:
    """Return before which row of the page the line at the threshold stands; at its top as well."""
    above = sum(item.category is not Category.DUST for item in shown)
    before = max(0, above - page.start_index() + 1)
    return before if above < len(shown) else None


_CATEGORY_NAMES = {
    Category.WINNING: "Winning",
    Category.SMALL: "Small",
    Category.DUST: "Dust",
    Category.UNPRICED: "No price",
}


def _route(item: ClassifiedPosition) -> str:
    return "KEEP" if item.verdict.route is None else item.verdict.route.value


def _direction(name: str, sort: str) -> str:
    current = sort if sort.removeprefix("-") in SORTS else "-value"
    if not name or current.removeprefix("-") != name:
        return ""
    return "descending" if current.startswith("-") else "ascending"


def _next_sort(name: str, sort: str) -> str:
    """Return what a click on the column asks for: numbers start with the largest."""
    direction = _direction(name, sort)
    if direction:
        return name if direction == "descending" else f"-{name}"
    return name if name == "asset" else f"-{name}"
