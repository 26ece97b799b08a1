"""Say the truth about each holding: its category, whether it counts, and its verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from positions.domain.amounts import ZERO, canonical, ceil_to_step, floor_to_step
from positions.domain.balances import Holding
from positions.domain.policies import Policy
from positions.domain.verdicts import Category, Reason, Route, Verdict, keep

ONE = Decimal(1)


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
    """Tell whether the holding takes a slot. Unknown never means free."""
    if holding.earn or is_ignored(holding, threshold=threshold, policy=policy):
        return False
    value = holding.value_usd
    return value is None or value >= threshold


def is_residue(holding: Holding, *, threshold: Decimal) -> bool:
    """Tell whether it is less than one step of its market and worth less than the threshold."""
    if holding.step_size is None or holding.earn:
        return False
    value = holding.value_usd
    return holding.total < holding.step_size and value is not None and value < threshold


def closing_verdict(
    holding: Holding,
    *,
    threshold: Decimal,
    policy: Policy,
    in_flight: frozenset[str] = frozenset(),
) -> Verdict:
    """Return how the holding could be closed, or the first reason why it can't.

    Reasons that a person chose come first, then what holds the balance, then the market's rules,
    then money.
    """
    return (
        _kept_by_choice(holding, threshold=threshold, policy=policy)
        or _kept_by_balance(holding, in_flight=in_flight)
        or _kept_by_market(holding)
        or _kept_by_rule_or_sold(holding, policy=policy)
    )


def _kept_by_choice(holding: Holding, *, threshold: Decimal, policy: Policy) -> Verdict | None:
    if holding.earn:
        return keep(Reason.STAKED, "Staked or in an earn product, not spot.", "Redeem it first.")
    if is_ignored(holding, threshold=threshold, policy=policy):
        return keep(Reason.IGNORED, "Ignored by the policy.", "Take it off the ignored list.")
    if holding.asset in policy.protected_assets:
        return keep(Reason.PROTECTED, "Protected by the policy.", "Take it off the protected list.")
    if holding.asset in policy.fee_assets:
        return keep(Reason.FEE_ASSET, "It pays the trading fees.", "Take it off the fee assets.")
    return None


def _kept_by_balance(holding: Holding, *, in_flight: frozenset[str]) -> Verdict | None:
    if holding.asset in in_flight:
        return keep(
            Reason.ORDER_IN_FLIGHT,
            "An order of a plan is not finished for it.",
            "Wait for that order's end.",
        )
    if holding.locked > 0 and (holding.step_size is None or holding.free < holding.step_size):
        return keep(Reason.LOCKED, "Locked in an open order.", "Cancel that order to free it.")
    if holding.has_open_order:
        return keep(Reason.OPEN_ORDER, "An order is open on it.", "Wait for it or cancel it.")
    return None


def _kept_by_market(holding: Holding) -> Verdict | None:
    if holding.price_usd is None:
        return keep(
            Reason.UNPRICED,
            f"No trustworthy price. {holding.price_problem}".strip(),
            "It counts until it has a price or is ignored.",
        )
    if holding.symbol is None or not holding.step_size or not holding.quote_price_usd:
        return keep(Reason.NO_MARKET, "Not traded against the account's quote here.")
    if not holding.market_active:
        return keep(
            Reason.MARKET_HALTED,
            f"Trading in {holding.symbol} is halted.",
            "Wait for the exchange.",
        )
    if holding.bid is None or holding.bid <= 0:
        return keep(Reason.ILLIQUID, f"Nobody buys in {holding.symbol}.", "Wait for buyers.")
    return None


def _kept_by_rule_or_sold(holding: Holding, *, policy: Policy) -> Verdict:
    # The market's facts are known here: `_kept_by_market` returned otherwise.
    step, bid = holding.step_size or ONE, holding.bid or ZERO
    minimum, quote_usd = holding.min_notional or ZERO, holding.quote_price_usd or ZERO
    least = ceil_to_step(max(holding.min_quantity or ZERO, step), step)
    quantity = floor_to_step(holding.free, step)
    if holding.max_quantity is not None and holding.max_quantity > 0:
        quantity = min(quantity, floor_to_step(holding.max_quantity, step))
    if quantity < least:
        return keep(
            Reason.BELOW_MIN_QUANTITY,
            f"Less than the smallest order, {canonical(least)} {holding.asset}.",
            f"Needs {canonical(least - holding.free)} {holding.asset} more.",
        )
    notional = quantity * bid
    needed = minimum * (ONE + policy.minimum_margin)
    if notional < needed:
        return keep(
            Reason.BELOW_MIN_NOTIONAL,
            f"Below the exchange minimum of {_dollars(minimum * quote_usd)}.",
            f"Needs {_dollars_up((needed - notional) * quote_usd)} more, "
            f"{_percent(policy.minimum_margin)} room included.",
        )
    # Without a last trade in this market, the price that gave the value its worth.
    reference = holding.last or (holding.price_usd or ZERO) / quote_usd
    slippage = max(ZERO, (reference - bid) / reference) if reference else ZERO
    if slippage > policy.max_slippage:
        return keep(
            Reason.ILLIQUID,
            f"Selling would cost {_percent(slippage)}, "
            f"the limit is {_percent(policy.max_slippage)}.",
            "Wait for a deeper market.",
        )
    fee = notional * (holding.taker_fee or ZERO)
    net = notional - fee
    if net <= 0:
        return keep(Reason.UNECONOMIC, "Closing costs more than it returns.", "Leave it.")
    if not policy.sell_enabled:
        return keep(Reason.ROUTE_OFF, "Selling is switched off in the policy.")
    return Verdict(
        route=Route.SELL,
        message=f"Market order on {holding.symbol}.",
        quantity=quantity,
        expected_fee_usd=fee * quote_usd,
        expected_slippage_usd=max(ZERO, quantity * (reference - bid)) * quote_usd,
        expected_net_usd=net * quote_usd,
    )


def classify(
    holdings: Iterable[Holding],
    *,
    threshold: Decimal,
    policy: Policy,
    in_flight: frozenset[str] = frozenset(),
) -> Classified:
    """Put every holding into exactly one of positions, residue and cash."""
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
                holding, threshold=threshold, policy=policy, in_flight=in_flight
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


_STAYS_ANYWAY = frozenset({Reason.PROTECTED, Reason.FEE_ASSET, Reason.STAKED, Reason.LOCKED})


def _not_dust(closing: Verdict, *, threshold: Decimal) -> Verdict:
    """Return why a position above the threshold stays, with the team's own reason if there is."""
    if closing.reason in _STAYS_ANYWAY:
        return closing
    return keep(Reason.NOT_DUST, f"Not below the dust threshold of {_dollars(threshold)}.")


def _dollars(amount: Decimal) -> str:
    if 0 < amount < Decimal("0.01"):
        return f"${canonical(amount.quantize(Decimal('0.0001')))}"
    return f"${amount:,.2f}" if amount == amount.quantize(Decimal("0.01")) else f"${amount:,.4f}"


def _dollars_up(amount: Decimal) -> str:
    """Return what is missing, to the next cent: less would not be enough."""
    return f"${amount.quantize(Decimal('0.01'), rounding=ROUND_UP):,}"


def _percent(share: Decimal) -> str:
    return f"{canonical((share * 100).quantize(Decimal('0.01')))}%"
