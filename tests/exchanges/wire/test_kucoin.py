"""KuCoin on the wire, bodies as kucoin.com/docs-new shows them (read 2026-11)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from decimal import Decimal
from typing import Any

from positions.domain.orders import OrderState
from positions.exchanges.ccxt_adapter import CcxtExchange
from tests.exchanges.responder import KEYS, Answer, Request, Responder
from tests.exchanges.wire.contract import Contract, Sent

AT = 1764000000123
ORDER_ID = "6717422bd51c29000775ea03"


def ok(data: Any) -> dict[str, Any]:
    """Return an answer without errors."""
    return {"code": "200000", "data": data}


def refused(code: str, words: str) -> dict[str, Any]:
    """Return an answer that names an error."""
    return {"code": code, "msg": words}


def paged(*items: Any) -> dict[str, Any]:
    """Return a page of a list."""
    page = {"currentPage": 1, "pageSize": 50, "totalNum": len(items), "totalPage": 1}
    return ok({**page, "items": list(items)})


MARKET = {
    "symbol": "DOGE-USDT",
    "name": "DOGE-USDT",
    "baseCurrency": "DOGE",
    "quoteCurrency": "USDT",
    "feeCurrency": "USDT",
    "market": "USDS",
    "baseMinSize": "1",
    "quoteMinSize": "0.1",
    "baseMaxSize": "10000000000",
    "quoteMaxSize": "99999999",
    "baseIncrement": "0.0001",
    "quoteIncrement": "0.00001",
    "priceIncrement": "0.00001",
    "priceLimitRate": "0.1",
    "minFunds": "0.1",
    "isMarginEnabled": True,
    "enableTrading": True,
}
TICKER = {
    "symbol": "DOGE-USDT",
    "symbolName": "DOGE-USDT",
    "buy": "0.17",
    "bestBidSize": "1",
    "sell": "0.19",
    "bestAskSize": "2",
    "last": "0.18",
    "changeRate": "0",
    "changePrice": "0",
    "high": "0.2",
    "low": "0.16",
    "vol": "22",
    "volValue": "4",
    "averagePrice": "0.18",
    "takerFeeRate": "0.001",
    "makerFeeRate": "0.001",
    "takerCoefficient": "1",
    "makerCoefficient": "1",
}


class TestKucoin(Contract):
    exchange = "kucoin"
    symbol = "DOGE/USDT"
    market = "DOGE-USDT"
    step = Decimal("0.0001")
    min_quantity = Decimal(1)
    min_notional = Decimal("0.1")
    held = {
        "DOGE": (Decimal("4.5000000123"), Decimal("0.5")),
        "USDT": (Decimal("184.2"), Decimal(0)),
    }
    order = ("POST", "/api/v1/orders")
    look_ups = (("GET", "/api/v1/order/client-order/*"),)
    account = ("GET", "/api/v1/accounts")
    hollow = {"code": "200000"}
    tickers = ("GET", "/api/v1/market/allTickers")
    open_orders = ("GET", "/api/v1/orders")
    bid_ask_last = (Decimal("0.17"), Decimal("0.19"), Decimal("0.18"))
    fee_currency = "KCS"  # fees are taken from KCS where that is switched on
    accepted = ok({"orderId": ORDER_ID})
    insufficient = refused("200004", "Balance insufficient!")
    below_minimum = refused("400100", "The quantity is below the minimum requirement.")
    rate_limited = Answer(status=429, body=refused("429000", "Too many requests."))
    bad_key = Answer(status=401, body=refused("400005", "Invalid KC-API-SIGN"))
    bad_clock = Answer(status=400, body=refused("400002", "Invalid KC-API-TIMESTAMP"))
    duplicate = None
    rights = ("GET", "/api/v1/user/api-key")
    rights_of_a_trader = ok({"apiKey": "", "permission": "General,Spot", "isMaster": True})
    rights_of_a_withdrawer = ok({"permission": "General,Spot,Withdrawal"})

    def register(self, responder: Responder) -> None:
        responder.answer("GET", "/api/v1/timestamp", lambda _request: ok(int(time.time() * 1000)))
        responder.answer("GET", "/api/v2/symbols", ok([MARKET]))
        responder.answer(*self.tickers, ok({"time": AT, "ticker": [TICKER]}))
        accounts = [
            ("DOGE", "trade", "5.0000000123", "4.5000000123", "0.5"),
            ("DOGE", "main", "70", "70", "0"),
            ("USDT", "trade", "184.2", "184.2", "0"),
        ]
        rows = [
            {"id": str(number), "currency": name, "type": kind, "balance": all_of_it}
            | {"available": free, "holds": held}
            for number, (name, kind, all_of_it, free, held) in enumerate(accounts)
        ]
        responder.answer(*self.account, ok(rows))
        responder.answer(*self.open_orders, paged())

    def row(self, client_id: str, **changes: Any) -> dict[str, Any]:
        """Return an order as the look-up shows it."""
        return {
            "id": ORDER_ID,
            "symbol": "DOGE-USDT",
            "opType": "DEAL",
            "type": "market",
            "side": "sell",
            "price": "0",
            "size": "5",
            "funds": "0",
            "dealFunds": "0.88",
            "dealSize": "5",
            "fee": "0.002",
            "feeCurrency": "USDT",
            "stp": "",
            "stop": None,
            "timeInForce": "GTC",
            "clientOid": client_id,
            "isActive": False,
            "cancelExist": False,
            "createdAt": AT,
            "tradeType": "TRADE",
            **changes,
        }

    def has_order(self, responder: Responder, client_id: str) -> None:
        responder.answer(*self.look_ups[0], ok(self.row(client_id)))
        fills = [
            {
                "symbol": "DOGE-USDT",
                "tradeId": f"59{number}",
                "orderId": ORDER_ID,
                "counterOrderId": "5c1ab46003aa676e487fa8e3",
                "side": "sell",
                "liquidity": "taker",
                "forceTaker": True,
                "price": price,
                "size": quantity,
                "funds": funds,
                "fee": "0.001",
                "feeRate": "0.001",
                "feeCurrency": self.fee_currency,
                "stop": "",
                "type": "market",
                "createdAt": AT,
                "tradeType": "TRADE",
            }
            for number, (quantity, price, funds) in enumerate(
                (("3", "0.18", "0.54"), ("2", "0.17", "0.34"))
            )
        ]
        responder.answer("GET", "/api/v1/fills", paged(*fills))

    def has_no_order(self, responder: Responder) -> None:
        responder.answer(*self.look_ups[0], refused("400100", "order not exist."))

    def sent(self, request: Request) -> Sent:
        params = request.params
        assert "funds" not in params
        return Sent(
            market=params["symbol"],
            side=params["side"],
            kind=params["type"],
            quantity=params["size"],
            client_id=params["clientOid"],
        )

    def signature_is_right(self, request: Request) -> bool:
        def signed(text: str) -> str:
            mac = hmac.new(KEYS["api_secret"].encode(), text.encode(), hashlib.sha256)
            return base64.b64encode(mac.digest()).decode()

        headers = request.headers
        assert headers["kc-api-passphrase"] == signed(KEYS["passphrase"])
        text = headers["kc-api-timestamp"] + request.method + request.target + request.body
        return headers["kc-api-sign"] == signed(text)

    # --- Its own hazards

    def test_an_order_is_signed_with_its_stored_moment(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.accepted)
        request = self.sale(port)
        port.sell(request, may_leave=lambda: True)
        headers = responder.only(*self.order).headers
        assert headers["kc-api-timestamp"] == str(request.signed_at_ms)
        assert port.signature_window_ms == 5000

    def test_nothing_is_asked_about_the_kind_of_account_or_of_margin(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        port.balances()
        assert {item.path for item in responder.requests} == {
            "/api/v2/symbols",
            "/api/v1/market/allTickers",
            "/api/v1/timestamp",
            "/api/v1/accounts",
        }

    def test_an_order_that_was_canceled_halfway_says_how_much_was_sold(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        request = self.sale(port)
        self.has_order(responder, request.client_order_id)
        row = self.row(request.client_order_id, cancelExist=True, dealSize="3", dealFunds="0.54")
        responder.answer(*self.look_ups[0], ok(row))
        answer = self.fills_of_the_first()
        responder.answer("GET", "/api/v1/fills", answer)
        found = port.find_order([request])
        assert found is not None
        assert (found.state, found.filled_quantity) == (OrderState.CANCELED, Decimal(3))

    def fills_of_the_first(self) -> dict[str, Any]:
        """Return a page with the first trade only."""
        return paged(
            {
                "symbol": "DOGE-USDT",
                "tradeId": "590",
                "orderId": ORDER_ID,
                "side": "sell",
                "price": "0.18",
                "size": "3",
                "funds": "0.54",
                "fee": "0.001",
                "feeCurrency": "USDT",
                "createdAt": AT,
            }
        )
