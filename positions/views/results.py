"""Compare an ended plan with what was planned, and prove what happened."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from positions.models import CloseOrder
from positions.selectors.plan_pages import PlanPage, slippage_of
from positions.services import audit
from positions.views.plan_parts import net_word, slots_seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One thing that can be checked afterwards."""

    sentence: str
    measured: str
    passed: bool


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
    return {
        "rows": [_result_row(order, largest=largest) for order in view.orders],
        "total": len(view.orders),
        "waits_for_snapshot": waits,
        "slots": [] if waits else slots_seen(view),
        "proofs": [] if waits else _proofs(view),
        "other_activity": plan.other_activity,
        "difference_share": view.difference_usd / view.expected_net_usd
        if view.expected_net_usd
        else None,
        "step": 4,
    }


def _result_row(order: CloseOrder, *, largest: Decimal) -> dict[str, Any]:
    difference = None if order.net_usd is None else order.net_usd - order.expected_net_usd
    width = 0.0
    if difference is not None and largest:
        width = float(abs(difference) / largest) * 24
    return {
        "order": order,
        "difference": difference,
        "more": difference is not None and difference > 0,
        "bar_width": f"{width:.1f}",
        "bar_x": "26" if difference is not None and difference > 0 else f"{26 - width:.1f}",
        "slippage": slippage_of(order),
        "net": net_word(order),
        "fee_usd": None if order.net_usd is None else order.notional - order.net_usd,
    }


def _proofs(view: PlanPage) -> list[Proof]:
    quote = view.plan.account.quote
    growth = view.quote_growth or Decimal(0)
    other = view.other_in_quote
    breaks = list(audit.verify(view.plan.account))
    sign = "+" if growth >= 0 else ""
    return [
        Proof(
            sentence=f"{quote} grew by the actual net"
            if not other
            else f"{quote} also changed by {other} that no order explains",
            measured=f"{sign}{growth.normalize():f}".replace("-", "−"),
            passed=not other,
        ),
        Proof(
            sentence=f"{len(view.filled_orders)} closed assets are at zero",
            measured=f"{len(view.gone)} of {len(view.filled_orders)}",
            passed=len(view.gone) == len(view.filled_orders),
        ),
        Proof(
            sentence="Every request was sent once",
            measured=f"{view.requests} for {view.orders_sent} orders",
            passed=view.sent_once,
        ),
        Proof(
            sentence="The audit chain is intact",
            measured="intact" if not breaks else breaks[0].problem,
            passed=not breaks,
        ),
    ]
