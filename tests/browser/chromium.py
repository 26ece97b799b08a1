"""Find the machine's Chromium, and start it without its maker's services."""

import os
import shutil

# Chromium looks for its maker's servers otherwise, which a closed network refuses one by one.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Return the machine's Chromium, the one without a window first; `CHROMIUM` names another."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
