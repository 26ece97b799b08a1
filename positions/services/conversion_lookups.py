"""Find out what became of a batch of conversions whose end is not known: ask the history, prove.

All orders of a batch are claimed and judged together, with one question to the exchange. A batch
whose absence is proved is not made again in its plan: once a window is the rule, and what has
changed since deserves a new look.
"""

import uuid
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from positions.domain.orders import IN_FLIGHT, OrderState
from positions.domain.verdicts import Reason
from positions.exchanges.port import (
    ConversionOutcome,
    ExchangeError,
    PacerUnavailable,
    RateLimited,
)
from positions.models import CloseOrder, Conversion
from positions.services.attempts import back_to_planned, become_unknown, locked_state
from positions.services.connections import open_exchange
from positions.services.conversion_requests import request_of
from positions.services.conversion_results import apply_conversion, keep_what_came_late
from positions.services.conversion_windows import locked_account, window_given_back
from positions.services.credentials import CredentialsUnreadable
from positions.services.readings import Clock
from positions.services.reconciliation import (
    LOOK_UP,
    RECONCILER,
    note_not_answered,
    note_not_asked,
    note_once_more,
    note_too_early,
)
from positions.services.requests import note_not_sent, note_worker_lost
from positions.services.stops import finish_if_done
from positions.services.transitions import LostClaim, deny


def look_up_conversion(conversion_pk: int, *, clock: Clock) -> None:
    """Take one batch that the exchange may have a step further; safe to call at any time."""
    orders = _claimed(conversion_pk, now=clock())
    if not orders:
        return
    conversion = Conversion.objects.select_related("plan__account", "plan__policy").get(
        pk=conversion_pk
    )
    try:
        if any(order.state is OrderState.SUBMITTING for order in orders):
            _recover(conversion, orders, now=clock())
        else:
            _ask(conversion, orders, clock=clock)
    except LostClaim:
        return
    finish_if_done(conversion.plan, now=clock())


def _claimed(conversion_pk: int, *, now: datetime) -> list[CloseOrder]:
    """Take over the claims whose lease ran out, all of the batch's or none."""
    token = uuid.uuid4().hex
    in_flight = CloseOrder.objects.filter(conversion=conversion_pk, status__in=IN_FLIGHT)
    with transaction.atomic():
        # The plan before its orders, as everybody locks.
        locked_state(Conversion.objects.values_list("plan", flat=True).get(pk=conversion_pk))
        locked = list(in_flight.select_for_update(no_key=True).order_by("pk"))
        if any(order.claimed_until is not None and order.claimed_until >= now for order in locked):
            return []
        in_flight.filter(Q(claimed_until=None) | Q(claimed_until__lt=now)).update(
            claim_token=token, claimed_until=now + LOOK_UP, due_at=now + LOOK_UP
        )
    return list(
        CloseOrder.objects.filter(conversion=conversion_pk, claim_token=token)
        .select_related("account", "plan__account", "plan__policy", "conversion")
        .order_by("number")
    )


def _recover(conversion: Conversion, orders: list[CloseOrder], *, now: datetime) -> None:
    """Take over a batch whose worker vanished between its commit and the answer's."""
    with transaction.atomic():
        # The plan before the request, as the worker that asks for leave locks them.
        locked_state(conversion.plan_id)
        fresh = Conversion.objects.select_for_update(no_key=True).get(pk=conversion.pk)
        submitting = [order for order in orders if order.state is OrderState.SUBMITTING]
        if fresh.sent_at is None:
            # It had no leave to send, and can't get one: its token is gone.
            note_not_sent(fresh, now=now)
            for order in submitting:
                back_to_planned(
                    order,
                    f"{order.asset}: its worker ended before sending",
                    due_at=now,
                    now=now,
                    actor=RECONCILER,
                )
            return
        note_worker_lost(fresh)
        for order in submitting:
            become_unknown(order, "Its worker ended before the answer was recorded.", now=now)


def _ask(conversion: Conversion, orders: list[CloseOrder], *, clock: Clock) -> None:
    asked_at = clock()
    try:
        exchange = open_exchange(conversion.plan.account, conversion.plan.policy.as_domain())
        conversion_rule = exchange.conversion_rule
        rule = conversion_rule.absence if conversion_rule is not None else None
        # The clock first: what is asked after the validity ended can prove something.
        exchange_ms = exchange.server_time_ms()
        found = exchange.find_conversion(request_of(conversion))
    except (RateLimited, PacerUnavailable) as error:
        for order in orders:
            note_not_asked(order, error, now=clock())
        return
    except (ExchangeError, CredentialsUnreadable) as error:
        with transaction.atomic():
            for order in orders:
                note_not_answered(order, str(error), now=clock())
        return
    now, valid_until_ms = clock(), conversion.valid_until_ms
    if found is not None:
        try:
            _record(conversion, orders, found, now=now)
        except LostClaim:
            keep_what_came_late(conversion, orders, found, actor=RECONCILER, now=now)
            raise
        return
    with transaction.atomic():
        locked_account(conversion.plan.account_id)
        locked_state(conversion.plan_id)
        for order in orders:
            if order.state is not OrderState.UNKNOWN:
                note_not_answered(order, "The exchange does not list what it accepted.", now=now)
            elif rule is None:
                note_not_answered(order, "Not found, which proves nothing here.", now=now)
            elif not rule.counts(valid_until_ms=valid_until_ms, exchange_ms=exchange_ms):
                counts_in = rule.counts_in(valid_until_ms=valid_until_ms, exchange_ms=exchange_ms)
                note_too_early(order, counts_in, now=now)
            elif order.absent_since is None or asked_at - order.absent_since < rule.apart:
                note_once_more(order, rule, now=now)
            else:
                _absent(
                    order,
                    data={
                        "proof": rule.proof,
                        "valid_until_ms": valid_until_ms,
                        "exchange_ms": exchange_ms,
                        "absent_since": order.absent_since,
                        "look_ups": [rule.history],
                        "source": f"{rule.source}; {rule.read}",
                    },
                    now=now,
                )
        if all(order.state is OrderState.DENIED for order in orders):
            window_given_back(conversion)


def _record(
    conversion: Conversion, orders: list[CloseOrder], found: ConversionOutcome, *, now: datetime
) -> None:
    """Write what the exchange's history says of the batch."""
    with transaction.atomic():
        apply_conversion(conversion, orders, found, actor=RECONCILER, now=now)
        for order in orders:
            if order.state is OrderState.ACCEPTED and order.claim_token:
                note_not_answered(order, "The exchange is still converting it.", now=now)


def _absent(order: CloseOrder, *, data: dict[str, object], now: datetime) -> None:
    """Give an order up whose conversion was never made: its absence is proved."""
    summary = f"{order.asset} was not converted: two look-ups after its validity found nothing"
    back_to_planned(order, summary, due_at=now, now=now, actor=RECONCILER, data=data)
    if order.state is OrderState.PLANNED:
        message = "Its conversion was not made. Draft another plan for it."
        deny(order, Reason.UNREACHABLE, message, actor=RECONCILER, now=now)
