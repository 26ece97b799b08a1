"""Build domain values for tests: everything has a sound default, amounts are written as text."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from positions.domain.balances import Holding, Kind
from positions.domain.checks import Look
from positions.domain.classification import Classified, classify
from positions.domain.conversions import Budget, ConversionRule, Offer, Terms
from positions.domain.markets import Market, SaleMarket, Ticker, TradingRule
from positions.domain.orders import Trade
from positions.domain.planning import PlannedOrder
from positions.domain.policies import Policy
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Route

UNSET: Any = object()


def exactly(value: Any) -> Any:
    """Turn a text that is a number into a Decimal; leave everything else as it is."""
    return Decimal(value) if isinstance(value, str) else value


def amounts(facts: dict[str, Any], *texts: str) -> dict[str, Any]:
    """Turn every text of the facts into a Decimal, except the named ones."""
    return {
        name: value if name in texts else exactly(value)  # a name, not a number
        for name, value in facts.items()
    }


def make_holding(
    asset: str = "DOGE", *, free: str = "5", price: str | None = "0.1", **facts: Any
) -> Holding:
    """Return a holding that can be sold in a liquid market: 5 DOGE at 0.1, worth $0.50."""
    of_market = {name: facts.pop(name) for name in tuple(facts) if name in _OF_MARKET}
    sales: tuple[SaleMarket, ...] = ()
    if of_market.get("quote", "USDT") is not None:
        sales = (make_sale(asset, **({"last": price} | of_market)),)
    known: dict[str, Any] = {"free": free, "locked": "0", "price_usd": price, "sales": sales}
    return Holding(asset=asset, **amounts(known | facts, "price_problem", "kind"))


_OF_MARKET = (
    *(
        "quote",
        "active",
        "delisted",
        "step_size",
        "min_quantity",
        "max_quantity",
        "min_notional",
        "taker_fee",
    ),
    *("bid", "ask", "last", "quote_price_usd", "deep_bid"),
)


def make_sale(
    base: str = "DOGE",
    quote: str = "USDT",
    *,
    last: Any = "0.1",
    quote_price_usd: Any = "1",
    deep_bid: Any = None,
    **facts: Any,
) -> SaleMarket:
    """Return a liquid market where the asset could be sold."""
    of_ticker = {name: facts.pop(name) for name in ("bid", "ask") if name in facts}
    market = make_market(base, quote, **facts)
    return SaleMarket(
        market=market,
        ticker=make_ticker(market.symbol, last=last, **of_ticker),
        quote_price_usd=exactly(quote_price_usd),
        deep_bid=exactly(deep_bid),
    )


def make_offer(
    asset: str = "DOGE", *, quantity: str = "5", gross: str = "0.0008", fee: str = "0.000016"
) -> Offer:
    """Return what converting 5 DOGE into BNB at 600 would bring: $0.48, less 2 %."""
    brought = Decimal(gross)
    return Offer(
        asset=asset,
        quantity=Decimal(quantity),
        gross=brought,
        fee=Decimal(fee),
        net=brought - Decimal(fee),
    )


def make_terms(
    target: str = "BNB", *, price: str | None = "600", is_open: bool = True, **facts: Any
) -> Terms:
    """Return the terms of a conversion into BNB that is open, or opens at 14:20."""
    rule = ConversionRule(
        target=target,
        charge=Decimal("0.02"),
        window=timedelta(hours=6),
        most_assets=facts.pop("most_assets", None),
        most_gross=exactly(facts.pop("most_gross", None)),
        source="a test",
        read="2026-11",
    )
    opens = None if is_open else datetime(2026, 11, 24, 14, 20, tzinfo=UTC)
    return Terms(
        rule=rule,
        budget=Budget(is_open=is_open, next_at=opens, left_today=None),
        target_price_usd=exactly(price),
        **amounts(facts, "problem"),
    )


def make_policy(**facts: Any) -> Policy:
    """Return a policy with the default thresholds and guards."""
    lists = ("cash_assets", "protected_assets", "ignored_assets", "fee_assets")
    return Policy(
        **{
            name: frozenset(value) if name in lists else exactly(value)
            for name, value in facts.items()
        }
    )


def make_market(base: str = "DOGE", quote: str = "USDT", **facts: Any) -> Market:
    """Return an active market with a step of 0.01 and no minimum worth mentioning."""
    rule: dict[str, Any] = {
        "step_size": "0.01",
        "min_quantity": "0.01",
        "max_quantity": None,
        "min_notional": "0",
    }
    rule |= {name: facts.pop(name) for name in tuple(facts) if name in rule}
    known: dict[str, Any] = {"active": True, "delisted": False, "taker_fee": "0.001"} | facts
    return Market(
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        rule=TradingRule(**amounts(rule)),
        **amounts(known),
    )


def make_ticker(
    symbol: str = "DOGE/USDT",
    *,
    last: str | None = "0.1",
    bid: str | None = UNSET,
    ask: str | None = UNSET,
    **facts: Any,
) -> Ticker:
    """Return a ticker whose bid and ask are its last price, unless they are given."""
    return Ticker(
        symbol=symbol,
        bid=exactly(last if bid is UNSET else bid),
        ask=exactly(last if ask is UNSET else ask),
        last=exactly(last),
        **amounts(facts),
    )


def make_look(*, free: str = "5", **facts: Any) -> Look:
    """Return a last look at 5 free DOGE at 0.1 in a liquid market."""
    known: dict[str, Any] = {
        "total": facts.get("total", free),
        "has_open_order": False,
        "market": make_market(),
        "ticker": make_ticker(),
        "quote_price_usd": "1",
    }
    return Look(**amounts({"free": free} | known | facts))


def make_order(asset: str = "DOGE", **facts: Any) -> PlannedOrder:
    """Return a planned sale of 5 DOGE at 0.1."""
    known: dict[str, Any] = {
        "symbol": f"{asset}/USDT",
        "into": "USDT",
        "route": Route.SELL,
        "quantity": Decimal("5"),
        "price": Decimal("0.1"),
        "value_usd": Decimal("0.5"),
        "expected_fee_usd": Decimal("0.0005"),
        "expected_slippage_usd": Decimal("0.001"),
        "expected_net_usd": Decimal("0.4995"),
    }
    return PlannedOrder(asset=asset, **(known | facts))


def make_trade(*, fee: str = "0", fee_currency: str = "USDT", **facts: Any) -> Trade:
    """Return one fill of 5 units at 0.1, without a fee."""
    known: dict[str, Any] = {"trade_id": "t1", "price": "0.1", "quantity": "5", "at_ms": 0}
    return Trade(fee=Decimal(fee), fee_currency=fee_currency, **amounts(known | facts, "trade_id"))


def reference_holdings() -> list[Holding]:
    """Return eight holdings: two worth at least $5, six below $1."""
    held = (
        ("SOL", "0.15", "186"),
        ("BNB", "0.02", "620"),
        ("DOGE", "5", "0.182"),
        ("XRP", "0.25", "2.48"),
        ("ADA", "0.5", "0.66"),
        ("ONE", "10", "0.015"),
        ("SHIB", "5000", "0.000012"),
        ("PEPE", "5000", "0.000008"),
    )
    return [make_holding(asset, free=free, price=price) for asset, free, price in held]


def at_threshold(
    holdings: list[Holding], threshold: str = "1.00", policy: Policy | None = None, **facts: Any
) -> Classified:
    """Classify the holdings at a threshold, under the default policy unless one is given."""
    return classify(holdings, threshold=Decimal(threshold), policy=policy or make_policy(), **facts)


# Whole accounts for properties: every fact that a verdict looks at varies, most often soundly.

CASH = ("USDT", "EUR")
PROTECTED = ("GUARD",)
IGNORED = ("LUNC", "JUNK")
FEES = ("BNB",)
IN_FLIGHT = ("BUSY",)
PLAIN = ("DOGE", "XRP", "ADA", "ONE", "SHIB", "PEPE")


def decimals(low: str, high: str, *, places: int = 8) -> st.SearchStrategy[Decimal]:
    """Return decimals with a fixed number of places, both ends included."""
    scale = 10**places
    return st.integers(int(Decimal(low) * scale), int(Decimal(high) * scale)).map(
        lambda units: Decimal(units).scaleb(-places)
    )


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Return the usual value about eight times in nine: a dozen facts make one holding."""
    return st.sampled_from([usual] * (8 * len(others)) + list(others)).map(exactly)


def weighted(
    usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Return the usual kind of value about eight times in nine."""
    return st.sampled_from([usual] * 8 + [other]).flatmap(lambda chosen: chosen)


@st.composite
def held(draw: st.DrawFn, asset: str) -> Holding:
    """Return one holding of the asset with any mixture of facts."""
    anything = st.one_of(decimals("0.00000001", "10"), st.none())
    price = draw(weighted(decimals("0.01", "0.4"), anything))
    worth = price or Decimal("0.5")
    free = draw(weighted(decimals("0.5", "10"), decimals("0", "10")))
    return make_holding(
        asset,
        free=str(free),
        locked=draw(mostly("0", "0.005", "2")),
        kind=draw(st.sampled_from([Kind.SPOT] * 14 + [Kind.EARN, Kind.LEVERAGED, Kind.AIRDROP])),
        debt=draw(mostly("0", "1")),
        price=None if price is None else str(price),
        sales=tuple(draw(sale_markets(asset, quote, worth)) for quote in draw(QUOTES)),
        offer=draw(st.one_of(st.none(), offers(asset, free, worth))),
        has_open_order=draw(mostly(False, True)),
    )


QUOTES = st.sampled_from([("USDT",), ("USDT", "BTC"), ("BTC",), ()])


@st.composite
def sale_markets(draw: st.DrawFn, asset: str, quote: str, worth: Decimal) -> SaleMarket:
    """Return a market of the asset with any mixture of facts."""
    usd = draw(mostly("1", "0.5", None) if quote == "USDT" else mostly("50000", None))
    price = worth / (usd or Decimal(1))
    bid = draw(mostly("1", "0.995", "0.99", "0.989", "0", None))
    return make_sale(
        asset,
        quote,
        active=draw(mostly(True, False)),
        step_size=draw(mostly("0.01", "0.00000001", "1", "3")),
        min_quantity=draw(mostly("0.01", "0.5")),
        max_quantity=draw(mostly(None, "0", "2.5")),
        min_notional=draw(mostly("0", "0.1", "5")) / (usd or Decimal(1)),
        taker_fee=draw(mostly("0.001", "0")),
        bid=None if bid is None else bid * price,
        last=draw(st.sampled_from([price, price, None])),
        quote_price_usd=usd,
        deep_bid=draw(st.sampled_from([None, None, price * Decimal("0.994"), Decimal(0)])),
    )


@st.composite
def offers(draw: st.DrawFn, asset: str, free: Decimal, worth: Decimal) -> Offer:
    """Return what converting all that is free into BNB would pay, nothing included."""
    quantity = draw(st.sampled_from([free, free, free, free + 1])) or Decimal(1)
    gross = quantity * worth / 600
    fee = gross * draw(st.sampled_from([Decimal("0.02"), Decimal("0.02"), Decimal("1.5")]))
    return Offer(asset=asset, quantity=quantity, gross=gross, fee=fee, net=gross - fee)


def conversion_terms() -> st.SearchStrategy[Terms | None]:
    """Return no conversion, one that is open, one that is closed, or one of few assets."""
    return st.sampled_from(
        [
            None,
            make_terms(),
            make_terms(most_assets=1),
            make_terms(most_gross="0.001"),
            make_terms(is_open=False),
            make_terms(price=None),
            make_terms("USDT", price="1"),
        ]
    )


def circumstances() -> st.SearchStrategy[Circumstances]:
    """Return any conversion's terms while an order runs for BUSY."""
    return conversion_terms().map(
        lambda terms: Circumstances(in_flight=frozenset(IN_FLIGHT), terms=terms)
    )


@st.composite
def accounts(draw: st.DrawFn) -> list[Holding]:
    """Return an account's holdings, each asset once; three ordinary ones at least.

    Some hold enough BTC that dust may become BTC.
    """
    special = (*CASH, *PROTECTED, *IGNORED, *FEES, *IN_FLIGHT)
    plain = draw(st.lists(st.sampled_from(PLAIN), unique=True, min_size=3))
    assets = plain + draw(st.lists(st.sampled_from(special), unique=True, max_size=4))
    holdings = [draw(held(asset)) for asset in assets]
    if draw(st.booleans()):
        holdings.append(make_holding("BTC", free="0.001", price="50000"))
    return holdings


def policies() -> st.SearchStrategy[Policy]:
    """Return policies with the lists above and varying guards."""
    return st.builds(
        lambda cap, most, value, ceiling, margin, routes: make_policy(
            cash_assets=CASH,
            protected_assets=PROTECTED,
            ignored_assets=IGNORED,
            fee_assets=FEES,
            position_cap=cap,
            max_plan_orders=most,
            max_plan_value=value,
            max_order_value=ceiling,
            minimum_margin=margin,
            sell_enabled=routes != "convert",
            convert_enabled=routes != "sell",
        ),
        st.integers(1, 10),
        st.sampled_from([300, 300, 2]),
        st.sampled_from(["50", "50", "1.5"]),
        st.sampled_from([None, None, None, "0.4"]),
        st.sampled_from(["0.02", "0"]),
        st.sampled_from(["both", "both", "both", "sell", "convert"]),
    )


def thresholds() -> st.SearchStrategy[Decimal]:
    """Return thresholds within the default guard, the shown ones often."""
    shown = [Decimal(text) for text in ("0.001", "0.50", "1", "1", "5", "5", "10", "10")]
    return st.one_of(st.sampled_from(shown), decimals("0.001", "10", places=3))
