"""Judge what each plan says others did on its account by the exchange's ledger, to the last digit.

A plan compares two readings of the account. What happened clearly between them must be explained;
what happened while one of them was being read, or when the exchange's clock jumped, may be. The
sales of the account's other plans are no other activity, wherever they fall.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from positions.models import CleanupPlan, CloseOrder, Fill

ZERO = Decimal(0)
Skews = list[tuple[datetime, int]]  # of the exchange's clock in milliseconds, from when on
# The exchange's clock is read to the millisecond, and is set a moment after it is noted.
BLUR = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a balance, and when it can have been."""

    asset: str
    quantity: Decimal
    moments: tuple[datetime, ...]

    def __post_init__(self) -> None:
        """Fail for a change that never was; the clock's history must be incomplete then."""
        assert self.moments, f"{self.asset} changed by {self.quantity} at no known moment"

    def lies_in(self, plan: CleanupPlan) -> bool | None:
        """Tell whether it was between the plan's two readings; None if that can't be told."""
        before, after = plan.snapshot, plan.closing_snapshot
        assert after is not None
        certain = [before.taken_at + BLUR < at < after.asked_at - BLUR for at in self.moments]
        possible = [before.asked_at - BLUR < at < after.taken_at + BLUR for at in self.moments]
        if all(certain):
            return True
        return None if any(possible) else False


def moments(at_ms: int, skews: Skews) -> tuple[datetime, ...]:
    """Return when, on our clock, the exchange's clock can have read so."""
    read = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    known = [(datetime.min.replace(tzinfo=UTC), 0), *skews]
    ends = [at for at, _ in known[1:]] + [datetime.max.replace(tzinfo=UTC)]
    found = []
    for (begins, skew_ms), end in zip(known, ends, strict=True):
        at = read - timedelta(milliseconds=skew_ms)
        if begins <= at + BLUR and at - BLUR <= end:
            found.append(at)
    return tuple(found)


def by_others(ledger: dict[str, Any], api_key: str, skews: Skews) -> Iterator[Change]:
    """Yield every change of an account's balances that no order of ours made."""
    bots = {order["order_id"] for order in ledger["orders"] if order["origin"] == "bot"}
    for fill in ledger["fills"]:
        if fill["api_key"] != api_key or fill["order_id"] not in bots:
            continue
        when, sign = moments(fill["at_ms"], skews), 1 if fill["side"] == "BUY" else -1
        parts = defaultdict(lambda: ZERO)
        parts[fill["symbol"].removesuffix("USDT")] += sign * Decimal(fill["quantity"])
        parts["USDT"] -= sign * Decimal(fill["quote_quantity"])
        parts[fill["commission_asset"]] -= Decimal(fill["commission"])
        for asset, quantity in parts.items():
            yield Change(asset=asset, quantity=quantity, moments=when)
    for row in ledger["external_changes"]:
        if row["api_key"] == api_key:
            quantity = Decimal(row["free_change"]) + Decimal(row["locked_change"])
            when = moments(row["at_ms"], skews)
            yield Change(asset=row["asset"], quantity=quantity, moments=when)


def complaints(plan: CleanupPlan, known: list[Change]) -> Iterator[str]:
    """Yield what the plan's books say of other activity that the ledger does not."""
    certain: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    doubtful: defaultdict[str, list[Decimal]] = defaultdict(list)
    for change in known:
        lies_in = change.lies_in(plan)
        if lies_in:
            certain[change.asset] += change.quantity
        elif lies_in is None:
            doubtful[change.asset].append(change.quantity)
    said = {row["asset"]: Decimal(row["quantity"]) for row in plan.other_activity}
    for asset in sorted(_assets(plan)):
        possible = {certain[asset]}
        for quantity in doubtful[asset]:
            possible |= {total + quantity for total in possible}
        if said.get(asset, ZERO) not in possible:
            yield (
                f"{plan} says that others did {said.get(asset, ZERO)} {asset}; "
                f"the ledger has {certain[asset]} and perhaps {doubtful[asset]}"
            )
    if beyond := set(said) - _assets(plan):
        yield f"{plan} tells of assets that it has nothing to do with: {beyond}"


def _assets(plan: CleanupPlan) -> set[str]:
    """Return the assets that a plan's books cover."""
    orders = CloseOrder.objects.filter(plan=plan)
    fees = Fill.objects.filter(order__plan=plan, fee__gt="0")
    return {
        *orders.values_list("asset", flat=True),
        *orders.values_list("quote", flat=True),
        *fees.values_list("fee_currency", flat=True),
    }
