"""The history in a real browser: under the strict policy, in both themes, on a phone, and at work.

The fixture `page` fails a test for whatever the console complains about, the policy included.
"""

import csv
import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.journey]

LISTS = (
    *("auditevent", "attempt", "closeorder", "cleanupplan", "snapshot", "fill", "halt"),
    *("dustpolicy", "exchangeaccount", "position"),
)
SAMPLES = ("auditevent", "exchangeaccount", "snapshot", "dustpolicy")


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (375, "light")])
def test_every_kind_of_page_obeys_the_policy_and_fits(page: Page, theme: str, width: int) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 812})

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    page.goto("/admin/")
    expect(page.locator("#site-name")).to_have_text("Dust Admin history")
    fits()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(27, 27, 25)"
    assert dark is (theme == "dark")
    for name in LISTS:
        page.goto(f"/admin/positions/{name}/")
        fits()
    for name in SAMPLES:
        page.goto(f"/admin/positions/{name}/")
        page.locator("#result_list tbody th a").first.click()
        expect(page.locator(".readonly").first).to_be_visible()
        fits()


def test_events_are_drilled_down_filtered_ticked_and_taken_along(page: Page) -> None:
    page.goto("/admin/positions/auditevent/")
    page.locator(".toplinks a").last.click()  # the one month or day with events
    expect(page).to_have_url(re.compile("at__month="))
    page.locator("#changelist-filter").get_by_text("account.connected").click()
    expect(page).to_have_url(re.compile("kind=account.connected|kind__exact=account.connected"))
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(3)
    with page.expect_download() as whole:
        page.get_by_role("button", name="Export all 3 rows as CSV").click()
    with whole.value.path().open(newline="") as file:
        assert [row["kind"] for row in csv.DictReader(file)] == ["account.connected"] * 3
    rows.first.locator("input[type=checkbox]").check()
    page.select_option("[name=action]", label="Export selected as CSV")
    with page.expect_download() as one:
        page.get_by_role("button", name="Go").click()
    with one.value.path().open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1


def test_everything_is_stopped_and_released_from_the_history(page: Page) -> None:
    page.goto("/admin/positions/halt/")
    page.locator(".object-tools").get_by_role("link", name="Stop all").click()
    page.fill("[name=reason]", "Odd fills")
    page.get_by_role("button", name=re.compile("^Stop everything")).click()
    page.goto("/admin/positions/auditevent/")
    expect(page.get_by_text("Everything is stopped.")).to_be_visible()
    page.goto("/admin/positions/halt/")
    expect(page.locator(".errornote")).to_contain_text("admin stopped it")
    expect(page.locator(".errornote")).to_contain_text("Odd fills")
    page.get_by_role("link", name="Release the stop").click()
    page.get_by_role("button", name="Release the stop").click()
    page.goto("/admin/positions/exchangeaccount/")
    page.get_by_role("link", name="demo", exact=True).click()
    page.get_by_role("link", name="Stop demo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Stop demo?")


def test_the_theme_that_the_history_chose_holds_in_the_panel(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/admin/")  # it notes "auto": the system decides
    page.goto("/")
    toggle = page.locator("[data-theme-toggle]").first
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    page.goto("/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
