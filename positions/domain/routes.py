"""Judge each way to close one holding: a sale in a market, or the exchange's own conversion.

A way is a verdict: its route with what it would bring, or the reason why it can't be taken. The way
with the best net is chosen; `closing_route` says why.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from positions.domain.amounts import (
    ZERO,
    canonical,
    ceil_to_step,
    dollars,
    dollars_up,
    floor_to_step,
    percent,
)
from positions.domain.balances import Holding
from positions.domain.conversions import Terms
from positions.domain.leases import Hold
from positions.domain.markets import SaleMarket
from positions.domain.policies import Policy
from positions.domain.verdicts import Reason, Route, Verdict, keep

ONE = Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What verdicts and slots depend on beside the holdings and the policy."""

    in_flight: frozenset[str] = frozenset()  # assets with an order that has not ended
    terms: Terms | None = None  # of the exchange's own conversion; None: it has none
    holds: frozenset[Hold] = frozenset()  # what bots have leased and claimed
    leased: frozenset[str] = frozenset()  # assets that leases keep a slot for

    @cached_property
    def hold_on(self) -> Mapping[str, Hold]:
        """Return by asset whose it is; where it is leased and claimed, the claim tells more."""
        leases_first = sorted(self.holds, key=lambda hold: hold.reason is Reason.CLAIMED_BY_BOT)
        return {hold.asset: hold for hold in leases_first}


NOTHING_SPECIAL = Circumstances()


def closing_route(
    holding: Holding, *, policy: Policy, landing: AbstractSet[str], terms: Terms | None
) -> Verdict:
    """Return the way with the best net, or why there is none.

    Only ways into an asset of `landing` are offered: what comes back must not be the next dust.
    """
    sales = [
        _sale(holding, sale, policy=policy)
        for sale in holding.sales
        if sale.market.quote in landing
    ]
    conversion = None
    if terms is not None and terms.rule.target in landing:
        conversion = _conversion(holding, terms, policy=policy)
    ways = [*sales, conversion] if conversion is not None else sales
    possible = [way for way in ways if way.route is not None]
    if possible:
        # A sale before a conversion that brings the same: it waits for no window.
        best = max(possible, key=lambda way: (_net(way), way.route is Route.SELL))
        return _with_reason_why(best, possible)
    return _why_not(sales, conversion)


def _net(way: Verdict) -> Decimal:
    return way.expected_net_usd or ZERO


def _with_reason_why(best: Verdict, possible: Iterable[Verdict]) -> Verdict:
    """Return the verdict with what the next best way would have brought."""
    others = [way for way in possible if way is not best]
    if not others:
        return best
    second = max(others, key=_net)
    name = f"selling on {second.symbol}" if second.route is Route.SELL else "converting"
    return replace(
        best,
        message=f"{best.message} It brings {dollars(_net(best))}, {name} {dollars(_net(second))}.",
    )


def _why_not(sales: list[Verdict], conversion: Verdict | None) -> Verdict:
    """Return the reason that tells a person most."""
    if conversion is not None and conversion.reason in _CONVERSION_HELPS_LATER:
        return conversion
    # The account's quote comes first; a market that could be used soon tells more than a closed
    # one.
    sale = min(sales, key=lambda way: way.reason in _NEVER, default=None)
    if sale is None:
        nowhere = "No market here where it could be sold."
        if conversion is not None:
            return replace(conversion, message=f"{nowhere} {conversion.message}")
        return keep(Reason.NO_MARKET, nowhere, _LEAVES_OTHERWISE)
    if conversion is not None and conversion.reason in _CONVERSION_NEVER:
        return replace(sale, remedy=f"{sale.remedy} {conversion.message}".strip())
    return sale


_CONVERSION_HELPS_LATER = frozenset({Reason.CONVERT_WINDOW_CLOSED})
_CONVERSION_NEVER = frozenset({Reason.NOT_CONVERTIBLE, Reason.UNECONOMIC})
_LEAVES_OTHERWISE = "It can leave by a withdrawal, or be ignored."
_NEVER = frozenset({Reason.NO_MARKET, Reason.MARKET_HALTED, Reason.ILLIQUID})


def _sale(holding: Holding, sale: SaleMarket, *, policy: Policy) -> Verdict:
    market, ticker = sale.market, sale.ticker
    if not policy.sell_enabled:
        return keep(Reason.ROUTE_OFF, "Selling is switched off in the policy.")
    if market.delisted:
        return keep(
            Reason.NO_MARKET,
            f"{market.symbol} was delisted, or pauses as announced.",
            _LEAVES_OTHERWISE,
        )
    if not market.active:
        return keep(
            Reason.MARKET_HALTED,
            f"Trading in {market.symbol} is halted.",
            "Wait for the exchange.",
        )
    if ticker is None or ticker.bid is None or ticker.bid <= 0:
        return keep(Reason.ILLIQUID, f"Nobody buys in {market.symbol}.", "Wait for buyers.")
    if not sale.quote_price_usd:
        return keep(
            Reason.UNPRICED,
            f"{market.symbol} pays in {market.quote}, which has no trustworthy price.",
            f"Wait for a price of {market.quote}.",
        )
    bid = ticker.bid if sale.deep_bid is None else sale.deep_bid
    return _within_rules(holding, sale, bid=bid, quote_usd=sale.quote_price_usd, policy=policy)


def sellable_quantity(free: Decimal, sale: SaleMarket) -> Decimal:
    """Return what one market order could sell of this much, base, before any minimum."""
    rule = sale.market.rule
    quantity = floor_to_step(free, rule.step_size)
    if rule.max_quantity is not None and rule.max_quantity > 0:
        quantity = min(quantity, floor_to_step(rule.max_quantity, rule.step_size))
    return quantity


def _within_rules(
    holding: Holding, sale: SaleMarket, *, bid: Decimal, quote_usd: Decimal, policy: Policy
) -> Verdict:
    rule = sale.market.rule
    least = ceil_to_step(max(rule.min_quantity, rule.step_size), rule.step_size)
    quantity = sellable_quantity(holding.free, sale)
    if quantity < least <= holding.free:
        return keep(
            Reason.BELOW_MIN_QUANTITY,
            f"The largest order in {sale.market.symbol} is below its smallest.",
            "Wait for the exchange.",
        )
    if quantity < least:
        return keep(
            Reason.BELOW_MIN_QUANTITY,
            f"Less than the smallest order, {canonical(least)} {holding.asset}.",
            f"Needs {canonical(least - holding.free)} {holding.asset} more.",
        )
    notional = quantity * bid
    needed = rule.min_notional * (ONE + policy.minimum_margin)
    if notional < needed:
        return keep(
            Reason.BELOW_MIN_NOTIONAL,
            f"Below the exchange minimum of {dollars(rule.min_notional * quote_usd)}.",
            f"Needs {dollars_up((needed - notional) * quote_usd)} more, "
            f"{percent(policy.minimum_margin)} room included.",
        )
    # The higher of this market's last trade and what it is worth: an old trade at a low bid, here,
    # makes no sale cheap.
    last = sale.ticker.last if sale.ticker is not None else None
    reference = max(last or ZERO, (holding.price_usd or ZERO) / quote_usd)
    slippage = max(ZERO, (reference - bid) / reference) if reference else ZERO
    if slippage > policy.max_slippage:
        return keep(
            Reason.ILLIQUID,
            f"Selling would cost {percent(slippage)}, the limit is {percent(policy.max_slippage)}.",
            "Wait for a deeper market.",
        )
    fee = notional * sale.market.taker_fee
    if notional - fee <= 0:
        return keep(Reason.UNECONOMIC, "Closing costs more than it returns.", "Leave it.")
    return Verdict(
        route=Route.SELL,
        message=f"Market order on {sale.market.symbol}.",
        symbol=sale.market.symbol,
        into=sale.market.quote,
        price=bid,
        quantity=quantity,
        expected_fee_usd=fee * quote_usd,
        expected_slippage_usd=max(ZERO, quantity * (reference - bid)) * quote_usd,
        expected_net_usd=(notional - fee) * quote_usd,
    )


def _conversion(holding: Holding, terms: Terms, *, policy: Policy) -> Verdict:
    offer, target_usd = holding.offer, terms.target_price_usd
    if not policy.convert_enabled:
        return keep(Reason.ROUTE_OFF, "Converting is switched off in the policy.")
    if offer is None or target_usd is None:
        return keep(
            Reason.NOT_CONVERTIBLE,
            terms.problem or "The exchange does not convert it.",
            _LEAVES_OTHERWISE,
        )
    if offer.quantity > holding.free:
        return keep(
            Reason.DRIFTED,
            f"The exchange would convert {canonical(offer.quantity)} {holding.asset}, more than "
            "was free when the balances were read.",
            "Take a new snapshot.",
        )
    if holding.locked > 0:
        return keep(
            Reason.LOCKED,
            "Some of it is locked, and a conversion takes whatever comes free.",
            "Cancel that order to free it.",
        )
    if offer.net <= 0:
        return keep(Reason.UNECONOMIC, "Converting costs more than it returns.", "Leave it.")
    if not terms.budget.is_open:
        return keep(
            Reason.CONVERT_WINDOW_CLOSED,
            "Too small to be sold; it can be converted, but not now.",
            terms.opens,
        )
    value = offer.quantity * (holding.price_usd or ZERO)
    return Verdict(
        route=Route.CONVERT,
        message=f"Converted into {terms.rule.target} by the exchange.",
        into=terms.rule.target,
        price=offer.gross / offer.quantity,
        quantity=offer.quantity,
        expected_fee_usd=offer.fee * target_usd,
        expected_slippage_usd=max(ZERO, value - offer.gross * target_usd),
        expected_net_usd=offer.net * target_usd,
    )
