"""Send one order: checked, paced, committed before it leaves, and believed only by its fills.

The steps of `run_order`, each of which may be the last:

1. claim the order (PLANNED, and its plan RUNNING);
2. look at balances, prices and open orders; deny what is no longer dust;
3. look the order up if an earlier attempt was made: nothing is resent on a guess;
4. reserve a moment in the pace that all workers share;
5. commit the attempt with the time it is signed with (PLANNED -> SUBMITTING);
6. wait for the moment;
7. send, outside any transaction, after asking for leave as the very last step before the request:
   our claim, no pause, no halt, not too late, nothing checked too long ago;
8. record the answer; no answer that makes sense is UNKNOWN, which is asked for, never resent.
"""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from positions.domain.checks import Denied, last_check
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Reason
from positions.exchanges.port import (
    BadConfiguration,
    ExchangeError,
    ExchangePort,
    KeyRefused,
    RateLimited,
)
from positions.models import CleanupPlan, CloseOrder
from positions.services import policies
from positions.services.attempts import CLAIM, WORKER, Turn, commit, release, send
from positions.services.connections import open_exchange
from positions.services.credentials import CredentialsUnreadable
from positions.services.evidence import apply_outcome
from positions.services.looks import recent_look
from positions.services.snapshots import Clock
from positions.services.stops import finish_if_done, pause_for_a_person
from positions.services.transitions import (
    LostClaim,
    claimed_by,
    deny,
    in_transaction,
    move_order,
    note_order,
)

log = logging.getLogger(__name__)

LEAD = Decimal("0.05")  # seconds between reserving a moment and the moment, to commit in
LONGEST_TURN = Decimal(2)  # seconds; a later turn is reserved later


def run_order(order_pk: int, *, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Take one planned order as far as it gets now; safe to call twice, late, or at once."""
    order = _claimed(order_pk, now=clock())
    if order is None:
        return
    policy = order.plan.policy.as_domain()
    try:
        exchange = open_exchange(order.account, policy)
        ready = _checked(order, exchange, clock=clock)
        if ready is None:
            return
        quantity, look_ends_at = ready
        turn = _reserved(order, exchange, look_ends_at=look_ends_at)
    except (ExchangeError, CredentialsUnreadable) as error:
        _wait_after(order, error, clock=clock)
        return
    if turn is None:
        release(order, due_at=clock() + timedelta(seconds=float(LONGEST_TURN) / 2))
        return
    attempt = commit(order, quantity=quantity, turn=turn, exchange=exchange, now=clock())
    if attempt is None:
        return
    pause(float(turn.wait))
    send(order, attempt, turn=turn, exchange=exchange, clock=clock)
    finish_if_done(order.plan, now=clock())


def _claimed(order_pk: int, *, now: datetime) -> CloseOrder | None:
    """Return the order with a claim of ours, or None if it isn't there to be sent."""
    token = uuid.uuid4().hex
    CloseOrder.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lt=now),
        pk=order_pk,
        status=OrderState.PLANNED,
        # No join: with one, the update's own conditions move into a subquery, which PostgreSQL
        # doesn't ask again after it has waited for the row, and both who wait get the claim.
        plan__in=CleanupPlan.objects.filter(status=PlanState.RUNNING),
    ).update(claim_token=token, claimed_until=now + CLAIM, due_at=now + CLAIM)
    return claimed_by(token, order_pk)


def _checked(
    order: CloseOrder, exchange: ExchangePort, *, clock: Clock
) -> tuple[Decimal, datetime] | None:
    """Return the quantity that may be sold and until when; None if the order went elsewhere."""
    if order.attempts.exists() and _was_placed(order, exchange, clock=clock):
        return None
    # Both the guards in force now and those the plan was approved under: the stricter wins.
    policy, approved = policies.in_force(order.account).as_domain(), order.plan.policy.as_domain()
    oldest = min(policy.check_max_age, approved.check_max_age)
    freshest = max(1, oldest - int(LONGEST_TURN))
    look = recent_look(
        order.account,
        exchange,
        policy=policy,
        symbol=order.symbol,
        max_age=timedelta(seconds=freshest),
        clock=clock,
    )
    quantity: Decimal = order.quantity
    for guards in (policy, approved):
        verdict = last_check(
            look.of(order.asset, quote=order.quote, exchange=exchange),
            asset=order.asset,
            planned=quantity,
            threshold=min(order.plan.threshold, guards.max_threshold),
            policy=guards,
        )
        if isinstance(verdict, Denied):
            _denied(order, verdict.reason, verdict.message, now=clock())
            return None
        quantity = verdict.quantity
    return quantity, look.asked_at + timedelta(seconds=oldest)


def _denied(order: CloseOrder, reason: Reason, message: str, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            deny(order, reason, message, actor=WORKER, now=now)
    except LostClaim:
        return
    finish_if_done(order.plan, now=now)


def _was_placed(order: CloseOrder, exchange: ExchangePort, *, clock: Clock) -> bool:
    """Look an order up before it is sent again; record it if the exchange has it after all."""
    found = exchange.find_order(client_order_id=order.client_order_id, symbol=order.symbol)
    if found is None:
        return False
    now = clock()
    try:
        with transaction.atomic():
            move_order(
                order,
                OrderState.SUBMITTING,
                kind="order.found",
                summary=f"{order.asset} was found at the exchange by its id; it is not sent again",
                actor=WORKER,
                now=now,
            )
            apply_outcome(order, found, actor=WORKER, now=now)
    except LostClaim:
        log.info("order %s was changed while it was looked up", order.pk)
    finish_if_done(order.plan, now=now)
    return True


def _reserved(order: CloseOrder, exchange: ExchangePort, *, look_ends_at: datetime) -> Turn | None:
    if in_transaction():
        raise RuntimeError("Nothing may wait for an exchange inside a transaction.")
    now_ms = exchange.now_ms()
    wait = exchange.pacer.take_order(exchange.order_limits, lead=LEAD, latest=LONGEST_TURN)
    if wait is None:
        return None
    return Turn(wait=wait, signed_at_ms=now_ms + int(wait * 1000), look_ends_at=look_ends_at)


def _wait_after(
    order: CloseOrder, error: ExchangeError | CredentialsUnreadable, *, clock: Clock
) -> None:
    """Give an order back that could not even be checked; nothing was sent for it."""
    now = clock()
    if isinstance(error, KeyRefused | BadConfiguration | CredentialsUnreadable):
        release(order, due_at=now)
        pause_for_a_person(order.plan, str(error), now=now)
        return
    started = order.plan.started_at
    if started is not None and now - started > timedelta(seconds=order.plan.policy.plan_ttl):
        _denied(order, Reason.UNREACHABLE, f"Not sent in time. {error}", now=now)
        return
    wait = timedelta(seconds=5)
    if isinstance(error, RateLimited):
        wait = timedelta(seconds=max(1.0, float(error.retry_after)))
    if order.message == str(error)[:300]:
        release(order, due_at=now + wait)  # told already
        return
    try:
        with transaction.atomic():
            note_order(
                order,
                kind="order.waits",
                summary=f"{order.asset} waits: {error}",
                actor=WORKER,
                now=now,
                message=str(error)[:300],
                claim_token="",
                claimed_until=None,
                due_at=now + wait,
            )
    except LostClaim:
        return
