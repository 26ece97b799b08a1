"""Read accounts at a large exchange and print as JSON what it took: time of our own, and memory."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import requests

from tests.benchmarks.desk import Desk

MARKETS, HELD, READINGS = 3000, 300, 7


def resident_mb() -> float:
    """Return what of this process is in memory, MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Waiting:
    """How long the exchange was waited for: its answers to the last byte, and turns in the pace."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.seconds = 0.0

    def watch(self, place: Any, name: str) -> None:
        """Count the time in a method."""
        step = getattr(place, name)

        def timed(*args: Any, **facts: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*args, **facts)
            finally:
                self.seconds += time.perf_counter() - began

        setattr(place, name, timed)


def measure() -> dict[str, Any]:
    """Connect two accounts, read them, and return times and memory."""
    with Desk() as desk:
        desk.limit(
            weight={"limit": 6_000_000, "interval_seconds": 60},
            raw={"limit": 1_000_000, "interval_seconds": 300},
        )
        assets = desk.list_markets(MARKETS)[:HELD]
        keys = [desk.open_account(assets, quantity="0.4", name=name) for name in ("one", "two")]
        os.environ["DJANGO_SETTINGS_MODULE"] = "dustadmin.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.utils import timezone

        from positions.exchanges import ccxt_adapter
        from positions.exchanges.market_cache import MarketCache
        from positions.exchanges.pacing import Pacer
        from positions.services import snapshots
        from positions.services.accounts import NewAccount, connect_account
        from positions.services.actors import Actor
        from positions.services.credentials import Credentials

        person = Actor.service("bench")
        call_command("migrate", interactive=False, verbosity=0)
        waiting = Waiting()
        waiting.watch(requests.Session, "send")
        waiting.watch(Pacer, "take_weight")

        def connected(slug: str, key: Any) -> Any:
            return connect_account(
                NewAccount(slug=slug, exchange="binance", base_url=desk.exchange.base_url),
                credentials=Credentials(api_key=key["api_key"], api_secret=key["api_secret"]),
                actor=person,
                now=timezone.now(),
            )

        def own_ms(account: Any) -> float:
            began, waited = time.perf_counter(), waiting.seconds
            taken = snapshots.take_snapshot(
                account, trigger=person, clock=timezone.now, not_before=timezone.now()
            )
            own = time.perf_counter() - began - (waiting.seconds - waited)
            assert taken.positions.count() == HELD + 1, taken.failure
            return own * 1000

        bare = resident_mb()
        first = connected("one", keys[0])
        # As in another process: its markets come from Valkey.
        ccxt_adapter.MARKETS = MarketCache()
        from_valkey = own_ms(first)
        before = time.process_time()
        warm = [own_ms(first) for _ in range(READINGS)]
        cpu = (time.process_time() - before) / READINGS
        loaded = resident_mb()
        second = connected("two", keys[1])
        for _ in range(3):
            own_ms(second)
        return {
            "own_ms": median(warm),
            "cpu_ms": cpu * 1000,
            "own_ms_first": from_valkey,
            "bare_mb": bare,
            "loaded_mb": loaded,
            "second_account_mb": resident_mb() - loaded,
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure()) + "\n")
