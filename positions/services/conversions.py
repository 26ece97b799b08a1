"""Convert a plan's small balances: one batch, one request, judged asset by asset.

The steps of `run_conversion`, each of which may be the last:

1. claim every planned conversion order of the plan, together;
2. ask the exchange's history if an earlier request was sent: nothing is repeated on a guess;
3. look into the exchange's history, whoever converted: one conversion a window;
4. look at balances, open orders, prices and what the exchange offers for exactly these assets, and
   deny what must be left out: its call takes all that is free, so nothing may have grown;
5. commit the request with the time it is signed with (PLANNED -> SUBMITTING); if an asset of it
   is a bot's, or was since the look, that one is denied instead, and the others begin anew;
6. send, outside any transaction, after asking for leave as the very last step;
7. record the answer per asset; no answer that makes sense is UNKNOWN, asked for, never repeated.
"""

import logging
import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from positions.domain.balances import Kind
from positions.domain.checks import Denied
from positions.domain.conversion_checks import ConversionLook, last_conversion_check
from positions.domain.conversions import ConversionRule
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.policies import Policy
from positions.domain.valuation import PriceList, anchor_of
from positions.domain.verdicts import Reason, Route
from positions.exchanges.port import (
    AnswerUnknown,
    BadConfiguration,
    ConversionQuote,
    ExchangeError,
    ExchangePort,
    KeyRefused,
    RateLimited,
)
from positions.models import CloseOrder
from positions.services import policies
from positions.services.attempts import (
    CLAIM,
    LATER,
    UNSENT,
    WORKER,
    is_out_of_time,
    locked_state,
)
from positions.services.connections import open_exchange
from positions.services.conversion_requests import (
    TRY_AGAIN,
    commit,
    released,
    request_of,
    send,
)
from positions.services.conversion_results import apply_conversion, keep_what_came_late
from positions.services.conversion_windows import budget_now, learn_window
from positions.services.credentials import CredentialsUnreadable
from positions.services.readings import Clock
from positions.services.stops import finish_if_done, pause_for_a_person
from positions.services.transitions import (
    LostClaim,
    deny,
    note_order,
)

log = logging.getLogger(__name__)


def run_conversion(plan_pk: int, *, clock: Clock) -> None:
    """Take a plan's planned conversions as far as they get now; safe to call twice or at once."""
    orders = _claimed(plan_pk, now=clock())
    if not orders:
        return
    plan = orders[0].plan
    policy = plan.policy.as_domain()
    try:
        exchange = open_exchange(plan.account, policy)
        if exchange.conversion_rule is None:
            raise BadConfiguration(f"{plan.account.exchange_name} converts nothing.")
        if _was_made(orders, exchange, clock=clock):
            return
        ready = _ready(orders, exchange, rule=exchange.conversion_rule, clock=clock)
    except (ExchangeError, CredentialsUnreadable) as error:
        _give_back(orders, error, clock=clock)
        return
    if ready is not None:
        orders, quote, looked_at, look_ends_at = ready
        conversion = commit(orders, quote, exchange=exchange, looked_at=looked_at, now=clock())
        if conversion is not None:
            send(conversion, orders, exchange=exchange, look_ends_at=look_ends_at, clock=clock)
    finish_if_done(plan, now=clock())


def _claimed(plan_pk: int, *, now: datetime) -> list[CloseOrder]:
    """Return all planned conversions of a running plan with one claim of ours, or nothing."""
    token = uuid.uuid4().hex
    with transaction.atomic():
        if locked_state(plan_pk) is not PlanState.RUNNING:
            return []
        planned = CloseOrder.objects.filter(
            plan=plan_pk, route=Route.CONVERT, status=OrderState.PLANNED
        )
        if planned.filter(claimed_until__gte=now).exists():
            return []
        planned.update(claim_token=token, claimed_until=now + CLAIM, due_at=now + UNSENT)
    return list(
        CloseOrder.objects.filter(plan=plan_pk, claim_token=token)
        .select_related("account", "plan__account", "plan__policy", "plan__snapshot")
        .order_by("number")
    )


def _was_made(orders: list[CloseOrder], exchange: ExchangePort, *, clock: Clock) -> bool:
    """Look up an earlier request before another is made; record it if it was processed."""
    for conversion in orders[0].plan.conversions.filter(sent_at__isnull=False):
        theirs = [order for order in orders if order.conversion_id == conversion.pk]
        if not theirs:
            continue
        found = exchange.find_conversion(request_of(conversion))
        if found is None:
            continue
        now = clock()
        try:
            with transaction.atomic():
                apply_conversion(conversion, theirs, found, actor=WORKER, now=now)
        except LostClaim:
            keep_what_came_late(conversion, theirs, found, actor=WORKER, now=now)
        released(orders, due_at=now)
        finish_if_done(orders[0].plan, now=now)
        return True
    return False


def _ready(
    orders: list[CloseOrder], exchange: ExchangePort, *, rule: ConversionRule, clock: Clock
) -> tuple[list[CloseOrder], ConversionQuote, datetime, datetime] | None:
    """Return the orders that may be converted now with their quote, since and until when.

    None: none may.
    """
    plan = orders[0].plan
    approved = plan.policy.as_domain()
    guards = [approved]
    if policies.in_force_pk(plan.account) != plan.policy_id:
        guards.append(policies.in_force(plan.account).as_domain())
    now_ms = learn_window(plan.account, exchange, rule)
    budget = budget_now(plan.account_id, now=clock())
    if budget is not None and not budget.is_open:
        message = "The exchange's window for conversions is closed."
        if budget.next_at is not None:
            message = f"{message} It opens at {budget.next_at:%H:%M} UTC."
        _denied(orders, Reason.CONVERT_WINDOW_CLOSED, message, now=clock())
        return None
    asked_at = clock()
    looks, quote = _looks(orders, exchange, now_ms=now_ms)
    oldest = min(policy.check_max_age for policy in guards)
    if clock() - asked_at > timedelta(seconds=oldest):
        raise AnswerUnknown("What was read is too old to rely on. Nothing was sent.")
    kept = [order for order in orders if _checked(order, looks[order.asset], guards, clock=clock)]
    if not kept:
        return None
    if quote.reference and len(kept) < len(orders):
        # What was quoted is what would be converted: it must not name what is left out.
        named = kept
        quote = exchange.quote_conversion([order.asset for order in named])
        kept = [order for order in named if _still_offered(order, quote, clock=clock)]
        if len(kept) < len(named):
            released(kept, due_at=clock())
            return None
    return kept, quote, asked_at, asked_at + timedelta(seconds=oldest)


def _still_offered(order: CloseOrder, quote: ConversionQuote, *, clock: Clock) -> bool:
    """Deny the order if the second quote pays nothing for it, or for more than was planned."""
    offer = quote.offers.get(order.asset)
    if offer is not None and offer.net > 0 and offer.quantity <= order.quantity:
        return True
    message = f"{order.asset} is not convertible any more."
    _denied([order], Reason.NOT_CONVERTIBLE, message, now=clock())
    return False


def _looks(
    orders: list[CloseOrder], exchange: ExchangePort, *, now_ms: int
) -> tuple[dict[str, ConversionLook], ConversionQuote]:
    """Return what is held of each asset, what it is worth, and what the exchange pays for it."""
    account = orders[0].plan.account
    markets, tickers = exchange.markets(), exchange.tickers()
    prices = PriceList(
        anchor=anchor_of(markets, quote=account.quote),
        markets=markets,
        tickers=tickers,
        now_ms=now_ms,
    )
    quote = exchange.quote_conversion([order.asset for order in orders])
    # Last, because they matter most: everything that is free when the request arrives is converted.
    busy = exchange.open_order_assets()
    held = {
        item.asset: item for item in exchange.balances() if item.kind is Kind.SPOT and not item.debt
    }
    looks = {}
    for order in orders:
        balance = held.get(order.asset)
        looks[order.asset] = ConversionLook(
            free=balance.free if balance else Decimal(0),
            total=balance.total if balance else Decimal(0),
            has_open_order=order.asset in busy,
            price_usd=prices.price(order.asset).usd,
            offer=quote.offers.get(order.asset),
            target_price_usd=prices.price(quote.target).usd,
        )
    return looks, quote


def _checked(
    order: CloseOrder, look: ConversionLook, guards: list[Policy], *, clock: Clock
) -> bool:
    """Deny the order if it must be left out of the batch; tell whether it stays in."""
    for policy in guards:
        verdict = last_conversion_check(
            look,
            asset=order.asset,
            planned=order.quantity,
            threshold=min(order.plan.threshold, policy.max_threshold),
            policy=policy,
        )
        if isinstance(verdict, Denied):
            _denied([order], verdict.reason, verdict.message, now=clock())
            return False
    return True


def _denied(orders: list[CloseOrder], reason: Reason, message: str, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            locked_state(orders[0].plan_id)
            for order in orders:
                deny(order, reason, message, actor=WORKER, now=now)
    except LostClaim:
        log.info("plan %s was changed while it was checked", orders[0].plan_id)


def _give_back(
    orders: list[CloseOrder], error: ExchangeError | CredentialsUnreadable, *, clock: Clock
) -> None:
    """Give orders back that could not even be checked; nothing was sent for them."""
    now, plan = clock(), orders[0].plan
    if isinstance(error, KeyRefused | BadConfiguration | CredentialsUnreadable):
        released(orders, due_at=now)
        pause_for_a_person(plan, str(error), now=now)
        return
    if is_out_of_time(plan, now=now):
        _denied(orders, Reason.UNREACHABLE, f"Not sent in time. {error}", now=now)
        finish_if_done(plan, now=now)
        return
    wait = TRY_AGAIN
    if isinstance(error, RateLimited):
        wait = max(wait, min(timedelta(seconds=float(error.retry_after)), LATER))
    _told_why_it_waits(orders, str(error)[:300], now=now)
    released(orders, due_at=now + wait)


def _told_why_it_waits(orders: list[CloseOrder], message: str, *, now: datetime) -> None:
    """Tell once what keeps the orders waiting, unless they were changed meanwhile."""
    for order in orders:
        if order.state is not OrderState.PLANNED or order.message == message:
            continue
        try:
            with transaction.atomic():
                note_order(
                    order,
                    kind="order.waits",
                    summary=f"{order.asset} waits: {message}",
                    actor=WORKER,
                    now=now,
                    message=message,
                )
        except LostClaim:
            return
