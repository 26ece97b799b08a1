"""Draw the plan that brings an account back to its cap: real positions, the smallest first.

Nothing here is dust. The plan closes as many counted positions as are over the cap, never more, and
each order has to free a slot for certain: it is a sale, of all that is held, into what takes no
slot or takes one anyway. A conversion is no way: it takes all that is free when it is processed,
however much that is by then, and an approval is for an amount.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from positions.domain.amounts import ZERO
from positions.domain.balances import Holding
from positions.domain.classification import (
    Classified,
    ClassifiedPosition,
    classify,
    closing_verdict,
    counted_at,
    landing_of,
    still_counts,
)
from positions.domain.planning import (
    NothingToClose,
    PlanDraft,
    PlannedOrder,
    Skipped,
    check_guards,
    holdings_after,
    order_of,
    over_order_limit,
    skip,
)
from positions.domain.plans import Purpose
from positions.domain.policies import Policy
from positions.domain.routes import NOTHING_SPECIAL, Circumstances
from positions.domain.verdicts import Reason, Verdict, keep
from positions.domain.what_if import Slots

# Why a position is in no enforcement plan although nothing keeps it: nobody has to look at it.
NOT_ASKED_FOR = frozenset({Reason.NOT_COUNTED, Reason.WITHIN_CAP})


class WithinCap(Exception):
    """No more positions count than the cap allows, or orders that run bring them back to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """By how many counted positions the cap is exceeded, and how many of them leave already."""

    cap: int
    counted: int
    leaving: int = 0

    @property
    def to_close(self) -> int:
        """Return how many more have to be closed. Leases end by themselves; they sell nothing."""
        return max(0, self.counted - self.leaving - self.cap)


def excess_of(
    holdings: Iterable[Holding], *, policy: Policy, leaving: frozenset[str] = frozenset()
) -> Excess:
    """Return the excess by the policy; `leaving` holds the assets that other orders close."""
    found = _classified(holdings, policy=policy, circumstances=NOTHING_SPECIAL)
    return _excess(found, policy=policy, leaving=leaving)


def _classified(
    holdings: Iterable[Holding], *, policy: Policy, circumstances: Circumstances
) -> Classified:
    """Return the positions at the policy's threshold; what still counts there does."""
    found = classify(
        holdings, threshold=policy.dust_threshold, policy=policy, circumstances=circumstances
    )
    positions = [
        replace(item, counted=item.counted or still_counts(item.holding, policy=policy))
        for item in found.positions
    ]
    return replace(found, positions=positions)


def _excess(found: Classified, *, policy: Policy, leaving: frozenset[str]) -> Excess:
    counted = [item.asset for item in found.positions if item.counted]
    return Excess(
        cap=policy.position_cap, counted=len(counted), leaving=len(leaving.intersection(counted))
    )


def draw_enforcement(
    holdings: Iterable[Holding],
    *,
    policy: Policy,
    circumstances: Circumstances = NOTHING_SPECIAL,
) -> PlanDraft:
    """Return the plan that closes the smallest counted positions, as many as are over the cap.

    One that can't be closed is left out and the next larger one taken instead. Raise `WithinCap` if
    nothing has to be closed, `NothingToClose` if nothing can be, or `GuardBroken`.
    """
    holdings = list(holdings)
    sales_only = replace(circumstances, terms=None)
    found = _classified(holdings, policy=policy, circumstances=sales_only)
    excess = _excess(found, policy=policy, leaving=circumstances.in_flight)
    if excess.to_close == 0:
        raise WithinCap(_within(excess))
    landing = _landing_of(found, holdings, policy=policy) - circumstances.in_flight
    orders: list[PlannedOrder] = []
    skipped: list[Skipped] = []
    for position in _smallest_first(found):
        if len(orders) == excess.to_close:
            skipped.append(skip(position, _not_needed(excess)))
            continue
        verdict = _verdict(
            position, orders=orders, landing=landing, policy=policy, circumstances=sales_only
        )
        if verdict.route is None:
            skipped.append(skip(position, verdict))
        else:
            orders.append(order_of(position, verdict))
    if not orders:
        raise NothingToClose(
            f"Nothing to plan: none of the {excess.counted} counted positions can be closed now."
        )
    skipped += [skip(item, _takes_none(item)) for item in found.positions if not item.counted]
    draft = _draft(found, orders, skipped, policy=policy, leased=circumstances.leased)
    check_guards(draft, policy=policy)
    return draft


def _smallest_first(found: Classified) -> list[ClassifiedPosition]:
    """Return what counts; what has no price comes last, because nobody can place it."""
    counted = [item for item in found.positions if item.counted]
    return sorted(
        counted, key=lambda item: (item.value_usd is None, item.value_usd or ZERO, item.asset)
    )


def _landing_of(
    found: Classified, holdings: Iterable[Holding], *, policy: Policy
) -> frozenset[str]:
    """Return what a sale may bring: it takes no slot however much it is, or has one already."""
    counted = {item.asset for item in found.positions if item.counted}
    return landing_of(holdings, policy=policy) & (policy.cash_assets | counted)


def _verdict(
    position: ClassifiedPosition,
    *,
    orders: list[PlannedOrder],
    landing: frozenset[str],
    policy: Policy,
    circumstances: Circumstances,
) -> Verdict:
    """Return how the position can be closed beside the plan's other orders, or why it stays."""
    if position.asset in policy.ignored_assets:
        # It counts again because of its worth; the last look would deny it all the same.
        return keep(
            Reason.IGNORED, "On the policy's ignored list.", "Take it off the ignored list."
        )
    verdict = closing_verdict(
        position.holding,
        threshold=policy.dust_threshold,
        policy=policy,
        landing=landing - {order.asset for order in orders},
        circumstances=circumstances,
    )
    if verdict.route is None:
        return verdict
    if any(order.into == position.asset for order in orders):
        return keep(
            Reason.FREES_NO_SLOT,
            f"What this plan sells in part becomes {position.asset}.",
            "Plan again after this one.",
        )
    limit = policy.max_order_value
    if limit is not None and (position.value_usd or ZERO) > limit:
        return over_order_limit(limit)
    held = position.holding
    left = replace(held, free=held.free - (verdict.quantity or ZERO))
    if left.total > 0 and counted_at(left, before=policy.dust_threshold, policy=policy) is not None:
        return keep(
            Reason.FREES_NO_SLOT,
            "One order can't sell so much of it that what is left takes no slot.",
            "Sell it by hand.",
        )
    return verdict


def _not_needed(excess: Excess) -> Verdict:
    return keep(
        Reason.WITHIN_CAP,
        f"Smaller positions are closed until no more than {excess.cap} count.",
    )


def _takes_none(position: ClassifiedPosition) -> Verdict:
    dust = position.closing.route is not None
    return keep(
        Reason.NOT_COUNTED, "It takes no slot.", "A cleanup plan closes dust." if dust else ""
    )


def _within(excess: Excess) -> str:
    told = f"{excess.counted} positions count, the cap is {excess.cap}"
    if excess.counted <= excess.cap:
        return f"The account is not over its cap: {told}. Nothing has to be closed."
    return f"{told}, and orders that are planned or under way close enough of them. Wait for them."


def _draft(
    found: Classified,
    orders: list[PlannedOrder],
    skipped: list[Skipped],
    *,
    policy: Policy,
    leased: AbstractSet[str],
) -> PlanDraft:
    threshold = policy.dust_threshold
    took = {item.asset for item in found.positions if item.counted}
    after = holdings_after(found, orders, threshold=threshold, policy=policy)
    still = {
        item.asset
        for item in after
        if counted_at(item, before=threshold if item.asset in took else None, policy=policy)
        is not None
    }
    return PlanDraft(
        purpose=Purpose.ENFORCE,
        threshold=threshold,
        orders=orders,
        skipped=skipped,
        positions_before=len(found.positions),
        positions_after=len(after),
        slots_before=Slots.of(took, leased=leased, cap=policy.position_cap),
        slots_after=Slots.of(still, leased=leased, cap=policy.position_cap),
    )
