"""A front of the exchange on a port of its own, whose network a test can break.

It passes bytes on and looks at none of them. With TLS it shows a certificate of an authority that
the workers trust, or of one that they don't.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Relay:
    """Pass connections on to the exchange until the network is broken."""

    def __init__(self, target: int, *, certificate: Path | None = None) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._waiting: list[socket.socket] = []
        self._lock = threading.Lock()
        self._tls = None if certificate is None else _server_context(certificate)
        self.port = 0
        self._listen(backlog=64)
        self._serve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()

    def refuse(self) -> None:
        """Close every connection and refuse new ones."""
        # A thread that waits in accept would keep the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ended = [*self._open, *self._waiting]
            self._open.clear()
            self._waiting.clear()
        for connection in ended:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def ignore(self) -> None:
        """Close every connection and let new ones wait without an answer."""
        self.refuse()
        self._listen(backlog=0)
        # The kernel answers for a listener until its queue is full.
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._waiting.append(filler)

    def show(self, certificate: Path) -> None:
        """Close every connection and show another certificate from now on."""
        self.refuse()
        self._tls = _server_context(certificate)
        self.restore()

    def restore(self) -> None:
        """Pass connections on again."""
        self.refuse()
        self._listen(backlog=64)
        self._serve()

    def _listen(self, *, backlog: int) -> None:
        self._listener = socket.socket()
        # Connections that were just closed keep the port for a while.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(backlog)
        self.port = self._listener.getsockname()[1]

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a handshake that failed, or the network broke
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            there = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._open |= {connection, there}
            back = threading.Thread(target=_pump, args=(there, connection), daemon=True)
            back.start()
            _pump(connection, there)
            back.join()
        connection.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def write_certificate(file: Path) -> Path:
    """Write key and certificate of 127.0.0.1, which is its own authority, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file.stem)])
    now = datetime.datetime.now(tz=datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
