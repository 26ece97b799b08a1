"""Make one request for a batch: committed before it leaves, sent once, its answer recorded.

Nothing is sent inside a transaction, and nothing leaves without asking for leave right before: the
claim may be gone, the plan paused or halted, the window closed, the look too old.
"""

import uuid
from datetime import datetime, timedelta

from django.db import close_old_connections, transaction

from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Reason
from positions.exchanges.port import (
    BadConfiguration,
    ConversionQuote,
    ConversionRequest,
    ExchangeError,
    ExchangePort,
    KeyRefused,
    NoLeave,
    RateLimited,
    RequestRefused,
    WindowClosed,
)
from positions.models import AnswerClass, CloseOrder, Conversion
from positions.services import halts
from positions.services.attempts import (
    CLAIM,
    LATER,
    MOST_ATTEMPTS,
    NOT_PLACED,
    WORKER,
    back_to_planned,
    become_unknown,
    deny_for,
    is_out_of_time,
    locked_state,
)
from positions.services.conversion_results import apply_conversion
from positions.services.conversion_windows import (
    budget_now,
    kept_window,
    learn_who_closed,
    locked_account,
    window_given_back,
)
from positions.services.holds import locked_holds
from positions.services.readings import Clock
from positions.services.requests import note_answer, note_not_sent
from positions.services.stops import pause_for_a_person
from positions.services.transitions import LostClaim, deny, in_transaction, move_order
from positions.services.turns import LATEST

TRY_AGAIN = timedelta(seconds=5)


def request_of(conversion: Conversion) -> ConversionRequest:
    """Return what a conversion asks the exchange for."""
    return ConversionRequest(
        assets=tuple(conversion.request["assets"]),
        target=conversion.target,
        client_id=conversion.client_id,
        reference=conversion.reference,
        signed_at_ms=conversion.signed_at_ms,
    )


def commit(
    orders: list[CloseOrder],
    quote: ConversionQuote,
    *,
    exchange: ExchangePort,
    looked_at: datetime,
    now: datetime,
) -> Conversion | None:
    """Commit the request and its orders before anything is sent; None if it may not be.

    Assets that a bot has, or had since the balances were asked for, are denied in the same
    transaction: the exchange would convert what the bot has bought as well. Then the others are due
    at once: what the exchange has quoted names exactly the assets that were asked for.
    """
    plan = orders[0].plan
    signed_at_ms = exchange.now_ms()
    try:
        with transaction.atomic():
            # The account before the plan, as everybody locks: no bot gets an asset meanwhile.
            assets = [order.asset for order in orders]
            holds = locked_holds(plan.account_id, assets, now=now, since=looked_at)
            if locked_state(plan.pk) is not PlanState.RUNNING or halts.why_nothing_may_leave(
                plan.account
            ):
                released(orders, due_at=now + LATER)
                return None
            if holds:
                for order in orders:
                    if order.asset in holds:
                        deny_for(holds[order.asset], order, now=now)
                released([order for order in orders if order.asset not in holds], due_at=now)
                return None
            conversion = Conversion.objects.create(
                plan=plan,
                number=plan.conversions.count() + 1,
                target=quote.target,
                client_id=uuid.uuid4().hex,
                reference=quote.reference,
                claim_token=orders[0].claim_token,
                signed_at_ms=signed_at_ms,
                valid_until_ms=signed_at_ms + exchange.signature_window_ms,
                request={
                    "assets": assets,
                    "target": quote.target,
                    "reference": quote.reference,
                },
                created_at=now,
            )
            for order in orders:
                quantity = quote.offers[order.asset].quantity
                move_order(
                    order,
                    OrderState.SUBMITTING,
                    kind="order.submitting",
                    summary=f"{order.asset}: conversion {conversion.number} is being sent",
                    actor=WORKER,
                    now=now,
                    data={"conversion": conversion.pk, "quantity": quantity},
                    message="Being converted now.",
                    conversion_id=conversion.pk,
                    sent_quantity=quantity,
                    claimed_until=now + CLAIM,
                    due_at=now + CLAIM,
                )
            return conversion
    except LostClaim:
        return None


def may_leave(
    conversion: Conversion, orders: list[CloseOrder], *, look_ends_at: datetime, clock: Clock
) -> bool:
    """Ask for leave right before sending: the claim, the plan, the switches and the clock."""
    plan = orders[0].plan
    with transaction.atomic():
        # Whoever converts for the account waits here: two plans never share one window.
        locked_account(plan.account_id)
        state = locked_state(plan.pk)
        now = clock()
        budget = budget_now(plan.account_id, now=now)
        why = ""
        if state is not PlanState.RUNNING or halts.why_nothing_may_leave(plan.account):
            why = "stopped before it left"
        elif budget is not None and not budget.is_open:
            why = "another conversion left before it"
        elif now > look_ends_at or now - conversion.created_at > LATEST:
            why = "too late for its look"
        # Writing takes the rows: whoever recovers the orders at this moment waits for us.
        mine = CloseOrder.objects.filter(
            conversion=conversion, status=OrderState.SUBMITTING, claim_token=orders[0].claim_token
        ).update(claimed_until=now + CLAIM, due_at=now + CLAIM)
        if mine == len(orders) and not why:
            conversion.sent_at = now
            conversion.save(update_fields=["sent_at"])
            # It counts from the moment it may be processed.
            kept_window(plan.account, [now])
            return True
        note_not_sent(conversion, now=now)
        if mine == len(orders):
            for order in orders:
                _not_sent(order, why, now=now)
    return False


def _not_sent(order: CloseOrder, why: str, *, now: datetime) -> None:
    """Plan the order's next request, unless the plan is too old for another."""
    summary = f"{order.asset}: {why}; nothing was sent"
    back_to_planned(order, summary, due_at=now + TRY_AGAIN, now=now)
    if order.state is OrderState.PLANNED and is_out_of_time(order.plan, now=now):
        message = f"Not sent in time. Its last try was {why}."
        deny(order, Reason.UNREACHABLE, message, actor=WORKER, now=now)


def send(
    conversion: Conversion,
    orders: list[CloseOrder],
    *,
    exchange: ExchangePort,
    look_ends_at: datetime,
    clock: Clock,
) -> None:
    """Send the batch, if it may leave at that very moment, and record what became of it."""
    if in_transaction():
        raise RuntimeError("Nothing is sent to an exchange inside a transaction.")

    def ask() -> bool:
        return may_leave(conversion, orders, look_ends_at=look_ends_at, clock=clock)

    try:
        outcome = exchange.convert(request_of(conversion), may_leave=ask)
    except NoLeave:
        return
    except ExchangeError as error:
        close_old_connections()
        _failed(conversion, orders, error, exchange=exchange, clock=clock)
        return
    close_old_connections()
    now = clock()
    try:
        with transaction.atomic():
            apply_conversion(conversion, orders, outcome, actor=WORKER, now=now)
            note_answer(conversion, AnswerClass.ACCEPTED, exchange, now=now)
    except LostClaim:
        # Somebody else took over; the look-ups decide, not we.
        note_answer(conversion, AnswerClass.UNKNOWN, exchange, code="LATE", now=now)


def _failed(
    conversion: Conversion,
    orders: list[CloseOrder],
    error: ExchangeError,
    *,
    exchange: ExchangePort,
    clock: Clock,
) -> None:
    now = clock()
    try:
        with transaction.atomic():
            locked_account(orders[0].account_id)
            locked_state(conversion.plan_id)
            if conversion.sent_at is None or isinstance(error, NOT_PLACED):
                answer = AnswerClass.NOT_PLACED
                _try_again(conversion, orders, error, now=now)
            elif isinstance(error, KeyRefused | RequestRefused | BadConfiguration):
                answer = AnswerClass.REJECTED
                _rejected(conversion, orders, error, now=now)
            else:
                answer = AnswerClass.UNKNOWN
                for order in orders:
                    become_unknown(order, str(error), now=now)
            note_answer(conversion, answer, exchange, error=error, now=now)
    except LostClaim:
        note_answer(conversion, AnswerClass.UNKNOWN, exchange, code="LATE", now=now)
        return
    if isinstance(error, KeyRefused):
        pause_for_a_person(orders[0].plan, str(error), now=now)
    if isinstance(error, WindowClosed):
        learn_who_closed(conversion, exchange)


def _try_again(
    conversion: Conversion, orders: list[CloseOrder], error: ExchangeError, *, now: datetime
) -> None:
    """Plan the next request of a batch that was certainly not processed."""
    window_given_back(conversion)
    sent = conversion.plan.conversions.filter(sent_at__isnull=False).count()
    wait = timedelta(seconds=2 ** min(sent, 5))
    if isinstance(error, RateLimited):
        wait = max(wait, timedelta(seconds=float(error.retry_after)))
    for order in orders:
        summary = f"{order.asset}: {error} Nothing was converted"
        back_to_planned(order, summary, due_at=now + wait, now=now)
        if order.state is OrderState.PLANNED and sent >= MOST_ATTEMPTS:
            message = f"Its conversion was sent {sent} times and never made."
            deny(order, Reason.UNREACHABLE, message, actor=WORKER, now=now)


def _rejected(
    conversion: Conversion, orders: list[CloseOrder], error: ExchangeError, *, now: datetime
) -> None:
    reason = ""
    if isinstance(error, WindowClosed):
        reason = Reason.CONVERT_WINDOW_CLOSED.value
    else:
        window_given_back(conversion)
    for order in orders:
        move_order(
            order,
            OrderState.REJECTED,
            kind="order.rejected",
            summary=f"{order.asset}: {error}",
            actor=WORKER,
            now=now,
            data={"code": error.answer_code or error.code},
            reason=reason,
            message=str(error)[:300],
        )


def released(orders: list[CloseOrder], *, due_at: datetime) -> None:
    """Give unsent orders back that we still hold; they are due again at that moment."""
    CloseOrder.objects.filter(
        pk__in=[order.pk for order in orders],
        status=OrderState.PLANNED,
        claim_token__in=[order.claim_token for order in orders],
    ).update(claim_token="", claimed_until=None, due_at=due_at)
