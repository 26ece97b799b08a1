"""Random orders, prices and cancellations on the matching engine alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from sandbox import ledger, scenario
from sandbox.amounts import plain
from sandbox.markets import changed, priced
from sandbox.matching import Matching, Ticket
from sandbox.records import Account
from sandbox.refusals import Refusal
from sandbox.scenario import Scenario
from sandbox.state import State
from tests.sandbox.bookkeeping import assert_explained

Action = dict[str, Any]


def actions(symbols: Sequence[str]) -> st.SearchStrategy[list[Action]]:
    """Return sequences of things to do in these markets."""
    orders = st.fixed_dictionaries(
        {
            "do": st.just("order"),
            "who": st.integers(0, 1),
            "symbol": st.sampled_from(symbols),
            "side": st.sampled_from(["BUY", "SELL"]),
            "kind": st.sampled_from(["MARKET", "QUOTE", "GTC", "GTC", "GTC", "IOC", "FOK"]),
            "steps": st.integers(1, 4000),
            "offset": st.integers(-40, 40),  # of the price, in per mille
            "fraction": st.sampled_from([None, None, None, Decimal(0), Decimal("0.37")]),
        }
    )
    prices = st.fixed_dictionaries(
        {
            "do": st.just("price"),
            "symbol": st.sampled_from(symbols),
            "factor": st.integers(960, 1040),
        }
    )
    cancels = st.fixed_dictionaries({"do": st.just("cancel"), "index": st.integers(0, 5)})
    return st.lists(st.one_of(orders, orders, prices, cancels), min_size=15, max_size=40)


class Exchange:
    """The matching engine in this process, with shallow books and two accounts; one burns BNB."""

    def __init__(self, world: Scenario, rich: Mapping[str, str], symbols: Iterable[str]) -> None:
        self.state = State(None)
        self.rich = {asset: Decimal(amount) for asset, amount in rich.items()}
        with self.state.transaction():
            scenario.seed(self.state, world, now_ms=1)
            self.matching = Matching(self.state, world.fees, world.dialect.rules)
            self.accounts: list[Account] = [
                scenario.open_account(
                    self.state,
                    name="trader",
                    balances=self.rich,
                    permissions={},
                    bnb_burn=burns,
                    nonce_window=0,
                    now_ms=1,
                )
                for burns in (True, False)
            ]
            for symbol in symbols:
                shallow = {"depth": {"levels": 3, "level_quote": "150"}}
                self.state.put_market(changed(self.state.markets[symbol], shallow))

    def order(self, action: dict[str, Any]) -> None:
        """Place one order; refusals are part of life."""
        market = self.state.markets[action["symbol"]]
        assert market.last is not None
        # Up to all that one of them had of it.
        unit = self.rich[market.base] / 4000 // market.step * market.step
        quantity = action["steps"] * unit
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

    def play(self, sequence: Iterable[Action]) -> None:
        """Do one after the other; what is refused is undone."""
        for action in sequence:
            with self.state.transaction():
                try:
                    with self.state.undone_on_refusal():
                        getattr(self, action["do"])(action)
                except Refusal:
                    pass

    def assert_explained(self) -> None:
        """Fail unless the ledger explains every balance, and each order is what its fills are."""
        books = ledger.parts(self.state, ledger.PARTS, since=0)
        assert_explained(
            books, {each.symbol: (each.base, each.quote) for each in self.state.markets.values()}
        )
        for order in books["orders"]:
            fills = [each for each in books["fills"] if each["order_id"] == order["order_id"]]
            quantity = sum(Decimal(each["quantity"]) for each in fills)
            quote = sum(Decimal(each["quote_quantity"]) for each in fills)
            assert quantity == Decimal(order["filled_quantity"]) <= Decimal(order["quantity"])
            assert quote == Decimal(order["filled_quote"])
            assert (order["status"] == "FILLED") == (quantity == Decimal(order["quantity"]) != 0)
