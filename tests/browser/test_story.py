"""The whole story by hand: see the dust, try a threshold, close it, audit it."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.processes import Up

pytestmark = [pytest.mark.browser, pytest.mark.journey]


def test_a_person_sees_the_dust_tries_a_threshold_closes_it_and_audits_it(
    page: Page, system: Up
) -> None:
    page.get_by_role("link", name="demo", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo")
    expect(page.locator("#positions tbody tr[data-row]")).to_have_count(8)
    expect(page.locator("#what-if")).to_contain_text("6 of 8")
    expect(page.locator("body")).to_contain_text("Counting every holding, 0 of 8 would be free.")

    # The old script's threshold: every holding counts.
    page.fill("#threshold-input", "0.001")
    expect(page.locator("#what-if")).to_contain_text("0 of 8")
    # The handle moves the line at once and the server's numbers follow.
    line = page.locator("svg.chart--wide #threshold-line")
    before = line.get_attribute("transform")
    page.locator("#threshold-range").focus()
    for _ in range(10):
        page.keyboard.press("PageUp")
    expect(line).not_to_have_attribute("transform", before or "")
    expect(page.locator("#what-if")).not_to_contain_text("0 of 8")
    page.fill("#threshold-input", "1.00")
    expect(page.locator("#what-if")).to_contain_text("6 of 8")
    expect(page).to_have_url(re.compile(r"threshold=1\.00"))
    # Looking changed nothing.
    expect(page.locator("body")).to_contain_text("Policy v1")

    page.locator("#draft").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Plan 1")
    expect(page.locator("body")).to_contain_text("This is a dry run. Nothing has been sent")
    page.get_by_role("link", name=re.compile("^Start .*close 6 positions worth")).click()
    page.get_by_role("button", name=re.compile("^Start ")).click()

    # Each order goes to Filled, and the page turns into the result by itself.
    expect(page.get_by_text("6 of 6 positions closed")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Waiting for the closing snapshot")).to_have_count(0, timeout=60_000)
    expect(page.locator("body")).to_contain_text("$2.1073")

    page.goto("/accounts/demo/")
    expect(page.locator("#positions tbody tr[data-row]")).to_have_count(2)

    page.get_by_role("link", name="History").first.click()
    page.goto("/admin/positions/auditevent/")
    for kind in ("plan.drafted", "plan.started", "order.filled", "plan.completed"):
        expect(page.locator("#result_list")).to_contain_text(kind)
