"""Become a command that can't outlive the process that started it.

    python -m positions.management.child PARENT_PID WATCHED_FD COMMAND…

Linux kills the command when its parent dies. Elsewhere a forked watcher reads a pipe of which
only the parent holds the writing end; when the parent dies, however it dies, the pipe ends and
the watcher kills the command's process group.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_SECONDS_BETWEEN_LOOKS = 1.0


def main(arguments: list[str]) -> int:
    """Replace this process with the command; return 1 if the parent is dead already."""
    parent, watched, *command = arguments
    if not killed_with_parent():
        watch_in_fork(int(watched))
    # The parent may have died before either guard was in place.
    if os.getppid() != int(parent):
        return 1
    os.set_inheritable(int(watched), False)
    os.execv(command[0], command)  # noqa: S606 - a list, never a shell


def killed_with_parent() -> bool:
    """Ask the kernel to kill this process with its parent; return whether it can."""
    if not sys.platform.startswith("linux"):
        return False
    kill = ctypes.c_ulong(signal.SIGKILL)
    refused: int = ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, kill, 0, 0, 0)
    return refused == 0


def watch_in_fork(watched: int) -> None:
    """Leave a watcher behind that kills this process group when the pipe `watched` ends."""
    command = os.getpid()
    if os.fork():
        return
    while os.getppid() == command:
        if select.select([watched], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
            os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
