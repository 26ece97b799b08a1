"""Answer an unmodified ccxt client on loopback as an exchange documents it, and keep what it sent.

`RedirectAdapter` brings every request here with its own path, query, headers and body, so that a
test can check the signature that the exchange would check. What nobody registered is a 404.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

import pytest

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.connection import Connection
from positions.services.connections import redis_client
from positions.services.credentials import fingerprint
from tests.valkey_process import ValkeyProcess

HTML = "<html><head><title>Maintenance</title></head><body>Back soon.</body></html>"
# The secret is base64 of 24 bytes, because Kraken's is; elsewhere it is a text like any other.
KEYS = {
    "api_key": "the-api-key-of-a-wire-test",
    "api_secret": "c2VjcmV0LW9mLWEtd2lyZS10ZXN0LTI0Ynl0ZXM=",
    "passphrase": "the-passphrase",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: str  # as it stands on the wire
    headers: Mapping[str, str]  # names in lower case
    body: str

    @property
    def params(self) -> dict[str, Any]:
        """Return what query and body say by name; a JSON body that is no object as "body"."""
        found: dict[str, Any] = dict(parse_qsl(self.query, keep_blank_values=True))
        if self.body.lstrip().startswith(("{", "[")):
            content = json.loads(self.body)
            return found | (content if isinstance(content, dict) else {"body": content})
        return found | dict(parse_qsl(self.body, keep_blank_values=True))

    @property
    def target(self) -> str:
        """Return path and query, as most exchanges sign them."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: text as it is, anything else as JSON; `drop` breaks the connection instead."""

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


Answered = Answer | str | dict[str, Any] | list[Any] | Callable[[Request], Any]


class Responder:
    """A local HTTP server with one table of answers; use it as a context."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._always: dict[tuple[str, str], Answered] = {}
        self._once: dict[tuple[str, str], deque[Answered]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        cast("Any", self._server).responder = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, method: str, path: str, answered: Answered) -> None:
        """Answer such requests with this from now on: a body, an `Answer`, or what makes one."""
        self._always[method, path] = answered

    def answer_once(self, method: str, path: str, answered: Answered) -> None:
        """Answer the next such request with this; several wait in line."""
        self._once.setdefault((method, path), deque()).append(answered)

    def sent(self, method: str, path: str) -> list[Request]:
        """Return such requests, the oldest first."""
        return [item for item in self.requests if self._place(item) == (method, path)]

    def only(self, method: str, path: str) -> Request:
        """Return the one such request; fail if there are none or several."""
        (found,) = self.sent(method, path)
        return found

    def _place(self, request: Request) -> tuple[str, str]:
        """Return what the request's answer is registered for; "*" stands for a path's last part."""
        place = (request.method, request.path)
        wild = (request.method, request.path.rsplit("/", 1)[0] + "/*")
        known = {**self._always, **self._once}
        return wild if place not in known and wild in known else place

    def answer_of(self, request: Request) -> Answer:
        """Record the request and return its answer; what is asked of nobody is a 404."""
        place = self._place(request)
        with self._lock:
            self.requests.append(request)
            waiting = self._once.get(place)
            answered = waiting.popleft() if waiting else self._always.get(place)
        if callable(answered):
            answered = answered(request)
        if answered is None:
            return Answer(status=404, body={"error": f"nobody answers {' '.join(place)}"})
        return answered if isinstance(answered, Answer) else Answer(body=answered)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=url.path,
            query=url.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length).decode(),
        )
        answer = cast("Any", self.server).responder.answer_of(request)
        self.close_connection = True  # a test that ends must not wait for idle connections
        if answer.drop:
            return
        is_text = isinstance(answer.body, str)
        content = (answer.body if is_text else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": "text/html" if is_text else "application/json",
            "Content-Length": str(len(content)),
            "Connection": "close",
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def _at_once(weight: int, **_: Any) -> None:
    """Let requests of any weight leave now."""


OpenAt = Callable[..., CcxtExchange]


@pytest.fixture
def responder() -> Iterator[Responder]:
    """Run a responder without any answers."""
    with Responder() as running:
        yield running


@pytest.fixture
def open_at(fresh_process: None, valkey: ValkeyProcess, responder: Responder) -> Iterator[OpenAt]:
    """Return what opens a port for an exchange id at the responder; all are closed at the end."""
    opened: list[CcxtExchange] = []

    def opener(
        exchange: str, *, keys: Mapping[str, str] = KEYS, window_ms: int = 5000, **changes: Any
    ) -> CcxtExchange:
        facts = {
            "exchange": exchange,
            "environment": "sandbox",
            "base_url": responder.base_url,
            "key_fingerprint": fingerprint(keys["api_key"]),
            "signature_window_ms": window_ms,
        }
        port = CcxtExchange(
            Connection(**{**facts, **changes}),
            keys=keys,
            client=redis_client(),
            share=Decimal("0.5"),
        )
        # Waiting is the pacer's own tests' matter; here nothing waits for its turn.
        port.pacer.take_weight = _at_once  # type: ignore[method-assign]
        opened.append(port)
        return port

    yield opener
    for port in opened:
        port.close()
