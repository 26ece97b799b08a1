"""The state folder: where the embedded database, Valkey and generated keys live."""

import hashlib
import os
import tempfile
from pathlib import Path

# A Unix socket's path may have 108 bytes on Linux and 104 on macOS, the final NUL included.
_LONGEST_SOCKET_PATH = 100


def prepared(folder: Path) -> Path:
    """Return the state folder as an absolute path, made if missing, closed to other users."""
    folder = folder.expanduser().resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def generated_key(path: Path, make: str) -> str:
    """Return the key kept in `path`; write `make` there first if there is none.

    Two processes that start together agree: only one of them creates the file.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make)
        try:
            os.link(draft, path)  # atomic, and fails if another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def valkey_socket(folder: Path) -> Path:
    """Return where the embedded Valkey listens: in the state folder, if the path is short enough.

    A deep folder gets a private folder of its own in the system's temporary directory.
    """
    socket = folder / "valkey" / "valkey.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH:
        return socket
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dustadmin-{os.getuid()}-{digest}" / "valkey.sock"
