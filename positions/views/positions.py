"""Filter, sort and cut the table of positions by what the address asks for."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category
from positions.selectors.analysis import Analysis
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


ROUTES = {"SELL": "Sell", "KEEP": "Keep"}
SORTS = {
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


def positions_table(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    """Return what the table shows: filtered, sorted, and cut at the threshold."""
    analysis = asked.analysis
    category = request.GET.get("category", "").upper()
    route = request.GET.get("route", "").upper()
    find = request.GET.get("find", "").strip()
    sort = request.GET.get("sort", "")
    key = sort.removeprefix("-")
    by_value = key not in SORTS
    shown = [
        item
        for item in analysis.positions
        if (category not in set(Category) or item.category == category)
        and (route not in ROUTES or _route(item) == route)
        and find.lower() in item.asset.lower()
    ]
    if not by_value:
        known = [item for item in shown if SORTS[key](item) is not None]
        unknown = [item for item in shown if SORTS[key](item) is None]
        shown = sorted(known, key=SORTS[key], reverse=sort.startswith("-")) + unknown
    below = next(
        (number for number, item in enumerate(shown) if item.category is Category.DUST), None
    )
    routes = [_route(item) for item in analysis.positions]
    return {
        "asked": asked,
        "analysis": analysis,
        "rows": shown,
        "cut_before": below if by_value or sort == "-value" else None,
        "category": category if category in set(Category) else "",
        "route": route if route in ROUTES else "",
        "find": find,
        "categories": [
            (item.value, _CATEGORY_NAMES[item], analysis.counts[item]) for item in Category
        ],
        "routes": [(code, name, routes.count(code)) for code, name in ROUTES.items()],
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
    }


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
