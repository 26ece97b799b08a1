"""Say everything the product knows about one account: for the page, the JSON and the text alike."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from positions.domain.amounts import ZERO, canonical
from positions.domain.classification import Classified, ClassifiedPosition
from positions.domain.policies import SHOWN_THRESHOLDS, Policy
from positions.domain.verdicts import Category, Reason
from positions.domain.what_if import Slots, ThresholdEffect, WhatIf
from positions.models import DustPolicy, ExchangeAccount, Snapshot, SnapshotStatus
from positions.selectors.conversions import circumstances_of
from positions.selectors.holds import held_on
from positions.selectors.memory import what_if_of
from positions.selectors.plan_checks import ANCHOR_STOPS_AT, ANCHOR_WARNS_AT
from positions.selectors.snapshots import latest, latest_good


class NoSnapshot(Exception):
    """The account was never read; take a snapshot first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One plain sentence about what to do, with a code for machines."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One account at one threshold, from its newest good snapshot under the policy in force."""

    account: ExchangeAccount
    policy_row: DustPolicy
    policy: Policy
    snapshot: Snapshot
    newest: Snapshot  # the newest reading, which may have failed
    what_if: WhatIf
    threshold: Decimal
    now: datetime

    @cached_property
    def classified(self) -> Classified:
        """Return positions, residue and cash at the threshold."""
        return self.what_if.classified(self.threshold)

    @property
    def positions(self) -> Sequence[ClassifiedPosition]:
        """Return the positions: unpriced first, then the largest value first."""
        return self.classified.positions

    @cached_property
    def effect(self) -> ThresholdEffect:
        """Return what the threshold means."""
        return self.what_if.at(self.threshold)

    @cached_property
    def thresholds(self) -> list[ThresholdEffect]:
        """Return the effects of the shown thresholds, the policy's own and the asked one."""
        shown = {*SHOWN_THRESHOLDS, self.policy.dust_threshold, self.threshold}
        return [self.what_if.at(threshold) for threshold in sorted(shown)]

    @cached_property
    def slots(self) -> Slots:
        """Return the slots at the threshold."""
        return self.what_if.slots(self.threshold)

    @cached_property
    def slots_counting_everything(self) -> Slots:
        """Return the slots as a bot sees them that counts every holding."""
        return Slots(cap=self.policy.position_cap, counted=self.effect.positions)

    @cached_property
    def counts(self) -> Counter[Category]:
        """Return how many positions each category has."""
        return self.what_if.categories(self.threshold)

    @cached_property
    def dust(self) -> list[ClassifiedPosition]:
        """Return the dust, largest first."""
        return self.what_if.dust(self.threshold)

    @cached_property
    def closable(self) -> list[ClassifiedPosition]:
        """Return the dust that can be closed now."""
        return [item for item in self.dust if item.verdict.route is not None]

    @cached_property
    def stuck(self) -> list[ClassifiedPosition]:
        """Return the dust that can't be closed now."""
        return [item for item in self.dust if item.verdict.route is None]

    @property
    def cash_usd(self) -> Decimal:
        """Return what the cash with a known price is worth."""
        return self.what_if.cash_usd

    @property
    def positions_usd(self) -> Decimal:
        """Return what the positions with a known price are worth."""
        return self.effect.positions_value_usd

    @property
    def dust_usd(self) -> Decimal:
        """Return what the dust is worth."""
        return self.effect.dust_value_usd

    @property
    def residue_usd(self) -> Decimal:
        """Return what the residue is worth."""
        return self.what_if.priced_usd - self.positions_usd

    @property
    def total_usd(self) -> Decimal:
        """Return what everything with a known price is worth."""
        return self.cash_usd + self.what_if.priced_usd

    @property
    def age(self) -> timedelta:
        """Return how old the snapshot is."""
        return self.now - self.snapshot.taken_at

    @property
    def is_fresh(self) -> bool:
        """Tell whether the snapshot may be trusted for slots, a what-if and a draft."""
        young = self.age <= timedelta(seconds=self.policy.snapshot_max_age)
        return young and self.account.is_enabled

    @property
    def failure(self) -> Snapshot | None:
        """Return the newest reading if it failed."""
        return self.newest if self.newest.status == SnapshotStatus.FAILED else None

    @property
    def anchor_problem(self) -> str:
        """Return a sentence if the anchor is off the other stablecoins; empty otherwise."""
        deviation = self.snapshot.anchor_deviation
        if deviation is None or deviation <= ANCHOR_WARNS_AT:
            return ""
        off = canonical((deviation * 100).quantize(Decimal("0.01")))
        stops = " Plans don't start." if deviation > ANCHOR_STOPS_AT else ""
        return f"{self.snapshot.anchor} is {off}% off the other stablecoins here.{stops}"

    @cached_property
    def recommendations(self) -> list[Recommendation]:
        """Return what a person should do, most useful first."""
        return list(_recommend(self))


def analyse(
    account: ExchangeAccount, *, now: datetime, threshold: Decimal | None = None
) -> Analysis:
    """Return the analysis at a threshold (None: the policy's); raise `NoSnapshot` if never read."""
    snapshot = latest_good(account)
    newest = latest(account)
    if snapshot is None or newest is None:
        raise NoSnapshot(f"{account.slug} has not been read yet.")
    row = account.policies.order_by("-version")[0]
    policy = row.as_domain()
    return Analysis(
        account=account,
        policy_row=row,
        policy=policy,
        snapshot=snapshot,
        newest=newest,
        what_if=what_if_of(
            snapshot,
            row=row,
            circumstances=circumstances_of(
                account,
                snapshot,
                held=held_on(account, snapshot, now=now),
                now=now,
            ),
        ),
        threshold=policy.dust_threshold if threshold is None else threshold,
        now=now,
    )


def _recommend(analysis: Analysis) -> Any:
    slots, closable, stuck = analysis.slots, analysis.closable, analysis.stuck
    if slots.over_cap:
        yield Recommendation(
            code="OVER_CAP",
            message=f"{_count(slots.counted, 'position')} count"
            + (f" and {_count(slots.leased, 'slot')} are leased" if slots.leased else "")
            + f", the cap is {slots.cap}: "
            f"over cap by {slots.over_cap}.",
        )
    if closable:
        net = sum((item.verdict.expected_net_usd or ZERO for item in closable), ZERO)
        held = analysis.effect.positions
        yield Recommendation(
            code="CLOSE_DUST",
            message=f"Close {_count(len(closable), 'position')} for about ${net:,.2f}. The account "
            f"would hold {_count(held - len(closable), 'position')} instead of {held}.",
        )
    elif not analysis.dust:
        yield Recommendation(
            code="NOTHING_TO_CLOSE",
            message=f"No position is worth less than ${canonical(analysis.threshold)}.",
        )
    higher = next(
        (
            effect
            for effect in analysis.thresholds
            if effect.threshold > analysis.threshold
            and effect.threshold <= analysis.policy.max_threshold
            and effect.available > slots.available
        ),
        None,
    )
    if higher is not None:
        yield Recommendation(
            code="RAISE_THRESHOLD",
            message=f"A threshold of ${canonical(higher.threshold)} would leave "
            f"{higher.available} of {slots.cap} slots free instead of {slots.available}.",
        )
    if stuck:
        reasons = Counter(item.verdict.reason for item in stuck if item.verdict.reason)
        told = ", ".join(
            f"{count} {PLAIN_REASONS[reason]}" for reason, count in reasons.most_common()
        )
        yield Recommendation(
            code="STUCK", message=f"{_count(len(stuck), 'dust position')} can't be closed: {told}."
        )
    if unpriced := sum(item.counted for item in analysis.what_if.unpriced):
        yield Recommendation(
            code="UNPRICED",
            message=f"{_count(unpriced, 'position')} without a trustworthy price "
            f"{'takes' if unpriced == 1 else 'take'} a slot until ignored.",
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


PLAIN_REASONS = {
    **{reason: reason.value.replace("_", " ").lower() for reason in Reason},
    Reason.BELOW_MIN_NOTIONAL: "below the exchange minimum",
    Reason.BELOW_MIN_QUANTITY: "below the smallest order",
    Reason.NO_MARKET: "without a market",
    Reason.MARKET_HALTED: "with a halted market",
    Reason.LEASED: "leased by a bot",
    Reason.CLAIMED_BY_BOT: "claimed by a bot",
    Reason.LOCKED: "locked in an open order",
    Reason.OPEN_ORDER: "with an open order",
    Reason.STAKED: "staked",
    Reason.FEE_ASSET: "paying fees",
    Reason.ORDER_IN_FLIGHT: "with an order in flight",
    Reason.ILLIQUID: "without buyers near the price",
    Reason.CONVERT_WINDOW_CLOSED: "waiting for the next conversion",
    Reason.NOT_CONVERTIBLE: "not convertible",
    Reason.STALE_PRICE: "with a stale price",
    Reason.LEVERAGED: "leveraged",
    Reason.MARGIN_DEBT: "with a debt",
    Reason.UNECONOMIC: "dearer to close than they return",
}


def by_value(positions: Sequence[ClassifiedPosition]) -> list[ClassifiedPosition]:
    """Return the positions largest value first; the unpriced, which nobody can place, last."""
    return sorted(
        positions, key=lambda item: (item.value_usd is None, -(item.value_usd or ZERO), item.asset)
    )
