"""Read everything that a plan's page shows, each part once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from positions.domain.amounts import ZERO
from positions.domain.balances import Holding
from positions.domain.classification import ClassifiedPosition, classify
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.verdicts import Route
from positions.models import (
    AnswerClass,
    AuditEvent,
    CleanupPlan,
    CloseOrder,
    Conversion,
    DustPolicy,
    Halt,
    Position,
    Snapshot,
)
from positions.selectors.conversions import circumstances_of
from positions.selectors.holds import NOTHING_HELD
from positions.selectors.plan_checks import Check, Facts, excess_facts, plan_checks
from positions.selectors.plans import PlanView, left_out
from positions.selectors.snapshots import latest_good

_REMARKABLE = (
    "order.unknown",
    "order.found",
    "order.not_placed",
    "order.waits_for_person",
    "order.resolved",
    "conversion.exceeded",
    "plan.paused",
    "plan.resumed",
)


@dataclass(frozen=True, kw_only=True)
class SlotsSeen:
    """Positions before and after, as one way of counting sees them."""

    cap: int
    before: Sequence[ClassifiedPosition]
    after: Sequence[ClassifiedPosition]


@dataclass(frozen=True, kw_only=True)
class RouteOrders:
    """The orders of one plan that take one route."""

    route: Route
    orders: Sequence[CloseOrder]

    @property
    def into(self) -> str:
        """Return what comes back."""
        return self.orders[0].quote

    @property
    def value_usd(self) -> Decimal:
        """Return what they are worth."""
        return sum((order.value_usd for order in self.orders), ZERO)

    @property
    def fee_usd(self) -> Decimal:
        """Return the expected fees, or the charge."""
        return sum((order.expected_fee_usd for order in self.orders), ZERO)

    @property
    def slippage_usd(self) -> Decimal:
        """Return the expected slippage."""
        return sum((order.expected_slippage_usd for order in self.orders), ZERO)

    @property
    def net_usd(self) -> Decimal:
        """Return what is expected to come back."""
        return sum((order.expected_net_usd for order in self.orders), ZERO)


@dataclass(frozen=True, kw_only=True)
class PlanPage(PlanView):
    """One plan with its orders, its snapshots' holdings and what its checks compare."""

    before: Mapping[str, Position]
    newest: Snapshot | None
    after: Mapping[str, Position]  # in the closing snapshot, or in the newest one
    halts: Sequence[Halt]
    conversions: Sequence[Conversion]

    @cached_property
    def checks(self) -> list[Check]:
        """Return the checks of its start, from what was read already."""
        facts = Facts(
            newest_policy=self.plan.newest_policy,  # type: ignore[attr-defined]  # annotated
            orders=self.orders,
            newest=self.newest,
            before=self.before,
            after=self.after,
            stopped=any(halt.account_id in {None, self.plan.account_id} for halt in self.halts),
            **excess_facts(self.plan, self.newest, self.after.values()),
        )
        return plan_checks(self.plan, now=self.now, facts=facts)

    @cached_property
    def checks_passed(self) -> int:
        """Return how many checks passed."""
        return sum(check.passed for check in self.checks)

    @cached_property
    def slots_at_plan(self) -> SlotsSeen:
        """Return the positions at the plan's threshold."""
        return self._slots(self.plan.threshold)

    @cached_property
    def slots_by_policy(self) -> SlotsSeen:
        """Return the positions at the policy's threshold."""
        return self._slots(self.plan.policy.dust_threshold)

    def _slots(self, threshold: Decimal) -> SlotsSeen:
        policy = self.plan.policy.as_domain()
        before = [row.as_domain() for row in self.before.values()]
        after = self._expected() if self.closing is None else self.closing
        return SlotsSeen(
            cap=policy.position_cap,
            before=classify(before, threshold=threshold, policy=policy).positions,
            after=classify(after, threshold=threshold, policy=policy).positions,
        )

    @cached_property
    def closing(self) -> list[Holding] | None:
        """Return what the closing snapshot holds; None before it is there."""
        if self.plan.closing_snapshot is None:
            return None
        return [row.as_domain() for row in self.after.values()]

    def _expected(self) -> list[Holding]:
        """Return what is left if every order fills: whatever is less than one step is dropped."""
        planned = {order.asset: order.quantity for order in self.orders}
        left = []
        for asset, row in self.before.items():
            rest = row.free + row.locked - planned.get(asset, ZERO)
            if asset not in planned or rest >= (row.as_domain().step_size or ZERO):
                left.append(row.as_domain())
        return left

    # --- The result -----------------------------------------------------------------------------

    @cached_property
    def fees_usd(self) -> Decimal:
        """Return the fees paid, where they are known."""
        return sum((self.fee_usd(order) or ZERO for order in self.orders), ZERO)

    def fee_usd(self, order: CloseOrder) -> Decimal | None:
        """Return an order's fee; None where its net, or what came back for it, has no price."""
        price = self._price_usd(order.quote)
        if order.net_usd is None or price is None:
            return None
        return Decimal(order.notional * price - order.net_usd)

    def _price_usd(self, quote: str) -> Decimal | None:
        """Return what one unit of what came back was worth at planning."""
        snapshot = self.plan.snapshot
        text = snapshot.prices.get(quote, "1" if quote == snapshot.anchor else None)
        return None if text is None else Decimal(text)

    @cached_property
    def slippage_usd(self) -> Decimal:
        """Return what was lost against the last price at planning, for what was sold."""
        return sum((self._slippage_of(order) for order in self.orders), ZERO)

    def _slippage_of(self, order: CloseOrder) -> Decimal:
        if not order.filled_quantity or not order.quantity:
            return ZERO
        planned = order.expected_slippage_usd * order.filled_quantity / order.quantity
        lost = order.filled_quantity * order.price - order.notional
        return Decimal(planned + lost * (self._price_usd(order.quote) or ZERO))

    @cached_property
    def growth(self) -> dict[str, Decimal]:
        """Return how much more of what came back there is in the closing snapshot, by asset."""
        if self.plan.closing_snapshot is None:
            return {}
        quotes = {order.quote for order in self.orders if order.filled_quantity}
        return {
            quote: _total(self.after.get(quote)) - _total(self.before.get(quote))
            for quote in sorted(quotes or {self.plan.account.quote})
        }

    @property
    def into(self) -> list[str]:
        """Return what came back, if it is not the account's quote alone."""
        quotes = sorted({order.quote for order in self.orders if order.filled_quantity})
        return [] if quotes == [self.plan.account.quote] else quotes

    @cached_property
    def filled_orders(self) -> list[CloseOrder]:
        """Return the orders that were filled whole."""
        return [order for order in self.orders if order.state is OrderState.FILLED]

    @cached_property
    def gone(self) -> list[CloseOrder]:
        """Return the filled orders whose asset is at zero, but for less than one step."""
        return [
            order
            for order in self.filled_orders
            if _total(row := self.after.get(order.asset)) == 0
            or (row is not None and _total(row) < (row.as_domain().step_size or ZERO))
        ]

    @property
    def requests(self) -> int:
        """Return how many requests may have reached the exchange."""
        attempts = sum(order.placed_attempts for order in self.orders)  # type: ignore[attr-defined]  # annotated
        return attempts + len(self._placed_conversions)

    @cached_property
    def _placed_conversions(self) -> set[int]:
        return {row.pk for row in self.conversions if row.answer != AnswerClass.NOT_PLACED}

    @property
    def orders_sent(self) -> int:
        """Return how many orders were sent at all."""
        return sum(
            order.placed_attempts > 0 or order.conversion_id in self._placed_conversions  # type: ignore[attr-defined]  # annotated
            for order in self.orders
        )

    @property
    def sent_once(self) -> bool:
        """Tell whether no order was sent again unless its absence was certain."""
        placed = self._placed_conversions
        converted = [
            asset
            for row in self.conversions
            if row.pk in placed
            for asset in row.request.get("assets", [])
        ]
        return len(converted) == len(set(converted)) and all(
            order.placed_attempts <= 1  # type: ignore[attr-defined]  # annotated
            for order in self.orders
        )

    @cached_property
    def whys(self) -> dict[str, str]:
        """Return why each order takes its route, by asset: what its verdict said at planning."""
        plan = self.plan
        circumstances = circumstances_of(
            plan.account,
            plan.snapshot,
            held=NOTHING_HELD,
            now=plan.created_at,
        )
        found = classify(
            [row.as_domain() for row in self.before.values()],
            threshold=plan.threshold,
            policy=plan.policy.as_domain(),
            circumstances=circumstances,
        )
        verdicts = {item.asset: item.closing for item in found.positions}
        return {
            order.asset: verdict.message
            for order in self.orders
            if (verdict := verdicts.get(order.asset)) is not None and verdict.route == order.route
        }

    @cached_property
    def by_route(self) -> list[RouteOrders]:
        """Return the orders in the groups in which they are sent: sales, then one conversion."""
        groups = [
            RouteOrders(route=route, orders=[row for row in self.orders if row.route == route])
            for route in Route
        ]
        return [group for group in groups if group.orders]

    @cached_property
    def remarkable(self) -> list[AuditEvent]:
        """Return the plan's events worth knowing afterwards, the newest first."""
        return list(self.plan.events.filter(kind__in=_REMARKABLE).order_by("-pk"))

    @cached_property
    def unknown_at(self) -> dict[int, datetime]:
        """Return when each order first became unknown, for those that ever were."""
        return {
            event.order_id: event.at
            for event in self.remarkable
            if event.kind == "order.unknown" and event.order_id is not None
        }

    @cached_property
    def unfilled(self) -> list[CloseOrder]:
        """Return the orders of an ended plan that did not close their position."""
        return [order for order in self.orders if order.state is not OrderState.FILLED]

    @cached_property
    def stuck(self) -> list[dict[str, str | None]]:
        """Return what the plan would have closed and could not, with the reasons."""
        return left_out(self.plan)


def _total(row: Position | None) -> Decimal:
    return ZERO if row is None else row.free + row.locked


def _plans() -> QuerySet[CleanupPlan]:
    versions = DustPolicy.objects.filter(account=OuterRef("account")).order_by("-version")
    return CleanupPlan.objects.select_related(
        "account", "policy__account", "snapshot", "closing_snapshot", "created_by"
    ).annotate(newest_policy=Subquery(versions.values("version")[:1]))


def plan_page(pk: int, *, now: datetime, halts: Sequence[Halt]) -> PlanPage:
    """Return a plan's page in four queries, or five; raise `CleanupPlan.DoesNotExist`."""
    plan = _plans().get(pk=pk)
    placed = Count("attempts", filter=~Q(attempts__answer=AnswerClass.NOT_PLACED))
    orders = list(plan.orders.annotate(placed_attempts=placed).order_by("number"))
    for order in orders:
        order.plan, order.account = plan, plan.account
    conversions = []
    if any(order.conversion_id is not None for order in orders):
        conversions = list(plan.conversions.defer("wire"))
    newest = None
    if plan.is_unstarted:
        newest = latest_good(plan.account)
    compared = plan.closing_snapshot if plan.closing_snapshot else newest
    before: dict[str, Position] = {}
    after: dict[str, Position] = {}
    if not plan.is_live:
        wanted = {plan.snapshot_id} | ({compared.pk} if compared else set())
        for row in Position.objects.filter(snapshot__in=wanted).order_by("-value_rank", "asset"):
            if row.snapshot_id == plan.snapshot_id:
                before[row.asset] = row
            if compared is not None and row.snapshot_id == compared.pk:
                after[row.asset] = row
    return PlanPage(
        plan=plan,
        orders=orders,
        now=now,
        before=before,
        newest=newest,
        after=after,
        halts=halts,
        conversions=conversions,
    )


def unsent_by_plan(*, account_pk: int | None = None) -> list[CloseOrder]:
    """Return the orders of live plans that a halt would leave unsent, with plan and account."""
    orders = CloseOrder.objects.filter(
        status=OrderState.PLANNED, plan__status__in=[PlanState.RUNNING, PlanState.PAUSED]
    ).select_related("plan", "account")
    if account_pk is not None:
        orders = orders.filter(account=account_pk)
    return list(orders.order_by("account__slug", "plan", "number"))
