"""An account with 2,000 positions in a browser: what a first visit takes, and what keys do."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visits import signed_in, visit
from tests.panel_process import PanelProcess, slug_of

pytestmark = [pytest.mark.browser, pytest.mark.journey]

POSITIONS = 2000
MOST_REQUESTS = 20
MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelProcess]:
    """Serve the pages over one crowded account."""
    state = tmp_path_factory.mktemp("panel")
    with PanelProcess(state=state, sizes=[POSITIONS]) as process:
        yield process


@pytest.fixture
def crowded(browser: Browser, panel: PanelProcess) -> Iterator[Page]:
    """Open the account's page; whatever the console complains about fails the test."""
    context = signed_in(browser, panel, viewport={"width": 1440, "height": 900})
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"/accounts/{slug_of(POSITIONS)}/")
    yield page
    context.close()
    assert complaints == []


@pytest.mark.parametrize("width", [1440, 375])
def test_a_first_visit_takes_few_requests_and_few_bytes(
    browser: Browser, panel: PanelProcess, width: int
) -> None:
    context = signed_in(browser, panel, viewport={"width": width, "height": 900})
    seen = visit(context.new_page(), f"/accounts/{slug_of(POSITIONS)}/")
    context.close()
    assert "htmx" in seen.told()
    assert "inter-latin" in seen.told()
    assert seen.requests <= MOST_REQUESTS, seen.told()
    assert seen.bytes <= MOST_BYTES, seen.told()


def ends(address: str) -> re.Pattern[str]:
    """Return what an address with this end matches; a page's address follows its content."""
    return re.compile(re.escape(address) + "$")


def test_the_table_turns_its_pages_in_place_and_the_address_follows(crowded: Page) -> None:
    rows = crowded.locator("#positions tr[data-row]")
    expect(rows).to_have_count(50)
    first = rows.first.inner_text()
    crowded.evaluate("window.stays = true")
    crowded.locator("#page-next").click()
    expect(crowded.locator("#positions")).to_contain_text("51 to 100 of")
    expect(crowded).to_have_url(ends(f"/accounts/{slug_of(POSITIONS)}/?page=2"))
    assert rows.first.inner_text() != first
    # A filter begins at its first page and keeps nothing of the other one.
    crowded.locator("#filter-dust").click()
    expect(crowded.locator("#positions")).to_contain_text("1 to 50 of")
    expect(crowded).to_have_url(ends("/?category=DUST"))
    expect(crowded.locator("tr.cut")).to_have_count(1)
    assert crowded.evaluate("window.stays")
    # Back is the page before, and an address alone shows the same.
    crowded.go_back()
    expect(crowded.locator("#positions")).to_contain_text("51 to 100 of")
    crowded.reload()
    expect(crowded.locator("#positions")).to_contain_text("51 to 100 of")


def test_a_threshold_that_is_tried_stays_when_the_table_changes(crowded: Page) -> None:
    crowded.locator("#sort-2").click()
    expect(crowded.locator("th[aria-sort=ascending]")).to_have_text("Asset")
    crowded.fill("#threshold-input", "0.50")
    expect(crowded.locator("#what-if")).to_contain_text("At $0.50")
    expect(crowded).to_have_url(ends("/?threshold=0.50&sort=asset"))
    expect(crowded.locator("#live-region")).to_have_text(
        re.compile(r"^At \$0\.50: over the cap by \d+, \d+ can be closed\.$"), timeout=60_000
    )
    crowded.locator("#page-next").click()
    expect(crowded.locator("#positions")).to_contain_text("51 to 100 of")
    expect(crowded).to_have_url(ends("/?threshold=0.50&sort=asset&page=2"))
    expect(crowded.locator("#positions caption")).to_have_text("Positions at a threshold of $0.50")
    crowded.fill("#find", "A0019")
    expect(crowded.locator("#positions tr[data-row]")).to_have_count(1)
    expect(crowded).to_have_url(ends("/?threshold=0.50&find=A0019&sort=asset"))


def test_keys_walk_the_rows_of_a_page(crowded: Page) -> None:
    focused = "document.activeElement.closest('[data-row]')?.innerText.split('\\n')[0] ?? ''"
    rows = crowded.locator("#positions tr[data-row]")
    crowded.keyboard.press("j")
    crowded.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    assert crowded.evaluate(focused)
    crowded.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    crowded.keyboard.press("/")
    expect(crowded.locator("#find")).to_be_focused()


def test_the_step_line_is_drawn_in_both_sizes(crowded: Page) -> None:
    line = crowded.locator("svg.chart--wide #step-left")
    wide = line.bounding_box()
    assert wide
    assert wide["width"] > 100
    crowded.set_viewport_size({"width": 375, "height": 812})
    expect(crowded.locator("svg.chart--wide")).to_be_hidden()
    box = crowded.evaluate(
        """() => {
            const { width, height } = document.querySelector(
                'svg.chart--phone use[href="#step-left"]').getBoundingClientRect();
            return [width, height];
        }"""
    )
    assert min(box) > 20
    assert crowded.evaluate("document.documentElement.scrollWidth") == 375
