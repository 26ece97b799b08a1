"""What holds for every page in every state: accessible, no sideways scrolling, no complaint."""

from collections.abc import Mapping, Sequence

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import complaints_of
from tests.browser.scenes import Stage, sign_in
from tests.journeys.processes import Up

pytestmark = [pytest.mark.browser, pytest.mark.journey]

SERIOUS = {"serious", "critical"}
# Django's own search box of a list has its label as a title.
KNOWN = {("history-events", "label-title-only")}
AXE = Axe()
NARROWEST = 320  # only has to fit: axe judges the same arrangement of the page at 375


@pytest.fixture(scope="module")
def scenes(system: Up, browser: Browser) -> Mapping[str, str]:
    """Bring the system into every state, once."""
    return Stage(system, browser).set()


def stand_still(context: BrowserContext) -> None:
    """Let pages stay as the server sent them, and ask for nothing later.

    A live page loads itself anew when its plan ends or its snapshot is there, in the middle of
    being judged.
    """

    context.add_init_script(
        "document.addEventListener('htmx:beforeRequest', event => event.preventDefault())"
    )


@pytest.mark.parametrize(("widths", "theme"), [((1440,), "dark"), ((375, NARROWEST), "light")])
def test_every_scene_is_accessible_and_fits(
    scenes: Mapping[str, str], system: Up, browser: Browser, widths: Sequence[int], theme: str
) -> None:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{system.port}",
        viewport={"width": widths[0], "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]  # one of its literals
    )
    stand_still(context)
    page = sign_in(context, system)
    complaints = complaints_of(page)
    found: list[str] = []
    for name, address in scenes.items():
        page.goto(address)
        for width in reversed(widths):  # back to the first one, where axe judges
            page.set_viewport_size({"width": width, "height": 900})
            # The history keeps Django's own tables, which scroll inside the page.
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if overflow > 0 and not name.startswith("history"):
                found.append(f"{name}: {overflow} px wider than the screen at {width}")
        found.extend(f"{name}: {text}" for text in complaints)
        found.extend(f"{name}: {text}" for text in violations(page, name))
        # What axe itself adds to the page is none of its complaints.
        complaints.clear()
    context.close()
    assert found == []


def violations(page: Page, scene: str) -> list[str]:
    """Return what axe finds serious, and where."""
    found = AXE.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{item['id']} at {[node['target'] for node in item['nodes']][:3]}"
        for item in found
        if item["impact"] in SERIOUS and (scene, item["id"]) not in KNOWN
    ]
