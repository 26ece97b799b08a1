"""Wait for a started plan: worked on by the workers, or in this process.

RunEnded
├── Paused   somebody paused the plan; what is at the exchange is still followed by the workers
└── Stalled  nothing has moved for two minutes; the plan goes on whenever somebody can work on it
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import redis
from celery import current_app
from django.utils import timezone
from kombu.exceptions import KombuError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from positions import tasks
from positions.domain.orders import OPEN
from positions.domain.plans import PlanState
from positions.management.command import wrong_use
from positions.models import CleanupPlan, CloseOrder, SnapshotStatus
from positions.selectors.plans import PlanView, plan_view
from positions.services import (
    conversion_lookups,
    conversions,
    dispatch,
    execution,
    reconciliation,
    results,
    snapshots,
)
from positions.services.actors import Actor
from positions.services.connections import redis_client
from positions.services.dispatch import Due
from positions.services.stops import finish_if_done

LOOK_EVERY = 0.25  # seconds
WORKER_ANSWERS_WITHIN = 5.0  # seconds
CLOSING_SNAPSHOT_WITHIN = 20.0  # seconds
STALLED_AFTER = timedelta(seconds=120)

Tell = Callable[[PlanView, list[CloseOrder]], None]
Do = Callable[[Due], None]


class RunEnded(Exception):
    """The command stops waiting although the plan is not over; the message says where it stands."""


class Paused(RunEnded):
    """The plan was paused; resume or halt it on its page."""


class Stalled(RunEnded):
    """No order has moved for a long time."""


def require_redis() -> None:
    """End the command unless Redis answers: nothing is sent without its pacing."""
    redis_client().ping()  # raises what the base command explains


def require_worker() -> None:
    """End the command unless a worker answers in time."""
    require_redis()
    try:
        answers = current_app.control.ping(limit=1, timeout=WORKER_ANSWERS_WITHIN)
    except (KombuError, redis.RedisError, OSError):
        answers = []
    if not answers:
        wrong_use(
            f"No worker answered within {WORKER_ANSWERS_WITHIN:.0f} s. Start one with "
            "'manage.py up', or give --inline to work in this process."
        )


def by_the_workers(due: Due) -> None:
    """Wake a worker; a wake-up that gets lost does no harm, the next look sends another."""
    with suppress(tasks.QueueUnreachable):
        tasks.wake([due])


def in_this_process(due: Due) -> None:
    """Do one piece of work here and now."""
    work: dict[str, Callable[..., object]] = {
        "run_order": execution.run_order,
        "look_up_order": reconciliation.look_up_order,
        "run_conversion": conversions.run_conversion,
        "look_up_conversion": conversion_lookups.look_up_conversion,
    }
    work[due.task](due.pk, clock=timezone.now)


def follow(plan: CleanupPlan, *, do: Do, tell: Tell) -> PlanView:
    """Have the plan's due work done until it is over, and return its last view.

    `do` takes what is due: a worker's wake-up, or the work itself. `tell` gets every view with the
    orders that changed. Over means that no order is planned or in flight, apart from unknown ones
    whose look-ups are through. Raise `Paused` or `Stalled`.
    """
    cursor, moved_at = 0, timezone.now()
    while True:
        worked = False
        for due in dispatch.due_orders(now=timezone.now(), plan=plan):
            do(due)
            worked = True
            cursor, moved_at = _told(plan, cursor, moved_at, tell=tell)
        cursor, moved_at = _told(plan, cursor, moved_at, tell=tell)
        view = plan_view(plan, now=timezone.now())
        if _is_over(view):
            finish_if_done(plan, now=timezone.now())
            return plan_view(plan, now=timezone.now())
        if view.plan.state is PlanState.PAUSED:
            raise Paused(f"{view.plan} was paused. {view.plan.status_note}".strip())
        if timezone.now() - moved_at > STALLED_AFTER:
            raise Stalled(f"No order of {view.plan} has moved for two minutes.")
        if not worked or do is not in_this_process:
            time.sleep(LOOK_EVERY)


def _told(
    plan: CleanupPlan, cursor: int, moved_at: datetime, *, tell: Tell
) -> tuple[int, datetime]:
    """Tell what has changed after the cursor; return the new cursor and when something moved."""
    if not plan.orders.filter(change__gt=cursor).exists():
        return cursor, moved_at
    view = plan_view(plan, now=timezone.now())
    tell(view, view.changed_since(cursor))
    return view.cursor, timezone.now()


def _is_over(view: PlanView) -> bool:
    return all(order.state not in OPEN or order.waits_for_person for order in view.orders)


def close_books_here(plan: CleanupPlan, *, actor: Actor) -> None:
    """Read the account once more and reconcile the ended plan with it."""
    plan.refresh_from_db(fields=["finished_at", "closing_snapshot"])
    if plan.finished_at is None or plan.closing_snapshot_id is not None:
        return
    try:
        snapshot = snapshots.take_snapshot(
            plan.account, trigger=actor, clock=timezone.now, not_before=plan.finished_at
        )
    except snapshots.AccountDisabled:
        return  # the books are closed once it is enabled
    if snapshot.status == SnapshotStatus.GOOD:
        results.attach_closing_snapshots(snapshot, now=timezone.now())


def wait_for_books(plan: CleanupPlan) -> None:
    """Have a worker read the account once more, and wait a while for it."""
    plan.refresh_from_db(fields=["finished_at"])
    if plan.finished_at is None:
        return
    by_the_workers(Due(task="take_snapshot", pk=plan.account_id))
    deadline = time.monotonic() + CLOSING_SNAPSHOT_WITHIN
    while time.monotonic() < deadline:
        plan.refresh_from_db(fields=["closing_snapshot"])
        if plan.closing_snapshot_id is not None:
            return
        time.sleep(LOOK_EVERY)


@contextmanager
def progress_bar(plan: CleanupPlan, *, orders: int) -> Iterator[Tell]:
    """Show a bar on the terminal that fills as orders end."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task(f"Plan {plan.pk}", total=orders, said="")

        def tell(view: PlanView, changed: list[CloseOrder]) -> None:
            ended = sum(order.state not in OPEN for order in view.orders)
            unknown = f"{len(view.unknown)} unknown" if view.unknown else ""
            progress.update(bar, completed=ended, said=unknown)

        yield tell
