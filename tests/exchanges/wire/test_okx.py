"""OKX on the wire, bodies as okx.com/docs-v5 shows them (read 2026-11)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import RequestRefused
from tests.exchanges.responder import KEYS, Answer, Request, Responder
from tests.exchanges.wire.contract import Contract, Sent

AT = "1764000000123"


def ok(*data: Any) -> dict[str, Any]:
    """Return an answer without errors."""
    return {"code": "0", "msg": "", "data": list(data)}


def refused(code: str, words: str) -> dict[str, Any]:
    """Return a refused order: the code that says why stands inside."""
    row = {"clOrdId": "", "ordId": "", "sCode": code, "sMsg": words, "tag": "", "ts": AT}
    return {"code": "1", "msg": "All operations failed", "data": [row]}


def failed(code: str, words: str) -> dict[str, Any]:
    """Return a request that was refused before it was an order."""
    return {"code": code, "msg": words, "data": []}


INSTRUMENT = {
    "alias": "",
    "baseCcy": "DOGE",
    "category": "1",
    "ctMult": "",
    "ctType": "",
    "ctVal": "",
    "ctValCcy": "",
    "expTime": "",
    "instFamily": "",
    "instId": "DOGE-USDT",
    "instType": "SPOT",
    "lever": "5",
    "listTime": "1548133413000",
    "lotSz": "0.000001",
    "maxLmtSz": "9999999999",
    "maxMktAmt": "1000000",
    "maxMktSz": "1000000",
    "minSz": "10",
    "optType": "",
    "quoteCcy": "USDT",
    "settleCcy": "",
    "state": "live",
    "stk": "",
    "tickSz": "0.00001",
    "uly": "",
}
TICKER = {
    "instType": "SPOT",
    "instId": "DOGE-USDT",
    "last": "0.18",
    "lastSz": "1",
    "askPx": "0.19",
    "askSz": "1",
    "bidPx": "0.17",
    "bidSz": "1",
    "open24h": "0.18",
    "high24h": "0.2",
    "low24h": "0.16",
    "volCcy24h": "2222",
    "vol24h": "2222",
    "ts": AT,
}


class TestOkx(Contract):
    exchange = "okx"
    symbol = "DOGE/USDT"
    market = "DOGE-USDT"
    step = Decimal("0.000001")
    min_quantity = Decimal(10)
    min_notional = Decimal(0)  # OKX has none: the least quantity alone decides
    held = {
        "DOGE": (Decimal("4.5000000123"), Decimal("0.5")),
        "USDT": (Decimal("184.2"), Decimal(0)),
    }
    order = ("POST", "/api/v5/trade/batch-orders")
    look_ups = (("GET", "/api/v5/trade/order"),)
    account = ("GET", "/api/v5/account/balance")
    hollow = ok()
    tickers = ("GET", "/api/v5/market/tickers")
    open_orders = ("GET", "/api/v5/trade/orders-pending")
    bid_ask_last = (Decimal("0.17"), Decimal("0.19"), Decimal("0.18"))
    fee_currency = "USDT"
    accepted = ok(
        {
            "clOrdId": "",
            "ordId": "312269865356374016",
            "tag": "",
            "ts": AT,
            "sCode": "0",
            "sMsg": "",
        }
    )
    insufficient = refused("51008", "Order failed. Insufficient DOGE balance in account")
    below_minimum = refused("51020", "Your order should meet or exceed the minimum order amount.")
    rate_limited = Answer(status=429, body=failed("50011", "Requests too frequent."))
    bad_key = Answer(status=401, body=failed("50113", "Invalid Sign"))
    bad_clock = Answer(status=401, body=failed("50102", "Timestamp request expired"))
    duplicate = refused("51016", "Client order ID already exists.")
    rights = ("GET", "/api/v5/account/config")
    rights_of_a_trader = ok({"acctLv": "1", "perm": "read_only,trade", "ip": "", "uid": "44"})
    rights_of_a_withdrawer = ok({"perm": "read_only,trade,withdraw", "ip": "1.2.3.4"})

    def register(self, responder: Responder) -> None:
        responder.answer(
            "GET", "/api/v5/public/time", lambda _request: ok({"ts": str(int(time.time() * 1000))})
        )
        responder.answer("GET", "/api/v5/public/instruments", ok(INSTRUMENT))
        responder.answer(*self.tickers, ok(TICKER))
        details = [
            {
                "ccy": "DOGE",
                "eq": "5.0000000123",
                "cashBal": "5.0000000123",
                "availBal": "4.5000000123",
                "availEq": "4.5000000123",
                "frozenBal": "0.5",
                "liab": "",
                "uTime": AT,
            },
            {
                "ccy": "USDT",
                "eq": "184.2",
                "cashBal": "184.2",
                "availBal": "184.2",
                "availEq": "184.2",
                "frozenBal": "0",
                "liab": "",
                "uTime": AT,
            },
        ]
        responder.answer(*self.account, ok({"uTime": AT, "totalEq": "190", "details": details}))
        responder.answer(*self.open_orders, ok())

    def has_order(
        self, responder: Responder, client_id: str, *, fee_currency: str = "USDT"
    ) -> None:
        row = {
            "accFillSz": "5",
            "avgPx": "0.176",
            "cTime": AT,
            "category": "normal",
            "ccy": "",
            "clOrdId": client_id,
            "fee": "-0.002",
            "feeCcy": "USDT",
            "fillPx": "0.17",
            "fillSz": "2",
            "fillTime": AT,
            "instId": "DOGE-USDT",
            "instType": "SPOT",
            "ordId": "312269865356374016",
            "ordType": "market",
            "pnl": "0",
            "px": "",
            "rebate": "0",
            "rebateCcy": "DOGE",
            "side": "sell",
            "state": "filled",
            "sz": "5",
            "tdMode": "cash",
            "tgtCcy": "base_ccy",
            "tradeId": "2",
            "uTime": AT,
        }
        responder.answer(*self.look_ups[0], ok(row))
        fills = [
            {
                "instType": "SPOT",
                "instId": "DOGE-USDT",
                "tradeId": trade_id,
                "ordId": "312269865356374016",
                "clOrdId": client_id,
                "billId": f"b{trade_id}",
                "tag": "",
                "fillPx": price,
                "fillSz": quantity,
                "side": "sell",
                "posSide": "net",
                "execType": "T",
                "feeCcy": fee_currency,
                "fee": "-0.001",
                "ts": AT,
            }
            for trade_id, quantity, price in (("1", "3", "0.18"), ("2", "2", "0.17"))
        ]
        responder.answer("GET", "/api/v5/trade/fills-history", ok(*fills))

    def has_no_order(self, responder: Responder) -> None:
        responder.answer(*self.look_ups[0], failed("51603", "Order does not exist"))

    def sent(self, request: Request) -> Sent:
        (row,) = request.params["body"]
        assert row["tgtCcy"] == "base_ccy"
        assert row["tdMode"] == "cash"
        return Sent(
            market=row["instId"],
            side=row["side"],
            kind=row["ordType"],
            quantity=row["sz"],
            client_id=row["clOrdId"],
        )

    def signature_is_right(self, request: Request) -> bool:
        text = request.headers["ok-access-timestamp"] + request.method + request.target
        mac = hmac.new(
            KEYS["api_secret"].encode(), (text + request.body).encode(), hashlib.sha256
        ).digest()
        return request.headers["ok-access-sign"] == base64.b64encode(mac).decode()

    # --- Its own hazards

    def test_an_order_is_signed_with_its_stored_moment_and_says_until_when(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.accepted)
        request = self.sale(port)
        port.sell(request, may_leave=lambda: True)
        headers = responder.only(*self.order).headers
        signed = datetime.fromisoformat(headers["ok-access-timestamp"]).timestamp()
        assert round(signed * 1000) == request.signed_at_ms
        assert headers["exptime"] == str(request.signed_at_ms + 5000)
        port.balances()
        assert "exptime" not in responder.sent(*self.account)[-1].headers

    def test_a_refusal_tells_the_inner_code_and_its_words(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.insufficient)
        with pytest.raises(RequestRefused, match="Insufficient DOGE balance") as error:
            self.sell(port)
        assert error.value.answer_code == "51008"

    def test_a_fee_in_another_currency_names_it(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        request = self.sale(port)
        self.has_order(responder, request.client_order_id, fee_currency="OKB")
        found = port.find_order([request])
        assert found is not None
        assert {trade.fee_currency for trade in found.trades} == {"OKB"}

    def test_an_accounts_free_quantity_that_nobody_tells_is_not_for_sale(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        row = {"ccy": "DOGE", "eq": "5", "cashBal": "5", "availEq": "", "availBal": "", "uTime": AT}
        responder.answer(*self.account, ok({"uTime": AT, "details": [row]}))
        (balance,) = port.balances()
        assert (balance.free, balance.total) == (Decimal(0), Decimal(5))
