"""The books balance: whatever is traded, the ledger explains every balance exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import ledger, scenario
from sandbox.amounts import plain
from sandbox.markets import changed, priced
from sandbox.matching import Matching, Ticket
from sandbox.records import Account
from sandbox.refusals import Refusal
from sandbox.state import State
from tests.exchange_process import SandboxProcess
from tests.sandbox.bookkeeping import assert_explained
from tests.sandbox.clients import Raw

SEED8 = scenario.load("seed8")
MARKETS = {market.symbol: (market.base, market.quote) for market in SEED8.markets}
SYMBOLS = ["DOGEUSDT", "BNBUSDT", "SOLUSDT", "SHIBUSDT"]
RICH = {"USDT": "5000", "DOGE": "9000", "BNB": "3", "SOL": "20", "SHIB": "40000000"}

orders = st.fixed_dictionaries(
    {
        "do": st.just("order"),
        "who": st.integers(0, 1),
        "symbol": st.sampled_from(SYMBOLS),
        "side": st.sampled_from(["BUY", "SELL"]),
        "kind": st.sampled_from(["MARKET", "QUOTE", "GTC", "IOC", "FOK"]),
        "steps": st.integers(1, 4000),
        "offset": st.integers(-40, 40),  # of the price, in per mille
        "fraction": st.sampled_from([None, None, None, Decimal(0), Decimal("0.37")]),
    }
)
prices = st.fixed_dictionaries(
    {
        "do": st.just("price"),
        "symbol": st.sampled_from(SYMBOLS),
        "factor": st.integers(960, 1040),
    }
)
cancels = st.fixed_dictionaries({"do": st.just("cancel"), "index": st.integers(0, 5)})


class Exchange:
    """The matching engine in this process, with two accounts; one burns BNB."""

    def __init__(self) -> None:
        self.state = State(None)
        with self.state.transaction():
            scenario.seed(self.state, SEED8, now_ms=1)
            self.matching = Matching(self.state, SEED8.fees)
            self.accounts: list[Account] = [
                scenario.open_account(
                    self.state,
                    name="trader",
                    balances={asset: Decimal(amount) for asset, amount in RICH.items()},
                    permissions={},
                    bnb_burn=burns,
                    now_ms=1,
                )
                for burns in (True, False)
            ]
            for symbol in SYMBOLS:
                shallow = {"depth": {"levels": 3, "level_quote": "150"}}
                self.state.put_market(changed(self.state.markets[symbol], shallow))

    def order(self, action: dict[str, Any]) -> None:
        """Place one order; refusals are part of life."""
        market = self.state.markets[action["symbol"]]
        assert market.last is not None
        per_step = 1000 if market.base == "SHIB" else 10
        quantity = market.step * action["steps"] * per_step
        limit = market.last * (1000 + action["offset"]) / 1000
        limit = limit.quantize(market.tick)
        is_limit = action["kind"] in ("GTC", "IOC", "FOK")
        is_quote = action["kind"] == "QUOTE"
        ticket = Ticket(
            symbol=market.symbol,
            side=action["side"],
            type="LIMIT" if is_limit else "MARKET",
            quantity=None if is_quote else quantity,
            quote_quantity=Decimal(action["steps"]) / 7 if is_quote else None,
            price=limit if is_limit else None,
            time_in_force=action["kind"] if is_limit else "GTC",
        )
        account = self.accounts[action["who"]]
        self.matching.place(account, ticket, now_ms=2, fraction=action["fraction"])

    def price(self, action: dict[str, Any]) -> None:
        """Move a price and fill what it reaches."""
        market = self.state.markets[action["symbol"]]
        assert market.last is not None
        price = (market.last * action["factor"] / 1000).quantize(market.tick)
        market = priced(market, plain(max(price, market.tick * 10)))
        self.state.put_market(market)
        self.matching.match_resting(market, now_ms=3)

    def cancel(self, action: dict[str, Any]) -> None:
        """Cancel one of the open orders."""
        found = self.state.open_orders("1")
        if found:
            self.matching.cancel(found[action["index"] % len(found)], now_ms=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(orders, orders, prices, cancels), min_size=1, max_size=30))
def test_any_sequence_of_orders_prices_and_cancels_is_explained(
    actions: list[dict[str, Any]],
) -> None:
    exchange = Exchange()
    try:
        for action in actions:
            with exchange.state.transaction():
                try:
                    with exchange.state.undone_on_refusal():
                        getattr(exchange, action["do"])(action)
                except Refusal:
                    pass
        books = ledger.parts(exchange.state, ledger.PARTS, since=0)
        assert_explained(books, MARKETS)
        for order in books["orders"]:
            fills = [each for each in books["fills"] if each["order_id"] == order["order_id"]]
            quantity = sum(Decimal(each["quantity"]) for each in fills)
            quote = sum(Decimal(each["quote_quantity"]) for each in fills)
            assert quantity == Decimal(order["filled_quantity"]) <= Decimal(order["quantity"])
            assert quote == Decimal(order["filled_quote"])
            assert (order["status"] == "FILLED") == (quantity == Decimal(order["quantity"]) != 0)
    finally:
        exchange.state.close()


def test_the_random_orders_really_trade_rest_and_meet() -> None:
    exchange = Exchange()
    with exchange.state.transaction():
        base = {"symbol": "DOGEUSDT", "fraction": None}
        exchange.order(base | {"who": 0, "side": "SELL", "kind": "GTC", "steps": 40, "offset": 5})
        exchange.order(base | {"who": 1, "side": "BUY", "kind": "GTC", "steps": 400, "offset": 20})
    fills = ledger.parts(exchange.state, ["fills"], since=0)["fills"]
    exchange.state.close()
    assert {fill["is_maker"] for fill in fills} == {True, False}
    assert {fill["commission_asset"] for fill in fills} == {"BNB", "DOGE"}


def test_trades_over_the_wire_and_external_changes_are_explained(
    exchange: SandboxProcess, raw: Raw
) -> None:
    raw.sell("DOGEUSDT", "3")
    raw.limit("XRPUSDT", "SELL", "0.2", "3")
    raw.limit("SOLUSDT", "BUY", "0.5", "150")
    exchange.control("POST", "balances", {"ADA": {"free": "0.1"}, "XRP": {"locked": "0.5"}})
    exchange.control("POST", "trade", {"symbol": "SOLUSDT", "side": "SELL", "quantity": "0.1"})
    exchange.control("POST", "prices", {"XRPUSDT": "3.1"})
    books = exchange.ledger()
    assert_explained(books, MARKETS)
    assert [order["origin"] for order in books["orders"]] == ["api", "api", "api", "bot"]


def test_every_request_is_in_the_ledger_with_what_was_sent(
    exchange: SandboxProcess, raw: Raw
) -> None:
    raw.sell("DOGEUSDT", "5", newClientOrderId="mine")
    raw.sell("DOGEUSDT", "5")
    first, second = exchange.ledger()["requests"]
    assert (first["method"], first["path"]) == ("POST", "/api/v3/order")
    assert first["params"]["newClientOrderId"] == "mine"
    assert first["api_key"] == raw.keys["api_key"]
    assert (first["status"], first["code"], first["weight"], first["fault"]) == (200, None, 1, None)
    assert (second["status"], second["code"]) == (400, -2010)
    assert first["counted_order"] is True
    assert exchange.ledger(since=first["id"])["requests"] == [second]
    assert raw.keys["api_secret"] not in str(exchange.ledger())
