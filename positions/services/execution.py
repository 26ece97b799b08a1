"""Send one order: checked, paced, committed before it leaves, and believed only by its fills.

The steps of `run_order`, each of which may be the last:

1. claim the order (PLANNED, and its plan RUNNING);
2. look at balances, prices and open orders; deny what is no longer dust;
3. look the order up if an earlier attempt was made: nothing is resent on a guess;
4. reserve a moment in the pace that all workers share;
5. commit the attempt with the time it is signed with (PLANNED -> SUBMITTING), unless a bot has
   leased or claimed the asset: no bot gets it from then on;
6. have the next order woken, and wait for the moment;
7. send, outside any transaction, after asking for leave as the very last step before the request:
   our claim, no pause, no halt, not too late, nothing checked too long ago;
8. record the answer; no answer that makes sense is UNKNOWN, which is asked for, never resent.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from positions.domain.checks import Approved, Denied, last_check
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Reason
from positions.exchanges.port import (
    BadConfiguration,
    ExchangeError,
    ExchangePort,
    KeyRefused,
    PacerUnavailable,
    RateLimited,
    Slot,
)
from positions.models import CleanupPlan, CloseOrder
from positions.selectors.excess import excess_beside
from positions.services import policies
from positions.services.attempts import (
    CLAIM,
    UNSENT,
    WORKER,
    commit,
    is_out_of_time,
    release,
    request_of,
    send,
    sent_within,
)
from positions.services.connections import open_exchange
from positions.services.credentials import CredentialsUnreadable
from positions.services.evidence import apply_outcome, keep_late_evidence
from positions.services.looks import recent_look
from positions.services.readings import Clock
from positions.services.stops import finish_if_done, pause_for_a_person
from positions.services.transitions import (
    LostClaim,
    claimed_by,
    deny,
    in_transaction,
    move_order,
    note_order,
)
from positions.services.turns import Pause, Turn

LEAD = Decimal("0.05")  # seconds between reserving a moment and the moment, to commit in
LONGEST_TURN = Decimal(1)  # seconds; a later turn is reserved later
HAND_OVER = 0.2  # seconds before its moment, or three moments, an order has the next one woken
LONG = Decimal(20)  # seconds; people are told what an order waits for if it takes longer
LONGEST_PAUSE = 30.0  # seconds; what is waited for may be over sooner


def run_order(
    order_pk: int,
    *,
    clock: Clock,
    pause: Pause = time.sleep,
    hand_over: Callable[[int], object] = lambda _orders: None,
) -> timedelta | None:
    """Take one planned order as far as it gets now; safe to call twice, late, or at once.

    `hand_over` is called when the next orders should be begun, with how many: this one needs no
    moment, or has one that is near. Return after how long this one should be begun again, if only
    the pace keeps it.
    """
    order = _claimed(order_pk, now=clock())
    if order is None:
        return None
    policy = order.plan.policy.as_domain()
    try:
        exchange = open_exchange(order.account, policy)
        ready = _checked(order, exchange, clock=clock)
        if ready is None:
            hand_over(1)
            return None
        quantity, look_ends_at = ready
        slot, now_ms = _reserved(order, exchange, clock=clock)
    except (ExchangeError, CredentialsUnreadable) as error:
        _wait_after(order, error, clock=clock)
        return None
    if not slot.is_reserved:
        again = timedelta(seconds=float(max(slot.wait - LONGEST_TURN / 2, LEAD)))
        release(order, due_at=clock() + again)
        return again
    ahead = exchange.pacer.orders_within(slot.wait - LEAD)
    turn = Turn(
        slot=slot,
        signed_at_ms=now_ms + int(slot.wait * 1000),
        look_ends_at=look_ends_at,
    )
    attempt = commit(order, quantity=quantity, turn=turn, exchange=exchange, now=clock())
    if attempt is None:
        with suppress(PacerUnavailable):
            exchange.pacer.give_back(slot)
        hand_over(1)
        finish_if_done(order.plan, now=clock())
        return None
    begin = min(HAND_OVER, 3 / max(1, exchange.pacer.orders_within(Decimal(1))))
    if turn.left > begin:
        pause(turn.left - begin)
    # If no moment was before its own, the pace waits for us: more of us are needed.
    hand_over(2 if ahead == 0 else 1)
    turn.await_it(pause)
    send(order, attempt, turn=turn, exchange=exchange, clock=clock, pause=pause)
    finish_if_done(order.plan, now=clock())
    return None


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
    ).update(claim_token=token, claimed_until=now + CLAIM, due_at=now + UNSENT)
    return claimed_by(token, order_pk)


def _checked(
    order: CloseOrder, exchange: ExchangePort, *, clock: Clock
) -> tuple[Decimal, datetime] | None:
    """Return the quantity that may be sold and until when; None if the order went elsewhere."""
    # An attempt without leave never left.
    was_sent = order.attempts.filter(sent_at__isnull=False).exists()
    if was_sent and _was_placed(order, exchange, clock=clock):
        return None
    if (why := _no_longer_needed(order, now=clock())) is not None:
        _denied(order, why.reason, why.message, now=clock())
        return None
    # Both the guards in force now and those the plan was approved under: the stricter wins.
    approved = policy = order.plan.policy.as_domain()
    if policies.in_force_pk(order.account) != order.plan.policy_id:
        policy = policies.in_force(order.account).as_domain()
    oldest = min(policy.check_max_age, approved.check_max_age)
    freshest = max(1, oldest - int(LONGEST_TURN))
    look = recent_look(
        order.account,
        exchange,
        policy=policy,
        symbol=order.symbol,
        max_age=timedelta(seconds=freshest),
        not_before=_looks_from(order, was_sent=was_sent),
        clock=clock,
    )
    quantity: Decimal = order.quantity
    seen = look.of(order.asset, symbol=order.symbol, quote=order.quote, exchange=exchange)
    if seen.ticker is not None and seen.ticker.covers(quantity) is False:
        # Only then is a book asked for: what sells at the best bid needs none.
        seen = replace(seen, deep_bid=exchange.bid_for(order.symbol, quantity=quantity))
    for guards in (policy, approved) if policy != approved else (approved,):
        verdict = last_check(
            seen,
            asset=order.asset,
            planned=quantity,
            threshold=min(order.plan.threshold, guards.max_threshold),
            policy=guards,
            enforced=Approved(value_usd=order.value_usd, price=order.price)
            if order.plan.enforces_cap
            else None,
        )
        if isinstance(verdict, Denied):
            _denied(order, verdict.reason, verdict.message, now=clock())
            return None
        quantity = verdict.quantity
    return quantity, look.asked_at + timedelta(seconds=oldest)


def _no_longer_needed(order: CloseOrder, *, now: datetime) -> Denied | None:
    """Return why a sale that enforces the cap is not to be made any more."""
    if not order.plan.enforces_cap:
        return None
    if is_out_of_time(order.plan, now=now):
        return Denied(reason=Reason.PLAN_HALTED, message="The plan's approval has lapsed.")
    excess = excess_beside(order)
    if excess is None:
        return Denied(reason=Reason.FREES_NO_SLOT, message=f"{order.asset} takes no slot any more.")
    if excess.to_close > 0:
        return None
    return Denied(
        reason=Reason.WITHIN_CAP,
        message=f"{excess.counted - excess.leaving} positions count without what leaves already; "
        f"the cap is {excess.cap}.",
    )


def _looks_from(order: CloseOrder, *, was_sent: bool) -> datetime:
    """Return the moment since which nobody but its own plan can have sold what the order sells."""
    started = order.plan.started_at
    if started is None:
        raise RuntimeError(f"{order} is to be sent, and its plan was not started.")
    return max(started, order.updated_at) if was_sent else started


def _denied(order: CloseOrder, reason: Reason, message: str, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            deny(order, reason, message, actor=WORKER, now=now)
    except LostClaim:
        return
    finish_if_done(order.plan, now=now)


def _was_placed(order: CloseOrder, exchange: ExchangePort, *, clock: Clock) -> bool:
    """Look an order up before it is sent again; record it if the exchange has it after all."""
    found = exchange.find_order([request_of(order, attempt) for attempt in order.attempts.all()])
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
        keep_late_evidence(order, found, actor=WORKER, now=now)
    finish_if_done(order.plan, now=now)
    return True


def _reserved(order: CloseOrder, exchange: ExchangePort, *, clock: Clock) -> tuple[Slot, int]:
    """Reserve a moment; return it and the exchange's clock of now.

    Raise `RateLimited` if it takes so long that people should know.
    """
    if in_transaction():
        raise RuntimeError("Nothing may wait for an exchange inside a transaction.")
    now_ms = exchange.now_ms()
    slot = exchange.pacer.take_order(
        lead=LEAD,
        latest=LONGEST_TURN,
        sent=lambda seconds: sent_within(order, seconds, now=clock()),
    )
    if slot.wait > LONG:
        raise RateLimited("The limits of the exchange are used up.", retry_after=slot.wait)
    return slot, now_ms


def _wait_after(
    order: CloseOrder, error: ExchangeError | CredentialsUnreadable, *, clock: Clock
) -> None:
    """Give an order back that could not even be checked; nothing was sent for it."""
    now = clock()
    if isinstance(error, KeyRefused | BadConfiguration | CredentialsUnreadable):
        release(order, due_at=now)
        pause_for_a_person(order.plan, str(error), now=now)
        return
    if is_out_of_time(order.plan, now=now):
        _denied(order, Reason.UNREACHABLE, f"Not sent in time. {error}", now=now)
        return
    wait = timedelta(seconds=5)
    if isinstance(error, RateLimited):
        wait = timedelta(seconds=min(max(1.0, float(error.retry_after)), LONGEST_PAUSE))
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
