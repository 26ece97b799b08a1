"""An exchange without a profile of its own: cautious, and an order is asked for by its own id."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import AnswerUnknown, KeyRights, SellRequest
from tests.exchanges.responder import HTML, OpenAt, Responder
from tests.trading import new_id

ORDER = ("POST", "/api/v3/order")
LOOK_UP = ("GET", "/api/v3/order")
ROW = {
    "symbol": "DOGEUSDT",
    "orderId": "C02__1",
    "orderListId": -1,
    "price": "0",
    "origQty": "5",
    "executedQty": "5",
    "cummulativeQuoteQty": "0.88",
    "status": "FILLED",
    "type": "MARKET",
    "side": "SELL",
    "time": 1764000000123,
    "updateTime": 1764000000124,
}


@pytest.fixture
def port(open_at: OpenAt, responder: Responder) -> CcxtExchange:
    """Return a port for MEXC, which has no profile."""
    responder.answer(
        "GET", "/api/v3/time", lambda _request: {"serverTime": int(time.time() * 1000)}
    )
    responder.answer("GET", "/api/v3/capital/config/getall", [])
    responder.answer("GET", "/api/v1/contract/detail", {"success": True, "code": 0, "data": []})
    market: dict[str, Any] = {
        "symbol": "DOGEUSDT",
        "status": "1",
        "baseAsset": "DOGE",
        "baseAssetPrecision": 2,
        "quoteAsset": "USDT",
        "quotePrecision": 5,
        "quoteAssetPrecision": 5,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "baseSizePrecision": "1",
        "quoteAmountPrecision": "1",
        "makerCommission": "0",
        "takerCommission": "0.0005",
        "filters": [],
    }
    responder.answer("GET", "/api/v3/exchangeInfo", {"symbols": [market], "rateLimits": []})
    responder.answer(
        "GET",
        "/api/v3/myTrades",
        [
            {
                "symbol": "DOGEUSDT",
                "id": "T1",
                "orderId": "C02__1",
                "price": "0.176",
                "qty": "5",
                "quoteQty": "0.88",
                "commission": "0.001",
                "commissionAsset": "MX",
                "time": 1764000000123,
                "isBuyer": False,
                "isMaker": False,
            }
        ],
    )
    return open_at("mexc")


def sale(port: CcxtExchange) -> SellRequest:
    """Return a request to sell 5, signed now."""
    return SellRequest(
        symbol="DOGE/USDT",
        quantity=Decimal(5),
        client_order_id=new_id(),
        signed_at_ms=port.now_ms(),
    )


def test_a_sale_has_no_price_and_is_believed_only_by_its_look_up(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*ORDER, {"symbol": "DOGEUSDT", "orderId": "C02__1"})
    outcome = port.sell(sale(port), may_leave=lambda: True)
    assert (outcome.state, outcome.exchange_order_id) == (OrderState.ACCEPTED, "C02__1")
    params = responder.only(*ORDER).params
    assert params["quantity"] == "5"
    assert not {"price", "quoteOrderQty"} & set(params)


def test_an_order_whose_id_is_known_is_asked_for_by_it_and_need_not_repeat_ours(
    port: CcxtExchange, responder: Responder
) -> None:
    request = sale(port)
    responder.answer(*LOOK_UP, ROW)
    with pytest.raises(AnswerUnknown):  # without its id it may be anybody's
        port.find_order([request])
    assert responder.sent(*LOOK_UP)[-1].params["origClientOrderId"] == request.client_order_id
    found = port.find_order([replace(request, exchange_order_id="C02__1")])
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.FILLED, Decimal(5))
    assert found.trades[0].fee_currency == "MX"
    assert responder.sent(*LOOK_UP)[-1].params["orderId"] == "C02__1"


def test_a_page_instead_of_an_answer_is_no_order(port: CcxtExchange, responder: Responder) -> None:
    """mexc makes the page itself the order's id (ccxt 4.5.90)."""
    responder.answer(*ORDER, HTML)
    with pytest.raises(AnswerUnknown):
        port.sell(sale(port), may_leave=lambda: True)


def test_what_a_key_may_do_is_unknown(port: CcxtExchange) -> None:
    assert port.key_rights() == KeyRights(may_read=None, may_trade=None, may_withdraw=None)


def test_nothing_proves_that_an_order_is_absent(port: CcxtExchange) -> None:
    assert port.absence is None
    with pytest.raises(AnswerUnknown):
        port.find_in_history([sale(port)])
