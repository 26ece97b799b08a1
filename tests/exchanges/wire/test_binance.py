"""Binance on the wire, bodies as binance-spot-api-docs shows them (read 2026-11).

What faults do to it is tested against the sandbox exchange; here the responder stands for the real
hosts, as it does for the others.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.balances import Kind
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import AnswerUnknown
from tests.exchanges.responder import KEYS, Answer, Request, Responder
from tests.exchanges.wire.contract import Contract, Sent

AT = 4_000_000_000_000  # later than any request is signed


def refused(code: int, words: str, *, status: int = 400) -> Answer:
    """Return an answer that names an error."""
    return Answer(status=status, body={"code": code, "msg": words})


MARKET = {
    "symbol": "DOGEUSDT",
    "status": "TRADING",
    "baseAsset": "DOGE",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT", "MARKET"],
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "permissionSets": [["SPOT"]],
    "permissions": [],
    "filters": [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": "0.00001",
            "maxPrice": "1000",
            "tickSize": "0.00001",
        },
        {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "9000000", "stepSize": "1"},
        {
            "filterType": "NOTIONAL",
            "minNotional": "1",
            "applyMinToMarket": True,
            "maxNotional": "9000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ],
}
FILLS = [("3", "0.18"), ("2", "0.17")]


def order(client_id: str, **changes: Any) -> dict[str, Any]:
    """Return an order that was filled."""
    return {
        "symbol": "DOGEUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": client_id,
        "price": "0.00000000",
        "origQty": "5",
        "executedQty": "5",
        "cummulativeQuoteQty": "0.88",
        "status": "FILLED",
        "timeInForce": "GTC",
        "type": "MARKET",
        "side": "SELL",
        **changes,
    }


def filled(request: Request) -> dict[str, Any]:
    """Return the answer to an order, with its fills."""
    fills = [
        {
            "price": price,
            "qty": quantity,
            "commission": "0.001",
            "commissionAsset": "BNB",
            "tradeId": number,
        }
        for number, (quantity, price) in enumerate(FILLS)
    ]
    return order(request.params["newClientOrderId"], transactTime=AT, fills=fills)


class TestBinance(Contract):
    exchange = "binance"
    symbol = "DOGE/USDT"
    market = "DOGEUSDT"
    step = Decimal(1)
    min_quantity = Decimal(1)
    min_notional = Decimal(1)
    held = {
        "DOGE": (Decimal("4.50000001"), Decimal("0.5")),
        "LDADA": (Decimal(7), Decimal(0)),
    }
    order = ("POST", "/api/v3/order")
    look_ups = (("GET", "/api/v3/order"),)
    looked_up_by = "origClientOrderId"
    account = ("GET", "/api/v3/account")
    hollow = {"accountType": "SPOT"}
    tickers = ("GET", "/api/v3/ticker/24hr")
    open_orders = ("GET", "/api/v3/openOrders")
    bid_ask_last = (Decimal("0.17"), Decimal("0.19"), Decimal("0.18"))
    fee_currency = "BNB"  # where fees are taken from BNB
    accepted = staticmethod(filled)
    insufficient = refused(-2010, "Account has insufficient balance for requested action.")
    below_minimum = refused(-1013, "Filter failure: NOTIONAL")
    rate_limited = refused(-1003, "Too many requests.", status=429)
    bad_key = refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
    bad_clock = refused(-1021, "Timestamp for this request is outside of the recvWindow.")
    duplicate = refused(-2010, "Duplicate order sent.")
    rights = ("GET", "/sapi/v1/account/apiRestrictions")
    rights_of_a_trader = {
        "ipRestrict": True,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableSpotAndMarginTrading": True,
    }
    rights_of_a_withdrawer = {"enableReading": True, "enableWithdrawals": True}

    def register(self, responder: Responder) -> None:
        responder.answer(
            "GET", "/api/v3/time", lambda _request: {"serverTime": int(time.time() * 1000)}
        )
        responder.answer(
            "GET",
            "/api/v3/exchangeInfo",
            {"timezone": "UTC", "serverTime": AT, "rateLimits": [], "symbols": [MARKET]},
        )
        ticker = {
            "symbol": "DOGEUSDT",
            "bidPrice": "0.17",
            "bidQty": "1",
            "askPrice": "0.19",
            "askQty": "1",
            "lastPrice": "0.18",
            "volume": "10",
            "quoteVolume": "2",
            "closeTime": AT,
        }
        responder.answer(*self.tickers, [ticker])
        balances = [
            {"asset": "DOGE", "free": "4.50000001", "locked": "0.50000000"},
            {"asset": "LDADA", "free": "7", "locked": "0"},
        ]
        responder.answer(*self.account, {"accountType": "SPOT", "uid": 1, "balances": balances})
        responder.answer(*self.open_orders, [])

    def has_order(self, responder: Responder, client_id: str) -> None:
        row = order(client_id, time=AT, updateTime=AT, isWorking=True, origQuoteOrderQty="0")
        responder.answer(*self.look_ups[0], row)
        trades = [
            {
                "symbol": "DOGEUSDT",
                "id": number,
                "orderId": 28,
                "orderListId": -1,
                "price": price,
                "qty": quantity,
                "commission": "0.001",
                "commissionAsset": "BNB",
                "time": AT,
                "isBuyer": False,
                "isMaker": False,
                "isBestMatch": True,
            }
            for number, (quantity, price) in enumerate(FILLS)
        ]
        responder.answer("GET", "/api/v3/myTrades", trades)

    def has_no_order(self, responder: Responder) -> None:
        responder.answer(*self.look_ups[0], refused(-2013, "Order does not exist."))

    def sent(self, request: Request) -> Sent:
        params = request.params
        return Sent(
            market=params["symbol"],
            side=params["side"].lower(),
            kind=params["type"].lower(),
            quantity=params["quantity"],
            client_id=params["newClientOrderId"],
        )

    def signature_is_right(self, request: Request) -> bool:
        text, _, signature = (request.body or request.query).rpartition("&signature=")
        mac = hmac.new(KEYS["api_secret"].encode(), text.encode(), hashlib.sha256)
        return signature == mac.hexdigest() and request.params["recvWindow"] == "5000"

    # --- Its own hazards

    def test_an_answer_whose_fills_do_not_add_up_is_unknown(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        def first_only(request: Request) -> dict[str, Any]:
            answer = filled(request)
            return {**answer, "fills": answer["fills"][:1]}

        responder.answer(*self.order, first_only)
        with pytest.raises(AnswerUnknown):
            self.sell(port)

    def test_earn_balances_are_marked(self, port: CcxtExchange) -> None:
        assert {item.asset: item.kind for item in port.balances()} == {
            "DOGE": Kind.SPOT,
            "LDADA": Kind.EARN,
        }
