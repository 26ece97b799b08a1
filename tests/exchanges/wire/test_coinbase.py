"""Coinbase on the wire, bodies as docs.cdp.coinbase.com shows Advanced Trade (read 2026-11)."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import AnswerUnknown, RequestRefused
from tests.exchanges.responder import Answer, OpenAt, Request, Responder
from tests.exchanges.wire.contract import Contract, Sent

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
).decode()
ORDER_ID = "0000-000000-000000"
AT = "2025-11-24T16:00:00.123Z"

PRODUCT = {
    "product_id": "DOGE-USD",
    "price": "0.18",
    "price_percentage_change_24h": "0.1",
    "volume_24h": "1000",
    "base_increment": "0.1",
    "quote_increment": "0.00001",
    "quote_min_size": "1",
    "quote_max_size": "25000000",
    "base_min_size": "0.1",
    "base_max_size": "54000000",
    "base_name": "Dogecoin",
    "quote_name": "US Dollar",
    "status": "online",
    "trading_disabled": False,
    "is_disabled": False,
    "product_type": "SPOT",
    "quote_currency_id": "USD",
    "base_currency_id": "DOGE",
    "base_display_symbol": "DOGE",
    "quote_display_symbol": "USD",
    "view_only": False,
    "price_increment": "0.00001",
}
BOOK = {
    "product_id": "DOGE-USD",
    "bids": [{"price": "0.17", "size": "4"}],
    "asks": [{"price": "0.19", "size": "5"}],
    "time": AT,
}


def account(currency: str, free: str, held: str) -> dict[str, Any]:
    """Return one account as the newer list shows it."""
    return {
        "uuid": f"8bfc20d7-{currency}",
        "name": f"{currency} Wallet",
        "currency": currency,
        "available_balance": {"value": free, "currency": currency},
        "hold": {"value": held, "currency": currency},
        "default": True,
        "active": True,
        "type": "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
    }


def refused(error: str, reason: str = "UNKNOWN_PREVIEW_FAILURE_REASON") -> dict[str, Any]:
    """Return a refused order; Coinbase says 200 to it."""
    return {
        "success": False,
        "error_response": {
            "error": error,
            "message": "The order is not possible",
            "error_details": "",
            "preview_failure_reason": reason,
            "new_order_failure_reason": "UNKNOWN_FAILURE_REASON",
        },
    }


def decoded(part: str) -> bytes:
    """Return what a part of a token says."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class TestCoinbase(Contract):
    exchange = "coinbase"
    keys = {"api_key": "organizations/1/apiKeys/2", "api_secret": PEM}
    symbol = "DOGE/USD"
    market = "DOGE-USD"
    step = Decimal("0.1")
    min_quantity = Decimal("0.1")
    min_notional = Decimal(1)
    held = {"DOGE": (Decimal("4.50000001"), Decimal("0.5")), "ADA": (Decimal(7), Decimal(0))}
    order = ("POST", "/api/v3/brokerage/orders")
    look_ups = (("GET", "/api/v3/brokerage/orders/historical/batch"),)
    account = ("GET", "/api/v3/brokerage/accounts")
    hollow = {"accounts": [], "has_next": False, "cursor": ""}
    tickers = ("GET", "/api/v3/brokerage/market/products")
    open_orders = ("GET", "/api/v3/brokerage/orders/historical/batch")
    bid_ask_last = (Decimal("0.17"), Decimal("0.19"), Decimal("0.18"))
    fee_currency = "USD"
    accepted = {
        "success": True,
        "success_response": {"order_id": ORDER_ID, "product_id": "DOGE-USD", "side": "SELL"},
        "order_configuration": {"market_market_ioc": {"base_size": "5"}},
    }
    insufficient = refused("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND")
    below_minimum = refused("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL")
    rate_limited = Answer(status=429, body={"error": "rate_limit_exceeded", "message": "slow"})
    bad_key = Answer(status=401, body="Unauthorized")
    bad_clock = None
    duplicate = None
    rights = ("GET", "/api/v3/brokerage/key_permissions")
    rights_of_a_trader = {"can_view": True, "can_trade": True, "can_transfer": False}
    rights_of_a_withdrawer = {"can_view": True, "can_trade": True, "can_transfer": True}

    def register(self, responder: Responder) -> None:
        responder.answer(
            "GET",
            "/api/v3/brokerage/time",
            lambda _request: {"iso": AT, "epochSeconds": str(int(time.time()))},
        )
        responder.answer(
            *self.tickers,
            lambda request: {
                "products": [] if request.params.get("product_type") == "FUTURE" else [PRODUCT],
                "num_products": 1,
            },
        )
        responder.answer(
            "GET",
            "/api/v3/brokerage/transaction_summary",
            {"fee_tier": {"taker_fee_rate": "0.012", "maker_fee_rate": "0.006"}},
        )
        responder.answer("GET", "/api/v3/brokerage/best_bid_ask", {"pricebooks": [BOOK]})
        rows = [account("DOGE", "4.50000001", "0.5"), account("ADA", "7", "0")]
        responder.answer(*self.account, {"accounts": rows, "has_next": False, "cursor": ""})
        responder.answer(*self.open_orders, self.listed())

    def listed(self, *orders: Any) -> dict[str, Any]:
        """Return a list of orders."""
        return {"orders": list(orders), "sequence": "0", "has_next": False, "cursor": ""}

    def row(self, client_id: str) -> dict[str, Any]:
        """Return an order as the list shows it."""
        return {
            "order_id": ORDER_ID,
            "product_id": "DOGE-USD",
            "user_id": "2222",
            "order_configuration": {"market_market_ioc": {"base_size": "5"}},
            "side": "SELL",
            "client_order_id": client_id,
            "status": "FILLED",
            "time_in_force": "IMMEDIATE_OR_CANCEL",
            "created_time": AT,
            "completion_percentage": "100.00",
            "filled_size": "5",
            "average_filled_price": "0.176",
            "fee": "",
            "number_of_fills": "2",
            "filled_value": "0.88",
            "pending_cancel": False,
            "size_in_quote": False,
            "total_fees": "0.002",
            "total_value_after_fees": "0.878",
            "trigger_status": "INVALID_ORDER_TYPE",
            "order_type": "MARKET",
            "reject_reason": "REJECT_REASON_UNSPECIFIED",
            "settled": True,
            "product_type": "SPOT",
            "reject_message": "",
            "cancel_message": "",
        }

    def has_order(self, responder: Responder, client_id: str) -> None:
        responder.answer(*self.look_ups[0], self.listed(self.row(client_id)))
        fills = [
            {
                "entry_id": f"e{number}",
                "trade_id": f"t{number}",
                "order_id": ORDER_ID,
                "trade_time": AT,
                "trade_type": "FILL",
                "price": price,
                "size": quantity,
                "commission": "0.001",
                "product_id": "DOGE-USD",
                "sequence_timestamp": AT,
                "liquidity_indicator": "TAKER",
                "size_in_quote": False,
                "user_id": "2222",
                "side": "SELL",
            }
            for number, (quantity, price) in enumerate((("3", "0.18"), ("2", "0.17")))
        ]
        responder.answer(
            "GET", "/api/v3/brokerage/orders/historical/fills", {"fills": fills, "cursor": ""}
        )

    def has_no_order(self, responder: Responder) -> None:
        responder.answer(*self.look_ups[0], self.listed())

    def sent(self, request: Request) -> Sent:
        params = request.params
        ((kind, configured),) = params["order_configuration"].items()
        assert kind == "market_market_ioc"
        return Sent(
            market=params["product_id"],
            side=params["side"].lower(),
            kind="market",
            quantity=configured["base_size"],
            client_id=params["client_order_id"],
        )

    def signature_is_right(self, request: Request) -> bool:
        token = request.headers["authorization"].removeprefix("Bearer ")
        head, payload, signature = token.split(".")
        claims = json.loads(decoded(payload))
        assert claims["uri"] == f"{request.method} api.coinbase.com{request.path}"
        assert claims["exp"] == claims["nbf"] + 120
        assert claims["sub"] == json.loads(decoded(head))["kid"] == self.keys["api_key"]
        raw = decoded(signature)
        both = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            PRIVATE.public_key().verify(
                encode_dss_signature(*both), f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            return False
        return True

    # --- Its own hazards

    def test_an_order_is_signed_with_its_stored_moment(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.accepted)
        request = self.sale(port)
        request = replace(request, signed_at_ms=request.signed_at_ms - 30_000)
        port.sell(request, may_leave=lambda: True)
        payload = responder.only(*self.order).headers["authorization"].split(".")[1]
        assert json.loads(decoded(payload))["nbf"] == request.signed_at_ms // 1000
        assert port.signature_window_ms == 120_000

    def test_what_is_staked_is_not_free(self, port: CcxtExchange, responder: Responder) -> None:
        """The older list adds "Staked ADA" to ADA and knows nothing of what orders hold."""
        port.balances()
        assert responder.sent("GET", "/v2/accounts") == []

    def test_a_full_list_that_lacks_the_order_is_no_proof_that_there_is_none(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        rows = [self.row(f"other-{number}") | {"order_id": f"o-{number}"} for number in range(100)]
        responder.answer(*self.look_ups[0], self.listed(*rows))
        with pytest.raises(AnswerUnknown):
            port.find_order([self.sale(port)])
        responder.answer(*self.look_ups[0], self.listed(*rows[:99]))
        assert port.find_order([self.sale(port)]) is None

    def test_a_delisted_market_is_not_taken_for_a_halted_one(
        self, open_at: OpenAt, responder: Responder
    ) -> None:
        self.register(responder)
        ended = PRODUCT | {"status": "delisted", "trading_disabled": True}
        halted = PRODUCT | {"product_id": "ADA-USD", "base_currency_id": "ADA"}
        halted |= {"base_display_symbol": "ADA", "trading_disabled": True}
        responder.answer(*self.tickers, {"products": [ended, halted], "num_products": 2})
        markets = open_at(self.exchange, keys=self.keys).markets()
        assert markets["DOGE/USD"].delisted
        assert (markets["ADA/USD"].active, markets["ADA/USD"].delisted) == (False, False)

    def test_a_market_without_bid_and_ask_has_none(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        other = {**BOOK, "product_id": "ADA-USD"}
        responder.answer("GET", "/api/v3/brokerage/best_bid_ask", {"pricebooks": [other]})
        ticker = port.tickers()[self.symbol]
        assert (ticker.bid, ticker.ask, ticker.last) == (None, None, Decimal("0.18"))

    def test_a_refusal_that_ccxt_does_not_map_is_refused_by_its_reason(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.below_minimum)
        with pytest.raises(RequestRefused) as error:
            self.sell(port)
        assert error.value.answer_code == "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"
