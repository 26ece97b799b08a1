"""Hold a reserved moment of the pace: wait for it, tell whether it was missed, take a later one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from positions.domain.amounts import ZERO
from positions.exchanges.port import ExchangePort, Slot

Pause = Callable[[float], None]

LATEST = timedelta(seconds=1.5)  # after its first moment, a request needs a new attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A reserved moment for one request."""

    slot: Slot
    signed_at_ms: int  # the same moment on the exchange's clock
    look_ends_at: datetime  # until then what was checked may be relied on
    reserved_at: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Return the seconds until the moment; negative once it is over."""
        return self.reserved_at + float(self.slot.wait) - time.monotonic()

    def await_it(self, pause: Pause) -> None:
        """Wait for the moment."""
        pause(max(0.0, self.left))

    def is_missed(self, tolerance: Decimal | None) -> bool:
        """Tell whether the moment is over by more than the pace can bear."""
        return tolerance is not None and -self.left > tolerance


def later_turn(first: Turn, exchange: ExchangePort) -> Turn | None:
    """Reserve another moment for the same attempt; None if that is too late for its signature."""
    patience = min(LATEST.total_seconds(), exchange.signature_window_ms / 2000)
    latest = first.left + patience
    if latest <= 0:
        return None
    slot = exchange.pacer.take_order(lead=ZERO, latest=Decimal(latest))
    if not slot.is_reserved:
        return None
    # What the leave is measured by goes on from the first moment.
    waited = Decimal(time.monotonic() - first.reserved_at)
    return replace(first, slot=replace(slot, wait=waited + slot.wait))
