"""Kraken on the wire, bodies as docs.kraken.com shows them (read 2026-11)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.balances import Kind
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.market_cache import MarketCache
from positions.exchanges.port import AnswerUnknown, RequestRefused
from tests.exchanges.responder import KEYS, Answer, OpenAt, Request, Responder
from tests.exchanges.wire.contract import Contract, Sent

PAIRS = {
    "XDGUSD": {
        "altname": "XDGUSD",
        "wsname": "XDG/USD",
        "aclass_base": "currency",
        "base": "XXDG",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 7,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "ordermin": "50",
        "costmin": "0.5",
        "tick_size": "0.0000001",
        "status": "online",
    },
    "XXBTZUSD": {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "aclass_base": "currency",
        "base": "XXBT",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    },
}
ASSETS = {
    name: {
        "aclass": "currency",
        "altname": altname,
        "decimals": decimals,
        "display_decimals": 5,
        "status": "enabled",
    }
    for name, altname, decimals in (
        ("XXDG", "XDG", 8),
        ("XXBT", "XBT", 10),
        ("ZUSD", "USD", 4),
        ("ADA", "ADA", 8),
        ("ADA.S", "ADA.S", 8),
    )
}
OPENED_AT = 1_764_000_000.1234


def ok(result: Any) -> dict[str, Any]:
    """Return an answer without errors."""
    return {"error": [], "result": result}


def refused(error: str) -> dict[str, Any]:
    """Return an answer that names an error."""
    return {"error": [error]}


def ticker(bid: str, ask: str, last: str) -> dict[str, Any]:
    """Return one pair's ticker."""
    return {
        "a": [ask, "1", "1.000"],
        "b": [bid, "1", "1.000"],
        "c": [last, "0.1"],
        "v": ["10", "20"],
        "p": [last, last],
        "t": [3, 5],
        "l": [bid, bid],
        "h": [ask, ask],
        "o": last,
    }


class TestKraken(Contract):
    exchange = "kraken"
    symbol = "DOGE/USD"
    market = "XDGUSD"
    step = Decimal("0.00000001")
    min_quantity = Decimal(50)
    min_notional = Decimal("0.5")
    held = {
        "DOGE": (Decimal("4.50000001"), Decimal("0.5")),
        "BTC": (Decimal("0.0000123456"), Decimal(0)),
        "ADA.S": (Decimal(7), Decimal(0)),
    }
    order = ("POST", "/0/private/AddOrder")
    look_ups = (("POST", "/0/private/OpenOrders"), ("POST", "/0/private/ClosedOrders"))
    account = ("POST", "/0/private/BalanceEx")
    hollow = {"error": []}
    tickers = ("GET", "/0/public/Ticker")
    open_orders = ("POST", "/0/private/OpenOrders")
    bid_ask_last = (Decimal("0.17"), Decimal("0.19"), Decimal("0.18"))
    fee_currency = "USD"
    accepted = ok(
        {"descr": {"order": "sell 5.00000000 XDGUSD @ market"}, "txid": ["OUF4EM-FRGI2-MQMWZD"]}
    )
    insufficient = refused("EOrder:Insufficient funds")
    below_minimum = refused("EOrder:Order minimum not met")
    rate_limited = refused("EOrder:Rate limit exceeded")
    bad_key = refused("EAPI:Invalid signature")
    bad_clock = refused("EAPI:Invalid nonce")
    duplicate = None
    rights = ("POST", "/0/private/GetApiKeyInfo")
    rights_of_a_trader = ok(
        {"apiKeyName": "dust", "permissions": ["query-funds", "query-open-trades", "modify-trades"]}
    )
    rights_of_a_withdrawer = ok({"permissions": ["query-funds", "withdraw-funds"]})

    def register(self, responder: Responder) -> None:
        responder.answer(
            "GET",
            "/0/public/Time",
            lambda _request: ok(
                {"unixtime": int(datetime.now(tz=UTC).timestamp()), "rfc1123": "now"}
            ),
        )
        responder.answer("GET", "/0/public/Assets", ok(ASSETS))
        responder.answer("GET", "/0/public/AssetPairs", ok(PAIRS))
        responder.answer(
            *self.tickers,
            ok(
                {
                    "XDGUSD": ticker("0.17", "0.19", "0.18"),
                    "XXBTZUSD": ticker("90000.1", "90000.2", "90000.1"),
                }
            ),
        )
        responder.answer(
            *self.account,
            ok(
                {
                    "XXDG": {"balance": "5.00000001", "hold_trade": "0.5"},
                    "XXBT": {"balance": "0.0000123456", "hold_trade": "0.0000000000"},
                    "ADA.S": {"balance": "7", "hold_trade": "0"},
                    "ZUSD": {"balance": "0.0000", "hold_trade": "0.0000"},
                }
            ),
        )
        responder.answer(*self.open_orders, ok({"open": {}}))

    def has_order(self, responder: Responder, client_id: str) -> None:
        trades = {"TA-1": ("3", "0.18", "0.54"), "TA-2": ("2", "0.17", "0.34")}
        responder.answer(*self.look_ups[0], ok({"open": {}}))
        responder.answer(
            *self.look_ups[1],
            ok(
                {
                    "count": 1,
                    "closed": {
                        "OUF4EM-FRGI2-MQMWZD": {
                            "refid": None,
                            "userref": 0,
                            "cl_ord_id": client_id,
                            "status": "closed",
                            "reason": None,
                            "opentm": OPENED_AT,
                            "closetm": OPENED_AT + 0.01,
                            "starttm": 0,
                            "expiretm": 0,
                            "descr": {
                                "pair": "XDGUSD",
                                "type": "sell",
                                "ordertype": "market",
                                "price": "0",
                                "price2": "0",
                                "leverage": "none",
                                "order": "sell 5.00000000 XDGUSD @ market",
                                "close": "",
                            },
                            "vol": "5.00000000",
                            "vol_exec": "5.00000000",
                            "cost": "0.87999",  # cut by Kraken
                            "fee": "0.002",
                            "price": "0.1760000",
                            "misc": "",
                            "oflags": "fciq",
                            "trades": list(trades),
                        }
                    },
                }
            ),
        )
        responder.answer(
            "POST",
            "/0/private/QueryTrades",
            ok(
                {
                    trade_id: {
                        "ordertxid": "OUF4EM-FRGI2-MQMWZD",
                        "postxid": "TKH2SE-M7IF5-CFI7LT",
                        "pair": "XDGUSD",
                        "time": OPENED_AT,
                        "type": "sell",
                        "ordertype": "market",
                        "price": price,
                        "cost": cost,
                        "fee": "0.001",
                        "vol": quantity,
                        "margin": "0.00000",
                        "misc": "",
                    }
                    for trade_id, (quantity, price, cost) in trades.items()
                }
            ),
        )

    def has_no_order(self, responder: Responder) -> None:
        responder.answer(*self.look_ups[0], ok({"open": {}}))
        responder.answer(*self.look_ups[1], ok({"closed": {}, "count": 0}))

    def sent(self, request: Request) -> Sent:
        params = request.params
        return Sent(
            market=params["pair"],
            side=params["type"],
            kind=params["ordertype"],
            quantity=params["volume"],
            client_id=params["cl_ord_id"],
        )

    def signature_is_right(self, request: Request) -> bool:
        digest = hashlib.sha256((request.params["nonce"] + request.body).encode()).digest()
        key = base64.b64decode(KEYS["api_secret"])
        mac = hmac.new(key, request.path.encode() + digest, hashlib.sha512).digest()
        return request.headers["api-sign"] == base64.b64encode(mac).decode()

    # --- Its own hazards

    def test_an_order_carries_its_deadline(self, port: CcxtExchange, responder: Responder) -> None:
        responder.answer(*self.order, self.accepted)
        request = self.sale(port)
        port.sell(request, may_leave=lambda: True)
        deadline = datetime.fromisoformat(responder.only(*self.order).params["deadline"])
        assert deadline == datetime.fromtimestamp((request.signed_at_ms + 5000) / 1000, tz=UTC)

    def test_each_nonce_is_greater_than_the_one_before_whoever_sends_it(
        self, port: CcxtExchange, open_at: OpenAt, responder: Responder
    ) -> None:
        other = open_at(self.exchange)
        now = other._client.ccxt.milliseconds
        other._client.ccxt.milliseconds = lambda: now() - 60_000  # a machine whose clock is late
        for number in range(6):
            (port, other)[number % 2].balances()
        nonces = [int(item.params["nonce"]) for item in responder.sent(*self.account)]
        assert nonces == sorted(set(nonces))

    def test_a_deadline_that_is_over_does_not_say_that_the_order_failed(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, refused("EService:Deadline elapsed"))
        with pytest.raises(AnswerUnknown):
            self.sell(port)

    def test_less_than_the_least_cost_is_refused_although_ccxt_does_not_know_the_words(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, refused("EOrder:Cost minimum not met"))
        with pytest.raises(RequestRefused) as error:
            self.sell(port)
        assert error.value.answer_code == "EOrder:Cost minimum not met"

    def test_staked_balances_are_marked(self, port: CcxtExchange) -> None:
        assert {item.asset: item.kind for item in port.balances()} == {
            "DOGE": Kind.SPOT,
            "BTC": Kind.SPOT,
            "ADA.S": Kind.EARN,
        }

    def test_a_pair_is_known_by_its_short_name_with_cached_markets_too(
        self,
        port: CcxtExchange,
        open_at: OpenAt,
        responder: Responder,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Orders name a pair "XBTUSD" whose id is "XXBTZUSD"; ccxt finds it in an index."""
        monkeypatch.setattr("positions.exchanges.ccxt_adapter.MARKETS", MarketCache())
        other = open_at(self.exchange)
        responder.answer(
            *self.open_orders,
            ok(
                {
                    "open": {
                        "OA-1": {
                            "status": "open",
                            "opentm": OPENED_AT,
                            "descr": {
                                "pair": "XBTUSD",
                                "type": "sell",
                                "ordertype": "limit",
                                "price": "99000",
                                "price2": "0",
                                "order": "sell 1 XBTUSD @ limit 99000",
                            },
                            "vol": "1",
                            "vol_exec": "0",
                            "oflags": "fciq",
                        }
                    }
                }
            ),
        )
        assert other.open_order_assets() == frozenset({"BTC"})
        assert len(responder.sent("GET", "/0/public/AssetPairs")) == 1

    def test_an_order_whose_trades_are_not_listed_yet_is_asked_for_again(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        request = self.sale(port)
        self.has_order(responder, request.client_order_id)
        responder.answer("POST", "/0/private/QueryTrades", ok({}))
        with pytest.raises(AnswerUnknown):
            port.find_order([request])

    def test_a_lockout_is_a_pause(self, port: CcxtExchange, responder: Responder) -> None:
        responder.answer(*self.account, Answer(body=refused("EGeneral:Temporary lockout")))
        with pytest.raises(Exception, match="pause"):
            port.balances()
