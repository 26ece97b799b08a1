"""What a team does at a desk: connect, read, draft, start, wait. Needs Django to be set up."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from positions.domain.orders import OPEN
from positions.models import Attempt, CleanupPlan, CloseOrder
from positions.services import dispatch, drafts, policies, snapshots, starts, stops
from positions.services.accounts import NewAccount, connect_account
from positions.services.actors import Actor
from positions.services.credentials import Credentials
from positions.tasks import wake
from tests.benchmarks.closing import Spec, measured
from tests.benchmarks.desk import Desk, wait_for_workers
from tests.exchange_process import wait_until

PERSON = Actor.service("bench")
WORKER_ARGUMENTS = ["-Q", "dustadmin", "-l", "WARNING", "--without-gossip", "--without-mingle"]


def run(desk: Desk, spec: Spec, keys: list[Mapping[str, str]]) -> dict[str, Any]:
    """Close the dust of every account and return what was measured."""
    call_command("migrate", interactive=False, verbosity=0)
    plans = [_drafted(desk, spec, number, key) for number, key in enumerate(keys)]
    desk.start_workers(spec.workers, WORKER_ARGUMENTS)
    wait_for_workers(spec.workers)
    desk.latency(spec.latency)
    # What the snapshots started is over: a lost window of Valkey.
    time.sleep(2)
    since = max((item["id"] for item in desk.exchange.ledger()["requests"]), default=0)
    began = time.monotonic()
    for plan in plans:
        starts.start_plan(plan, hash_seen=plan.hash, actor=PERSON, now=timezone.now())
        wake(dispatch.due_orders(now=timezone.now(), plan=plan))
    if spec.halt_after:
        return _halted(desk, spec, plans, since=since)
    _wait(desk, plans, seconds=spec.seconds)
    result = measured(desk.exchange.ledger(), spec=spec, since=since)
    result["start_to_settled"] = round(time.monotonic() - began, 2)
    result |= _told(plans)
    result["logs"] = desk.logs()[-2000:]
    return result


def _drafted(desk: Desk, spec: Spec, number: int, key: Mapping[str, str]) -> CleanupPlan:
    account = connect_account(
        NewAccount(slug=f"desk-{number}", exchange="binance", base_url=desk.exchange.base_url),
        credentials=Credentials(api_key=key["api_key"], api_secret=key["api_secret"]),
        actor=PERSON,
        now=timezone.now(),
    )
    policies.change(
        account,
        {"limit_share": Decimal(spec.share), "max_plan_orders": 2000},
        actor=PERSON,
        now=timezone.now(),
    )
    snapshots.take_snapshot(account, trigger=PERSON, clock=timezone.now)
    plan = drafts.draft_plan(account, threshold=None, actor=PERSON, now=timezone.now())
    assert plan.orders.count() == spec.orders, plan.skipped[:3]
    return plan


def _wait(desk: Desk, plans: list[CleanupPlan], *, seconds: float) -> None:
    pks = [plan.pk for plan in plans]
    wait_until(
        lambda: (
            not time.sleep(0.25)
            and not CloseOrder.objects.filter(plan__in=pks, status__in=OPEN).exists()
        ),
        seconds=seconds,
        what="the plans' ends\n" + desk.logs()[-2000:],
    )


def _told(plans: list[CleanupPlan]) -> dict[str, Any]:
    """Return what our own records say: how late requests left, how many attempts it took."""
    pks = [plan.pk for plan in plans]
    attempts = list(Attempt.objects.filter(order__plan__in=pks))
    late = sorted(
        item.sent_at.timestamp() * 1000 - item.signed_at_ms for item in attempts if item.sent_at
    )
    states: dict[str, int] = {}
    for status in CloseOrder.objects.filter(plan__in=pks).values_list("status", flat=True):
        states[status] = states.get(status, 0) + 1
    codes: dict[str, int] = {}
    for code in Attempt.objects.filter(order__plan__in=pks).values_list("answer_code", flat=True):
        codes[code] = codes.get(code, 0) + 1
    return {
        "states": states,
        "attempts": len(attempts),
        "answer_codes": codes,
        "late_ms": {
            "median": round(late[len(late) // 2]),
            "p95": round(late[len(late) * 19 // 20]),
            "max": round(late[-1]),
        }
        if late
        else {},
    }


def _halted(desk: Desk, spec: Spec, plans: list[CleanupPlan], *, since: int) -> dict[str, Any]:
    def sent() -> list[dict[str, Any]]:
        return [
            item
            for item in desk.exchange.ledger(since=since)["requests"]
            if item["path"] == "/api/v3/order" and item["method"] == "POST"
        ]

    wait_until(lambda: len(sent()) >= spec.halt_after, seconds=60, what="the first requests")
    pressed = time.time()
    stops.halt_everything(None, reason="bench", actor=PERSON, now=timezone.now())
    returned = time.time()
    threading.Event().wait(5)
    moments = [item["wall_us"] / 1e6 for item in sent()]
    half = float(spec.latency) / 2  # the ledger notes a request in the middle of its latency
    left = [moment - half for moment in moments]
    return {
        "halt_seconds": round(returned - pressed, 3),
        "after_pressed": sum(moment > pressed for moment in left),
        "after_returned": sum(moment > returned for moment in left),
        "last_after_pressed_ms": round((max(left) - pressed) * 1000),
        "last_after_returned_ms": round((max(left) - returned) * 1000),
    }
