"""Say the truth about each holding: its category, whether it counts, and its verdict."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from positions.domain.amounts import ZERO, canonical, dollars
from positions.domain.balances import Holding, Kind
from positions.domain.policies import Policy
from positions.domain.routes import NOTHING_SPECIAL, Circumstances, closing_route
from positions.domain.verdicts import Category, Reason, Verdict, keep


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedPosition:
    """A position with everything that the policy and the exchange's rules say about it."""

    holding: Holding
    value_usd: Decimal | None
    category: Category
    counted: bool
    # What would happen if it were dust: whether the exchange and the policy let it be closed.
    closing: Verdict
    # What can be done now: `closing` for dust, otherwise it stays.
    verdict: Verdict

    @property
    def asset(self) -> str:
        """Return the asset's code."""
        return self.holding.asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """All holdings of one snapshot, each in exactly one of three lists."""

    positions: Sequence[ClassifiedPosition]  # largest value first, unpriced before all
    residue: Sequence[Holding]  # largest value first
    cash: Sequence[Holding]


def category_of(value_usd: Decimal | None, *, threshold: Decimal, policy: Policy) -> Category:
    """Return the category by value; below the dust threshold wins over everything."""
    if value_usd is None:
        return Category.UNPRICED
    if value_usd < threshold:
        return Category.DUST
    if value_usd >= policy.winning_threshold:
        return Category.WINNING
    return Category.SMALL


def is_ignored(holding: Holding, *, threshold: Decimal, policy: Policy) -> bool:
    """Tell whether the team ignores it: only while it has no price or is below the threshold."""
    if holding.asset not in policy.ignored_assets:
        return False
    value = holding.value_usd
    return value is None or value < threshold


def is_counted(holding: Holding, *, threshold: Decimal, policy: Policy) -> bool:
    """Tell whether the holding takes a slot by its value. Unknown never means free."""
    if holding.kind is Kind.EARN or is_ignored(holding, threshold=threshold, policy=policy):
        return False
    value = holding.value_usd
    return value is None or value >= threshold


def still_counts(holding: Holding, *, policy: Policy) -> bool:
    """Tell whether it takes a slot because it took one: it fell by no more than the band.

    Only at the threshold at which it was counted. A position that hovers there would free a slot
    and take it again at every reading.
    """
    threshold, value = policy.dust_threshold, holding.value_usd
    return (
        holding.counted_at == threshold
        and value is not None
        and threshold * (1 - policy.counting_band) <= value < threshold
        and holding.kind is not Kind.EARN
        and not is_ignored(holding, threshold=threshold, policy=policy)
        and not is_residue(holding, threshold=threshold)
    )


def counted_at(holding: Holding, *, before: Decimal | None, policy: Policy) -> Decimal | None:
    """Return the threshold at which it is counted now; `before`: at which it was, last time."""
    threshold = policy.dust_threshold
    takes_one = is_counted(holding, threshold=threshold, policy=policy)
    if takes_one or still_counts(replace(holding, counted_at=before), policy=policy):
        return threshold
    return None


def is_residue(holding: Holding, *, threshold: Decimal) -> bool:
    """Tell whether it is less than one step of its market and worth less than the threshold."""
    if holding.step_size is None or holding.kind is Kind.EARN:
        return False
    value = holding.value_usd
    return holding.total < holding.step_size and value is not None and value < threshold


def closing_verdict(
    holding: Holding,
    *,
    threshold: Decimal,
    policy: Policy,
    landing: AbstractSet[str],
    circumstances: Circumstances = NOTHING_SPECIAL,
) -> Verdict:
    """Return how the holding could be closed, or the first reason why it can't.

    Reasons that a person chose come first, then whose it is, then what holds the balance, then
    the price, then the ways out. `landing` holds the assets that it may become (`landing_of`).
    """
    return (
        _kept_by_choice(holding, threshold=threshold, policy=policy)
        or _kept_for_a_bot(holding, circumstances)
        or _kept_by_balance(holding, in_flight=circumstances.in_flight)
        or _kept_by_price(holding)
        or closing_route(holding, policy=policy, landing=landing, terms=circumstances.terms)
    )


def landing_of(holdings: Iterable[Holding], *, policy: Policy) -> frozenset[str]:
    """Return the assets that dust may become without taking another slot or being the next dust.

    Cash, what pays fees, what is ignored, and what counts and stays so in every plan: protected,
    or not below the highest threshold.
    """
    counted = (
        holding.asset
        for holding in holdings
        if is_counted(holding, threshold=_stays_from(holding.asset, policy), policy=policy)
    )
    return policy.cash_assets | policy.fee_assets | policy.ignored_assets | frozenset(counted)


def _stays_from(asset: str, policy: Policy) -> Decimal:
    """Return the value from which a counted holding is in no plan."""
    return policy.dust_threshold if asset in policy.protected_assets else policy.max_threshold


def _kept_by_choice(holding: Holding, *, threshold: Decimal, policy: Policy) -> Verdict | None:
    if holding.kind is Kind.EARN:
        return keep(Reason.STAKED, "Staked or in an earn product, not spot.", "Redeem it first.")
    if is_ignored(holding, threshold=threshold, policy=policy):
        return keep(Reason.IGNORED, "Ignored by the policy.", "Take it off the ignored list.")
    if holding.asset in policy.protected_assets:
        return keep(Reason.PROTECTED, "Protected by the policy.", "Take it off the protected list.")
    if holding.asset in policy.fee_assets:
        return keep(Reason.FEE_ASSET, "It pays the trading fees.", "Take it off the fee assets.")
    if holding.kind is Kind.LEVERAGED:
        return keep(
            Reason.LEVERAGED,
            "A leveraged token: its worth can change severalfold within a day.",
            "Sell it by hand.",
        )
    return None


def _kept_for_a_bot(holding: Holding, circumstances: Circumstances) -> Verdict | None:
    hold = circumstances.hold_on.get(holding.asset)
    return None if hold is None else hold.verdict()


def _kept_by_balance(holding: Holding, *, in_flight: frozenset[str]) -> Verdict | None:
    if holding.debt > 0:
        return keep(
            Reason.MARGIN_DEBT,
            f"{canonical(holding.debt)} {holding.asset} is borrowed.",
            "Pay it back first.",
        )
    if holding.asset in in_flight:
        return keep(
            Reason.ORDER_IN_FLIGHT,
            "An order of a plan is not finished for it.",
            "Wait for that order's end.",
        )
    step = holding.step_size
    if holding.locked > 0 and (step is None or holding.free < step):
        return keep(Reason.LOCKED, "Locked in an open order.", "Cancel that order to free it.")
    if holding.has_open_order:
        return keep(Reason.OPEN_ORDER, "An order is open on it.", "Wait for it or cancel it.")
    return None


def _kept_by_price(holding: Holding) -> Verdict | None:
    if holding.price_usd is not None:
        return None
    if holding.kind is Kind.AIRDROP:
        return keep(
            Reason.UNPRICED,
            "Named like an airdrop that lures people to a site; nobody trades it here.",
            "Never visit that site. It counts until it is ignored.",
        )
    return keep(
        Reason.STALE_PRICE if holding.price_is_stale else Reason.UNPRICED,
        f"No trustworthy price. {holding.price_problem}".strip(),
        "It counts until it has a price or is ignored.",
    )


def classify(
    holdings: Iterable[Holding],
    *,
    threshold: Decimal,
    policy: Policy,
    circumstances: Circumstances = NOTHING_SPECIAL,
) -> Classified:
    """Put every holding into exactly one of positions, residue and cash."""
    holdings = list(holdings)
    landing = landing_of(holdings, policy=policy)
    positions: list[ClassifiedPosition] = []
    residue: list[Holding] = []
    cash: list[Holding] = []
    for holding in holdings:
        if holding.asset in policy.cash_assets:
            cash.append(holding)
        elif is_residue(holding, threshold=threshold):
            residue.append(holding)
        else:
            closing = closing_verdict(
                holding,
                threshold=threshold,
                policy=policy,
                landing=landing,
                circumstances=circumstances,
            )
            positions.append(
                at_threshold(holding, threshold=threshold, policy=policy, closing=closing)
            )
    positions.sort(key=lambda item: (item.value_usd is not None, -(item.value_usd or ZERO)))
    residue.sort(key=lambda item: -(item.value_usd or ZERO))
    return Classified(positions=positions, residue=residue, cash=cash)


def at_threshold(
    holding: Holding, *, threshold: Decimal, policy: Policy, closing: Verdict
) -> ClassifiedPosition:
    """Return the position at a threshold; `closing` is its closing verdict there."""
    value = holding.value_usd
    category = category_of(value, threshold=threshold, policy=policy)
    return ClassifiedPosition(
        holding=holding,
        value_usd=value,
        category=category,
        counted=is_counted(holding, threshold=threshold, policy=policy),
        closing=closing,
        verdict=closing
        if category is not Category.WINNING and category is not Category.SMALL
        else _not_dust(closing, threshold=threshold),
    )


_STAYS_ANYWAY = frozenset(
    {
        *(Reason.PROTECTED, Reason.FEE_ASSET, Reason.STAKED, Reason.LEVERAGED),
        *(Reason.LEASED, Reason.CLAIMED_BY_BOT, Reason.MARGIN_DEBT, Reason.LOCKED),
    }
)


def _not_dust(closing: Verdict, *, threshold: Decimal) -> Verdict:
    """Return why a position above the threshold stays, with the team's own reason if there is."""
    if closing.reason in _STAYS_ANYWAY:
        return closing
    return keep(Reason.NOT_DUST, f"Not below the dust threshold of {dollars(threshold)}.")
