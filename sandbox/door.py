"""The listening socket, and how it stops listening for a while.

refused    nobody listens on the port: a client's connection is refused at once
silent     somebody seems to listen, but never answers: a client's connection times out

Either way the port stays ours: it is bound again in the moment it is closed.
"""

from __future__ import annotations

import socket

REFUSED = "refused"
SILENT = "silent"
KINDS = (REFUSED, SILENT)
BACKLOG = 256
# With a queue of length zero the kernel keeps one connection for us and drops what comes after.
_FILLERS = 2


def bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port, not listening: connections to it are refused."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    return made


def silence(door: socket.socket) -> list[socket.socket]:
    """Fill the queue of a bound socket, so that connections time out; return what fills it."""
    door.listen(0)
    fillers = []
    for _ in range(_FILLERS):
        filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        filler.setblocking(False)
        filler.connect_ex(door.getsockname())
        fillers.append(filler)
    return fillers
