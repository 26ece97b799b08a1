"""Marked points of an order's life, where a test lets something happen to the worker at it.

A folder is all that a test and its workers share: a file is an instruction for the next worker that
gets to a point with an asset. It takes the instruction by renaming the file, so no second worker
does the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.journeys.faults.waiting import wait_for

AUTHORITY = "authority.pem"  # beside the instructions: whose certificates workers trust


class Point(StrEnum):
    """Where a worker can be, in the order in which it gets there."""

    BEFORE_CLAIM = "before-claim"
    AFTER_CLAIM = "after-claim"
    AFTER_COMMIT = "after-commit"  # of the attempt
    AFTER_LEAVE = "after-leave"  # leave is given, the request has not left
    REQUEST_LEFT = "request-left"
    AFTER_ANSWER = "after-answer"
    BEFORE_RESULT = "before-result"  # in the transaction that records the answer


class Action(StrEnum):
    """What happens to the worker."""

    HOLD = "hold"  # this one thread waits for `Mark.go_on`
    STOP = "stop"  # SIGSTOP, the whole process
    KILL = "kill"  # SIGKILL
    DISCONNECT = "disconnect"  # this thread's connection to the database breaks


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One instruction, as the test sees it."""

    folder: Path
    asset: str
    point: Point

    @property
    def is_reached(self) -> bool:
        """Tell whether a worker got there."""
        return self.file("reached").exists()

    def reached(self) -> int:
        """Wait for a worker to get there and return its process id."""
        wait_for(lambda: self.is_reached, what=f"a worker at {self.point} of {self.asset}")
        return int(self.file("reached").read_text())

    def go_on(self) -> None:
        """Let the worker that is held there go on."""
        self.file("released").touch()

    def file(self, kind: str) -> Path:
        """Return the file that says one thing about this mark."""
        return self.folder / f"{self.asset}.{self.point}.{kind}"


class Points:
    """The folder with its instructions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # What the test says
    def arm(self, asset: str, point: Point, action: Action) -> Mark:
        """Let something happen to the next worker that gets to the point with the asset."""
        mark = Mark(folder=self.folder, asset=asset, point=point)
        for kind in ("reached", "released"):
            mark.file(kind).unlink(missing_ok=True)
        mark.file(action).touch()
        return mark

    def switch(self, name: str, *, on: bool) -> None:
        """Let something be broken for every worker, or no longer."""
        switch = self.folder / f"switch.{name}"
        if on:
            switch.touch()
        else:
            switch.unlink(missing_ok=True)

    # What the worker asks
    def is_on(self, name: str) -> bool:
        """Tell whether something is broken for every worker."""
        return (self.folder / f"switch.{name}").exists()

    def take(self, asset: str, point: Point) -> Action | None:
        """Take the instruction for this point and asset, if there is one that nobody has taken."""
        mark = Mark(folder=self.folder, asset=asset, point=point)
        for action in Action:
            try:
                mark.file(action).rename(mark.file("taken"))
            except FileNotFoundError:
                continue
            note = mark.file(str(os.getpid()))
            note.write_text(str(os.getpid()))
            note.rename(mark.file("reached"))
            return action
        return None

    def wait(self, asset: str, point: Point) -> None:
        """Wait where the worker is held."""
        released = Mark(folder=self.folder, asset=asset, point=point).file("released")
        wait_for(released.exists, what=f"leave to go on with {asset}")
