"""What a house stands on: an exchange with its protocol, and the market that every case gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.journeys.faults.waiting import PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """An exchange as the sandbox plays it; the limits are wide enough for many accounts."""

    scenario: str
    exchange: str  # as ccxt calls it
    quote: str
    limits: Mapping[str, Any]
    market: Mapping[str, str]
    # How long a request may be on its way, as workers are told.
    signature_window_ms: int = 2_000
    patience: float = PATIENCE  # seconds


BINANCE = Ground(
    scenario="seed8",
    exchange="binance",
    quote="USDT",
    # A lost count costs one second of waiting.
    limits={
        "weight": {"limit": 6_000, "interval_seconds": 1},
        "orders": [
            {"limit": 50, "interval_seconds": 1},
            {"limit": 200_000, "interval_seconds": 86_400},
        ],
    },
    market={"price": "0.1", "tick": "0.00001", "step": "0.1", "min_notional": "0.1"},
)

_WIDE = {"maximum": 10_000, "decay": "1000"}
KRAKEN = Ground(
    scenario="kraken8",
    exchange="kraken",
    quote="USD",
    limits={"public": _WIDE, "private": _WIDE, "trading": _WIDE},
    market={
        **{"price": "0.1", "tick": "0.00001", "step": "0.00000001"},
        **{"min_quantity": "1", "min_notional": "0.1"},
    },
    # Kraken takes no deadline less than two seconds away.
    signature_window_ms=10_000,
    # One private call in three seconds is what Kraken grants a starter.
    patience=400.0,
)
