"""Close dust at a desk and print as JSON what it took: `python -m tests.benchmarks.closing`.

The first argument is a JSON object with the fields of `Spec`. `DATABASE_URL` names the database.
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

from tests.benchmarks.desk import Desk

ORDER = ("POST", "/api/v3/order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to measure."""

    orders: int = 200
    accounts: int = 1
    workers: int = 1
    rate: int = 10  # orders a second that the exchange allows each key
    latency: str = "0.15"  # seconds a request
    share: str = "1"  # the policy's limit_share
    weight: int = 6000  # request weight a minute that the exchange allows
    halt_after: int = 0  # requests after which the kill switch is pressed; 0: never
    seconds: int = 300  # until it is given up


def close_dust(spec: Spec) -> dict[str, Any]:
    """Set up a desk, close its dust by the workers, and return what was measured."""
    with Desk() as desk:
        desk.limit(
            weight={"limit": spec.weight, "interval_seconds": 60},
            orders=[
                {"limit": spec.rate, "interval_seconds": 1},
                {"limit": 200_000, "interval_seconds": 86_400},
            ],
        )
        assets = desk.list_markets(spec.orders)
        # At most $40 in all.
        quantity = str((Decimal(80) / spec.orders).quantize(Decimal("0.001")))
        keys = [
            desk.open_account(assets, quantity=quantity, name=f"desk-{number}")
            for number in range(spec.accounts)
        ]

        os.environ["DJANGO_SETTINGS_MODULE"] = "dustadmin.settings"
        import django

        django.setup()
        from tests.benchmarks import desk_work

        return desk_work.run(desk, spec, keys)


def measured(ledger: dict[str, Any], *, spec: Spec, since: int) -> dict[str, Any]:
    """Return what the exchange's own record says about a run."""
    requests = [item for item in ledger["requests"] if item["id"] > since]
    sent = [item for item in requests if (item["method"], item["path"]) == ORDER]
    moments: dict[str, list[int]] = {}
    for item in sent:
        moments.setdefault(item["api_key"], []).append(item["wall_us"])
    spans = [(max(found) - min(found)) / 1e6 for found in moments.values()]
    gaps = sorted(
        (later - earlier) / 1e3
        for found in moments.values()
        for earlier, later in pairwise(sorted(found))
    )
    everything = [moment for found in moments.values() for moment in found]
    allowed = (spec.orders - 1) / spec.rate
    return {
        "sent": len(sent),
        "filled": sum(item["status"] == 200 for item in sent),
        "requests": len(requests),
        "requests_per_order": round(len(requests) / max(1, len(sent)), 3),
        "paths": _counted(item["path"] for item in requests),
        "violations": _counted(item["kind"] for item in ledger["violations"]),
        "seconds": [round(span, 2) for span in sorted(spans)],
        "first_to_last_of_all": round((max(everything) - min(everything)) / 1e6, 2)
        if everything
        else None,
        "allowed_seconds": allowed,
        "of_allowed": [round(span / allowed, 3) for span in sorted(spans)] if allowed else [],
        "gap_ms": {
            "median": round(gaps[len(gaps) // 2], 1),
            "p05": round(gaps[len(gaps) // 20], 1),
            "p95": round(gaps[len(gaps) * 19 // 20], 1),
            "max": round(gaps[-1], 1),
        }
        if gaps
        else {},
    }


def _counted(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


if __name__ == "__main__":
    started = time.monotonic()
    result = close_dust(Spec(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")))
    result["whole_seconds"] = round(time.monotonic() - started, 1)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
