"""Nothing is made or lost: random calls, changes and faults, added up by two bookkeepers."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import control, ledger, scenario
from sandbox.answers import Answer
from sandbox.request import Request
from sandbox.service import Service
from sandbox.state import State
from tests.exchange_process import SandboxProcess
from tests.sandbox.bookkeeping import assert_explained
from tests.sandbox.clients import Raw
from tests.sandbox.test_ledger import MARKETS, RICH, SEED8

SIX_HOURS_MS = 6 * 3600 * 1000
SYMBOLS = ["DOGEUSDT", "BNBUSDT", "SOLUSDT", "SHIBUSDT"]
ASSETS = ["DOGE", "BNB", "SOL", "SHIB", "USDT", "XRP"]
UNLIMITED = {
    "weight": {"limit": 10**9, "interval_seconds": 60},
    "orders": [{"limit": 10**9, "interval_seconds": 60}],
}

amounts = st.integers(0, 10**12).map(lambda units: format(Decimal(units).scaleb(-8), "f"))
symbols, sides, who = st.sampled_from(SYMBOLS), st.sampled_from(["BUY", "SELL"]), st.integers(0, 2)
# Whole steps, so that orders mostly pass the filters.
steps = st.integers(1, 4000)
offsets = st.integers(-40, 40)  # of the price, in per mille


def done(what: str, **parts: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"do": st.just(what), **parts})


place = {"symbol": symbols, "side": sides, "steps": steps}
bot_orders = done("bot", who=who, offset=st.one_of(st.none(), offsets), **place)
prices = done("price", symbol=symbols, factor=st.integers(900, 1100))
balances = done(
    "balance", who=who, asset=st.sampled_from(ASSETS), free=amounts, locked=st.integers(0, 3)
)
halts = done("market", symbol=symbols, status=st.sampled_from(["TRADING", "HALT"]))
changes = st.one_of(bot_orders, prices, balances, halts)
api_calls = st.one_of(
    done("sell", who=who, kind=st.sampled_from(["MARKET", "QUOTE"]), **place),
    done("limit", who=who, offset=offsets, rest=st.sampled_from(["GTC", "IOC", "FOK"]), **place),
    done("cancel", who=who, index=st.integers(0, 5)),
    done("dust", who=who, assets=st.lists(st.sampled_from(ASSETS), min_size=1, max_size=3)),
    done("later"),
)
faults = done(
    "fault",
    kind=st.sampled_from(
        ["change", "drop_after", "drop_before", "cut_json_after", "partial_fill", "zero_fill"]
    ),
    first=st.lists(changes, max_size=2),
    afterwards=st.lists(changes, max_size=2),
)


class Exchange:
    """The whole exchange but its sockets, with three accounts; one burns BNB."""

    def __init__(self) -> None:
        self.service = Service(State(None), SEED8, skew_ms=None)
        self.keys = [self.control("GET", "credentials")]
        for burns in (True, False):
            rich = {"balances": RICH, "bnb_burn": burns}
            self.keys.append(self.control("POST", "accounts", rich))
        shallow = {"depth": {"levels": 3, "level_quote": "150"}}
        self.control("POST", "markets", dict.fromkeys(SYMBOLS, shallow))
        self.control("POST", "limits", UNLIMITED)
        self.skew_ms = 0

    def control(self, method: str, path: str, body: object = None, query: str = "") -> Any:
        text = "" if body is None else json.dumps(body)
        status, answer = control.handle(self.service, method, f"/_control/{path}", query, text)
        assert status in (200, 400), answer
        return answer

    def call(self, method: str, path: str, owner: int, **params: object) -> Answer:
        keys = self.keys[owner]
        params["timestamp"] = self.service.now_ms()
        query = urlencode(params, doseq=True)
        secret = keys["api_secret"].encode()
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        answer = self.service.answer(
            Request(
                method=method,
                path=path,
                query=f"{query}&signature={signature}",
                body="",
                api_key=keys["api_key"],
                address="127.0.0.1",
            )
        )
        assert answer.status in (200, 400, None), answer.body
        return answer

    # What an action means
    def quantity(self, action: dict[str, Any]) -> str:
        market = self.service.state.markets[action["symbol"]]
        per_step = 1000 if market.base == "SHIB" else 10
        return format(market.step * action["steps"] * per_step, "f")

    def price_at(self, symbol: str, per_mille: int) -> str:
        market = self.service.state.markets[symbol]
        assert market.last is not None
        price = (market.last * per_mille / 1000).quantize(market.tick)
        return format(max(price, market.tick * 10), "f")

    def change(self, action: dict[str, Any]) -> dict[str, Any]:
        """Return the change that an action means, as a fault takes it."""
        key = self.keys[action.get("who", 0)]["api_key"]
        if action["do"] == "price":
            price = self.price_at(action["symbol"], action["factor"])
            return {"path": "prices", "body": {action["symbol"]: price}}
        if action["do"] == "market":
            return {"path": "markets", "body": {action["symbol"]: {"status": action["status"]}}}
        if action["do"] == "balance":
            held = {"free": action["free"], "locked": str(action["locked"])}
            return {"path": "balances", "body": {action["asset"]: held}, "key": key}
        body = {"symbol": action["symbol"], "side": action["side"]}
        body["quantity"] = self.quantity(action)
        if action["offset"] is None:
            return {"path": "trade", "body": body, "key": key}
        body["price"] = self.price_at(action["symbol"], 1000 + action["offset"])
        return {"path": "open-order", "body": body, "key": key}

    def do(self, action: dict[str, Any]) -> None:
        """Do one action; refusals are part of life."""
        what = action["do"]
        if what in ("price", "market", "balance", "bot"):
            change = self.change(action)
            query = urlencode({"key": change["key"]}) if "key" in change else ""
            self.control("POST", change["path"], change["body"], query)
        elif what == "fault":
            spec = {name: [self.change(each) for each in action[name]] for name in FAULT_LISTS}
            self.control("POST", "faults", spec | {"kind": action["kind"]})
        elif what == "later":
            self.skew_ms += SIX_HOURS_MS
            self.control("POST", "clock", {"skew_ms": self.skew_ms})
        elif what == "dust":
            self.call("POST", "/sapi/v1/asset/dust", action["who"], asset=action["assets"])
        elif what == "cancel":
            opened = self.service.state.open_orders("1")
            if opened:
                order = opened[action["index"] % len(opened)]
                names = {"symbol": order.symbol, "orderId": order.order_id}
                self.call("DELETE", "/api/v3/order", action["who"], **names)
        else:
            self.call("POST", "/api/v3/order", action["who"], **self.order(action))

    def order(self, action: dict[str, Any]) -> dict[str, object]:
        asked = {"symbol": action["symbol"], "side": action["side"], "type": "MARKET"}
        if action["do"] == "limit":
            price = self.price_at(action["symbol"], 1000 + action["offset"])
            return asked | {
                "type": "LIMIT",
                "timeInForce": action["rest"],
                "price": price,
                "quantity": self.quantity(action),
            }
        if action["kind"] == "QUOTE":
            return asked | {"quoteOrderQty": str(action["steps"])}
        return asked | {"quantity": self.quantity(action)}

    def books(self) -> dict[str, Any]:
        with self.service.state.transaction():
            return ledger.parts(self.service.state, ledger.PARTS, since=0)


FAULT_LISTS = ("first", "afterwards")


def differences(books: dict[str, Any]) -> set[str]:
    return {
        row[name]
        for sheet in books["conservation"].values()
        for row in sheet.values()
        for name in ("difference", "locked_difference")
    }


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(api_calls, api_calls, changes, faults), min_size=1, max_size=30))
def test_any_sequence_of_calls_changes_and_faults_is_explained(
    actions: list[dict[str, Any]],
) -> None:
    exchange = Exchange()
    try:
        for action in actions:
            exchange.do(action)
        books = exchange.books()
        assert_explained(books, MARKETS)
        assert differences(books) == {"0"}
    finally:
        exchange.service.state.close()


def test_the_random_calls_really_reach_every_kind_of_record() -> None:
    exchange = Exchange()
    order = {"symbol": "DOGEUSDT", "steps": 40}
    for action in (
        {"do": "sell", "who": 1, "kind": "MARKET", "side": "SELL", **order},
        {"do": "limit", "who": 2, "offset": 0, "rest": "GTC", "side": "SELL", **order},
        {"do": "bot", "who": 1, "offset": None, "side": "BUY", **order},
        {"do": "balance", "who": 0, "asset": "XRP", "free": "7", "locked": 2},
        {"do": "dust", "who": 0, "assets": ["DOGE", "XRP"]},
        {
            "do": "fault",
            "kind": "partial_fill",
            "first": [{"do": "price", "symbol": "DOGEUSDT", "factor": 1020}],
            "afterwards": [{"do": "bot", "who": 2, "offset": 30, "side": "SELL", **order}],
        },
        {"do": "sell", "who": 1, "kind": "MARKET", "side": "SELL", **order},
    ):
        exchange.do(action)
    books = exchange.books()
    exchange.service.state.close()
    assert {each["status"] for each in books["orders"]} == {"FILLED", "EXPIRED", "NEW"}
    assert {each["origin"] for each in books["orders"]} == {"api", "bot"}
    assert {each["is_maker"] for each in books["fills"]} == {True, False}
    assert {each["commission_asset"] for each in books["fills"]} == {"BNB", "USDT"}
    assert len(books["conversions"]) == 2
    assert len(books["external_changes"]) == 1
    assert [each["fault_id"] for each in books["changes"]][-2:] == [1, 1]
    assert_explained(books, MARKETS)
    assert differences(books) == {"0"}


def test_the_balance_sheet_tells_where_everything_went(exchange: SandboxProcess, raw: Raw) -> None:
    raw.limit("DOGEUSDT", "SELL", "1", "0.3")
    raw.sell("DOGEUSDT", "3")
    exchange.control("POST", "balances", {"DOGE": {"free": "2.5", "locked": "1.5"}})
    raw.call("POST", "/sapi/v1/asset/dust", asset="DOGE")
    sheet = exchange.ledger(0, "conservation")["conservation"][raw.keys["api_key"]]
    assert sheet["DOGE"] == {
        "initial": "5",
        "external": "2",
        "traded": "-3",
        "fees": "0",
        "converted": "-2.5",
        "in_orders": "1",
        "locked_elsewhere": "0.5",
        "now": "1.5",
        "difference": "0",
        "locked": "1.5",
        "locked_difference": "0",
    }
    assert (sheet["USDT"]["traded"], sheet["USDT"]["fees"]) == ("0.54588", "-0.00054588")


def test_a_balance_that_nothing_explains_shows_in_the_sheet() -> None:
    state = State(None)
    with state.transaction():
        scenario.seed(state, SEED8, now_ms=1)
        state.run("UPDATE balances SET free = '5.00000001' WHERE asset = 'DOGE'")
        state.run("UPDATE balances SET locked = '1', free = '4' WHERE asset = 'ADA'")
        books = ledger.parts(state, ["conservation"], since=0)
    state.close()
    (sheet,) = books["conservation"].values()
    wrong = {
        asset: (row["difference"], row["locked_difference"])
        for asset, row in sheet.items()
        if (row["difference"], row["locked_difference"]) != ("0", "0")
    }
    assert wrong == {"DOGE": ("0.00000001", "0"), "ADA": ("4.5", "1")}


def test_parts_of_the_ledger_can_be_asked_alone(exchange: SandboxProcess, raw: Raw) -> None:
    raw.sell("DOGEUSDT", "5")
    whole = exchange.ledger()
    assert set(whole) == set(ledger.PARTS)
    some = exchange.ledger(0, "orders", "balances")
    assert some == {name: whole[name] for name in ("orders", "balances")}
