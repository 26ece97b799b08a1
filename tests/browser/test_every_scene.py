"""What holds for every page in every state: accessible, no sideways scrolling, no complaint."""

from collections.abc import Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

from tests.browser.conftest import complaints_of
from tests.browser.scenes import Stage, sign_in
from tests.journeys.processes import Up

pytestmark = [pytest.mark.browser, pytest.mark.journey]

SERIOUS = {"serious", "critical"}
# Django's own search box of a list has its label as a title.
KNOWN = {("history-events", "label-title-only")}
AXE = Axe()


@pytest.fixture(scope="module")
def scenes(system: Up, browser: Browser) -> Mapping[str, str]:
    """Bring the system into every state, once."""
    return Stage(system, browser).set()


def opened(page: Page, address: str) -> None:
    """Go to the address; a live page that loads itself anew in this moment may be in the way."""
    for _ in range(5):
        try:
            page.goto(address)
        except PlaywrightError as error:
            if "interrupted by another navigation" not in str(error):
                raise
        else:
            return
    raise AssertionError(f"{address} can't be opened")


def judged(page: Page, address: str) -> tuple[list[dict[str, Any]], int]:
    """Return what axe finds, and by how many pixels the page is wider than the screen.

    A live page whose plan ends meanwhile loads itself anew, and is judged again then.
    """
    for _ in range(5):
        try:
            violations: list[dict[str, Any]] = AXE.run(page).response["violations"]
            overflow: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        except PlaywrightError as error:
            if "context was destroyed" not in str(error):
                raise
            opened(page, address)
        else:
            return violations, overflow
    raise AssertionError(f"{address} never stands still")


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (375, "light"), (320, "dark")])
def test_every_scene_is_accessible_and_fits(
    scenes: Mapping[str, str], system: Up, browser: Browser, width: int, theme: str
) -> None:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{system.port}",
        viewport={"width": width, "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]  # one of its literals
    )
    page = sign_in(context, system)
    complaints = complaints_of(page)
    found: list[str] = []
    for name, address in scenes.items():
        opened(page, address)
        found.extend(f"{name}: {text}" for text in complaints)
        violations, overflow = judged(page, address)
        for violation in violations:
            if violation["impact"] in SERIOUS and (name, violation["id"]) not in KNOWN:
                places = [node["target"] for node in violation["nodes"]][:3]
                found.append(f"{name}: {violation['id']} at {places}")
        # The history keeps Django's own tables, which scroll inside the page.
        if overflow > 0 and not name.startswith("history"):
            found.append(f"{name}: {overflow} px wider than the screen")
        # What axe itself adds to the page is none of its complaints.
        complaints.clear()
    context.close()
    assert found == []
