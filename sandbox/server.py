"""HTTP/1.1 on loopback: reading requests, sending answers, closing connections on purpose."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import threading
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from sandbox import control, door
from sandbox.amounts import BadValue
from sandbox.answers import HTML, JSON, Answer
from sandbox.faults import NGINX
from sandbox.request import Request
from sandbox.service import Service

HOST = "127.0.0.1"
MAX_BODY = 1_000_000
TLS_HANDSHAKE = b"\x16"
NO_TLS = NGINX.format("400 Bad Request")
_LOCAL_NAMES = ("127.0.0.1", "localhost")


class Server(ThreadingHTTPServer):
    """The listening socket; every connection has a thread that dies with the process."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = door.BACKLOG
    allow_reuse_address = True
    timeout = 0.05  # seconds between two looks whether to stop or to close

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        self.connections: dict[socket.socket, Handler | None] = {}
        self._closing: Closing | None = None
        super().__init__((HOST, port), Handler)
        service.close_door = self.close_door

    @property
    def base_url(self) -> str:
        """Return where the exchange listens."""
        return f"http://{HOST}:{self.server_address[1]}"

    def run(self) -> None:
        """Accept connections until the service stops, but not while the door is closed."""
        while not self.service.stopping.is_set():
            if self._closing is None:
                self.handle_request()
            else:
                self._keep_closed(self._closing)
                self._closing = None

    def close_door(self, kind: str, seconds: Decimal) -> None:
        """Listen no more for a while; return when no new connection is possible.

        Connections that wait for a request are closed at once, others with their answer.
        """
        if self._closing is not None:
            raise BadValue("the exchange is not listening already")
        closing = self._closing = Closing(kind=kind, seconds=seconds)
        while not closing.done.wait(self.timeout):
            if self.service.stopping.is_set():
                return
        for connection, handler in list(self.connections.items()):
            if handler is None:
                shut(connection)
            else:
                handler.leave()

    def _keep_closed(self, closing: Closing) -> None:
        port = self.server_address[1]
        self.socket.close()
        self.socket = door.bound(HOST, port)
        fillers = door.silence(self.socket) if closing.kind == door.SILENT else []
        closing.done.set()
        self.service.pause(closing.seconds)
        self.server_activate()
        for filler in fillers:
            filler.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a new connection a thread."""
        self.connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug in one line; connections that broke are the client's business."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            sys.stderr.write(f"sandbox: connection ended: {error!r}\n")


@dataclass(slots=True, kw_only=True)
class Closing:
    """The door is to be closed, or is; `done` once no new connection is possible."""

    kind: str
    seconds: Decimal
    done: threading.Event = field(default_factory=threading.Event)


def shut(connection: socket.socket) -> None:
    """End a connection with a FIN at once; its thread's own close comes a moment later."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300

    def setup(self) -> None:
        """Be known to the server."""
        super().setup()
        self._is_answering = self._is_leaving = False
        self.server.connections[self.connection] = self

    def leave(self) -> None:
        """Close this connection: at once if it only waits, else with its answer."""
        self._is_leaving = True
        if not self._is_answering:
            shut(self.connection)

    def handle_one_request(self) -> None:
        """Answer one request; what begins a TLS handshake gets a plain answer and no more."""
        try:
            first = self.rfile.peek(1)[:1]  # type: ignore[attr-defined]  # it is buffered
        except OSError:
            first = b""
        if first == TLS_HANDSHAKE:
            self.close_connection = True
            self._send(Answer(status=400, body=NO_TLS, content_type=HTML))
        elif first:
            super().handle_one_request()
            self._is_answering = False
            self.close_connection |= self._is_leaving
        else:
            self.close_connection = True

    def parse_request(self) -> bool:
        """Read the head of a request."""
        self._is_answering = True
        return super().parse_request()

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
        dialect = self.server.service.dialect
        signed = dialect.signature_header
        request = Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            body=body,
            api_key=self.headers.get(dialect.key_header),
            address=self.client_address[0],
            signature=self.headers.get(signed) if signed else None,
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
        if answer.status is not None:
            self._send(answer)
        if answer.status is None or answer.breaks:
            self.close_connection = True
            shut(self.connection)

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
        if self.close_connection or self._is_leaving:
            lines.append("Connection: close")
        if answer.breaks:
            body = body[: len(body) // 2]
        # One write: head and body in one packet, and never half an answer by accident.
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
