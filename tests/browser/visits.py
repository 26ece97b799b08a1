"""Measure what a browser loads that was never here before."""

from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, Page

from tests.panel_process import PanelProcess


@dataclass(slots=True)
class Visit:
    """What one page took: its requests, and the bytes that came over the wire, headers included."""

    addresses: dict[str, str] = field(default_factory=dict)
    bytes_by_request: dict[str, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """Return how many requests there were."""
        return len(self.addresses)

    @property
    def bytes(self) -> int:
        """Return how many bytes came over the wire."""
        return sum(self.bytes_by_request.values())

    def told(self) -> str:
        """Return each request with its bytes, largest first."""
        pairs = [(self.bytes_by_request.get(key, 0), url) for key, url in self.addresses.items()]
        return "\n".join(f"{size:>7} {url}" for size, url in sorted(pairs, reverse=True))


def signed_in(browser: Browser, panel: PanelProcess, **options: object) -> BrowserContext:
    """Return a fresh browser context with an operator's session and nothing in its cache."""
    context = browser.new_context(base_url=panel.base_url, **options)  # type: ignore[arg-type]  # Playwright's own names
    cookie = {"name": "sessionid", "value": panel.session, "url": panel.base_url}
    context.add_cookies([cookie])  # type: ignore[list-item]  # a plain dict is what it takes
    return context


def visit(page: Page, path: str) -> Visit:
    """Load a page and return what that took."""
    found = Visit()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.requestWillBeSent",
        lambda event: found.addresses.update({event["requestId"]: event["request"]["url"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: found.bytes_by_request.update(
            {event["requestId"]: round(event["encodedDataLength"])}
        ),
    )
    page.goto(path)
    page.wait_for_load_state("networkidle")
    return found
