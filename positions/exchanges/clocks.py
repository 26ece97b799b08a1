"""Remember how far each exchange's clock is from ours; one comparison serves a whole process."""

import threading
from collections.abc import Callable


class Clocks:
    """The clocks of the places that this process talks to."""

    def __init__(self) -> None:
        """Start without knowing any."""
        self._offsets: dict[str, int] = {}
        self._asking: dict[str, threading.Lock] = {}

    def offset_ms(self, place: str, *, compare: Callable[[], object]) -> int:
        """Return the exchange's clock less ours; `compare` finds it out once for all threads."""
        while (offset := self._offsets.get(place)) is None:
            with self._asking.setdefault(place, threading.Lock()):
                if place not in self._offsets:
                    compare()
        return offset

    def know(self, place: str, offset_ms: int) -> None:
        """Remember what a comparison found."""
        self._offsets[place] = offset_ms

    def forget(self, place: str) -> None:
        """Compare anew when the clock is needed next."""
        self._offsets.pop(place, None)


CLOCKS = Clocks()
