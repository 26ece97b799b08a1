"""What a team does at a desk: connect, read, draft, start, halt. Needs Django to be set up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from positions.domain.orders import OPEN
from positions.exchanges import ccxt_client
from positions.exchanges.pacing import Pacer
from positions.models import Attempt, CleanupPlan, CloseOrder
from positions.services import (
    attempts,
    dispatch,
    drafts,
    execution,
    policies,
    snapshots,
    starts,
    stops,
)
from positions.services.accounts import NewAccount, connect_account
from positions.services.actors import Actor
from positions.services.credentials import Credentials
from positions.tasks import wake
from tests.benchmarks.closing import ORDER, Spec, measured
from tests.benchmarks.desk import Desk
from tests.exchange_process import wait_until

PERSON = Actor.service("bench")
Keys = list[Mapping[str, str]]


def prepared(desk: Desk, spec: Spec, keys: Keys) -> list[CleanupPlan]:
    """Connect the accounts, read them and draft their plans."""
    call_command("migrate", interactive=False, verbosity=0)
    plans = [_drafted(desk, spec, number, key) for number, key in enumerate(keys)]
    # The snapshots started the count of what a new Valkey does not know: one window of a second.
    threading.Event().wait(1.5)
    return plans


def _drafted(desk: Desk, spec: Spec, number: int, key: Mapping[str, str]) -> CleanupPlan:
    account = connect_account(
        NewAccount(slug=f"desk-{number}", exchange="binance", base_url=desk.exchange.base_url),
        credentials=Credentials(api_key=key["api_key"], api_secret=key["api_secret"]),
        actor=PERSON,
        now=timezone.now(),
    )
    changes = {"limit_share": Decimal(spec.share), "max_plan_orders": 2000}
    policies.change(account, changes, actor=PERSON, now=timezone.now())
    snapshots.take_snapshot(account, trigger=PERSON, clock=timezone.now)
    plan = drafts.draft_plan(account, threshold=None, actor=PERSON, now=timezone.now())
    assert plan.orders.count() == spec.orders, plan.skipped[:3]
    return plan


def _start(plan: CleanupPlan) -> None:
    starts.start_plan(plan, hash_seen=plan.hash, actor=PERSON, now=timezone.now())


def close(desk: Desk, spec: Spec, keys: Keys) -> dict[str, Any]:
    """Close the dust of every account by workers."""
    plans = prepared(desk, spec, keys)
    desk.start_workers(spec.workers)
    desk.latency(spec.latency)
    since = desk.last_request()
    for plan in plans:
        _start(plan)
        wake(dispatch.due_orders(now=timezone.now(), plan=plan))
    pks = [plan.pk for plan in plans]
    wait_until(
        lambda: (
            not (
                threading.Event().wait(0.25)
                or CloseOrder.objects.filter(plan__in=pks, status__in=OPEN).exists()
            )
        ),
        seconds=spec.seconds,
        what="the plans' ends\n" + desk.said(),
    )
    moments = Attempt.objects.filter(order__plan__in=pks)
    return measured(desk.exchange.ledger(since=since), spec=spec) | {
        "attempts": moments.count(),
        "not_sent": moments.filter(answer_code="NOT_SENT").count(),
        "orders_filled": CloseOrder.objects.filter(plan__in=pks, status="FILLED").count(),
        "database": connection.vendor,
    }


def halt(desk: Desk, spec: Spec, keys: Keys) -> dict[str, Any]:
    """Press the kill switch while orders leave, and see what leaves after it."""
    plans = prepared(desk, spec, keys)
    desk.start_workers(spec.workers)
    desk.latency(spec.latency)
    since = desk.last_request()

    def sent() -> list[dict[str, Any]]:
        requests = desk.exchange.ledger(since=since)["requests"]
        return [item for item in requests if (item["method"], item["path"]) == ORDER]

    for plan in plans:
        _start(plan)
        wake(dispatch.due_orders(now=timezone.now(), plan=plan))
    wait_until(lambda: len(sent()) >= 20, seconds=60, what="the first requests")
    pressed = time.time()
    stops.halt_everything(None, reason="bench", actor=PERSON, now=timezone.now())
    returned = time.time()
    threading.Event().wait(4)
    # The ledger notes a request in the middle of its latency.
    left = [item["wall_us"] / 1e6 - float(spec.latency) / 2 for item in sent()]
    return {
        "halting_ms": round((returned - pressed) * 1000),
        "after_pressed": sum(moment > pressed for moment in left),
        "after_returned": sum(moment > returned for moment in left),
        "last_after_pressed_ms": round((max(left) - pressed) * 1000),
    }


def overhead(desk: Desk, spec: Spec, keys: Keys) -> dict[str, Any]:
    """Send orders one after the other without a pace, and tell where our own time goes."""
    (plan,) = prepared(desk, spec, keys)
    spent = _watched()
    _start(plan)
    pks = list(plan.orders.values_list("pk", flat=True))
    warm = len(pks) // 5
    for pk in pks[:warm]:
        execution.run_order(pk, clock=timezone.now)
    spent.clear()
    spent["hand over"] = 0.0
    cpu = time.process_time()

    def hand_over(orders: int) -> None:
        began = time.perf_counter()
        list(dispatch.due_after(pk, orders=orders, now=timezone.now()))
        spent["hand over"] += time.perf_counter() - began

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        spent["pause"] = spent.get("pause", 0.0) + seconds

    whole = []
    for pk in pks[warm:]:
        began, before = time.perf_counter(), spent.get("request", 0.0) + spent.get("pause", 0.0)
        execution.run_order(pk, clock=timezone.now, pause=pause, hand_over=hand_over)
        waited = spent.get("request", 0.0) + spent.get("pause", 0.0) - before
        whole.append(time.perf_counter() - began - waited)
    count, whole = len(whole), sorted(whole)
    filled = plan.orders.filter(status="FILLED").count()
    assert filled == len(pks), filled
    return {
        "database": connection.vendor,
        "median_ms": whole[count // 2] * 1000,
        "p95_ms": whole[count * 19 // 20] * 1000,
        "cpu_ms": (time.process_time() - cpu) / count * 1000,
        "parts_ms": {name: round(total / count * 1000, 2) for name, total in spent.items()},
    }


def _watched() -> dict[str, float]:
    """Return what fills with the seconds spent in each step of an order."""
    spent: dict[str, float] = {}

    def watch(place: Any, name: str, label: str) -> None:
        step: Callable[..., Any] = getattr(place, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*args, **kwargs)
            finally:
                spent[label] = spent.get(label, 0.0) + time.perf_counter() - began

        setattr(place, name, timed)

    watch(execution, "_claimed", "claim")
    watch(execution, "_checked", "check")
    watch(execution, "_reserved", "reserve")
    watch(execution, "commit", "commit")
    watch(attempts, "may_leave", "leave")
    watch(attempts, "apply_outcome", "record")
    watch(execution, "finish_if_done", "finish")
    watch(Pacer, "note_counts", "note counts")
    watch(ccxt_client.RedirectAdapter, "send", "request")
    return spent


KINDS: dict[str, Callable[[Desk, Spec, Keys], dict[str, Any]]] = {
    "close": close,
    "halt": halt,
    "overhead": overhead,
}
