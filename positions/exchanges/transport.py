"""Send an exchange's requests to another base URL, and sandbox requests to loopback only.

ccxt builds and signs every request for the exchange's own hosts. This `requests` adapter replaces
scheme and host and keeps path and query, so that signing, parsing and error mapping run unmodified.
"""

import ipaddress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from positions.exchanges.port import BadConfiguration


def is_loopback(url: str) -> bool:
    """Tell whether the URL can only reach this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RedirectAdapter(HTTPAdapter):
    """Replace scheme and host of every request; keep path and query."""

    def __init__(self, base_url: str) -> None:
        """Send everything to `base_url`, without a retry: a retry would send an order twice."""
        super().__init__(max_retries=0)
        self._target = urlsplit(base_url)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:  # type: ignore[override]
        """Send the request to the target instead of its own host."""
        parts = urlsplit(str(request.url))
        path = self._target.path.rstrip("/") + parts.path
        request.url = urlunsplit(
            (self._target.scheme, self._target.netloc, path, parts.query, parts.fragment)
        )
        request.headers["Host"] = self._target.netloc
        return super().send(request, **kwargs)


def check_reach(*, environment: str, base_url: str) -> None:
    """Raise `BadConfiguration` if a sandbox account could reach anything but this machine."""
    if environment == "sandbox" and not (base_url and is_loopback(base_url)):
        raise BadConfiguration(
            "A sandbox account can only reach this machine. Name a sandbox's address in "
            "DUSTADMIN_EXCHANGE_BASE_URLS, for example "
            '{"binance": "http://127.0.0.1:9001"}.'
        )
