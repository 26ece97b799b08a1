"""Find out what became of orders whose end is not known: ask, prove, never resend on a guess.

"Not found" proves absence only by the exchange's rule (`domain/absence.py`, its facts in
`exchanges/profiles/absence.py`): the request's validity is over on the exchange's own clock, which
is read before each look-up, and two look-ups some time apart find the order neither by its id nor
in the list of all orders. What can't be proved stays UNKNOWN and waits for a person.

It runs when a worker starts, soon after every unknown, and periodically. Running it twice at once
is safe: each look-up takes a claim.
"""

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from positions.domain.absence import AbsenceRule
from positions.domain.orders import IN_FLIGHT, IllegalTransition, OrderState, Outcome
from positions.exchanges.port import ExchangeError, PacerUnavailable, RateLimited
from positions.models import CleanupPlan, CloseOrder
from positions.services.actors import Actor
from positions.services.attempts import back_to_planned, become_unknown, request_of
from positions.services.connections import open_exchange
from positions.services.credentials import CredentialsUnreadable
from positions.services.evidence import (
    apply_outcome,
    keep_late_evidence,
    next_pause,
    patience_ends,
)
from positions.services.readings import Clock
from positions.services.requests import note_not_sent, note_worker_lost
from positions.services.stops import finish_if_done
from positions.services.transitions import LostClaim, claimed_by, note_order

RECONCILER = Actor.service("reconciliation")
# Longer than a look-up can take: the clock, the markets, the order, the list and the trades, each
# of which waits up to 20 s for its turn and 10 s for its answer. Meanwhile nobody else decides.
LOOK_UP = timedelta(seconds=180)
KEEP_ASKING = timedelta(seconds=60)
JUST_AFTER = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=10)


def ask_for_all(*, now: datetime) -> int:
    """Make every order that the exchange may have due now, and return how many there are.

    Whatever an earlier worker left is not only asked for when it would be due next. One that
    somebody holds is his; it is due again when his lease ends.
    """
    return CloseOrder.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lt=now), status__in=IN_FLIGHT
    ).update(due_at=now)


def look_up_order(order_pk: int, *, clock: Clock) -> None:
    """Take one order that the exchange may have a step further; safe to call at any time."""
    order = _claimed(order_pk, now=clock())
    if order is None:
        return
    try:
        if order.state is OrderState.SUBMITTING:
            _recover(order, now=clock())
        else:
            _ask(order, clock=clock)
    except LostClaim:
        return
    finish_if_done(order.plan, now=clock())


def _claimed(order_pk: int, *, now: datetime) -> CloseOrder | None:
    """Take the claim over once its lease ran out; the old holder finds its token gone."""
    token = uuid.uuid4().hex
    CloseOrder.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lt=now), pk=order_pk, status__in=IN_FLIGHT
    ).update(claim_token=token, claimed_until=now + LOOK_UP, due_at=now + LOOK_UP)
    return claimed_by(token, order_pk)


def _recover(order: CloseOrder, *, now: datetime) -> None:
    """Take over an order whose worker vanished between its commit and the answer's."""
    with transaction.atomic():
        # The plan before the attempt, as the worker that asks for leave locks them.
        CleanupPlan.objects.select_for_update(no_key=True).get(pk=order.plan_id)
        attempt = order.attempts.select_for_update(no_key=True).latest("number")
        if attempt.sent_at is None:
            # It had no leave to send, and can't get one: its token is gone.
            note_not_sent(attempt, now=now)
            back_to_planned(
                order,
                f"{order.asset}: its worker ended before sending",
                due_at=now,
                now=now,
                actor=RECONCILER,
            )
            return
        note_worker_lost(attempt)
        become_unknown(order, "Its worker ended before the answer was recorded.", now=now)


def _ask(order: CloseOrder, *, clock: Clock) -> None:
    attempts = list(order.attempts.order_by("number"))
    requests = [request_of(order, attempt) for attempt in attempts]
    valid_until_ms = max(attempt.valid_until_ms for attempt in attempts)
    asked_at = clock()
    try:
        exchange = open_exchange(order.account, order.plan.policy.as_domain())
        rule = exchange.absence
        # The clock first: what is asked after the validity ended can prove something.
        exchange_ms = exchange.server_time_ms()
        may_prove = rule is not None and rule.counts(
            valid_until_ms=valid_until_ms, exchange_ms=exchange_ms
        )
        found = exchange.find_order(requests)
        if found is None and (may_prove or order.state is not OrderState.UNKNOWN):
            found = exchange.find_in_history(requests)
    except (RateLimited, PacerUnavailable) as error:
        note_not_asked(order, error, now=clock())
        return
    except (ExchangeError, CredentialsUnreadable) as error:
        note_not_answered(order, str(error), now=clock())
        return
    now = clock()
    if found is not None:
        _found(order, found, now=now)
    elif order.state is not OrderState.UNKNOWN:
        note_not_answered(
            order, "The exchange does not list an order that it had accepted.", now=now
        )
    elif rule is None:
        note_not_answered(order, "Not found, which proves nothing at this exchange.", now=now)
    elif not may_prove:
        note_too_early(
            order, rule.counts_in(valid_until_ms=valid_until_ms, exchange_ms=exchange_ms), now=now
        )
    elif order.absent_since is None or asked_at - order.absent_since < rule.apart:
        note_once_more(order, rule, now=now)
    else:
        _absent(order, rule, valid_until_ms=valid_until_ms, exchange_ms=exchange_ms, now=now)


def _found(order: CloseOrder, found: Outcome, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            apply_outcome(order, found, actor=RECONCILER, now=now)
    except LostClaim:
        keep_late_evidence(order, found, actor=RECONCILER, now=now)
        raise
    except IllegalTransition:
        # One of the exchange's stores is behind another.
        note_not_answered(order, "The exchange told less than it had told before.", now=now)


def note_not_asked(
    order: CloseOrder, error: RateLimited | PacerUnavailable, *, now: datetime
) -> None:
    """Give the order back: nobody was asked for it, so nothing is known and nothing counts."""
    pause = next_pause(order.lookups)
    if isinstance(error, RateLimited):
        pause = min(max(pause, timedelta(seconds=float(error.retry_after))), LONGEST_PAUSE)
    CloseOrder.objects.filter(pk=order.pk, claim_token=order.claim_token).update(
        claim_token="", claimed_until=None, due_at=now + pause
    )


def note_too_early(order: CloseOrder, counts_in: timedelta, *, now: datetime) -> None:
    """Note that not finding the order proves nothing yet."""
    with transaction.atomic():
        _note_look_up(
            order,
            "not found",
            message=f"Asked {order.lookups + 1} times: not found. That proves nothing while the "
            "exchange may still accept it.",
            due_at=now + min(counts_in, LONGEST_PAUSE),
            now=now,
        )


def note_once_more(order: CloseOrder, rule: AbsenceRule, *, now: datetime) -> None:
    """Note the first look-up that counts; a second one has to follow."""
    first = order.absent_since or now
    with transaction.atomic():
        _note_look_up(
            order,
            "not found",
            message=f"Asked {order.lookups + 1} times: not found. Asking once more.",
            due_at=first + rule.apart,
            now=now,
            absent_since=first,
        )


def _absent(
    order: CloseOrder,
    rule: AbsenceRule,
    *,
    valid_until_ms: int,
    exchange_ms: int,
    now: datetime,
) -> None:
    """Return the order to its plan: its absence is proved, and the history says by what."""
    first = order.absent_since or now
    with transaction.atomic():
        back_to_planned(
            order,
            f"{order.asset} was not placed: its validity is over and two look-ups "
            f"{(now - first).seconds} s apart found nothing",
            due_at=now,
            now=now,
            actor=RECONCILER,
            data={
                "proof": rule.proof,
                "valid_until_ms": valid_until_ms,
                "exchange_ms": exchange_ms,
                "absent_since": first,
                "look_ups": [rule.look_up, rule.history],
                "source": f"{rule.source}; {rule.read}",
            },
        )


def note_not_answered(order: CloseOrder, sentence: str, *, now: datetime) -> None:
    """Note that a look-up told nothing."""
    with transaction.atomic():
        _note_look_up(
            order,
            sentence,
            message=f"Asked {order.lookups + 1} times. {sentence} Nothing is sent again.",
            due_at=now + next_pause(order.lookups),
            now=now,
        )


def _note_look_up(
    order: CloseOrder,
    said: str,
    *,
    message: str,
    due_at: datetime,
    now: datetime,
    absent_since: datetime | None = None,
) -> None:
    """Record a look-up without a result; ask a person once it has gone on for too long."""
    # An accepted order that the exchange no longer lists needs a person as much as an unknown one.
    since = order.unknown_since or now
    waited = order.waits_for_person and not order.is_open_for_long
    waits = waited or now > patience_ends(order, since)
    note_order(
        order,
        kind="order.waits_for_person" if waits and not waited else "order.asked",
        summary=f"{order.asset} asked again: {said}",
        actor=RECONCILER,
        now=now,
        message=(f"{message} A person has to look." if waits else message)[:300],
        lookups=order.lookups + 1,
        absent_since=absent_since,
        waits_for_person=waits,
        unknown_since=since,
        claim_token="",
        claimed_until=None,
        due_at=now + KEEP_ASKING
        if waits
        else min(due_at, max(patience_ends(order, since) + JUST_AFTER, now)),
    )
