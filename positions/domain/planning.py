"""Draw a cleanup plan: which orders would be sent, what stays and why, and what it changes."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from positions.domain.amounts import ZERO, canonical
from positions.domain.balances import Holding
from positions.domain.classification import (
    Classified,
    ClassifiedPosition,
    is_counted,
    is_residue,
)
from positions.domain.conversions import Terms
from positions.domain.plans import Purpose
from positions.domain.policies import GuardBroken, Policy, check_threshold
from positions.domain.verdicts import Category, Reason, Route, Verdict, keep
from positions.domain.what_if import Slots


class NothingToClose(Exception):
    """No position below the threshold can be closed; the plan would be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """One position to close by one route, with what is expected of it."""

    asset: str
    symbol: str  # the market of a sale; empty for a conversion
    into: str  # the asset that comes back
    route: Route
    quantity: Decimal  # base
    price: Decimal  # of `into` for one unit, as expected at planning
    value_usd: Decimal
    expected_fee_usd: Decimal
    expected_slippage_usd: Decimal
    expected_net_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """One position that stays, and why."""

    asset: str
    category: Category
    value_usd: Decimal | None
    reason: Reason
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """A plan as it would be executed, largest value first, with its effect on the slots.

    One that enforces the cap has the smallest first.
    """

    purpose: Purpose = Purpose.DUST
    threshold: Decimal
    orders: Sequence[PlannedOrder]
    skipped: Sequence[Skipped]
    positions_before: int
    positions_after: int
    slots_before: Slots
    slots_after: Slots

    @property
    def value_usd(self) -> Decimal:
        """Return what the holdings to be closed are worth."""
        return sum((order.value_usd for order in self.orders), ZERO)

    @property
    def expected_net_usd(self) -> Decimal:
        """Return what is expected to come back."""
        return sum((order.expected_net_usd for order in self.orders), ZERO)


def draw_plan(
    classified: Classified,
    *,
    threshold: Decimal,
    policy: Policy,
    terms: Terms | None = None,
    leased: AbstractSet[str] = frozenset(),
) -> PlanDraft:
    """Return the plan for every closable dust position.

    Raise `GuardBroken` if the threshold, the number of orders or their value is beyond the policy,
    `NothingToClose` if no order would be left. What the proceeds become counts in `slots_after`.
    """
    check_threshold(threshold, policy)
    orders: list[PlannedOrder] = []
    skipped: list[Skipped] = []
    verdicts = [
        _planned_verdict(position, threshold=threshold, policy=policy)
        for position in classified.positions
    ]
    if terms is not None:
        verdicts = _one_batch(verdicts, terms)
    for position, verdict in zip(classified.positions, verdicts, strict=True):
        if verdict.route is None:
            skipped.append(skip(position, verdict))
            continue
        orders.append(order_of(position, verdict))
    if not orders:
        raise NothingToClose(
            f"Nothing to plan: no position below ${canonical(threshold)} can be closed now."
        )
    after = holdings_after(classified, orders, threshold=threshold, policy=policy)
    draft = PlanDraft(
        threshold=threshold,
        orders=orders,
        skipped=skipped,
        positions_before=len(classified.positions),
        positions_after=len(after),
        slots_before=_slots(
            [item.holding for item in classified.positions], leased=leased, policy=policy
        ),
        slots_after=_slots(after, leased=leased, policy=policy),
    )
    check_guards(draft, policy=policy)
    return draft


def check_guards(draft: PlanDraft, *, policy: Policy) -> None:
    """Raise `GuardBroken` if the plan has more orders, or is worth more, than the policy allows."""
    if len(draft.orders) > policy.max_plan_orders:
        raise GuardBroken(
            field_name="max_plan_orders",
            limit=str(policy.max_plan_orders),
            asked=f"{len(draft.orders)} orders",
        )
    if draft.value_usd > policy.max_plan_value:
        raise GuardBroken(
            field_name="max_plan_value",
            limit=f"${canonical(policy.max_plan_value)}",
            asked=f"orders worth ${canonical(draft.value_usd.quantize(Decimal('0.01')))}",
        )


def _planned_verdict(
    position: ClassifiedPosition, *, threshold: Decimal, policy: Policy
) -> Verdict:
    limit = policy.order_value_limit(threshold)
    if position.verdict.route is not None and (
        position.value_usd is None or position.value_usd >= threshold
    ):
        raise ValueError(f"{position.asset} was not classified at the plan's threshold")
    if (
        position.verdict.route is not None
        and position.value_usd is not None
        and position.value_usd > limit
    ):
        return over_order_limit(limit)
    return position.verdict


def over_order_limit(limit: Decimal) -> Verdict:
    """Return the verdict on what is worth more than one order may be, USD."""
    return keep(
        Reason.OVER_ORDER_LIMIT,
        f"Worth more than the policy lets one order be, ${canonical(limit)}.",
        "Raise max_order_value.",
    )


def _one_batch(verdicts: Sequence[Verdict], terms: Terms) -> list[Verdict]:
    """Let the conversions stay that one batch takes, those that bring most."""
    rule, found = terms.rule, list(verdicts)
    converted = [index for index, item in enumerate(found) if item.route is Route.CONVERT]
    converted.sort(key=lambda index: -(found[index].expected_net_usd or ZERO))
    taken, value, limit = 0, ZERO, rule.most_gross
    for index in converted:
        gross = (found[index].quantity or ZERO) * (found[index].price or ZERO)
        too_many = rule.most_assets is not None and taken >= rule.most_assets
        if too_many or (limit is not None and value + gross > limit):
            found[index] = keep(
                Reason.CONVERT_WINDOW_CLOSED,
                "One conversion takes no more than the others of this plan.",
                "Plan again after this one.",
            )
        else:
            taken += 1
            value += gross
    return found


def holdings_after(
    classified: Classified, orders: Sequence[PlannedOrder], *, threshold: Decimal, policy: Policy
) -> list[Holding]:
    """Return the positions as they would be once every order has filled as expected."""
    residue = {item.asset: item for item in classified.residue}
    found = {item.asset: item.holding for item in classified.positions}
    proceeds: dict[str, Decimal] = defaultdict(Decimal)  # USD
    for order in orders:
        held = found.pop(order.asset)
        left = replace(held, free=held.free - order.quantity)
        if left.total > 0 and not is_residue(left, threshold=threshold):
            found[order.asset] = left
        if order.into not in policy.cash_assets:
            proceeds[order.into] += order.expected_net_usd
    for asset, usd in proceeds.items():
        grown = _grown(found.get(asset) or residue.get(asset), asset, usd=usd)
        if not is_residue(grown, threshold=threshold):
            found[asset] = grown
    return list(found.values())


def _grown(holding: Holding | None, asset: str, *, usd: Decimal) -> Holding:
    if holding is None:
        return Holding(asset=asset, free=usd, locked=ZERO, price_usd=Decimal(1))
    if not holding.price_usd:
        return holding
    return replace(holding, free=holding.free + usd / holding.price_usd)


def _slots(holdings: Sequence[Holding], *, leased: AbstractSet[str], policy: Policy) -> Slots:
    """Return the slots by the policy, whatever threshold the plan was drawn at."""
    counted = {
        item.asset
        for item in holdings
        if is_counted(item, threshold=policy.dust_threshold, policy=policy)
    }
    return Slots.of(counted, leased=leased, cap=policy.position_cap)


def order_of(position: ClassifiedPosition, verdict: Verdict) -> PlannedOrder:
    """Return the order that takes the verdict's route; raise `ValueError` if it has none."""
    if verdict.route is None or verdict.price is None:
        raise ValueError(f"{position.asset} has no route; it can't be planned")
    return PlannedOrder(
        asset=position.asset,
        symbol=verdict.symbol,
        into=verdict.into,
        route=verdict.route,
        quantity=verdict.quantity or ZERO,
        price=verdict.price,
        value_usd=position.value_usd or ZERO,
        expected_fee_usd=verdict.expected_fee_usd or ZERO,
        expected_slippage_usd=verdict.expected_slippage_usd or ZERO,
        expected_net_usd=verdict.expected_net_usd or ZERO,
    )


def skip(position: ClassifiedPosition, verdict: Verdict) -> Skipped:
    """Return the position with the reason why it stays; raise `ValueError` if it has a route."""
    if verdict.reason is None:
        raise ValueError(f"{position.asset} has a route; it can't be skipped")
    return Skipped(
        asset=position.asset,
        category=position.category,
        value_usd=position.value_usd,
        reason=verdict.reason,
        message=verdict.message,
        remedy=verdict.remedy,
    )


def plan_hash(
    *, account: str, snapshot: int, policy_version: int, draft: PlanDraft, drafted_at: str
) -> str:
    """Return the SHA-256 that names exactly these orders; an approval is bound to it."""
    content = {
        "account": account,
        "snapshot": snapshot,
        "policy": policy_version,
        "purpose": draft.purpose.value,
        "threshold": canonical(draft.threshold),
        "drafted_at": drafted_at,
        "orders": [
            [
                order.asset,
                order.symbol,
                order.into,
                order.route.value,
                canonical(order.quantity),
                canonical(order.price),
                canonical(order.value_usd),
                canonical(order.expected_fee_usd),
                canonical(order.expected_slippage_usd),
                canonical(order.expected_net_usd),
            ]
            for order in draft.orders
        ],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
