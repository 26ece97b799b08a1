"""A real Chromium against a real system."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from positions.management import demo
from tests.journeys.processes import Up

# Chromium looks for its maker's servers otherwise, which a closed network refuses one by one.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Return the machine's Chromium; `CHROMIUM` names it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium once; without one, skip here and fail under CI."""
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium; CHROMIUM names it.")
        pytest.skip("No Chromium on this machine; CHROMIUM=/path names one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Run the whole system with its demo."""
    up = Up(state=tmp_path_factory.mktemp("system"), port=demo.free_port(), demo=True)
    try:
        yield up.wait_until_ready()
    finally:
        up.close()


def password_of(up: Up) -> str:
    """Return the first administrator's password from the ready message."""
    found = re.search(r"with the password (\S+)", up.said())
    assert found, up.said()
    return found.group(1)


@pytest.fixture
def page(browser: Browser, system: Up) -> Iterator[Page]:
    """Open a page that is signed in; whatever the console complains about fails the test."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{system.port}", viewport={"width": 1440, "height": 900}
    )
    complaints: list[str] = []
    opened = context.new_page()
    opened.on(
        "console",
        # A threshold beyond the guard is answered with 400 and its sentence: that is no mistake.
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and "status of 400" not in message.text
            else None
        ),
    )
    opened.goto("/auth/login/")
    opened.fill("[name=login]", "admin")
    opened.fill("[name=password]", password_of(system))
    opened.get_by_role("button", name="Sign in").click()
    opened.wait_for_url("/")
    yield opened
    context.close()
    assert complaints == []
