"""Render every page in every state: `python -m tests.browser.pictures docs/pictures`."""

import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from positions.management.ports import free_port
from tests.browser.chromium import QUIET, chromium
from tests.browser.scenes import Stage, sign_in
from tests.journeys.processes import Up

LEAST_HEIGHT, MOST_HEIGHT = 812, 3000
WIDE = {"width": 1440, "height": LEAST_HEIGHT}
PHONE = {"width": 375, "height": LEAST_HEIGHT}
# Name of the variant, viewport, theme.
VARIANTS = [
    ("", WIDE, "light"),
    ("-dark", WIDE, "dark"),
    ("-phone", PHONE, "light"),
    ("-phone-dark", PHONE, "dark"),
]


def main(arguments: list[str]) -> int:
    """Start the demo, bring it into every state, and take its pictures."""
    parser = argparse.ArgumentParser(prog="pictures", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", default="", help="take only scenes whose name contains this")
    options = parser.parse_args(arguments)
    path = chromium()
    if path is None:
        sys.stderr.write("pictures: there is no Chromium; CHROMIUM=/path names one.\n")
        return 2
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dustadmin.settings")
    with tempfile.TemporaryDirectory() as state, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        empty = Up(state=Path(state) / "empty", port=free_port())
        full = Up(state=Path(state) / "full", port=free_port(), demo=True)
        try:
            empty.wait_until_ready()
            _take(browser, empty, {"empty": "/"}, options.folder, options.only)
            _take(browser, empty, {"sign-in": "/auth/login/"}, options.folder, options.only, False)
            full.wait_until_ready()
            _take(browser, full, Stage(full, browser).set(), options.folder, options.only)
        finally:
            empty.close()
            full.close()
            browser.close()
    return 0


def _take(
    browser: Browser,
    up: Up,
    addresses: dict[str, str],
    folder: Path,
    only: str,
    signed_in: bool = True,
) -> None:
    for variant, viewport, theme in VARIANTS:
        context = browser.new_context(
            base_url=f"http://127.0.0.1:{up.port}",
            viewport=viewport,
            color_scheme=theme,
            reduced_motion="reduce",
        )
        page = sign_in(context, up) if signed_in else context.new_page()
        for name, address in addresses.items():
            if only in name:
                _picture(page, address, folder / f"{name}{variant}.png")
        context.close()


def _picture(page: Page, address: str, file: Path) -> None:
    page.set_viewport_size({"width": page.viewport_size["width"], "height": LEAST_HEIGHT})
    page.goto(address)
    page.evaluate("document.fonts.ready")
    # As high as the page is, so that what sticks to the bottom stands at its end.
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size(
        {"width": page.viewport_size["width"], "height": min(height, MOST_HEIGHT)}
    )
    shot = page.screenshot(animations="disabled")
    # 256 colours are enough for a page and a third of the bytes.
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(256).save(file, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
