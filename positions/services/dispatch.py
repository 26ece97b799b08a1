"""Start whatever is due: the database is the queue, messages only wake somebody up."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q, QuerySet

from positions.domain.orders import IN_FLIGHT, OPEN, OrderState
from positions.domain.plans import ENDED, LIVE, PlanState
from positions.domain.verdicts import Route
from positions.models import CleanupPlan, CloseOrder, ExchangeAccount
from positions.services import claims, leases, policies, snapshots
from positions.services.attempts import UNSENT, locked_state
from positions.services.stops import (
    expire_old_plans,
    finish_if_done,
    halt_what_may_not_run,
)

# A wake-up that was lost is sent again after this long.
WAKE_AGAIN = UNSENT
# Orders of one account that are begun at once. Each has the next one woken before it leaves, or two
# while the pace waits for us. What was sent and waits for its answer is not counted: latency never
# lowers the pace.
AWAKE = 6
MOST_AWAKE = 9
# How soon a plan's closing snapshot is tried again.
CLOSE_BOOKS_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something to be done by a worker: a task's name and the row's id."""

    task: str
    pk: int


def due_now(*, now: datetime) -> Iterator[Due]:
    """Yield what is due and mark it as woken; also end what has run out of time."""
    expire_old_plans(now=now)
    halt_what_may_not_run(now=now)
    leases.end_expired(now=now)
    claims.end_expired(now=now)
    for account in ExchangeAccount.objects.filter(is_enabled=True):
        if _snapshot_is_due(account, now=now):
            yield Due(task="take_snapshot", pk=account.pk)
    yield from due_orders(now=now)
    for plan in CleanupPlan.objects.filter(status__in=LIVE):
        finish_if_done(plan, now=now)


def due_orders(*, now: datetime, plan: CleanupPlan | None = None) -> Iterator[Due]:
    """Yield the orders to be sent or looked up now, the ones that may be at the exchange first."""
    orders = CloseOrder.objects.filter(due_at__lte=now).order_by("due_at", "pk")
    if plan is not None:
        orders = orders.filter(plan=plan)
    for order in orders.filter(status__in=IN_FLIGHT, conversion=None):
        if _woken(order, now=now):
            yield Due(task="look_up_order", pk=order.pk)
    yield from _due_conversions(orders, now=now)
    planned = _to_send(now=now).filter(pk__in=orders.values("pk"))
    for account in planned.order_by("account").values_list("account", flat=True).distinct():
        room = max(0, AWAKE - _awake_orders(account, now=now))
        for order in planned.filter(account=account)[:room]:
            if _woken(order, now=now):
                yield Due(task="run_order", pk=order.pk)


def _due_conversions(orders: QuerySet[CloseOrder], *, now: datetime) -> Iterator[Due]:
    """Yield each plan's batch once, however many orders it has."""
    converting = orders.filter(route=Route.CONVERT).order_by()
    asked = converting.filter(status__in=IN_FLIGHT).exclude(conversion=None)
    for pk, plan in asked.values_list("conversion", "plan").distinct():
        if _woken_batch(asked.filter(conversion=pk), plan=plan, now=now):
            yield Due(task="look_up_conversion", pk=pk)
    planned = converting.filter(status=OrderState.PLANNED, plan__status=PlanState.RUNNING)
    for plan in planned.values_list("plan", flat=True).distinct():
        batch = CloseOrder.objects.filter(plan=plan, route=Route.CONVERT, due_at__lte=now)
        if _woken_batch(batch.filter(status=OrderState.PLANNED), plan=plan, now=now):
            yield Due(task="run_conversion", pk=plan)


def _woken_batch(batch: QuerySet[CloseOrder], *, plan: int, now: datetime) -> bool:
    """Take the wake-up of a batch, so that two dispatchers don't both send it."""
    with transaction.atomic():
        locked_state(plan)  # before its orders, as everybody locks
        return batch.update(due_at=now + WAKE_AGAIN) > 0


def due_after(order_pk: int, *, orders: int, now: datetime) -> Iterator[Due]:
    """Yield so many orders of an account, in the place of one that is about to leave."""
    account = CloseOrder.objects.only("account").get(pk=order_pk).account_id
    if orders > 1 and _awake_orders(account, now=now) >= MOST_AWAKE:
        orders = 1
    # Some more than asked for: others may take them in this moment.
    for order in _to_send(now=now).filter(account=account)[: 2 * orders]:
        if orders and _woken(order, now=now):
            orders -= 1
            yield Due(task="run_order", pk=order.pk)


def _to_send(*, now: datetime) -> QuerySet[CloseOrder]:
    to_send = CloseOrder.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lt=now),
        due_at__lte=now,
        route=Route.SELL,
        status=OrderState.PLANNED,
        plan__status=PlanState.RUNNING,
    )
    return to_send.order_by("due_at", "pk").only("status", "due_at")


def _woken(order: CloseOrder, *, now: datetime) -> bool:
    """Take the wake-up of one order, so that two dispatchers don't both send it."""
    woken = CloseOrder.objects.filter(pk=order.pk, status=order.status, due_at=order.due_at).update(
        due_at=now + WAKE_AGAIN
    )
    return woken == 1


def _awake_orders(account_pk: int, *, now: datetime) -> int:
    """Count the orders that were woken and not sent: due again soon. What was sent is due later."""
    return CloseOrder.objects.filter(
        account=account_pk,
        route=Route.SELL,
        status__in=[OrderState.PLANNED, OrderState.SUBMITTING],
        plan__status=PlanState.RUNNING,
        due_at__gt=now,
        due_at__lte=now + WAKE_AGAIN,
    ).count()


def _snapshot_is_due(account: ExchangeAccount, *, now: datetime) -> bool:
    if account.snapshot_claimed_until is not None and account.snapshot_claimed_until > now:
        return False
    if account.snapshot_due_at is not None and account.snapshot_due_at <= now:
        return True
    newest = account.snapshots.first()
    open_since = books_open_since(account)
    if open_since is not None and (
        newest is None or newest.taken_at < open_since or now - newest.taken_at >= CLOSE_BOOKS_AGAIN
    ):
        return True
    interval = settings.DUSTADMIN_SNAPSHOT_INTERVAL
    if interval is None:
        interval = policies.in_force(account).snapshot_interval
    if interval == 0:
        return False
    return newest is None or now - newest.taken_at >= timedelta(seconds=interval)


def books_open_since(account: ExchangeAccount) -> datetime | None:
    """Return when the last order of a plan changed that has ended without a closing snapshot."""
    ended = account.plans.filter(
        status__in=ENDED, started_at__isnull=False, closing_snapshot=None
    ).exclude(orders__status__in=OPEN)
    last: datetime | None = ended.aggregate(last=Max("orders__updated_at"))["last"]
    return last


def thin_all(*, now: datetime) -> None:
    """Thin the old snapshots of every account."""
    for account in ExchangeAccount.objects.all():
        snapshots.thin(account, now=now)
