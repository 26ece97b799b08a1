"""Bybit on the wire, bodies as bybit-exchange.github.io v5 shows them (read 2026-11)."""

from __future__ import annotations

import hashlib
import hmac
import time
from decimal import Decimal
from typing import Any

from positions.domain.orders import OrderState
from positions.exchanges.ccxt_adapter import CcxtExchange
from tests.exchanges.responder import KEYS, Request, Responder
from tests.exchanges.wire.contract import Contract, Sent

AT = "1764000000123"
ORDER_ID = "1321003749386327552"


def ok(result: Any) -> dict[str, Any]:
    """Return an answer without errors."""
    return {
        "retCode": 0,
        "retMsg": "OK",
        "result": result,
        "retExtInfo": {},
        "time": int(time.time() * 1000),
    }


def refused(code: int, words: str) -> dict[str, Any]:
    """Return an answer that names an error; Bybit says 200 to all of them."""
    return {"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": int(AT)}


def listed(*rows: Any) -> dict[str, Any]:
    """Return a page of a list."""
    return ok({"category": "spot", "list": list(rows), "nextPageCursor": ""})


MARKET = {
    "symbol": "DOGEUSDT",
    "baseCoin": "DOGE",
    "quoteCoin": "USDT",
    "innovation": "0",
    "status": "Trading",
    "marginTrading": "utaOnly",
    "lotSizeFilter": {
        "basePrecision": "0.1",
        "quotePrecision": "0.0000001",
        "minOrderQty": "0.1",
        "maxOrderQty": "1999999",
        "minOrderAmt": "5",
        "maxOrderAmt": "1200000",
    },
    "priceFilter": {"tickSize": "0.00001"},
}
TICKER = {
    "symbol": "DOGEUSDT",
    "bid1Price": "0.17",
    "bid1Size": "2",
    "ask1Price": "0.19",
    "ask1Size": "1",
    "lastPrice": "0.18",
    "prevPrice24h": "0.18",
    "price24hPcnt": "0.0068",
    "highPrice24h": "0.2",
    "lowPrice24h": "0.16",
    "turnover24h": "24",
    "volume24h": "11",
}


class TestBybit(Contract):
    exchange = "bybit"
    symbol = "DOGE/USDT"
    market = "DOGEUSDT"
    step = Decimal("0.1")
    min_quantity = Decimal("0.1")
    min_notional = Decimal(5)
    held = {
        "DOGE": (Decimal("4.50000001"), Decimal("0.5")),
        "USDT": (Decimal("184.2"), Decimal(0)),
    }
    order = ("POST", "/v5/order/create")
    look_ups = (("GET", "/v5/order/realtime"), ("GET", "/v5/order/history"))
    account = ("GET", "/v5/account/wallet-balance")
    hollow = ok({"list": []})
    tickers = ("GET", "/v5/market/tickers")
    open_orders = ("GET", "/v5/order/realtime")
    bid_ask_last = (Decimal("0.17"), Decimal("0.19"), Decimal("0.18"))
    fee_currency = "MNT"  # Bybit takes fees from MNT where that is switched on
    accepted = ok({"orderId": ORDER_ID, "orderLinkId": ""})
    insufficient = refused(170131, "Insufficient balance.")
    below_minimum = refused(170140, "Order value exceeded lower limit.")
    rate_limited = refused(10006, "Too many visits. Exceeded the API Rate Limit.")
    bad_key = refused(10004, "error sign! origin_string[...]")
    bad_clock = refused(10002, "invalid request, please check your server timestamp")
    duplicate = refused(170141, "Duplicate clientOrderId")
    rights = ("GET", "/v5/user/query-api")
    rights_of_a_trader = ok(
        {
            "id": "13770661",
            "readOnly": 0,
            "permissions": {"Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"], "Options": []},
        }
    )
    rights_of_a_withdrawer = ok(
        {"readOnly": 0, "permissions": {"Spot": ["SpotTrade"], "Wallet": ["Withdraw"]}}
    )

    def register(self, responder: Responder) -> None:
        responder.answer(
            "GET", "/v5/market/time", lambda _request: ok({"timeSecond": str(int(time.time()))})
        )
        responder.answer("GET", "/v5/market/instruments-info", listed(MARKET))
        responder.answer(*self.tickers, listed(TICKER))
        coins = [
            {
                "coin": "DOGE",
                "equity": "5.00000001",
                "walletBalance": "5.00000001",
                "locked": "0.5",
                "availableToWithdraw": "",
                "borrowAmount": "0",
            },
            {
                "coin": "USDT",
                "equity": "184.2",
                "walletBalance": "184.2",
                "locked": "0",
                "availableToWithdraw": "",
                "borrowAmount": "0",
            },
        ]
        responder.answer(*self.account, ok({"list": [{"accountType": "UNIFIED", "coin": coins}]}))
        responder.answer(*self.open_orders, listed())

    def row(self, client_id: str, **changes: str) -> dict[str, Any]:
        """Return an order as the lists show it."""
        return {
            "orderId": ORDER_ID,
            "orderLinkId": client_id,
            "symbol": "DOGEUSDT",
            "price": "0",
            "qty": "5",
            "side": "Sell",
            "orderStatus": "Filled",
            "cancelType": "UNKNOWN",
            "rejectReason": "EC_NoError",
            "avgPrice": "0.176",
            "leavesQty": "0",
            "leavesValue": "0",
            "cumExecQty": "5",
            "cumExecValue": "0.88",
            "cumExecFee": "0.002",
            "timeInForce": "IOC",
            "orderType": "Market",
            "marketUnit": "baseCoin",
            "createdTime": AT,
            "updatedTime": AT,
            **changes,
        }

    def has_order(self, responder: Responder, client_id: str) -> None:
        responder.answer(*self.look_ups[0], listed())
        responder.answer(*self.look_ups[1], listed(self.row(client_id)))
        self.has_trades(responder)

    def has_trades(self, responder: Responder) -> None:
        """List the two trades."""
        rows = [
            {
                "symbol": "DOGEUSDT",
                "orderId": ORDER_ID,
                "orderLinkId": "",
                "side": "Sell",
                "orderType": "Market",
                "execFee": "0.001",
                "feeCurrency": self.fee_currency,
                "execId": f"21000000000{number}",
                "execPrice": price,
                "execQty": quantity,
                "execType": "Trade",
                "execTime": AT,
                "isMaker": False,
                "feeRate": "0.001",
            }
            for number, (quantity, price) in enumerate((("3", "0.18"), ("2", "0.17")))
        ]
        responder.answer("GET", "/v5/execution/list", listed(*rows))

    def has_no_order(self, responder: Responder) -> None:
        for place in self.look_ups:
            responder.answer(*place, listed())

    def sent(self, request: Request) -> Sent:
        params = request.params
        assert params["category"] == "spot"
        return Sent(
            market=params["symbol"],
            side=params["side"].lower(),
            kind=params["orderType"].lower(),
            quantity=params["qty"],
            client_id=params["orderLinkId"],
        )

    def signature_is_right(self, request: Request) -> bool:
        headers = request.headers
        assert headers["x-bapi-recv-window"] == "5000"
        text = headers["x-bapi-timestamp"] + KEYS["api_key"] + "5000"
        text += request.body or request.query
        mac = hmac.new(KEYS["api_secret"].encode(), text.encode(), hashlib.sha256)
        return headers["x-bapi-sign"] == mac.hexdigest()

    # --- Its own hazards

    def test_an_order_is_signed_with_its_stored_moment(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.accepted)
        request = self.sale(port)
        port.sell(request, may_leave=lambda: True)
        headers = responder.only(*self.order).headers
        assert headers["x-bapi-timestamp"] == str(request.signed_at_ms)

    def test_nothing_is_asked_about_the_kind_of_account(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        port.balances()
        assert responder.sent("GET", "/v5/user/query-api") == []
        assert responder.sent("GET", "/v5/account/info") == []

    def test_an_order_that_is_still_open_is_found_in_the_first_list(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        request = self.sale(port)
        row = self.row(
            request.client_order_id,
            orderStatus="New",
            avgPrice="",
            cumExecQty="0",
            cumExecValue="0",
            cumExecFee="0",
        )
        responder.answer(*self.look_ups[0], listed(row))
        found = port.find_order([request])
        assert found is not None
        assert (found.state, found.filled_quantity) == (OrderState.ACCEPTED, Decimal(0))
        assert responder.sent(*self.look_ups[1]) == []

    def test_a_key_that_only_reads_may_not_trade_whatever_its_rights_say(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        body = ok({"readOnly": 1, "permissions": {"Spot": ["SpotTrade"], "Wallet": []}})
        responder.answer(*self.rights, body)
        assert port.key_rights().may_trade is False
