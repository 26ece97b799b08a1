"""Build domain values for tests: everything has a sound default, amounts are written as text."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from positions.domain.balances import Holding
from positions.domain.checks import Look
from positions.domain.classification import Classified, classify
from positions.domain.markets import Market, Ticker, TradingRule
from positions.domain.orders import Trade
from positions.domain.planning import PlannedOrder
from positions.domain.policies import Policy
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
    known: dict[str, Any] = {
        "free": free,
        "locked": "0",
        "price_usd": price,
        "symbol": f"{asset}/USDT",
        "market_active": True,
        "step_size": "0.01",
        "min_quantity": "0.01",
        "min_notional": "0",
        "taker_fee": "0.001",
        "bid": price,
        "ask": price,
        "last": price,
        "quote_price_usd": "1",
    }
    return Holding(asset=asset, **amounts(known | facts, "symbol", "price_path", "price_problem"))


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
    known: dict[str, Any] = {"active": True, "taker_fee": "0.001"} | facts
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
) -> Ticker:
    """Return a ticker whose bid and ask are its last price, unless they are given."""
    return Ticker(
        symbol=symbol,
        bid=exactly(last if bid is UNSET else bid),
        ask=exactly(last if ask is UNSET else ask),
        last=exactly(last),
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
    """Return the usual value about two times in three."""
    return st.sampled_from([usual] * (2 * len(others)) + list(others)).map(exactly)


@st.composite
def held(draw: st.DrawFn, asset: str) -> Holding:
    """Return one holding of the asset with any mixture of facts."""
    price = draw(st.one_of(decimals("0.00000001", "2"), decimals("0.01", "10"), st.none()))
    worth = price or Decimal("0.5")
    bid = draw(mostly("1", "0.995", "0.99", "0.989", "0", None))
    return make_holding(
        asset,
        free=str(draw(st.one_of(decimals("0", "10"), st.just(Decimal(0))))),
        locked=draw(mostly("0", "0.005", "2")),
        earn=draw(mostly(False, True)),
        price=None if price is None else str(price),
        symbol=draw(st.sampled_from([f"{asset}/USDT"] * 5 + [None])),
        market_active=draw(mostly(True, False)),
        step_size=draw(mostly("0.01", "0.00000001", "1", "3", None)),
        min_quantity=draw(mostly("0.01", "0.5", None)),
        max_quantity=draw(mostly(None, "0", "2.5")),
        min_notional=draw(mostly("0", "0.1", "5", None)),
        taker_fee=draw(mostly("0.001", None)),
        bid=None if bid is None else bid * worth,
        last=draw(st.sampled_from([worth, worth, None])),
        quote_price_usd=draw(mostly("1", "0.5", None)),
        has_open_order=draw(mostly(False, True)),
    )


@st.composite
def accounts(draw: st.DrawFn, *, most: int = 8) -> list[Holding]:
    """Return an account's holdings, each asset once."""
    every = (*CASH, *PROTECTED, *IGNORED, *FEES, *IN_FLIGHT, *PLAIN)
    assets = draw(st.lists(st.sampled_from(every), unique=True, max_size=most))
    return [draw(held(asset)) for asset in assets]


def policies() -> st.SearchStrategy[Policy]:
    """Return policies with the lists above and varying guards."""
    return st.builds(
        lambda cap, most, value, ceiling, margin: make_policy(
            cash_assets=CASH,
            protected_assets=PROTECTED,
            ignored_assets=IGNORED,
            fee_assets=FEES,
            position_cap=cap,
            max_plan_orders=most,
            max_plan_value=value,
            max_order_value=ceiling,
            minimum_margin=margin,
        ),
        st.integers(1, 10),
        st.sampled_from([300, 300, 2]),
        st.sampled_from(["50", "50", "1.5"]),
        st.sampled_from([None, None, "0.4"]),
        st.sampled_from(["0.02", "0"]),
    )


def thresholds() -> st.SearchStrategy[Decimal]:
    """Return thresholds within the default guard, the shown ones often."""
    shown = [Decimal(text) for text in ("0.001", "0.01", "0.50", "1", "5", "10")]
    return st.one_of(st.sampled_from(shown), decimals("0.001", "10", places=3))
