"""Close dust at a desk and print as JSON what it took: `python -m tests.benchmarks.closing`.

The first argument is a JSON object with the fields of `Spec`. `DATABASE_URL` names the database,
SQLite in a temporary folder unless it is set. In the same run a plain loop may do what we do.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import ccxt

from tests.benchmarks.desk import Desk
from tests.sandbox.clients import connect

ORDER = ("POST", "/api/v3/order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to measure."""

    kind: str = "close"  # close, halt or overhead
    orders: int = 200
    accounts: int = 1
    workers: int = 1
    rate: int = 10  # orders a second that the exchange allows each key
    latency: str = "0.15"  # seconds a request
    share: str = "1"  # the policy's limit_share
    weight: int = 6000  # request weight a minute that the exchange allows
    plain_loop: bool = False  # whether a plain ccxt loop sells the same beside it
    seconds: int = 400  # until it is given up


def measure(spec: Spec) -> dict[str, Any]:
    """Set up a desk, do what the spec says, and return what was measured."""
    with Desk() as desk:
        desk.limit(
            weight={"limit": spec.weight, "interval_seconds": 60},
            raw={"limit": 1_000_000, "interval_seconds": 300},
            orders=[
                {"limit": spec.rate, "interval_seconds": 1},
                {"limit": 200_000, "interval_seconds": 86_400},
            ],
        )
        assets = desk.list_markets(spec.orders)
        # At most $40 in all, and each below the threshold of a dollar.
        quantity = str(min(Decimal(80) / spec.orders, Decimal(1)).quantize(Decimal("0.001")))
        keys = [
            desk.open_account(assets, quantity=quantity, name=f"desk-{number}")
            for number in range(spec.accounts)
        ]
        os.environ["DJANGO_SETTINGS_MODULE"] = "dustadmin.settings"
        import django

        django.setup()
        from tests.benchmarks import desk_work

        result = desk_work.KINDS[spec.kind](desk, spec, keys)
        if spec.plain_loop:
            result["plain_loop"] = _sold_by_a_loop(desk, spec, assets, quantity)
        return result


def _sold_by_a_loop(desk: Desk, spec: Spec, assets: list[str], quantity: str) -> dict[str, Any]:
    """Sell the same by a plain sequential ccxt loop with `enableRateLimit`."""
    keys = desk.open_account(assets, quantity=quantity, name="loop")
    client = connect(desk.exchange, dict(keys))
    client.enableRateLimit = True
    client.load_markets()
    since = desk.last_request()
    refused = 0
    for asset in assets:
        try:
            client.create_order(f"{asset}/USDT", "market", "sell", quantity)
        except ccxt.RateLimitExceeded:
            refused += 1
        except ccxt.DDoSProtection:
            refused += 1
    client.session.close()
    found = measured(desk.exchange.ledger(since=since), spec=spec)
    return {name: found[name] for name in ("filled", "seconds", "of_allowed")} | {
        "refused": refused
    }


def measured(ledger: dict[str, Any], *, spec: Spec) -> dict[str, Any]:
    """Return what the exchange's own record says about a run."""
    requests = ledger["requests"]
    sent = [item for item in requests if (item["method"], item["path"]) == ORDER]
    moments: dict[str, list[int]] = {}
    for item in sent:
        moments.setdefault(item["api_key"], []).append(item["wall_us"])
    spans = sorted((max(found) - min(found)) / 1e6 for found in moments.values())
    gaps = sorted(
        (later - earlier) / 1e3
        for found in moments.values()
        for earlier, later in pairwise(sorted(found))
    )
    allowed = (spec.orders - 1) / spec.rate
    return {
        "sent": len(sent),
        "filled": sum(item["status"] == 200 for item in sent),
        "requests": len(requests),
        "requests_per_order": len(requests) / max(1, len(sent)),
        "paths": _counted(item["path"] for item in requests),
        "violations": _counted(item["kind"] for item in ledger["violations"]),
        "seconds": [round(span, 2) for span in spans],
        "of_allowed": [round(span / allowed, 3) for span in spans],
        "gap_ms": {
            "median": round(gaps[len(gaps) // 2], 1),
            "p95": round(gaps[len(gaps) * 19 // 20], 1),
            "max": round(gaps[-1], 1),
        },
    }


def _counted(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


if __name__ == "__main__":
    started = time.monotonic()
    result = measure(Spec(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")))
    result["whole_seconds"] = round(time.monotonic() - started, 1)
    sys.stdout.write(json.dumps(result) + "\n")
