"""Send an exchange's requests to another base URL.

ccxt builds and signs every request for the exchange's own hosts. This `requests` adapter replaces
scheme and host and keeps path and query, so that signing, parsing and error mapping run unmodified.
"""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter


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
