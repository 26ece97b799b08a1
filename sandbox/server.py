"""HTTP/1.1 on loopback: reading requests, sending answers, closing connections on purpose."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from sandbox import control
from sandbox.answers import JSON, Answer
from sandbox.service import Request, Service

HOST = "127.0.0.1"
MAX_BODY = 1_000_000
_LOCAL_NAMES = ("127.0.0.1", "localhost")


class Server(ThreadingHTTPServer):
    """The listening socket; every connection has a thread that dies with the process."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        super().__init__((HOST, port), Handler)

    @property
    def base_url(self) -> str:
        """Return where the exchange listens."""
        return f"http://{HOST}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug in one line; connections that broke are the client's business."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            sys.stderr.write(f"sandbox: connection ended: {error!r}\n")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self._serve()

    def do_PUT(self) -> None:
        """Answer a PUT."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the ledger knows every request."""

    def _serve(self) -> None:
        try:
            body = self._body()
            parts = urlsplit(self.path)
        except ValueError as error:
            self.close_connection = True
            self._send(Answer(status=400, body=json.dumps({"error": str(error)})))
            return
        if body is None:
            # The client went away in the middle of its request: nobody asked for this.
            self.close_connection = True
            return
        if parts.path == "/_control" or parts.path.startswith(control.PREFIX):
            status, payload = self._control(parts.path, parts.query, body)
            self._send(Answer(status=status, body=json.dumps(payload)))
            return
        request = Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            body=body,
            api_key=self.headers.get("X-MBX-APIKEY"),
            address=self.client_address[0],
        )
        self._deliver(self.server.service.answer(request))

    def _control(self, path: str, query: str, body: str) -> tuple[int, object]:
        # A web page in a browser must not reach the keys by way of a name that resolves here.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in _LOCAL_NAMES:
            return 403, {"error": "the control surface answers loopback names only"}
        return control.handle(self.server.service, self.command, path, query, body)

    def _body(self) -> str | None:
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            raise ValueError("send a Content-Length, not chunks")
        text = self.headers.get("Content-Length") or "0"
        if not (text.isascii() and text.isdigit()) or int(text) > MAX_BODY:
            raise ValueError(f"Content-Length must be a number up to {MAX_BODY}")
        body = self.rfile.read(int(text))
        if len(body) < int(text):
            return None
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("the body is not UTF-8") from None

    def _deliver(self, answer: Answer) -> None:
        if answer.hangs:
            self._wait_for_close(float(answer.wait))
            self.close_connection = True
            return
        self.server.service.pause(answer.wait)
        if answer.status is None:
            self.close_connection = True
            # Closed with a FIN at once; the thread's own close comes a moment later.
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(answer)

    def _wait_for_close(self, seconds: float) -> None:
        """Return when the client closes its end, or after `seconds`."""
        with contextlib.suppress(OSError):
            readable, _, _ = select.select([self.connection], [], [], seconds)
            if readable:
                self.connection.recv(1)

    def _send(self, answer: Answer) -> None:
        body = answer.body.encode()
        status = answer.status or 500
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [
            f"HTTP/1.1 {status} {phrase}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {answer.content_type or JSON}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if self.close_connection:
            lines.append("Connection: close")
        # One write: head and body in one packet, and never half an answer by accident.
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
