"""Ask an exchange what an account holds and what everything there is worth."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from positions.domain.balances import Balance, Holding, Kind
from positions.domain.classification import landing_of
from positions.domain.conversions import Offer
from positions.domain.markets import Market, SaleMarket, Ticker
from positions.domain.policies import Policy
from positions.domain.routes import sellable_quantity
from positions.domain.valuation import PriceList, anchor_of
from positions.exchanges.port import ExchangePort, KeyRefused, RequestRefused
from positions.models import ExchangeAccount

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of an account, not yet kept."""

    asked_at: datetime
    holdings: Sequence[Holding]
    anchor: str
    anchor_deviation: Decimal | None
    prices_usd: Mapping[str, Decimal]  # of what sales and conversions pay in, and of fees
    conversion_problem: str
    listed: frozenset[str]  # every asset that has a market
    requests: int


def read_account(
    exchange: ExchangePort, *, account: ExchangeAccount, policy: Policy, clock: Clock
) -> Reading:
    """Ask for balances, open orders, prices and, if there is one, the conversion's preview.

    Whatever the account holds, this takes three or four requests. Single books are asked for only
    where a sale that could be planned is larger than the best bid.
    """
    markets = exchange.markets()
    # A plan may follow: what a restarted Redis forgot is over by then.
    exchange.pacer.prime()
    before = exchange.requests
    now_ms = exchange.now_ms()  # the clock comparison is not part of the reading
    asked_at = clock()
    balances = exchange.balances()
    busy = exchange.open_order_assets()
    tickers = exchange.tickers()
    rule = exchange.conversion_rule
    offers, conversion_problem = _offers(exchange) if rule is not None else ({}, "")
    anchor = anchor_of(markets, quote=account.quote)
    prices = PriceList(anchor=anchor, markets=markets, tickers=tickers, now_ms=now_ms)
    holdings = holdings_of(
        balances,
        markets=markets,
        tickers=tickers,
        prices=prices,
        quote=account.quote,
        offers=offers,
        busy=busy,
    )
    landing = landing_of(holdings, policy=policy)
    holdings = [_with_depth(item, exchange, policy=policy, landing=landing) for item in holdings]
    paid_in = {account.quote, *policy.fee_assets, *([rule.target] if rule else [])}
    paid_in.update(sale.market.quote for item in holdings for sale in item.sales)
    return Reading(
        asked_at=asked_at,
        holdings=holdings,
        anchor=anchor,
        anchor_deviation=prices.anchor_deviation(policy.stablecoins),
        prices_usd={
            asset: price for asset in paid_in if (price := prices.price(asset).usd) is not None
        },
        conversion_problem=conversion_problem,
        listed=frozenset(
            asset for market in markets.values() for asset in (market.base, market.quote)
        ),
        requests=exchange.requests - before,
    )


def _offers(exchange: ExchangePort) -> tuple[Mapping[str, Offer], str]:
    """Return what the exchange would convert, or why it does not say.

    A key that may not ask for it is no reason to know nothing of the account.
    """
    try:
        return exchange.quote_conversion(()).offers, ""
    except (RequestRefused, KeyRefused) as error:
        return {}, f"The exchange does not say what it converts: {error}"


def holdings_of(
    balances: Iterable[Balance],
    *,
    markets: Mapping[str, Market],
    tickers: Mapping[str, Ticker],
    prices: PriceList,
    quote: str,
    offers: Mapping[str, Offer],
    busy: Collection[str],
) -> list[Holding]:
    """Return the balances with everything that a verdict needs; nothing is asked for."""
    by_base: dict[str, list[Market]] = defaultdict(list)
    # The account's quote first.
    for market in sorted(markets.values(), key=lambda item: (item.quote != quote, item.symbol)):
        by_base[market.base].append(market)

    def holding(balance: Balance) -> Holding:
        price = prices.price(balance.asset)
        return Holding(
            asset=balance.asset,
            free=balance.free,
            locked=balance.locked,
            kind=balance.kind,
            debt=balance.debt,
            price_usd=price.usd,
            price_hops=price.hops,
            price_doubts=price.doubts,
            price_problem=price.problem,
            price_is_stale=price.is_stale,
            sales=tuple(
                SaleMarket(
                    market=market,
                    ticker=tickers.get(market.symbol),
                    quote_price_usd=prices.price(market.quote).usd,
                )
                for market in by_base.get(balance.asset, ())
            ),
            offer=offers.get(balance.asset),
            has_open_order=balance.asset in busy,
        )

    return [holding(balance) for balance in balances]


def _with_depth(
    holding: Holding, exchange: ExchangePort, *, policy: Policy, landing: AbstractSet[str]
) -> Holding:
    """Return the holding with what its sales would bring where the best bid is too small."""
    value = holding.value_usd
    if value is None or value >= policy.max_threshold or holding.kind is not Kind.SPOT:
        return holding
    sales = tuple(
        _deep(sale, holding.free, exchange) if sale.market.quote in landing else sale
        for sale in holding.sales
    )
    return replace(holding, sales=sales)


def _deep(sale: SaleMarket, free: Decimal, exchange: ExchangePort) -> SaleMarket:
    ticker, rule = sale.ticker, sale.market.rule
    if ticker is None or ticker.bid is None:
        return sale
    quantity = sellable_quantity(free, sale)
    too_small = quantity < rule.min_quantity or quantity * ticker.bid < rule.min_notional
    if ticker.covers(quantity) is not False or too_small or not sale.market.active:
        return sale
    return replace(sale, deep_bid=exchange.bid_for(sale.market.symbol, quantity=quantity))
