"""A real Chromium against a real system."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from positions.management.ports import free_port
from tests.browser.chromium import QUIET, chromium
from tests.browser.scenes import sign_in
from tests.journeys.processes import Up

expect.set_options(timeout=60_000)  # the machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; without one, skip here and fail under CI.

    It ends with its file: Playwright leaves an event loop running meanwhile, in which Django
    refuses the database to every test that comes after it in this process.
    """
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium; CHROMIUM names it.")
        pytest.skip("No Chromium on this machine; CHROMIUM=/path names one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Run the whole system with its demo."""
    up = Up(state=tmp_path_factory.mktemp("system"), port=free_port(), demo=True)
    try:
        yield up.wait_until_ready()
    finally:
        up.close()


# An answer with 400 or 404 carries its sentence: that is no mistake of the page. Nor is a request
# that the browser drops because another page is opened; any other failure has its own name beside
# htmx:afterRequest.
NO_MISTAKES = ("status of 400", "status of 404", "htmx:sendAbort", "htmx:afterRequest")


def complaints_of(page: Page) -> list[str]:
    """Return a list that fills with what the console complains about."""
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and not any(text in message.text for text in NO_MISTAKES)
            else None
        ),
    )
    return complaints


@pytest.fixture
def page(browser: Browser, system: Up) -> Iterator[Page]:
    """Open a page that is signed in; whatever the console complains about fails the test."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{system.port}", viewport={"width": 1440, "height": 900}
    )
    opened = sign_in(context, system)
    complaints = complaints_of(opened)
    yield opened
    context.close()
    assert complaints == []
