"""Write what the exchange said about an order: its state, its fills, its exact proceeds."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from positions.domain.amounts import ZERO, canonical
from positions.domain.orders import CLOSED, OrderState, Outcome, Trade, net_proceeds_usd
from positions.domain.verdicts import Route
from positions.models import CloseOrder, Fill
from positions.models.orders import ExchangeRequest
from positions.selectors.orders import done_with
from positions.services import audit
from positions.services.actors import Actor
from positions.services.looks import last_known_prices
from positions.services.transitions import move_order, note_order

# How soon an order that is not at its end is asked for again; doubled with each look-up.
ASK_AGAIN = timedelta(seconds=1)
SLOWEST = timedelta(seconds=30)
# After this long beyond its validity, a person is asked to look.
PATIENCE = timedelta(seconds=60)
SEVERAL = "several"

_KINDS = {
    OrderState.ACCEPTED: "order.accepted",
    OrderState.PARTIALLY_FILLED: "order.partially_filled",
    OrderState.FILLED: "order.filled",
    OrderState.CANCELED: "order.canceled",
    OrderState.EXPIRED: "order.expired",
    OrderState.REJECTED: "order.rejected",
}


def apply_outcome(order: CloseOrder, outcome: Outcome, *, actor: Actor, now: datetime) -> None:
    """Record the exchange's word on an order; must run in a transaction.

    Quantity, price and fee come from its trades alone: while they do not explain what was filled,
    the order is not at its end. Raises what `move_order` raises.
    """
    state = _believed(order, outcome)
    again = None if state in CLOSED else now + next_pause(order.lookups)
    if state == order.state and outcome.filled_quantity == order.filled_quantity:
        _still_open(order, actor=actor, now=now, due_at=again)
        return
    message = _sentence(order, outcome, state)
    fee, fee_currency = _fee(order, outcome.trades)
    move_order(
        order,
        state,
        kind=_KINDS[state],
        summary=f"{order.asset}: {message}",
        actor=actor,
        now=now,
        data={
            "exchange_order_id": outcome.exchange_order_id,
            "filled_quantity": outcome.filled_quantity,
            "notional": outcome.notional,
            "trades": [trade.trade_id for trade in outcome.trades],
        },
        message=message,
        exchange_order_id=outcome.exchange_order_id,
        filled_quantity=outcome.filled_quantity,
        notional=outcome.notional,
        average_price=outcome.average_price,
        fee=fee,
        fee_currency=fee_currency,
        net_usd=_net(order, outcome),
        unknown_since=None,
        waits_for_person=False,
        claim_token="",
        claimed_until=None,
        due_at=again,
    )
    # After the step: whoever lost the claim keeps nothing, and all lock the chain before fills.
    _keep_fills(order, outcome.trades)


def _still_open(order: CloseOrder, *, actor: Actor, now: datetime, due_at: datetime | None) -> None:
    """Keep that the exchange told of the order and nothing has changed.

    A market sale is over at once; one that stays open for long is shown to a person.
    """
    told: dict[str, Any] = {
        "lookups": order.lookups + 1,
        "unknown_since": None,
        "waits_for_person": now > patience_ends(order, last_request(order).created_at),
        "due_at": due_at,
        "claim_token": "",
        "claimed_until": None,
    }
    if told["waits_for_person"] and not order.is_open_for_long:
        sentence = "The exchange still lists it as open. A person has to look."
        note_order(
            order,
            kind="order.waits_for_person",
            summary=f"{order.asset}: {sentence}",
            actor=actor,
            now=now,
            message=sentence,
            **told,
        )
        return
    CloseOrder.objects.filter(pk=order.pk, claim_token=order.claim_token).update(**told)


def keep_late_evidence(order: CloseOrder, outcome: Outcome, *, actor: Actor, now: datetime) -> None:
    """Keep in the history what the exchange told after somebody else had changed the order.

    It decides nothing any more, and yet it is what happened.
    """
    known = CloseOrder.objects.only("exchange_order_id", "filled_quantity", "route", "quote").get(
        pk=order.pk
    )
    if (known.exchange_order_id, known.filled_quantity) == (
        outcome.exchange_order_id,
        outcome.filled_quantity,
    ):
        return  # another look-up has recorded the same
    with transaction.atomic():
        audit.record(
            "order.told_late",
            f"{order.asset}: the exchange's answer came after the order had changed: "
            f"{_sentence(order, outcome, outcome.state)}",
            actor=actor,
            at=now,
            order=order,
            data={
                "exchange_order_id": outcome.exchange_order_id,
                "said": outcome.state.value,
                "filled_quantity": outcome.filled_quantity,
                "notional": outcome.notional,
                "trades": [asdict(trade) for trade in outcome.trades],
            },
        )


def last_request(order: CloseOrder) -> ExchangeRequest:
    """Return the order's last request to the exchange: its conversion, or an attempt of its own."""
    return order.conversion or order.attempts.latest("number")


def patience_ends(order: CloseOrder, since: datetime) -> datetime:
    """Return until when the product goes on by itself with what it was left with at a moment."""
    request = last_request(order)
    validity = timedelta(milliseconds=request.valid_until_ms - request.signed_at_ms)
    return since + validity + PATIENCE


def next_pause(lookups: int) -> timedelta:
    """Return how long to wait before the next look-up."""
    return min(ASK_AGAIN * int(2 ** min(lookups, 6)), SLOWEST)


def _believed(order: CloseOrder, outcome: Outcome) -> OrderState:
    """Return the state that the evidence supports."""
    if not outcome.trades_are_complete:
        partly = order.state is OrderState.PARTIALLY_FILLED
        return OrderState.PARTIALLY_FILLED if partly else OrderState.ACCEPTED
    if outcome.state is OrderState.FILLED and outcome.filled_quantity < (
        order.sent_quantity or order.quantity
    ):
        # Ended with less than was asked, whatever the exchange calls it.
        return OrderState.EXPIRED
    return outcome.state


def _keep_fills(order: CloseOrder, trades: Sequence[Trade]) -> None:
    """Keep each trade once, however often it is reported."""
    Fill.objects.bulk_create(
        [
            Fill(
                order=order,
                trade_id=trade.trade_id,
                price=trade.price,
                quantity=trade.quantity,
                fee=trade.fee,
                fee_currency=trade.fee_currency,
                at=datetime.fromtimestamp(trade.at_ms // 1000, tz=UTC)
                + timedelta(milliseconds=trade.at_ms % 1000),
            )
            for trade in trades
        ],
        ignore_conflicts=True,
    )


def _fee(order: CloseOrder, trades: Sequence[Trade]) -> tuple[Decimal | None, str]:
    """Return the fee and its currency; no sum where the fees are in several currencies."""
    if not trades:
        return None, ""
    currencies = {trade.fee_currency for trade in trades if trade.fee} or {order.quote}
    if len(currencies) > 1:
        return None, SEVERAL
    return sum((trade.fee for trade in trades), ZERO), currencies.pop()


def _net(order: CloseOrder, outcome: Outcome) -> Decimal | None:
    """Return what came back after fees, USD, at the plan's own snapshot's prices."""
    if not outcome.trades_are_complete:
        return None
    prices = last_known_prices(order, currencies={trade.fee_currency for trade in outcome.trades})
    return net_proceeds_usd(
        notional=outcome.notional, trades=outcome.trades, quote=order.quote, prices_usd=prices
    )


def _sentence(order: CloseOrder, outcome: Outcome, state: OrderState) -> str:
    done, quantity = done_with(order), canonical(outcome.filled_quantity)
    if outcome.average_price is None:
        return {
            OrderState.ACCEPTED: "Accepted. Waiting for its result.",
            OrderState.REJECTED: f"The exchange refused it. Nothing was {done}.",
        }.get(state, f"The exchange ended it. Nothing was {done}.")
    price = (
        f"{outcome.average_price:.8g}"
        if outcome.average_price < 1
        else canonical(outcome.average_price.quantize(Decimal("0.0001")))
    )
    told, left = f"{quantity} {done} at {canonical(Decimal(price))}", "the rest was not and stays"
    if order.route == Route.CONVERT:
        told, left = f"{told} {order.quote}", "no more was free when it was"
    if state is OrderState.FILLED:
        return f"{told}."
    if state in CLOSED:
        return f"{told}; {left}."
    return f"{quantity} {done} so far. Waiting for the rest or the list of its trades."
