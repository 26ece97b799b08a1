"""Show what any dust threshold would do: pure arithmetic over one classified snapshot."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, Self

from positions.domain.amounts import ZERO
from positions.domain.balances import Holding
from positions.domain.classification import (
    Classified,
    ClassifiedPosition,
    at_threshold,
    classify,
    closing_verdict,
    is_residue,
    landing_of,
    still_counts,
)
from positions.domain.policies import Policy
from positions.domain.routes import NOTHING_SPECIAL, Circumstances
from positions.domain.verdicts import Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """How many position slots there are, are used and are free."""

    cap: int
    counted: int
    leased: int = 0

    @classmethod
    def of(cls, counted: AbstractSet[str], *, leased: AbstractSet[str], cap: int) -> Self:
        """Return the slots of these assets; a lease of what is counted takes no second one."""
        return cls(cap=cap, counted=len(counted), leased=len(leased - counted))

    @property
    def used(self) -> int:
        """Return the slots that are taken."""
        return self.counted + self.leased

    @property
    def available(self) -> int:
        """Return the free slots, never below zero."""
        return max(0, self.cap - self.used)

    @property
    def over_cap(self) -> int:
        """Return by how many the cap is exceeded."""
        return max(0, self.used - self.cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEffect:
    """What one threshold would mean for the account."""

    threshold: Decimal
    positions: int
    positions_value_usd: Decimal
    dust: int
    dust_value_usd: Decimal
    counted: int
    leased: int
    available: int
    over_cap: int
    closable: int
    closable_value_usd: Decimal
    closable_net_usd: Decimal
    closing_fee_usd: Decimal
    closing_slippage_usd: Decimal

    @property
    def stuck(self) -> int:
        """Return how many dust positions can't be closed now."""
        return self.dust - self.closable

    @property
    def stuck_value_usd(self) -> Decimal:
        """Return what they are worth."""
        return self.dust_value_usd - self.closable_value_usd


# A threshold that every value is below.
EVERYTHING = Decimal("Infinity")


class _Sums(NamedTuple):
    """What the holdings below some value add up to."""

    counted: int = 0  # how many would take a slot if they were not below
    residue: int = 0
    residue_value_usd: Decimal = ZERO
    dust: int = 0
    dust_value_usd: Decimal = ZERO
    closable: int = 0
    closable_value_usd: Decimal = ZERO
    net_usd: Decimal = ZERO
    fee_usd: Decimal = ZERO
    slippage_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One priced holding on the way from no dust to everything being dust.

    The verdict of `from_on` speaks of no threshold; `WhatIf.classified` has its words.
    """

    value_usd: Decimal
    below: ClassifiedPosition  # at every threshold above its value
    from_on: ClassifiedPosition  # at every other threshold
    frees: int  # slots, once it is below; none while a lease keeps its slot
    is_residue: bool  # below the threshold it is no position at all


class WhatIf:
    """Answer for any threshold: every holding is looked at once, each answer is a look-up.

    A priced holding has two faces, one below the threshold and one from it on, and where exactly
    the threshold is changes neither. So the holdings are sorted by value and summed up on the way.
    """

    def __init__(
        self,
        holdings: Sequence[Holding],
        *,
        policy: Policy,
        cap: int,
        circumstances: Circumstances = NOTHING_SPECIAL,
    ) -> None:
        """Look at every holding, whatever the threshold may be."""
        self.policy = policy
        self._cap = cap
        self._circumstances = circumstances
        self._landing = landing_of(holdings, policy=policy)
        self._rest = classify(  # cash and the unpriced: the same at every threshold
            [item for item in holdings if not self._has_faces(item)],
            threshold=ZERO,
            policy=policy,
            circumstances=circumstances,
        )
        below = [
            self._face(item, threshold=EVERYTHING) for item in holdings if self._has_faces(item)
        ]
        # Largest first as everywhere, then turned round: equal values keep their order.
        self._below = sorted(below, key=_value, reverse=True)[::-1]
        self._from_on = [self._other_face(item) for item in self._below]
        self._residue = [is_residue(item.holding, threshold=EVERYTHING) for item in self._below]
        self._values = [_value(item) for item in self._below]
        faces = zip(self._below, self._from_on, self._residue, strict=True)
        self._sums = list(accumulate(faces, _added, initial=_Sums()))

    def _has_faces(self, holding: Holding) -> bool:
        return holding.value_usd is not None and holding.asset not in self.policy.cash_assets

    def _face(self, holding: Holding, *, threshold: Decimal) -> ClassifiedPosition:
        closing = closing_verdict(
            holding,
            threshold=threshold,
            policy=self.policy,
            landing=self._landing,
            circumstances=self._circumstances,
        )
        return at_threshold(holding, threshold=threshold, policy=self.policy, closing=closing)

    def _other_face(self, below: ClassifiedPosition) -> ClassifiedPosition:
        holding = below.holding
        if holding.asset in self.policy.ignored_assets:  # it is ignored below the threshold only
            return self._face(holding, threshold=ZERO)
        return at_threshold(holding, threshold=ZERO, policy=self.policy, closing=below.closing)

    @property
    def size(self) -> int:
        """Return how many holdings it keeps."""
        return len(self._values) + len(self.unpriced) + len(self._rest.cash)

    @property
    def unpriced(self) -> Sequence[ClassifiedPosition]:
        """Return the positions that nobody can value; they are the same at every threshold."""
        return self._rest.positions

    def at(self, threshold: Decimal) -> ThresholdEffect:
        """Return what this threshold would mean; more threshold never means fewer free slots."""
        sums = self._sums[bisect_left(self._values, threshold)]
        counted = self._counted_unpriced + self._sums[-1].counted - sums.counted
        leased = sum(value is None or value < threshold for value in self._leased.values())
        slots = Slots(cap=self._cap, counted=counted, leased=leased)
        return ThresholdEffect(
            threshold=threshold,
            positions=len(self.unpriced) + len(self._values) - sums.residue,
            positions_value_usd=self.priced_usd - sums.residue_value_usd,
            dust=sums.dust,
            dust_value_usd=sums.dust_value_usd,
            counted=counted,
            leased=leased,
            available=slots.available,
            over_cap=slots.over_cap,
            closable=sums.closable,
            closable_value_usd=sums.closable_value_usd,
            closable_net_usd=sums.net_usd,
            closing_fee_usd=sums.fee_usd,
            closing_slippage_usd=sums.slippage_usd,
        )

    @cached_property
    def priced_usd(self) -> Decimal:
        """Return what everything with a known price is worth, cash apart."""
        return sum(self._values, ZERO)

    @cached_property
    def cash_usd(self) -> Decimal:
        """Return what the cash with a known price is worth."""
        return sum((item.value_usd or ZERO for item in self._rest.cash), ZERO)

    @cached_property
    def _counted_unpriced(self) -> int:
        return sum(item.counted for item in self.unpriced)

    @cached_property
    def steps(self) -> list[Step]:
        """Return the priced holdings, smallest value first, with what each of them frees."""
        faces = zip(self._values, self._below, self._from_on, self._residue, strict=True)
        return [
            Step(
                value_usd=value,
                below=below,
                from_on=from_on,
                frees=int(from_on.counted and below.asset not in self._circumstances.leased),
                is_residue=residue,
            )
            for value, below, from_on, residue in faces
        ]

    def steps_below(self, threshold: Decimal) -> int:
        """Return how many of the steps are below the threshold."""
        return bisect_left(self._values, threshold)

    def dust(self, threshold: Decimal) -> list[ClassifiedPosition]:
        """Return the dust, largest first."""
        below = bisect_left(self._values, threshold)
        found = zip(self._below[:below], self._residue, strict=False)
        dust = [item for item, residue in found if not residue][::-1]
        if threshold != self.policy.dust_threshold or not self._still_counting:
            return dust
        return [
            replace(item, counted=True) if item.asset in self._still_counting else item
            for item in dust
        ]

    @cached_property
    def _still_counting(self) -> frozenset[str]:
        below = (item.holding for item in self._below)
        return frozenset(
            holding.asset for holding in below if still_counts(holding, policy=self.policy)
        )

    def slots(self, threshold: Decimal) -> Slots:
        """Return the slots at this threshold; at the policy's own, what still counts does.

        Every other answer about a threshold goes by value.
        """
        effect, still = self.at(threshold), frozenset[str]()
        if threshold == self.policy.dust_threshold:
            still = self._still_counting
        leased = effect.leased - len(self._leased.keys() & still)
        return Slots(cap=self._cap, counted=effect.counted + len(still), leased=leased)

    @cached_property
    def counted_assets(self) -> frozenset[str]:
        """Return what takes a slot at the policy's own threshold."""
        positions = self.classified(self.policy.dust_threshold).positions
        return frozenset(item.asset for item in positions if item.counted)

    @cached_property
    def _leased(self) -> Mapping[str, Decimal | None]:
        """Return up to which threshold each leased asset is counted, so that its lease is not.

        None: it is counted at none.
        """
        counts = {item.asset: _value(item) for item in self._from_on if item.counted}
        counts |= {item.asset: EVERYTHING for item in self.unpriced if item.counted}
        return {asset: counts.get(asset) for asset in self._circumstances.leased}

    def categories(self, threshold: Decimal) -> Counter[Category]:
        """Return how many positions each category has."""
        below = bisect_left(self._values, threshold)
        found = Counter(item.category for item in self._from_on[below:])
        found[Category.DUST] = self._sums[below].dust
        found[Category.UNPRICED] = len(self.unpriced)
        return found

    def classified(self, threshold: Decimal) -> Classified:
        """Return what classifying all holdings at this threshold says."""
        below = bisect_left(self._values, threshold)
        from_on = [
            at_threshold(
                item.holding, threshold=threshold, policy=self.policy, closing=item.closing
            )
            for item in reversed(self._from_on[below:])
        ]
        residue = zip(self._below[:below], self._residue, strict=False)
        return Classified(
            positions=[*self.unpriced, *from_on, *self.dust(threshold)],
            residue=[item.holding for item, is_residue in residue if is_residue][::-1],
            cash=self._rest.cash,
        )

    @cached_property
    def exchange_minimum_usd(self) -> Decimal | None:
        """Return the commonest minimum order value among the positions' markets, USD."""
        sales = (sale for item in (*self.unpriced, *self._below) for sale in item.holding.sales[:1])
        minimums = Counter(
            sale.market.rule.min_notional * sale.quote_price_usd
            for sale in sales
            if sale.market.rule.min_notional and sale.quote_price_usd
        )
        return minimums.most_common(1)[0][0] if minimums else None


def _value(item: ClassifiedPosition) -> Decimal:
    return item.value_usd or ZERO


def _added(sums: _Sums, faces: tuple[ClassifiedPosition, ClassifiedPosition, bool]) -> _Sums:
    """Return the sums with one more holding in them."""
    below, from_on, residue = faces
    sums = sums._replace(counted=sums.counted + from_on.counted)
    value, verdict = _value(below), below.verdict
    if residue:
        return sums._replace(
            residue=sums.residue + 1, residue_value_usd=sums.residue_value_usd + value
        )
    sums = sums._replace(dust=sums.dust + 1, dust_value_usd=sums.dust_value_usd + value)
    if verdict.route is None:
        return sums
    return sums._replace(
        closable=sums.closable + 1,
        closable_value_usd=sums.closable_value_usd + value,
        net_usd=sums.net_usd + (verdict.expected_net_usd or ZERO),
        fee_usd=sums.fee_usd + (verdict.expected_fee_usd or ZERO),
        slippage_usd=sums.slippage_usd + (verdict.expected_slippage_usd or ZERO),
    )
