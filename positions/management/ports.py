"""Find ports of the loopback interface for the servers that we start."""

import contextlib
import random
import socket
import time

# Below those that outgoing connections get.
_SERVER_PORTS = range(15_000, 32_000)
# A program that was killed a moment ago may still be closing its port.
_PORT_PATIENCE_SECONDS = 2.0


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses right now; `OSError` if none is.

    Below those that outgoing connections get, so that none of them takes it before a server does.
    """
    for port in random.sample(_SERVER_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("No port of this machine is free.")


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port, waiting a moment for one that is ending."""
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except PermissionError:
                raise
            except OSError:
                if time.monotonic() > deadline:
                    return False
            else:
                return True
        time.sleep(0.1)
