"""Close an order by hand when its exchange can't tell what became of it.

Nothing is ever sent for it. The exchange's evidence wins every race: an order that is being asked
for is not closed, and whatever changed since it was read is not overwritten.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from positions.domain.amounts import canonical
from positions.domain.orders import OrderState, Trade, net_proceeds_usd
from positions.domain.resolutions import Finding, Sale, check_finding
from positions.models import CloseOrder
from positions.selectors.orders import done_with, why_not_by_hand
from positions.services.actors import Actor
from positions.services.looks import last_known_prices
from positions.services.permissions import Permission, require
from positions.services.plans import locked_plan
from positions.services.stops import finish_if_done
from positions.services.transitions import move_order


class NotResolvable(Exception):
    """The order can't be closed by hand now; the message says why, and what comes next."""


def resolve_order(
    order: CloseOrder, finding: Finding, *, actor: Actor, now: datetime
) -> CloseOrder:
    """Record what a person found out at the exchange, and close the order with it.

    Raise `NotPermitted`, `NotResolvable`, `BadFinding`, or `LostClaim` if it changed this moment.
    """
    require(actor, Permission.RESOLVE)
    with transaction.atomic():
        locked_plan(order.plan)
        fresh = CloseOrder.objects.select_related("account", "plan__account", "plan__snapshot").get(
            pk=order.pk
        )
        if why_not := why_not_by_hand(fresh, now=now):
            raise NotResolvable(why_not)
        check_finding(
            finding, sent=fresh.sent_quantity or fresh.quantity, proved=fresh.filled_quantity
        )
        told = _told(fresh, finding.sale)
        move_order(
            fresh,
            OrderState.RESOLVED,
            kind="order.resolved",
            summary=f"{actor.name} closed {fresh.asset} by hand: {told}",
            actor=actor,
            now=now,
            data={"was": fresh.status, "reason": finding.reason, **_facts(finding.sale)},
            message=f"{actor.name} recorded: {told} Why: {finding.reason}"[:300],
            waits_for_person=False,
            unknown_since=None,
            absent_since=None,
            **_changes(fresh, finding.sale),
        )
    finish_if_done(fresh.plan, now=now)
    return fresh


def _told(order: CloseOrder, sale: Sale | None) -> str:
    done = done_with(order)
    if sale is not None:
        return (
            f"{canonical(sale.quantity)} of {canonical(order.quantity)} {done} at "
            f"{canonical(sale.average_price)} {order.quote}."
        )
    if order.filled_quantity:
        return f"no more than {canonical(order.filled_quantity)} was {done}."
    return f"nothing was {done}."


def _facts(sale: Sale | None) -> dict[str, Any]:
    """Return what the person said, for the history."""
    if sale is None:
        return {"sold": "no more than proved"}
    return {
        "sold": sale.quantity,
        "average_price": sale.average_price,
        "fee": sale.fee,
        "fee_currency": sale.fee_currency,
    }


def _changes(order: CloseOrder, sale: Sale | None) -> dict[str, Any]:
    """Return the order's new amounts; without a sale, what the exchange's trades prove stays."""
    if sale is None:
        return {}
    return {
        "filled_quantity": sale.quantity,
        "notional": sale.notional,
        "average_price": sale.average_price,
        "fee": sale.fee,
        "fee_currency": sale.fee_currency,
        "net_usd": _net(order, sale),
    }


def _net(order: CloseOrder, sale: Sale) -> Decimal | None:
    """Return what came back after fees, USD; None if the fee or a price is not known."""
    if sale.fee is None:
        return None
    seen = Trade(
        trade_id="",
        price=sale.average_price,
        quantity=sale.quantity,
        fee=sale.fee,
        fee_currency=sale.fee_currency,
        at_ms=0,
    )
    return net_proceeds_usd(
        notional=sale.notional,
        trades=[seen],
        quote=order.quote,
        prices_usd=last_known_prices(order, currencies=[sale.fee_currency]),
    )
