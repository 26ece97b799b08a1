"""A front of the API on a port of its own: it writes down what comes through, and loses answers."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request and the status of its answer, passed on or not."""

    method: str
    path: str
    body: bytes
    status: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered in the server's place, without asking it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Front:
    """Pass requests on to the server, but for what a test asked for."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.seen: list[Seen] = []
        self.losing = 0  # so many of the next answers
        self.instead: deque[Answer] = deque()
        self.lets_through = threading.Event()  # answers to POST
        self.lets_through.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Refuse every connection from now on."""
        self._server.shutdown()
        self._server.server_close()


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = front.instead.popleft() if front.instead else self._ask(body)
            front.seen.append(
                Seen(method=self.command, path=self.path, body=body, status=answer.status)
            )
            self.close_connection = True
            if self.command == "POST":
                front.lets_through.wait(timeout=60)
            if front.losing:
                front.losing -= 1
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def _ask(self, body: bytes) -> Answer:
            connection = HTTPConnection("127.0.0.1", front.target, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            found = connection.getresponse()
            own = {"connection", "date", "server", "transfer-encoding"}
            headers = {name: text for name, text in found.getheaders() if name.lower() not in own}
            answer = Answer(status=found.status, body=found.read(), headers=headers)
            connection.close()
            return answer

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_POST = _pass_on

    return Handler
