"""The last look before an order leaves: never more than dust, never more than planned.

An order that enforces the cap was never dust: it may be worth what it was planned to be.
"""

from dataclasses import dataclass
from decimal import Decimal

from positions.domain.amounts import ZERO, canonical, dollars, floor_to_step
from positions.domain.markets import Market, Ticker
from positions.domain.policies import Policy
from positions.domain.verdicts import Reason

ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The order may leave with this quantity, base."""

    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The order must not leave."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was read of one asset shortly before sending."""

    free: Decimal
    total: Decimal
    has_open_order: bool
    market: Market | None
    ticker: Ticker | None
    quote_price_usd: Decimal | None
    quote_total: Decimal = ZERO  # what is held of the quote
    # What each unit would bring, in quote, where the best bid does not cover the order.
    deep_bid: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What another person approved of one sale that enforces the cap."""

    value_usd: Decimal  # of all that was held
    price: Decimal  # quote, at planning


def last_check(
    look: Look,
    *,
    asset: str,
    planned: Decimal,
    threshold: Decimal,
    policy: Policy,
    enforced: Approved | None = None,
) -> Ready | Denied:
    """Return the quantity that may be sold now, or why nothing may.

    `planned` is the planned quantity, base; `threshold` the plan's dust threshold, USD; `enforced`
    what was approved of an order that enforces the cap, None for dust. Less than planned is
    sold as far as it goes; more than planned means that somebody buys the asset, in parts perhaps,
    and that what looked like dust may be the first of them: nothing is sold.
    """
    if (chosen := denied_by_choice(asset, policy)) is not None:
        return chosen
    if not policy.sell_enabled:
        return Denied(reason=Reason.ROUTE_OFF, message="Selling is switched off in the policy.")
    if look.has_open_order:
        return Denied(reason=Reason.OPEN_ORDER, message=f"An order is open on {asset}.")
    market, ticker = look.market, look.ticker
    if market is None:
        return Denied(reason=Reason.NO_MARKET, message=f"{asset} has no market any more.")
    if not market.active:
        return Denied(reason=Reason.MARKET_HALTED, message=f"Trading in {market.symbol} is halted.")
    if (
        ticker is None
        or ticker.bid is None
        or ticker.last is None
        or not ticker.two_sided
        or look.quote_price_usd is None
    ):
        return Denied(reason=Reason.UNPRICED, message=f"{asset} has no trustworthy price now.")
    held_usd = look.quote_total * look.quote_price_usd
    if (landing := denied_by_landing(market.quote, held_usd, policy)) is not None:
        return landing
    # The higher of bid and last, so that a thin bid can't make a real position look like dust.
    highest = max(ticker.bid, ticker.last)
    value = look.total * highest * look.quote_price_usd
    denied = (
        denied_as_no_dust(value, threshold=threshold, policy=policy)
        if enforced is None
        else _denied_as_drifted(value, highest, approved=enforced, policy=policy)
    )
    if denied is not None:
        return denied
    return _within_the_rule(look, market=market, ticker=ticker, planned=planned, policy=policy)


def denied_by_choice(asset: str, policy: Policy) -> Denied | None:
    """Return the denial if the asset is on one of the policy's lists now."""
    for assets, reason, sentence in (
        (policy.cash_assets, Reason.PROTECTED, "is cash by the policy now"),
        (policy.protected_assets, Reason.PROTECTED, "is protected by the policy now"),
        (policy.fee_assets, Reason.FEE_ASSET, "pays the trading fees by the policy now"),
        (policy.ignored_assets, Reason.IGNORED, "is ignored by the policy now"),
    ):
        if asset in assets:
            return Denied(reason=reason, message=f"{asset} {sentence}.")
    return None


def denied_as_no_dust(value: Decimal, *, threshold: Decimal, policy: Policy) -> Denied | None:
    """Return the denial if it is worth too much to be dust by now, USD."""
    if value >= threshold * (ONE + policy.price_drift):
        return Denied(
            reason=Reason.NO_LONGER_DUST,
            message=f"Worth {dollars(value)} now, not below the threshold of {dollars(threshold)}.",
        )
    if value > policy.order_value_limit(threshold):
        return Denied(
            reason=Reason.OVER_ORDER_LIMIT,
            message=f"Worth {dollars(value)} now, more than one order may be.",
        )
    return None


def _denied_as_drifted(
    value: Decimal, price: Decimal, *, approved: Approved, policy: Policy
) -> Denied | None:
    """Return the denial if it is worth more by now, USD, or is cheaper, quote, than was approved.

    Less of it may be held than was planned; so its price is compared downwards, not its value.
    """
    if price < approved.price * (ONE - policy.price_drift):
        return Denied(
            reason=Reason.DRIFTED,
            message=f"Its price fell from {canonical(approved.price)} to {canonical(price)}.",
        )
    ceiling = approved.value_usd * (ONE + policy.price_drift)
    if value > ceiling:
        return Denied(
            reason=Reason.DRIFTED,
            message=f"Worth {dollars(value)} now, above its ceiling of {dollars(ceiling)}.",
        )
    # The guard's default is the dust threshold's; what a person wrote holds for every order.
    if policy.max_order_value is not None and value > policy.max_order_value:
        return Denied(
            reason=Reason.OVER_ORDER_LIMIT,
            message=f"Worth {dollars(value)} now, more than one order may be.",
        )
    return None


def denied_by_landing(asset: str, held_usd: Decimal, policy: Policy) -> Denied | None:
    """Return the denial if what comes back would be the next dust: see `landing_of`."""
    if asset in policy.cash_assets | policy.fee_assets | policy.ignored_assets:
        return None
    counts = held_usd >= policy.dust_threshold
    if held_usd >= policy.max_threshold or (counts and asset in policy.protected_assets):
        return None
    return Denied(
        reason=Reason.DRIFTED,
        message=f"It would become {asset}, of which too little is held now to count anyway.",
    )


def _within_the_rule(
    look: Look, *, market: Market, ticker: Ticker, planned: Decimal, policy: Policy
) -> Ready | Denied:
    rule = market.rule
    bid = (ticker.bid or ZERO) if look.deep_bid is None else look.deep_bid
    if look.total == 0:
        return Denied(reason=Reason.NOT_HELD, message=f"{market.base} is no longer held.")
    if rule.step_size <= 0:
        return Denied(reason=Reason.NO_MARKET, message=f"{market.symbol} has no quantity step.")
    quantity = floor_to_step(min(look.free, rule.max_quantity or look.free), rule.step_size)
    if quantity > planned:
        return Denied(
            reason=Reason.DRIFTED,
            message=f"More {market.base} is held than when it was planned: somebody buys it.",
        )
    if quantity < max(rule.min_quantity, rule.step_size):
        reason = Reason.LOCKED if look.total > look.free else Reason.BELOW_MIN_QUANTITY
        return Denied(
            reason=reason,
            message=f"Only {canonical(look.free)} {market.base} is free now, less than one order.",
        )
    needed = rule.min_notional * (ONE + policy.minimum_margin)
    if quantity * bid < needed:
        return Denied(
            reason=Reason.BELOW_MIN_NOTIONAL,
            message=f"Worth {canonical(quantity * bid)} {market.quote} at the bid now, below the "
            f"exchange minimum of {canonical(rule.min_notional)} with its margin.",
        )
    reference = ticker.last or ticker.bid or ZERO
    if bid == 0 or (reference - bid) / reference > policy.max_slippage:
        return Denied(
            reason=Reason.ILLIQUID,
            message=f"The bids are more than {canonical(policy.max_slippage * 100)}% below the "
            "last price now.",
        )
    return Ready(quantity=quantity)
