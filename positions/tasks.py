"""Wake up and do one thing: an id in, one service call. Lost or doubled wake-ups do no harm."""

import contextlib
import logging
from collections.abc import Iterable
from datetime import timedelta

import redis
from celery import current_app, shared_task
from django.utils import timezone
from kombu.exceptions import KombuError

from positions.models import ExchangeAccount
from positions.services import (
    conversion_lookups,
    conversions,
    execution,
    reconciliation,
    results,
    snapshots,
    tokens,
)
from positions.services import dispatch as dispatching
from positions.services.actors import Actor

log = logging.getLogger(__name__)

EXPIRES = 20  # seconds; the dispatcher repeats what was not taken by then


class QueueUnreachable(Exception):
    """No worker could be woken; what is due is written and is done once the queue is back."""


def wake(due: Iterable[dispatching.Due], *, after: timedelta = timedelta(0)) -> None:
    """Send a worker one wake-up for each, after the commit; raise `QueueUnreachable`.

    `after` is only for moments that the dispatcher would hit too coarsely.
    """
    try:
        for item in due:
            current_app.send_task(
                f"positions.tasks.{item.task}",
                args=[item.pk],
                countdown=after.total_seconds() or None,
                expires=EXPIRES,
            )
    except (KombuError, redis.RedisError, OSError) as error:
        log.warning("No worker could be woken: %s", error)
        raise QueueUnreachable(
            "The queue (Redis) does not answer, so no worker could be woken. What you asked for is "
            "noted and is done as soon as the queue is back."
        ) from None


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def dispatch() -> None:
    """Wake a worker for everything that is due."""
    wake(dispatching.due_now(now=timezone.now()))


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def run_order(order_pk: int) -> None:
    """Send one planned order; have the next one of its account woken as soon as it may be."""
    again = execution.run_order(
        order_pk, clock=timezone.now, hand_over=lambda orders: _wake_next(order_pk, orders)
    )
    if again is not None:
        with contextlib.suppress(QueueUnreachable):  # the dispatcher repeats it
            wake([dispatching.Due(task="run_order", pk=order_pk)], after=again)


def _wake_next(order_pk: int, orders: int) -> None:
    with contextlib.suppress(QueueUnreachable):  # the dispatcher repeats it
        wake(dispatching.due_after(order_pk, orders=orders, now=timezone.now()))


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def look_up_order(order_pk: int) -> None:
    """Ask what became of one order."""
    reconciliation.look_up_order(order_pk, clock=timezone.now)


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def run_conversion(plan_pk: int) -> None:
    """Convert a plan's small balances in one batch."""
    conversions.run_conversion(plan_pk, clock=timezone.now)


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def look_up_conversion(conversion_pk: int) -> None:
    """Ask what became of one batch."""
    conversion_lookups.look_up_conversion(conversion_pk, clock=timezone.now)


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def reconcile() -> None:
    """Ask what became of every order that the exchange may have, due or not."""
    reconciliation.ask_for_all(now=timezone.now())
    wake(dispatching.due_orders(now=timezone.now()))


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def take_snapshot(account_pk: int) -> None:
    """Read one account, and close the books of plans that waited for it."""
    account = ExchangeAccount.objects.get(pk=account_pk)
    try:
        snapshot = snapshots.take_snapshot(
            account,
            trigger=Actor.service("scheduler"),
            clock=timezone.now,
            not_before=dispatching.books_open_since(account),
        )
    except snapshots.AccountDisabled:
        return  # after the wake-up was sent
    results.attach_closing_snapshots(snapshot, now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def note_token_use(token_pk: int) -> None:
    """Note that a bot's token was used; sent once a minute, however often the bot asks."""
    tokens.note_use(token_pk, now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # celery ships no types
def thin_snapshots() -> None:
    """Thin old snapshots."""
    dispatching.thin_all(now=timezone.now())
