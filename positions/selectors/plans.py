"""Read plans for the preview, the live progress, the result, the CSV and the JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from positions.domain.amounts import ZERO, canonical
from positions.domain.classification import is_residue
from positions.domain.enforcement import NOT_ASKED_FOR
from positions.domain.orders import IN_FLIGHT, OPEN, OrderState
from positions.models import AuditEvent, CleanupPlan, CloseOrder, ExchangeAccount
from positions.selectors.orders import too_much
from positions.selectors.plan_checks import Check, plan_checks


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """One plan with its orders, read once."""

    plan: CleanupPlan
    orders: Sequence[CloseOrder]
    now: datetime

    @cached_property
    def statuses(self) -> Counter[OrderState]:
        """Return how many orders are in each state."""
        return Counter(order.state for order in self.orders)

    @property
    def filled(self) -> int:
        """Return how many orders were filled whole."""
        return self.statuses[OrderState.FILLED]

    @property
    def unknown(self) -> list[CloseOrder]:
        """Return the orders whose end nobody knows, which come first everywhere.

        One that was accepted and that the exchange no longer tells of is among them.
        """
        return [
            order
            for order in self.orders
            if order.state is OrderState.UNKNOWN or order.waits_for_person
        ]

    @property
    def waits_for_a_person(self) -> bool:
        """Tell whether it runs and nothing but a person, or a late answer, can end it."""
        still_open = [order for order in self.orders if order.state in OPEN]
        return (
            self.plan.is_live
            and bool(still_open)
            and all(order.waits_for_person for order in still_open)
        )

    @property
    def exceeded(self) -> list[str]:
        """Return a sentence for each asset of which more was converted than planned."""
        told = (too_much(order, order.filled_quantity) for order in self.orders)
        return [sentence for sentence in told if sentence]

    @property
    def resolved(self) -> list[CloseOrder]:
        """Return the orders that a person closed, without the exchange's evidence."""
        return [order for order in self.orders if order.state is OrderState.RESOLVED]

    @property
    def at_the_exchange(self) -> int:
        """Return how many orders the exchange may have, unknown ones apart."""
        in_flight = sum(self.statuses[state] for state in IN_FLIGHT)
        return in_flight - len(self.unknown)

    @property
    def to_send(self) -> int:
        """Return how many orders are still to be sent."""
        return self.statuses[OrderState.PLANNED]

    @property
    def not_sent(self) -> list[CloseOrder]:
        """Return the orders that we did not send."""
        return [order for order in self.orders if order.state is OrderState.DENIED]

    @property
    def failed(self) -> list[CloseOrder]:
        """Return the orders that were sent and did not fill whole."""
        ended = {OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED}
        return [order for order in self.orders if order.state in ended]

    @cached_property
    def expected_net_usd(self) -> Decimal:
        """Return what was expected to come back."""
        return sum((order.expected_net_usd for order in self.orders), ZERO)

    @cached_property
    def expected_fee_usd(self) -> Decimal:
        """Return the expected fees."""
        return sum((order.expected_fee_usd for order in self.orders), ZERO)

    @cached_property
    def expected_slippage_usd(self) -> Decimal:
        """Return the expected slippage."""
        return sum((order.expected_slippage_usd for order in self.orders), ZERO)

    @cached_property
    def net_usd(self) -> Decimal:
        """Return what came back so far, where it is known."""
        return sum((order.net_usd or ZERO for order in self.orders), ZERO)

    @property
    def net_is_complete(self) -> bool:
        """Tell whether the net of everything that was sold is known."""
        return all(order.net_usd is not None for order in self.orders if order.filled_quantity)

    @property
    def difference_usd(self) -> Decimal:
        """Return actual minus expected."""
        return self.net_usd - self.expected_net_usd

    @property
    def running_for(self) -> timedelta | None:
        """Return how long it has run, or ran."""
        if self.plan.started_at is None:
            return None
        return (self.plan.finished_at or self.now) - self.plan.started_at

    @cached_property
    def checks(self) -> list[Check]:
        """Return the checks of its start, with what was measured."""
        return plan_checks(self.plan, now=self.now)

    @cached_property
    def cursor(self) -> int:
        """Return the newest change among the orders; a poll asks for what came after."""
        return max((order.change for order in self.orders), default=0)

    def changed_since(self, cursor: int) -> list[CloseOrder]:
        """Return the orders that have changed after a cursor."""
        return [order for order in self.orders if order.change > cursor]

    @cached_property
    def events(self) -> list[AuditEvent]:
        """Return the newest events of the plan."""
        return list(self.plan.events.select_related("order").order_by("-pk")[:50])

    @property
    def positions_after(self) -> int | None:
        """Return how many positions are left, from the closing snapshot; None before it."""
        if self.plan.closing_snapshot is None:
            return None
        return self.plan.positions_before - self._gone

    @cached_property
    def _gone(self) -> int:
        """Count the planned assets that the closing snapshot no longer shows as positions."""
        closing = self.plan.closing_snapshot
        if closing is None:
            return 0
        policy = self.plan.policy.as_domain()
        left = {row.asset: row.as_domain() for row in closing.positions.all()}
        return sum(
            1
            for order in self.orders
            if order.asset not in left
            or is_residue(left[order.asset], threshold=policy.dust_threshold)
        )


def plan_view(plan: CleanupPlan, *, now: datetime) -> PlanView:
    """Return the plan with its orders, in three queries."""
    fresh = CleanupPlan.objects.select_related(
        "account", "policy__account", "snapshot", "closing_snapshot"
    ).get(pk=plan.pk)
    orders = list(fresh.orders.order_by("number"))
    for order in orders:
        order.plan = fresh
        order.account = fresh.account
    return PlanView(plan=fresh, orders=orders, now=now)


def recent_plans(account: ExchangeAccount, *, most: int = 5) -> list[CleanupPlan]:
    """Return the account's newest plans."""
    return list(account.plans.all()[:most])


def left_out(plan: CleanupPlan) -> list[dict[str, str | None]]:
    """Return what the plan would have closed and could not: each with its reason."""
    if plan.enforces_cap:
        return [item for item in plan.skipped if item["reason"] not in NOT_ASKED_FOR]
    return [item for item in plan.skipped if item["category"] in {"DUST", "UNPRICED"}]


def skipped_json(plan: CleanupPlan) -> list[dict[str, Any]]:
    """Return the positions that the plan is about and that stay, each with its true reason."""
    return [
        {
            "asset": item["asset"],
            "reason": item["reason"],
            "message": f"{item['message']} {item['remedy']}".strip(),
        }
        for item in left_out(plan)
    ]


def as_json(view: PlanView, *, dry_run: bool) -> dict[str, Any]:
    """Return the plan as the document that `close_dust_positions --json` prints."""
    plan = view.plan
    unknown = sum(1 for order in view.orders if order.state in IN_FLIGHT)
    not_sent = len(view.not_sent) + view.to_send
    return {
        "account": plan.account.slug,
        "plan": {
            "id": plan.pk,
            "hash": plan.hash,
            "status": plan.status,
            "dry_run": dry_run,
            "threshold": canonical(plan.threshold),
            "purpose": plan.purpose,
        },
        "orders": [_order_json(order) for order in view.orders],
        "skipped": skipped_json(plan),
        "totals": {
            "planned": len(view.orders),
            "filled": view.filled,
            # A person's word proves no fill, whatever it says.
            "failed": len(view.failed) + len(view.resolved),
            "unknown": unknown,
            "not_sent": not_sent,
            "expected_net_usd": canonical(view.expected_net_usd),
            "net_usd": canonical(view.net_usd) if view.net_is_complete else None,
            "counts_before": plan.positions_before,
            "counts_after": _counts_after(view),
            "slots_before": plan.slots_before,
            "slots_after": plan.slots_after,
        },
    }


def _counts_after(view: PlanView) -> int:
    """Return the positions afterwards: measured, or by what has filled, or as planned."""
    if view.positions_after is not None:
        return view.positions_after
    if view.plan.started_at is None:
        return view.plan.positions_after
    return view.plan.positions_before - view.filled


def _order_json(order: CloseOrder) -> dict[str, Any]:
    return {
        "asset": order.asset,
        "symbol": order.symbol or None,
        "route": order.route,
        "quantity": canonical(order.quantity),
        "expected_net_usd": canonical(order.expected_net_usd),
        "client_order_id": order.client_order_id,
        "status": order.status,
        "reason": order.reason or None,
        "message": order.message,
        "filled_quantity": canonical(order.filled_quantity),
        "average_price": None if order.average_price is None else canonical(order.average_price),
        "fee": None if order.fee is None else canonical(order.fee),
        "fee_currency": order.fee_currency or None,
        "net_usd": None if order.net_usd is None else canonical(order.net_usd),
    }
