"""Make one attempt at an order: committed before it leaves, sent once, its answer recorded.

Nothing is sent inside a transaction, and nothing leaves without asking for leave right before:
the claim may be gone, the plan paused or halted, the moment over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import close_old_connections, transaction

from positions.domain.orders import OrderState
from positions.domain.pacing import Limit
from positions.domain.plans import PlanState
from positions.domain.verdicts import Reason
from positions.exchanges.pacing import LONGEST_PACED_WINDOW
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
from positions.services.snapshots import Clock
from positions.services.stops import pause_for_a_person
from positions.services.transitions import LostClaim, deny, in_transaction, move_order

WORKER = Actor.service("worker")
CLAIM = timedelta(seconds=45)  # longer than a look, a turn in the pace and an answer
LATEST = timedelta(seconds=1)  # after its moment, a request needs a new one
LATER = timedelta(seconds=30)  # when something that a person or a day decides is asked again
MOST_ATTEMPTS = 6
FIRST_LOOK_UP = timedelta(seconds=1)
_NOT_PLACED = (Unreachable, RateLimited, ClockRefused, PacerUnavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A reserved moment for one request."""

    wait: Decimal  # seconds from when it was reserved
    signed_at_ms: int  # the same moment on the exchange's clock
    look_ends_at: datetime  # until then what was checked may be relied on


def release(order: CloseOrder, *, due_at: datetime) -> None:
    """Give an unsent order back; it is due again at that moment."""
    CloseOrder.objects.filter(
        pk=order.pk, status=OrderState.PLANNED, claim_token=order.claim_token
    ).update(claim_token="", claimed_until=None, due_at=due_at)


def _day_is_used_up(order: CloseOrder, limits: list[Limit], *, now: datetime) -> bool:
    """Tell whether a long limit (a day's orders) leaves nothing: our attempts are counted."""
    share = order.plan.policy.limit_share
    for limit in limits:
        if limit.window <= LONGEST_PACED_WINDOW:
            continue
        sent = Attempt.objects.filter(
            order__account__key_fingerprint=order.account.key_fingerprint,
            sent_at__gt=now - timedelta(seconds=limit.window),
        ).count()
        if sent >= int(limit.allowed * share):
            return True
    return False


def commit(
    order: CloseOrder, *, quantity: Decimal, turn: Turn, exchange: ExchangePort, now: datetime
) -> Attempt | None:
    """Commit order, attempt and signing time before anything is sent; None if it may not be."""
    try:
        with transaction.atomic():
            plan = CleanupPlan.objects.select_for_update(no_key=True).get(pk=order.plan_id)
            if plan.state is not PlanState.RUNNING or halts.why_nothing_may_leave(order.account):
                release(order, due_at=now + LATER)
                return None
            number = order.attempts.count() + 1
            if _day_is_used_up(order, exchange.order_limits, now=now):
                release(order, due_at=now + LATER)
                return None
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
                due_at=now + CLAIM,
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


def may_leave(order: CloseOrder, attempt: Attempt, *, turn: Turn, clock: Clock) -> bool:
    """Ask for leave right before sending: the claim, the plan, the switches and the clock."""
    with transaction.atomic():
        now = clock()
        late = (
            now - attempt.created_at > LATEST + timedelta(seconds=float(turn.wait))
            or now > turn.look_ends_at
        )
        plan = CleanupPlan.objects.select_for_update(no_key=True).get(pk=order.plan_id)
        stopped = plan.state is not PlanState.RUNNING or bool(
            halts.why_nothing_may_leave(order.account)
        )
        # Writing takes the row: whoever recovers the order at this moment waits, and then finds the
        # lease renewed; or was first, and this finds the token gone.
        mine = CloseOrder.objects.filter(
            pk=order.pk, status=OrderState.SUBMITTING, claim_token=order.claim_token
        ).update(claimed_until=now + CLAIM, due_at=now + CLAIM)
        if mine and not late and not stopped:
            attempt.sent_at = now
            attempt.save(update_fields=["sent_at"])
            return True
        attempt.answer = AnswerClass.NOT_PLACED
        attempt.answer_code = "NOT_SENT"
        attempt.answered_at = now
        attempt.save(update_fields=["answer", "answer_code", "answered_at"])
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
) -> None:
    """Return an order that was certainly not placed to its plan; must run in a transaction.

    A plan that has ended takes nothing back, and an order that was sent often enough is given up.
    """
    # The plan before the chain, as everybody locks.
    plan = CleanupPlan.objects.select_for_update(no_key=True).get(pk=order.plan_id)
    move_order(
        order,
        OrderState.PLANNED,
        kind="order.not_placed",
        summary=summary,
        actor=actor,
        now=now,
        message="",
        unknown_since=None,
        waits_for_person=False,
        claim_token="",
        claimed_until=None,
        due_at=due_at,
    )
    if not plan.is_live:
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


def send(
    order: CloseOrder, attempt: Attempt, *, turn: Turn, exchange: ExchangePort, clock: Clock
) -> None:
    """Send the request, if it may leave at that very moment, and record what became of it."""
    if in_transaction():
        raise RuntimeError("Nothing is sent to an exchange inside a transaction.")
    request = SellRequest(
        symbol=order.symbol,
        quantity=attempt.quantity,
        client_order_id=order.client_order_id,
        signed_at_ms=attempt.signed_at_ms,
    )
    try:
        outcome = exchange.sell(
            request, may_leave=lambda: may_leave(order, attempt, turn=turn, clock=clock)
        )
    except NoLeave:
        return
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
            _answered(attempt, AnswerClass.ACCEPTED, exchange, text=exchange.last_answer, now=now)
            apply_outcome(order, outcome, actor=WORKER, now=now)
    except LostClaim:
        _late_answer(order, attempt, exchange, exchange.last_answer, now=now)


def _answered(
    attempt: Attempt,
    answer: AnswerClass,
    exchange: ExchangePort,
    *,
    now: datetime,
    code: str = "",
    text: str = "",
) -> None:
    attempt.answer, attempt.answer_code, attempt.answer_text = answer, code[:60], text
    attempt.answered_at = now
    if attempt.sent_at is not None:  # else the exchange's last request was another one
        attempt.wire = exchange.last_wire
    attempt.save(update_fields=["answer", "answer_code", "answer_text", "answered_at", "wire"])


def _late_answer(
    order: CloseOrder, attempt: Attempt, exchange: ExchangePort, text: str, *, now: datetime
) -> None:
    """Keep an answer that came after somebody else took over; the look-ups decide, not we."""
    with transaction.atomic():
        _answered(attempt, AnswerClass.UNKNOWN, exchange, code="LATE", text=text, now=now)
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
    code, text = error.answer_code or error.code, error.answer
    try:
        with transaction.atomic():
            # Without leave nothing left, whatever went wrong before it.
            if attempt.sent_at is None or isinstance(error, _NOT_PLACED):
                _try_again(order, attempt, error, now=now)
                _answered(attempt, AnswerClass.NOT_PLACED, exchange, code=code, text=text, now=now)
            elif isinstance(error, KeyRefused | RequestRefused | BadConfiguration):
                _answered(attempt, AnswerClass.REJECTED, exchange, code=code, text=text, now=now)
                move_order(
                    order,
                    OrderState.REJECTED,
                    kind="order.rejected",
                    summary=f"{order.asset}: {error}",
                    actor=WORKER,
                    now=now,
                    data={"code": code},
                    message=str(error)[:300],
                )
            else:
                _answered(attempt, AnswerClass.UNKNOWN, exchange, code=code, text=text, now=now)
                become_unknown(order, str(error), now=now)
    except LostClaim:
        _late_answer(order, attempt, exchange, text, now=now)
        return
    if isinstance(error, KeyRefused):
        pause_for_a_person(order.plan, str(error), now=now)


def _try_again(order: CloseOrder, attempt: Attempt, error: ExchangeError, *, now: datetime) -> None:
    """Plan the next attempt of an order that was certainly not placed."""
    wait = timedelta(seconds=2 ** min(attempt.number, 5))
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
