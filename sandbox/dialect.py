"""What a wire protocol adds to the exchange: the way it is spoken to, and its rules for orders.

State, matching, faults, ledger and control are the same for all of them. A scenario names its
protocol; without a name it is Binance's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox.answers import Answer
from sandbox.faults import Fault
from sandbox.fields import Data
from sandbox.params import Params
from sandbox.request import Request
from sandbox.rules import Rules

if TYPE_CHECKING:
    from sandbox.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to a request, and what the request counted for."""

    answer: Answer
    weight: int = 0
    counted_order: bool = False


class Desk(Protocol):
    """Where the requests of a running exchange are answered and counted."""

    def load(self, limits: Data) -> None:
        """Take over the limits, and from the state what was counted before a restart."""

    def change_limits(self, limits: Data) -> None:
        """Take other limits; counting starts anew and bans end."""

    def answer(self, request: Request, params: Params, fault: Fault | None, now_us: int) -> Outcome:
        """Process one request inside a transaction."""

    def refuse(self, fault: Fault, request: Request, now_ms: int) -> Answer:
        """Return the refusal that a fault of kind error, rate_limit or ban orders."""


class Dialect(Protocol):
    """One wire protocol."""

    name: str
    key_header: str
    signature_header: str | None
    rules: Rules
    # What a fresh API key of a careful team may do: read and trade, never withdraw.
    permissions: Mapping[str, bool]
    # Whether buyers pay their fees in quote, too.
    fees_in_quote: bool

    def limits(self, known: Data, changes: Data) -> Data:
        """Return limits changed by plain data; raise BadValue naming the first bad field."""

    def desk(self, service: Service) -> Desk:
        """Return the desk of an exchange that speaks this protocol."""
