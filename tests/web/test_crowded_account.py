"""An account with 2,000 positions: pages of the table, and a chart that stays small and exact."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from positions.models import ExchangeAccount
from positions.selectors.accounts import account_reading
from positions.selectors.analysis import Analysis
from positions.views.chart import Chart, charts
from positions.views.chart_marks import MOST_SINGLE
from tests.web import builders

HTMX = {"HX-Request": "true"}
TABLE = HTMX | {"HX-Target": "positions"}
POSITIONS = 2000
FRAGMENT_BYTES = 20_000
MOST_QUERIES = 10
CUT = "Below the dust threshold of"


@pytest.fixture
def crowded(db: None, now: datetime) -> ExchangeAccount:
    """Return an account with 2,000 holdings beside its cash, just read."""
    account = builders.account("crowded", now=now)
    builders.snapshot(account, at=now, holdings=builders.crowd(POSITIONS))
    return account


@pytest.fixture
def paged(db: None, now: datetime) -> ExchangeAccount:
    """Return an account whose table has some pages, just read."""
    account = builders.account("crowded", now=now)
    builders.snapshot(account, at=now, holdings=builders.crowd(430))
    return account


def _analysis(account: ExchangeAccount, now: datetime) -> Analysis:
    analysis = account_reading(account.slug, now=now).analysis
    assert analysis is not None
    return analysis


def _table(web: Client, **query: str | int) -> str:
    response = web.get("/accounts/crowded/", query, headers=TABLE)
    assert response.status_code == 200
    return response.text


def _rows(table: str) -> list[str]:
    return re.findall(r'<b class="main">(A\d+)</b>', table)


# --- Pages of the table -------------------------------------------------------------------------


def test_every_position_stands_on_exactly_one_page(
    paged: ExchangeAccount, web: Client, now: datetime
) -> None:
    expected = [item.asset for item in _analysis(paged, now).positions]
    first = _table(web)
    pages = int(re.findall(r"page 1 of (\d+)", first)[0])
    assert f"1 to 50 of {len(expected)}" in first
    assert [
        row for page in range(1, pages + 1) for row in _rows(_table(web, page=page))
    ] == expected


def test_the_totals_are_those_of_all_pages(
    paged: ExchangeAccount, web: Client, now: datetime
) -> None:
    analysis = _analysis(paged, now)
    for page in (1, 2, 9):
        foot = _table(web, page=page).split("<tfoot>")[1]
        assert f"{len(analysis.positions)} positions" in foot
        assert f"${analysis.positions_usd:,.2f}" in foot
        assert f"{analysis.slots.counted} of 8" in foot


@pytest.mark.parametrize(("asked", "shown"), [("0", 9), ("-1", 9), ("x", 1), ("", 1), ("99", 9)])
def test_a_page_that_is_not_there_shows_the_nearest(
    paged: ExchangeAccount, web: Client, asked: str, shown: int
) -> None:
    assert f"page {shown} of 9" in _table(web, page=asked)


def test_the_line_at_the_threshold_stands_where_it_belongs(
    paged: ExchangeAccount, web: Client, now: datetime
) -> None:
    analysis = replace(_analysis(paged, now), threshold=Decimal("1.11"))
    positions = analysis.positions
    above = len(positions) - len(analysis.dust)
    at, on_page = divmod(above, 50)
    assert on_page
    assert CUT not in _table(web, page=at, threshold="1.11").split("<tbody>")[1]
    table = _table(web, page=at + 1, threshold="1.11")
    assert table.index(positions[above - 1].asset) < table.index(CUT)
    assert table.index(CUT) < table.index(positions[above].asset)
    # A page that is wholly below says so at its top.
    after = _table(web, page=at + 2, threshold="1.11")
    assert after.index(CUT) < after.index("<tr data-row>")
    # Sorted by anything else there is no such line.
    assert CUT not in _table(web, sort="asset", page=at + 2)
    assert CUT in _table(web, sort="-value", page=at + 2)


def test_pages_keep_filter_sort_and_find_and_those_begin_at_the_first_page(
    paged: ExchangeAccount, web: Client
) -> None:
    text = _table(web, category="DUST", sort="asset", find="A", page=2, threshold="0.50")
    links = [link.replace("&amp;", "&") for link in re.findall(r'hx-get="([^"]+)"', text)]
    pager = [link for link in links if "page=" in link]
    assert len(pager) == 2
    for link in pager:
        assert {"category=DUST", "sort=asset", "find=A"} <= set(link.split("?")[1].split("&"))
    assert {"page=1", "page=3"} == {re.findall(r"page=\d+", link)[0] for link in pager}
    assert not [link for link in links if "page=" in link and link not in pager]
    # The script takes the threshold from its field; without script the link carries it.
    assert not [link for link in links if "threshold=" in link]
    plain = [link for link in re.findall(r'href="([^"]+)#positions"', text) if "page=3" in link]
    assert ["threshold=0.50" in link for link in plain] == [True]
    assert _rows(text) == _rows(
        _table(web, category="DUST", threshold="0.50", sort="asset", page=2)
    )


def test_the_pushed_address_is_the_shortest_that_shows_the_same(
    paged: ExchangeAccount, web: Client
) -> None:
    query = {"find": "", "sort": "-net", "page": "2", "nonsense": "1"}
    for threshold, expected in (
        ("1.00", "/accounts/crowded/?sort=-net&page=2"),
        ("0.50", "/accounts/crowded/?threshold=0.50&sort=-net&page=2"),
    ):
        response = web.get("/accounts/crowded/", query | {"threshold": threshold}, headers=TABLE)
        assert response["HX-Push-Url"] == expected


def test_trying_a_threshold_keeps_what_the_address_says_about_the_table(
    paged: ExchangeAccount, web: Client
) -> None:
    shown = "http://testserver/accounts/crowded/?threshold=1.00&category=DUST&page=3&x=1"
    response = web.get(
        reverse("positions:what_if", args=["crowded"]),
        {"threshold": "0.50"},
        headers=HTMX | {"HX-Current-URL": shown},
    )
    assert response["HX-Replace-Url"] == ("/accounts/crowded/?threshold=0.50&category=DUST&page=3")


def test_residue_is_listed_up_to_a_limit_and_summed_up_whole(
    crowded: ExchangeAccount, web: Client, now: datetime
) -> None:
    residue = _analysis(crowded, now).classified.residue
    text = _table(web)
    assert f"Residue: {len(residue)} assets" in text
    assert text.count("<li><b>") == 20
    assert f"And {len(residue) - 20} more" in text


def test_what_is_last_known_has_pages_too(web: Client, db: None, now: datetime) -> None:
    account = builders.account("crowded", now=now)
    then = now - timedelta(hours=1)
    builders.snapshot(account, at=then, holdings=builders.crowd(120))
    page = web.get("/accounts/crowded/").text
    assert page.count("<tr data-row>") == 50
    assert "1 to 50 of" in page
    # A filter of a page that was opened in time doesn't bring routes back.
    table = _table(web, page=2)
    assert "Last known" in table
    assert "route--sell" not in table


# --- What it costs ------------------------------------------------------------------------------


def test_a_stale_page_that_nobody_has_opened_yet_asks_no_more(
    web: Client, db: None, now: datetime, django_assert_max_num_queries: Any
) -> None:
    account = builders.account("crowded", now=now)
    builders.snapshot(account, at=now - timedelta(hours=2), holdings=builders.crowd(60))
    for minutes in (90, 30, 1):
        builders.failed_snapshot(account, at=now - timedelta(minutes=minutes))
    for path in ("/accounts/crowded/", "/"):
        with django_assert_max_num_queries(MOST_QUERIES, info=path):
            assert "3 tries" in web.get(path).text or path == "/"


def test_no_view_of_it_asks_the_database_more_than_ten_times(
    crowded: ExchangeAccount, web: Client, django_assert_max_num_queries: Any
) -> None:
    address = "/accounts/crowded/"
    for path, headers in (
        ("/", {}),
        (address, {}),
        (f"{address}?threshold=0.5&page=9&sort=net", {}),
        (f"{address}?page=2", TABLE),
        (f"{address}what-if/?threshold=0.5", HTMX),
        (f"{address}snapshot/status/", HTMX),
    ):
        with django_assert_max_num_queries(MOST_QUERIES, info=path):
            assert web.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("threshold", ["0.001", "0.05", "1.00", "9.99"])
def test_the_fragment_stays_small(crowded: ExchangeAccount, web: Client, threshold: str) -> None:
    response = web.get(
        reverse("positions:what_if", args=["crowded"]), {"threshold": threshold}, headers=HTMX
    )
    assert 'id="chart" hx-swap-oob="true"' in response.text
    assert 'class="chart chart--phone"' in response.text
    assert len(response.content) <= FRAGMENT_BYTES


def test_the_fragment_stays_small_where_every_pixel_has_a_step(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("crowded", now=now)
    builders.snapshot(account, at=now, holdings=builders.crowd(POSITIONS, lowest=-2, highest=7))
    response = web.get(
        reverse("positions:what_if", args=["crowded"]), {"threshold": "5.55"}, headers=HTMX
    )
    assert len(response.content) <= FRAGMENT_BYTES


# --- The chart ----------------------------------------------------------------------------------


def _charts(web: Client, now: datetime, holdings: list[dict[str, Any]]) -> tuple[Chart, Chart]:
    account = builders.account("charted", now=now)
    builders.snapshot(account, at=now, holdings=holdings)
    return charts(_analysis(account, now))


def test_up_to_120_positions_each_has_its_mark(web: Client, db: None, now: datetime) -> None:
    rows = [builders.holding(f"A{number}", "1", f"{number + 1}") for number in range(MOST_SINGLE)]
    for chart in _charts(web, now, rows):
        assert len(chart.marks) == MOST_SINGLE
        assert all(mark.label and not mark.title for mark in chart.marks)


def test_above_120_those_in_the_same_pixel_share_one(web: Client, db: None, now: datetime) -> None:
    # 13 values of ten positions each, far apart: thirteen marks.
    rows = [builders.holding(f"A{number}", "1", str(2 ** (number // 10))) for number in range(130)]
    for chart in _charts(web, now, rows):
        assert len(chart.marks) == 13
        assert [mark.title.split(" at ")[0] for mark in chart.marks] == ["10"] * 13
        assert chart.marks[0].title == "10 at $1.00"


def test_a_shared_mark_says_how_many_it_stands_for_what_they_are_worth_and_how_many_are_stuck(
    crowded: ExchangeAccount, now: datetime
) -> None:
    analysis = _analysis(crowded, now)
    priced = [item for item in analysis.positions if item.value_usd is not None]
    for chart in charts(analysis):
        assert len(chart.marks) <= chart.frame.most_merged + 2
        told = [re.match(r"(\d+) at .*?(?:, (\d+) stuck)?$", mark.title) for mark in chart.marks]
        assert sum(int(found[1]) for found in told if found) == len(priced)
        assert sum(int(found[2] or 0) for found in told if found) == len(analysis.stuck)
        # Never across the threshold: on its left is dust, on its right is none.
        for mark in chart.marks:
            assert (mark.kind == "dust") == (mark.x <= chart.threshold_x)
        (square,) = chart.drawing.marks.gutter
        assert square.title == f"{len(analysis.what_if.unpriced)} without a price"


def _walked(path: str, x: float, y: float) -> Iterator[tuple[float, float]]:
    """Return the corners of a path of h, v, H and V after its start."""
    for command, number in re.findall(r"([hvHV])(-?\d*\.?\d+)", path):
        if command in "hH":
            x = float(number) + (x if command == "h" else 0)
        else:
            y = float(number) + (y if command == "v" else 0)
        yield x, y


@pytest.mark.parametrize("count", [1, 12, 120, 121, POSITIONS])
@pytest.mark.parametrize("threshold", ["0.001", "1.00", "9.99"])
def test_the_step_line_is_exact(
    web: Client, db: None, now: datetime, count: int, threshold: str
) -> None:
    account = builders.account("charted", now=now)
    builders.snapshot(account, at=now, holdings=builders.crowd(count))
    analysis = replace(_analysis(account, now), threshold=Decimal(threshold))
    chart = charts(analysis)[0]
    plot, stairs, corners = chart.drawing.plot, chart.stairs, []
    for path in chart.paths:
        start = re.match(r"M(-?\d*\.?\d+) (-?\d+)", path)
        assert start
        corners += [(float(start[1]), float(start[2]))]
        corners += list(_walked(path, float(start[1]), float(start[2])))
    assert corners[-1] == (chart.frame.plot_right, pytest.approx(10 * plot.y(stairs.end), abs=0.51))
    # Where pixels meet, the line is as high as the slots that are free.
    edge = 0.55 if count <= MOST_SINGLE else 0.5
    for pixel in range(chart.frame.left, chart.frame.plot_right - 1):
        x = pixel + edge
        behind = [riser.after for riser in stairs.risers if plot.x(riser.share) < x]
        height = [y for corner_x, y in corners if corner_x <= x][-1]
        assert height == pytest.approx(
            10 * plot.y(behind[-1] if behind else stairs.start), abs=0.51
        )


def test_the_line_is_cut_where_the_threshold_is_even_within_a_pixel(
    crowded: ExchangeAccount, now: datetime
) -> None:
    analysis = _analysis(crowded, now)
    for step in analysis.what_if.steps[1000:1012]:
        chart = charts(replace(analysis, threshold=step.value_usd))[0]
        left, right = chart.paths
        start = re.match(r"M(\S+) (\d+)", left)
        assert start
        *_, end = _walked(left, float(start[1]), float(start[2]))
        level = round(10 * chart.drawing.plot.y(chart.free))
        assert end == (pytest.approx(chart.threshold_x, abs=0.06), level)
        assert right.startswith(f"M{left.rpartition('H')[2]} {level}H")


def test_the_phone_s_line_is_the_wide_one_s_in_its_own_size(
    crowded: ExchangeAccount, now: datetime
) -> None:
    wide, phone = charts(_analysis(crowded, now))
    across, _, _, up, left, top = map(float, phone.line_matrix.split())
    for share, free in ((0.0, 8), (0.25, 0), (1.0, phone.stairs.lowest)):
        x, y = wide.drawing.plot.x(share), 10 * wide.drawing.plot.y(free)
        assert across * x + left == pytest.approx(phone.drawing.plot.x(share), abs=0.05)
        assert up * y + top == pytest.approx(phone.drawing.plot.y(free), abs=0.05)
    assert [float(part) for part in wide.line_matrix.split()] == [1, 0, 0, 0.1, 0, 0]
