"""Make one attempt at an order: committed before it leaves, sent once, its answer recorded.

Nothing is sent inside a transaction, and nothing leaves without asking for leave right before:
the claim may be gone, the plan paused or halted, the moment over. Whoever only missed the moment
takes the next one in the pace, with the same attempt.
"""

import logging
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import close_old_connections, transaction

from positions.domain.leases import Hold
from positions.domain.orders import OrderState
from positions.domain.plans import LIVE, PlanState
from positions.domain.verdicts import Reason
from positions.exchanges.port import (
    BadConfiguration,
    ClockRefused,
    ExchangeError,
    ExchangePort,
    KeyRefused,
    NoLeave,
    PacerUnavailable,
    RateLimited,
    RequestRefused,
    SellRequest,
    Unreachable,
)
from positions.models import AnswerClass, Attempt, CleanupPlan, CloseOrder
from positions.services import halts
from positions.services.actors import Actor
from positions.services.evidence import apply_outcome
from positions.services.holds import locked_holds
from positions.services.readings import Clock
from positions.services.requests import note_answer, note_not_sent
from positions.services.stops import pause_for_a_person
from positions.services.transitions import LostClaim, deny, in_transaction, move_order
from positions.services.turns import LATEST, Pause, Turn, later_turn

log = logging.getLogger(__name__)

WORKER = Actor.service("worker")
CLAIM = timedelta(seconds=45)  # longer than a look, a turn in the pace and an answer
UNSENT = timedelta(seconds=15)  # due again by then while nothing was sent; see `dispatch.AWAKE`
LATER = timedelta(seconds=30)  # when something that a person or a day decides is asked again
MOST_ATTEMPTS = 6
FIRST_LOOK_UP = timedelta(seconds=1)
NOT_PLACED = (Unreachable, RateLimited, ClockRefused, PacerUnavailable)


def release(order: CloseOrder, *, due_at: datetime) -> None:
    """Give an unsent order back; it is due again at that moment."""
    CloseOrder.objects.filter(
        pk=order.pk, status=OrderState.PLANNED, claim_token=order.claim_token
    ).update(claim_token="", claimed_until=None, due_at=due_at)


def is_out_of_time(plan: CleanupPlan, *, now: datetime) -> bool:
    """Tell whether the plan runs for longer than it may go on trying."""
    longest = timedelta(seconds=plan.policy.plan_ttl)
    return plan.started_at is not None and now - plan.started_at > longest


def sent_within(order: CloseOrder, seconds: int, *, now: datetime) -> int:
    """Return how many orders were sent with the order's API key in the last seconds."""
    return Attempt.objects.filter(
        order__account__key_fingerprint=order.account.key_fingerprint,
        sent_at__gt=now - timedelta(seconds=seconds),
    ).count()


def locked_state(plan_pk: int) -> PlanState:
    """Return the plan's state and keep it as it is until the transaction ends."""
    plans = CleanupPlan.objects.select_for_update(no_key=True).filter(pk=plan_pk)
    return PlanState(plans.values_list("status", flat=True).get())


def commit(
    order: CloseOrder, *, quantity: Decimal, turn: Turn, exchange: ExchangePort, now: datetime
) -> Attempt | None:
    """Commit order, attempt and signing time before anything is sent; None if it may not be.

    An asset that a bot has is denied in the same transaction.
    """
    try:
        with transaction.atomic():
            # The account before the plan, as everybody locks: no bot gets the asset meanwhile.
            hold = locked_holds(order.account_id, [order.asset], now=now).get(order.asset)
            if locked_state(order.plan_id) is not PlanState.RUNNING or halts.why_nothing_may_leave(
                order.account
            ):
                release(order, due_at=now + LATER)
                return None
            if hold is not None:
                deny_for(hold, order, now=now)
                return None
            number = order.attempts.count() + 1
            move_order(
                order,
                OrderState.SUBMITTING,
                kind="order.submitting",
                summary=f"{order.asset}: attempt {number} is being sent",
                actor=WORKER,
                now=now,
                data={"attempt": number, "quantity": quantity, "signed_at_ms": turn.signed_at_ms},
                message="Being sent now.",
                sent_quantity=quantity,
                claimed_until=now + CLAIM,
                due_at=now + UNSENT,
            )
            return Attempt.objects.create(
                order=order,
                number=number,
                claim_token=order.claim_token,
                quantity=quantity,
                signed_at_ms=turn.signed_at_ms,
                valid_until_ms=turn.signed_at_ms + exchange.signature_window_ms,
                request={
                    "symbol": order.symbol,
                    "side": "sell",
                    "type": "market",
                    "quantity": str(quantity),
                    "client_order_id": order.client_order_id,
                },
                created_at=now,
            )
    except LostClaim:
        return None


def deny_for(hold: Hold, order: CloseOrder, *, now: datetime) -> None:
    """Leave the asset to the bot that has it; must run in a transaction."""
    deny(order, hold.reason, f"{order.asset} is {hold.words}", actor=WORKER, now=now)


def may_leave(order: CloseOrder, attempt: Attempt, *, turn: Turn, clock: Clock) -> bool:
    """Ask for leave right before sending: the claim, the plan, the switches and the clock."""
    with transaction.atomic():
        stopped = locked_state(order.plan_id) is not PlanState.RUNNING or bool(
            halts.why_nothing_may_leave(order.account)
        )
        # Read late: the plan may have been waited for.
        now = clock()
        too_old = (
            now - attempt.created_at > LATEST + timedelta(seconds=float(turn.slot.wait))
            or now > turn.look_ends_at
        )
        # Writing takes the row: whoever recovers the order at this moment waits, and then finds the
        # lease renewed; or was first, and this finds the token gone.
        mine = CloseOrder.objects.filter(
            pk=order.pk, status=OrderState.SUBMITTING, claim_token=order.claim_token
        ).update(claimed_until=now + CLAIM, due_at=now + CLAIM)
        if mine and not too_old and not stopped:
            attempt.sent_at = now
            attempt.save(update_fields=["sent_at"])
            return True
        note_not_sent(attempt, now=now)
        if not mine:
            return False
        why = "stopped before it left" if stopped else "too late for its turn"
        back_to_planned(order, f"{order.asset}: {why}; nothing was sent", due_at=now, now=now)
    return False


def back_to_planned(
    order: CloseOrder,
    summary: str,
    *,
    due_at: datetime,
    now: datetime,
    actor: Actor = WORKER,
    data: dict[str, Any] | None = None,
) -> None:
    """Return an order that was certainly not placed to its plan; must run in a transaction.

    A plan that has ended takes nothing back, and an order that was sent often enough is given up.
    """
    # The plan before the chain, as everybody locks.
    plan_state = locked_state(order.plan_id)
    move_order(
        order,
        OrderState.PLANNED,
        kind="order.not_placed",
        summary=summary,
        actor=actor,
        now=now,
        data=data,
        message="",
        unknown_since=None,
        waits_for_person=False,
        claim_token="",
        claimed_until=None,
        due_at=due_at,
    )
    if plan_state not in LIVE:
        deny(order, Reason.PLAN_HALTED, "The plan had ended.", actor=actor, now=now)
        return
    sent = order.attempts.filter(sent_at__isnull=False).count()
    if sent >= MOST_ATTEMPTS:
        deny(
            order,
            Reason.UNREACHABLE,
            f"It was sent {sent} times and never placed.",
            actor=actor,
            now=now,
        )


def request_of(order: CloseOrder, attempt: Attempt) -> SellRequest:
    """Return what an attempt asks the exchange for; `ValueError` for a conversion's order."""
    if order.client_order_id is None:
        raise ValueError("A conversion's order is never sold by an attempt of its own.")
    return SellRequest(
        symbol=order.symbol,
        quantity=attempt.quantity,
        client_order_id=order.client_order_id,
        signed_at_ms=attempt.signed_at_ms,
        exchange_order_id=order.exchange_order_id,
    )


def send(
    order: CloseOrder,
    attempt: Attempt,
    *,
    turn: Turn,
    exchange: ExchangePort,
    clock: Clock,
    pause: Pause = time.sleep,
) -> None:
    """Send the request, if it may leave at that very moment, and record what became of it."""
    if in_transaction():
        raise RuntimeError("Nothing is sent to an exchange inside a transaction.")
    request = request_of(order, attempt)
    first, is_missed = turn, False

    def ask() -> bool:
        nonlocal is_missed
        is_missed = False
        if not may_leave(order, attempt, turn=turn, clock=clock):
            return False
        # Looked at last: asking may itself have taken too long.
        is_missed = turn.is_missed(exchange.pacer.tolerance) and not exchange.pacer.delay(turn.slot)
        return not is_missed

    try:
        while True:
            try:
                outcome = exchange.sell(request, may_leave=ask)
                break
            except NoLeave:
                if not is_missed:
                    return
                _withdraw(order, attempt, now=clock())
                later = later_turn(first, exchange)
                if later is None:
                    _give_up_turn(order, attempt, now=clock())
                    return
                turn = later
                turn.await_it(pause)
    except ExchangeError as error:
        close_old_connections()
        _record_failure(order, attempt, error, exchange=exchange, clock=clock)
        return
    # The database may have gone and come back while the exchange worked; its answer must not be
    # lost to a dead connection.
    close_old_connections()
    now = clock()
    try:
        with transaction.atomic():
            note_answer(attempt, AnswerClass.ACCEPTED, exchange, now=now)
            apply_outcome(order, outcome, actor=WORKER, now=now)
    except LostClaim:
        _late_answer(order, attempt, exchange, now=now)


def _withdraw(order: CloseOrder, attempt: Attempt, *, now: datetime) -> None:
    """Take the leave back that was not used."""
    with transaction.atomic():
        attempt.sent_at = None
        attempt.save(update_fields=["sent_at"])
        CloseOrder.objects.filter(
            pk=order.pk, status=OrderState.SUBMITTING, claim_token=order.claim_token
        ).update(due_at=now + UNSENT)


def _give_up_turn(order: CloseOrder, attempt: Attempt, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            note_not_sent(attempt, now=now)
            summary = f"{order.asset}: too late for its turn; nothing was sent"
            back_to_planned(order, summary, due_at=now, now=now)
    except LostClaim:
        log.info("order %s was changed while it waited for its turn", order.pk)


def _late_answer(
    order: CloseOrder,
    attempt: Attempt,
    exchange: ExchangePort,
    *,
    now: datetime,
    error: ExchangeError | None = None,
) -> None:
    """Keep an answer that came after somebody else took over; the look-ups decide, not we."""
    with transaction.atomic():
        note_answer(attempt, AnswerClass.UNKNOWN, exchange, code="LATE", error=error, now=now)
        CloseOrder.objects.filter(pk=order.pk, status=OrderState.UNKNOWN).update(due_at=now)


def _record_failure(
    order: CloseOrder,
    attempt: Attempt,
    error: ExchangeError,
    *,
    exchange: ExchangePort,
    clock: Clock,
) -> None:
    now = clock()
    try:
        with transaction.atomic():
            # Without leave nothing left, whatever went wrong before it.
            if attempt.sent_at is None or isinstance(error, NOT_PLACED):
                _try_again(order, attempt, error, now=now)
                note_answer(attempt, AnswerClass.NOT_PLACED, exchange, error=error, now=now)
            elif isinstance(error, KeyRefused | RequestRefused | BadConfiguration):
                note_answer(attempt, AnswerClass.REJECTED, exchange, error=error, now=now)
                move_order(
                    order,
                    OrderState.REJECTED,
                    kind="order.rejected",
                    summary=f"{order.asset}: {error}",
                    actor=WORKER,
                    now=now,
                    data={"code": error.answer_code or error.code},
                    message=str(error)[:300],
                )
            else:
                note_answer(attempt, AnswerClass.UNKNOWN, exchange, error=error, now=now)
                become_unknown(order, str(error), now=now)
    except LostClaim:
        _late_answer(order, attempt, exchange, error=error, now=now)
        return
    if isinstance(error, KeyRefused):
        pause_for_a_person(order.plan, str(error), now=now)


def _try_again(order: CloseOrder, attempt: Attempt, error: ExchangeError, *, now: datetime) -> None:
    """Plan the next attempt of an order that was certainly not placed."""
    wait = timedelta(seconds=2 ** min(attempt.number, 5) if attempt.sent_at else 1)
    if isinstance(error, RateLimited):
        wait = max(wait, timedelta(seconds=float(error.retry_after)))
    back_to_planned(order, f"{order.asset}: {error} Nothing was placed", due_at=now + wait, now=now)


def become_unknown(order: CloseOrder, sentence: str, *, now: datetime) -> None:
    """Note that nobody knows whether an order was placed; must run in a transaction."""
    move_order(
        order,
        OrderState.UNKNOWN,
        kind="order.unknown",
        summary=f"{order.asset} is unknown: {sentence}",
        actor=WORKER,
        now=now,
        reason="",
        message=f"{sentence} It is looked for by its id; nothing is sent again."[:300],
        unknown_since=now,
        lookups=0,
        absent_since=None,
        claim_token="",
        claimed_until=None,
        due_at=now + FIRST_LOOK_UP,
    )
