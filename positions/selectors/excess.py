"""Look how many positions an account has over its cap, just before one of them is sold for it."""

from django.db.models import Q

from positions.domain.enforcement import Excess
from positions.domain.orders import CLOSED, OrderState
from positions.domain.plans import PlanState
from positions.domain.routes import NOTHING_SPECIAL
from positions.models import CloseOrder
from positions.selectors.memory import what_if_of
from positions.selectors.snapshots import MAY_HAVE_SOLD, latest_good


def excess_beside(order: CloseOrder) -> Excess | None:
    """Return the excess by the newest good snapshot and the policy in force, without this order.

    Whatever is under way, and whatever may have been sold since the snapshot, leaves already. Of
    its own plan the smaller ones do, which come first, and not the larger ones. None if what it
    would sell takes no slot any more.
    """
    account = order.account
    policy = account.policies.order_by("-version")[0]
    newest = latest_good(account) or order.plan.snapshot
    counted = what_if_of(newest, row=policy, circumstances=NOTHING_SPECIAL).counted_assets
    if order.asset not in counted:
        return None
    open_now = ~Q(status__in=CLOSED) & ~Q(plan__status=PlanState.DRAFT)
    sold_since = Q(status__in=MAY_HAVE_SOLD, closed_at__gte=newest.asked_at)
    others = CloseOrder.objects.filter(open_now | sold_since, account=account).exclude(pk=order.pk)
    larger = Q(plan=order.plan_id, status=OrderState.PLANNED, number__gt=order.number)
    leaving = set(others.exclude(larger).values_list("asset", flat=True))
    return Excess(cap=policy.position_cap, counted=len(counted), leaving=len(leaving & counted))
