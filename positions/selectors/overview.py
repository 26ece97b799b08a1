"""Read all accounts at once: each one's state, what needs a person, and the live sums."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from positions.domain.amounts import ZERO
from positions.domain.orders import CLOSED, OrderState
from positions.domain.plans import LIVE, PlanState
from positions.models import AuditEvent, CleanupPlan, CloseOrder, ExchangeAccount, Halt
from positions.models.accounts import Environment
from positions.selectors.accounts import AccountReading, policies_in_force, readings_of
from positions.selectors.analysis import PLAIN_REASONS, Analysis


@dataclass(frozen=True, kw_only=True)
class OverviewRow:
    """One account in the overview."""

    reading: AccountReading
    unknown: Sequence[CloseOrder]
    plan: CleanupPlan | None  # running, paused, or waiting for a start or an approval
    plan_orders: Counter[OrderState]
    halt: Halt | None
    excess: AuditEvent | None  # its newest started plan converted more than planned

    @property
    def account(self) -> ExchangeAccount:
        """Return the account."""
        return self.reading.account

    @property
    def analysis(self) -> Analysis | None:
        """Return its analysis."""
        return self.reading.analysis

    @property
    def plan_total(self) -> int:
        """Return how many orders its plan has."""
        return sum(self.plan_orders.values())

    @property
    def plan_filled(self) -> int:
        """Return how many of them are filled."""
        return self.plan_orders[OrderState.FILLED]

    @property
    def rank(self) -> int:
        """Return how bad it is: the lowest stands first."""
        analysis = self.analysis
        if self.unknown or self.excess is not None:
            return 0
        if not self.account.is_enabled:
            return 1 if self.account.needs_person else 6
        if not self.reading.slots_known:
            return 1
        if self.halt is not None:
            return 2
        if analysis is not None and (analysis.slots.over_cap or analysis.anchor_problem):
            return 3
        if self.plan is not None:
            return 4
        return 5 if analysis is not None and analysis.dust else 6

    @cached_property
    def stuck(self) -> str:
        """Return how many dust positions can't be closed, and why."""
        if self.analysis is None:
            return ""
        reasons = Counter(
            item.verdict.reason for item in self.analysis.stuck if item.verdict.reason
        )
        return ", ".join(f"{count} {PLAIN_REASONS[reason]}" for reason, count in reasons.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSums:
    """What the live accounts have together, and whose slots nobody knows."""

    accounts: int
    known: int
    missing: Sequence[str]
    free: int
    cap: int
    dust_usd: Decimal
    dust: int
    closable: int
    closable_net_usd: Decimal
    stuck: int
    stuck_below_minimum: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Every account, worst first."""

    rows: Sequence[OverviewRow]

    @cached_property
    def environments(self) -> Counter[str]:
        """Return how many accounts each environment has."""
        return Counter(str(row.account.environment) for row in self.rows)

    @cached_property
    def live(self) -> LiveSums | None:
        """Return the sums over live accounts; None when there is none."""
        rows = [row for row in self.rows if row.account.environment == Environment.LIVE]
        if not rows:
            return None
        known = [
            row.analysis for row in rows if row.analysis is not None and row.reading.slots_known
        ]
        return LiveSums(
            accounts=len(rows),
            known=len(known),
            missing=[row.account.slug for row in rows if not row.reading.slots_known],
            free=sum(item.slots.available for item in known),
            cap=sum(item.slots.cap for item in known),
            dust_usd=sum((item.dust_usd for item in known), ZERO),
            dust=sum(len(item.dust) for item in known),
            closable=sum(len(item.closable) for item in known),
            closable_net_usd=sum((item.effect.closable_net_usd for item in known), ZERO),
            stuck=sum(len(item.stuck) for item in known),
            stuck_below_minimum=sum(
                position.verdict.reason in {"BELOW_MIN_NOTIONAL", "BELOW_MIN_QUANTITY"}
                for item in known
                for position in item.stuck
            ),
        )


def overview(*, now: datetime, halts: Sequence[Halt]) -> Overview:
    """Return every account, worst first, in five queries; `halts` are those in force."""
    orders: defaultdict[int, list[CloseOrder]] = defaultdict(list)
    open_or_live = ~Q(status__in=CLOSED) | Q(plan__status__in=LIVE)
    for order in CloseOrder.objects.filter(open_or_live).select_related("plan").order_by("pk"):
        orders[order.account_id].append(order)
    excess_pk = Subquery(_EXCESS.values("pk")[:1])
    policies = list(policies_in_force().annotate(excess_pk=excess_pk).order_by("account__slug"))
    excesses = _excesses(policies)
    stopped = {halt.account_id: halt for halt in halts}
    rows = [
        _overview_row(
            reading,
            orders=orders[reading.account.pk],
            halt=stopped.get(reading.account.pk),
            excess=excesses.get(reading.account.pk),
        )
        for reading in readings_of(policies, now=now)
    ]
    return Overview(rows=sorted(rows, key=lambda row: (row.rank, row.account.slug)))


def _excesses(policies: Sequence[Any]) -> dict[int, AuditEvent]:
    """Return what was converted beyond the plan, by account, until somebody starts another plan."""
    found = {row.excess_pk for row in policies if row.excess_pk is not None}
    events = AuditEvent.objects.filter(pk__in=found) if found else ()
    return {event.account_id: event for event in events if event.account_id}


_STARTED = CleanupPlan.objects.filter(
    account=OuterRef(OuterRef("account")), started_at__isnull=False
).order_by("-pk")
_EXCESS = AuditEvent.objects.filter(
    kind="conversion.exceeded",
    account=OuterRef("account"),
    plan=Subquery(_STARTED.values("pk")[:1]),
).order_by("pk")


_ATTENTION = [
    PlanState.RUNNING,
    PlanState.PAUSED,
    PlanState.AWAITING_APPROVAL,
    PlanState.APPROVED,
    PlanState.DRAFT,
]


def _overview_row(
    reading: AccountReading,
    *,
    orders: Sequence[CloseOrder],
    halt: Halt | None,
    excess: AuditEvent | None,
) -> OverviewRow:
    candidates = {order.plan.pk: order.plan for order in orders if order.plan.state in _ATTENTION}
    plan = min(
        candidates.values(),
        key=lambda item: (_ATTENTION.index(item.state), -item.pk),
        default=None,
    )
    return OverviewRow(
        reading=reading,
        unknown=[
            order for order in orders if order.state is OrderState.UNKNOWN or order.waits_for_person
        ],
        plan=plan,
        plan_orders=Counter(
            order.state for order in orders if plan is not None and order.plan_id == plan.pk
        ),
        halt=halt,
        excess=excess,
    )
