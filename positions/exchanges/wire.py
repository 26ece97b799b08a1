"""Remember how one request went over the wire, and tell it without key, secret or signature."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from positions.exchanges.outcomes import scrubbed

# Exchanges sign in parameters of many names; what is left out by mistake is missed by nobody.
_SECRET_NAME = re.compile(r"sig|key|secret|token|pass|auth|hmac", re.IGNORECASE)
_TELLING_HEADER = re.compile(r"retry-after|weight|order-count|rate-?limit", re.IGNORECASE)


class WatchedSession(requests.Session):
    """Keep the last request as it left, and the status of its answer."""

    def __init__(self) -> None:
        """Start without a request, and without the machine's proxies, certificates and netrc."""
        super().__init__()
        self.trust_env = False  # as ccxt's own session
        self.forget()

    def forget(self) -> None:
        """Forget the last request: what it left must not pass for the next one's."""
        self.sent: requests.PreparedRequest | None = None
        self.status: int | None = None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send the request and note it."""
        self.sent, self.status = request, None
        response = super().send(request, **kwargs)
        self.status = response.status_code
        return response


def told(
    session: WatchedSession, headers: Mapping[str, str] | None, *, secrets: Collection[str]
) -> dict[str, Any]:
    """Return method, path, parameters, HTTP status and telling headers; empty if nothing was sent.

    All values are text as it was sent, but for the status: a number, None without an answer.
    """
    request = session.sent
    if request is None:
        return {}
    url = urlsplit(str(request.url))
    found = {
        "method": request.method,
        "path": url.path,
        "parameters": _parameters(url.query) | _parameters(request.body),
        "headers": {
            name: value for name, value in (headers or {}).items() if _TELLING_HEADER.search(name)
        },
    }
    harmless: dict[str, Any] = _harmless(found, secrets=secrets)
    return harmless | {"status": session.status}


def _parameters(sent: Any) -> dict[str, Any]:
    """Return what a query or a body says by name, numbers as their text."""
    text = sent.decode(errors="replace") if isinstance(sent, bytes) else str(sent or "")
    if text.lstrip().startswith(("{", "[")):
        try:
            content = json.loads(text, parse_float=str, parse_int=str)
        except ValueError:
            content = {}
        return content if isinstance(content, dict) else {"body": content}
    return dict(parse_qsl(text, keep_blank_values=True))


def _harmless(value: Any, *, secrets: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _harmless(item, secrets=secrets)
            for name, item in value.items()
            if not _SECRET_NAME.search(name)
        }
    if isinstance(value, list):
        return [_harmless(item, secrets=secrets) for item in value]
    return scrubbed(value, secrets=secrets) if isinstance(value, str) else value
