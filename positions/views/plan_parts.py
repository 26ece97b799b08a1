"""Prepare what the preview, the progress and the result of a plan share."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest
from django.utils import timezone

from positions.domain.orders import CLOSED, OrderState
from positions.models import CleanupPlan, CloseOrder
from positions.selectors.plan_pages import PlanPage, plan_page
from positions.templatetags.formats import threshold_text
from positions.views.context import halts_of
from positions.views.errors import at
from positions.views.gauges import Gauge, gauge_of


def read_page(request: HttpRequest, pk: int) -> PlanPage:
    """Return the plan's page; raise `Http404`."""
    try:
        return plan_page(pk, now=timezone.now(), halts=halts_of(request))
    except CleanupPlan.DoesNotExist:
        raise Http404(f"There is no plan {pk}.") from None


def frame(request: HttpRequest, view: PlanPage) -> dict[str, Any]:
    """Return what every state of the page shows."""
    plan = view.plan
    return {
        "at": at(request, "positions:plan_detail", plan.pk),
        "typed_reason": request.POST.get("reason", ""),
        "view": view,
        "plan": plan,
        "account": plan.account,
        "exchange": plan.account.exchange_name,
        "threshold_text": threshold_text(plan.threshold),
        "confirm": request.GET.get("confirm", ""),
        "now": view.now,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One way of counting slots, before and after."""

    name: str
    before: Gauge
    before_used: int
    after: Gauge
    after_used: int

    @property
    def before_free(self) -> int:
        """Return the free slots before."""
        return max(0, self.before.cap - self.before_used)

    @property
    def after_free(self) -> int:
        """Return the free slots after."""
        return max(0, self.after.cap - self.after_used)


def slots_seen(view: PlanPage) -> list[Counted]:
    """Return the slots before and after, by policy and counting every holding."""
    policy, plan = view.slots_by_policy, view.slots_at_plan
    return [
        Counted(
            name=f"By policy, from {threshold_text(view.plan.policy.dust_threshold)}",
            before=gauge_of(policy.before, cap=policy.cap),
            before_used=sum(item.counted for item in policy.before),
            after=gauge_of(policy.after, cap=policy.cap),
            after_used=sum(item.counted for item in policy.after),
        ),
        Counted(
            name="Counting every holding",
            before=gauge_of(plan.before, cap=plan.cap, counting_everything=True),
            before_used=len(plan.before),
            after=gauge_of(plan.after, cap=plan.cap, counting_everything=True),
            after_used=len(plan.after),
        ),
    ]


def net_word(order: CloseOrder) -> str:
    """Return the word that stands where no net is known."""
    if order.state is OrderState.UNKNOWN or order.waits_for_person:
        return "unknown"
    if order.state in {OrderState.PLANNED, OrderState.DENIED}:
        return "not sent"
    if not order.filled_quantity and order.state in CLOSED:
        return "none"
    return "unknown" if order.filled_quantity else "waiting"
