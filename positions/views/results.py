"""Compare an ended plan with what was planned, and prove what happened."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from positions.domain.amounts import canonical
from positions.models import CloseOrder
from positions.selectors.changes import changes_by_plan, sold_by_others
from positions.selectors.orders import happening
from positions.selectors.plan_pages import PlanPage
from positions.services import audit
from positions.templatetags.formats import usd4
from positions.views.plan_parts import net_word, slots_seen
from positions.views.progress import unknown_rows

MOST_REMARKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One thing that can be checked afterwards."""

    sentence: str
    measured: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldElsewhere:
    """What another plan of the account did to one balance in the same time."""

    plan_pk: int
    asset: str
    quantity: Decimal


def result(view: PlanPage) -> dict[str, Any]:
    """Return the comparison with the plan, the proof, and the slots before and after."""
    plan = view.plan
    largest = max(
        (
            abs(order.net_usd - order.expected_net_usd)
            for order in view.orders
            if order.net_usd is not None
        ),
        default=Decimal(0),
    )
    waits = plan.closing_snapshot is None
    elsewhere = _sold_elsewhere(view)
    return {
        "rows": [_result_row(order, view=view, largest=largest) for order in view.orders],
        "unknown_rows": unknown_rows(view),
        "total": len(view.orders),
        "waits_for_snapshot": waits,
        "slots": [] if waits else slots_seen(view),
        "proofs": [] if waits else _proofs(view, elsewhere),
        "other_activity": plan.other_activity,
        "elsewhere": elsewhere,
        "remarks": view.remarkable[:MOST_REMARKS],
        "not_closed": [order for order in view.unfilled if order not in view.resolved],
        "something_is_left": bool(view.stuck)
        or any(order.filled_quantity < order.quantity for order in view.unfilled),
        "difference_words": f"{usd4(abs(view.difference_usd))} "
        f"{'more' if view.difference_usd > 0 else 'less'}",
        "difference_share": view.difference_usd / view.expected_net_usd
        if view.expected_net_usd
        else None,
        "step": 4,
    }


def _result_row(order: CloseOrder, *, view: PlanPage, largest: Decimal) -> dict[str, Any]:
    difference = None if order.net_usd is None else order.net_usd - order.expected_net_usd
    width = 0.0
    if difference is not None and largest:
        width = float(abs(difference) / largest) * 24
    return {
        "order": order,
        "says": happening(order, now=view.now),
        "difference": difference,
        "more": difference is not None and difference > 0,
        "bar_width": f"{width:.1f}",
        "bar_x": "26" if difference is not None and difference > 0 else f"{26 - width:.1f}",
        "net": net_word(order),
        "fee_usd": view.fee_usd(order),
        "unknown_for": _unknown_for(order, view.unknown_at.get(order.pk)),
    }


def _unknown_for(order: CloseOrder, since: datetime | None) -> int | None:
    """Return for how many seconds nobody knew what had become of an order that is closed now."""
    if since is None or order.closed_at is None:
        return None
    return int((order.closed_at - since).total_seconds())


def _sold_elsewhere(view: PlanPage) -> list[SoldElsewhere]:
    closing = view.plan.closing_snapshot
    if closing is None:
        return []
    touched = {view.plan.account.quote}
    for order in view.orders:
        touched |= {order.asset, order.quote, order.fee_currency}
    by_plan = changes_by_plan(sold_by_others(view.plan, closing))
    return [
        SoldElsewhere(plan_pk=pk, asset=asset, quantity=quantity)
        for pk, changes in by_plan.items()
        for asset, quantity in sorted(changes.items())
        if quantity and asset in touched
    ]


def _proofs(view: PlanPage, elsewhere: list[SoldElsewhere]) -> list[Proof]:
    breaks = list(audit.verify(view.plan.account))
    unexplained = {item["asset"]: item["quantity"] for item in view.plan.other_activity}
    filled = len(view.filled_orders)
    return [
        *(
            Proof(
                sentence=_growth(quote, unexplained.get(quote), elsewhere),
                measured=_signed(grown),
                passed=quote not in unexplained,
            )
            for quote, grown in view.growth.items()
        ),
        Proof(
            sentence="The closed asset is at zero"
            if filled == 1
            else f"{filled} closed assets are at zero",
            measured=f"{len(view.gone)} of {filled}",
            passed=len(view.gone) == filled,
        ),
        *(
            Proof(
                sentence=f"{order.asset}, closed by a person, has changed as recorded",
                measured="as recorded"
                if order.asset not in unexplained
                else f"{_signed(Decimal(unexplained[order.asset]))} besides",
                passed=order.asset not in unexplained,
            )
            for order in view.resolved
        ),
        Proof(
            sentence="Every request was sent once",
            measured=f"{view.requests} for {view.orders_sent} "
            f"order{'' if view.orders_sent == 1 else 's'}",
            passed=view.sent_once,
        ),
        Proof(
            sentence="The audit chain is intact",
            measured="intact" if not breaks else breaks[0].problem,
            passed=not breaks,
        ),
    ]


def _growth(quote: str, unexplained: str | None, elsewhere: list[SoldElsewhere]) -> str:
    if unexplained is not None:
        return f"{quote} also changed by {unexplained} that no order explains"
    plans = sorted({item.plan_pk for item in elsewhere if item.asset == quote})
    if not plans:
        return f"{quote} grew by the actual net"
    named = " and ".join(f"plan {pk}" for pk in plans)
    return f"{quote} grew by the actual net and by what {named} brought"


def _signed(amount: Decimal) -> str:
    sign = "+" if amount >= 0 else "−"
    return f"{sign}{canonical(abs(amount))}"
