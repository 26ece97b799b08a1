"""What a sale is: on the wire, in its answer, and when it is looked for afterwards."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from positions.domain.orders import OrderState
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import ClockRefused, RequestRefused
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import sale

ORDER = ("POST", "/api/v3/order")


def test_a_sale_says_exactly_what_was_meant(port: CcxtExchange, exchange: SandboxProcess) -> None:
    request = replace(sale(port), signed_at_ms=port.now_ms() - 1234)
    port.sell(request, may_leave=lambda: True)
    (sent,) = [item for item in exchange.ledger()["requests"] if item["method"] == "POST"]
    params = dict(sent["params"])
    assert params.pop("signature", "hidden")
    assert params == {
        "symbol": "DOGEUSDT",
        "side": "SELL",
        "type": "MARKET",
        "quantity": "5",
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "FULL",
        "timestamp": str(request.signed_at_ms),
        "recvWindow": "5000",
    }


@pytest.mark.parametrize(
    ("symbol", "held", "quantity", "written"),
    [
        ("BTC/USDT", "0.00005", "0.00001", "0.00001"),
        ("BTC/USDT", "2", "1.10000", "1.1"),
        ("DOGE/USDT", "100", "1E+1", "10"),
        ("SHIB/USDT", "123456789", "123456789", "123456789"),
    ],
)
def test_a_quantity_leaves_as_plain_text(
    port: CcxtExchange,
    exchange: SandboxProcess,
    symbol: str,
    held: str,
    quantity: str,
    written: str,
) -> None:
    exchange.control("POST", "balances", {symbol.split("/")[0]: {"free": held}})
    port.sell(sale(port, symbol, quantity), may_leave=lambda: True)
    assert exchange.ledger()["requests"][-1]["params"]["quantity"] == written


def test_a_sales_answer_carries_its_exact_fills(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    outcome = port.sell(sale(port), may_leave=lambda: True)
    ledger = exchange.ledger()
    (order,), (fill,) = ledger["orders"], ledger["fills"]
    assert outcome.state is OrderState.FILLED
    assert outcome.exchange_order_id == str(order["order_id"])
    assert outcome.filled_quantity == Decimal("5")
    assert outcome.notional == Decimal(order["filled_quote"]) == Decimal("0.9098")
    assert outcome.average_price == Decimal("0.18196")
    (trade,) = outcome.trades
    assert trade.at_ms == fill["at_ms"]
    assert (trade.trade_id, trade.price) == (str(fill["trade_id"]), Decimal(fill["price"]))
    assert (trade.fee, trade.fee_currency) == (Decimal("0.0009098"), "USDT")
    assert trade.quantity == Decimal("5")


def test_a_sale_through_several_levels_carries_every_fill(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"depth": {"level_quote": "0.3"}}})
    outcome = port.sell(sale(port), may_leave=lambda: True)
    assert len(outcome.trades) > 1
    assert outcome.trades_are_complete
    assert outcome.notional == sum(trade.price * trade.quantity for trade in outcome.trades)


def test_a_fee_paid_in_another_asset_names_it(port: CcxtExchange, exchange: SandboxProcess) -> None:
    keys = exchange.control(
        "POST", "accounts", {"balances": {"DOGE": "5", "BNB": "1"}, "bnb_burn": True}
    )
    burner = CcxtExchange(
        replace(port._connection, key_fingerprint="another"),
        keys=keys,
        client=port._redis,
        share=Decimal("0.5"),
    )
    try:
        (trade,) = burner.sell(sale(burner), may_leave=lambda: True).trades
    finally:
        burner._client.ccxt.session.close()
    assert trade.fee_currency == "BNB"
    assert trade.fee == Decimal(exchange.ledger()["fills"][0]["commission"])


def test_a_partial_fill_that_ended_says_how_much_was_sold(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("partial_fill", fraction="0.4")
    outcome = port.sell(sale(port), may_leave=lambda: True)
    assert (outcome.state, outcome.filled_quantity) == (OrderState.EXPIRED, Decimal(2))


def test_a_sale_without_a_fill_is_no_success(port: CcxtExchange, exchange: SandboxProcess) -> None:
    exchange.fault("zero_fill")
    outcome = port.sell(sale(port), may_leave=lambda: True)
    assert (outcome.state, outcome.filled_quantity) == (OrderState.EXPIRED, Decimal(0))
    assert outcome.average_price is None


def test_a_sale_signed_too_long_ago_is_refused_by_the_exchange_itself(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    late = replace(sale(port), signed_at_ms=port.now_ms() - 5_500)
    with pytest.raises(ClockRefused):
        port.sell(late, may_leave=lambda: True)
    assert exchange.ledger()["orders"] == []


def test_more_than_is_free_is_refused(port: CcxtExchange, exchange: SandboxProcess) -> None:
    with pytest.raises(RequestRefused) as refused:
        port.sell(sale(port, quantity="6"), may_leave=lambda: True)
    assert "insufficient balance" in str(refused.value)
    assert refused.value.answer_code == "-2010"


def test_less_than_a_step_never_becomes_another_quantity(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    with pytest.raises(RequestRefused):
        port.sell(sale(port, quantity="0.5"), may_leave=lambda: True)
    assert exchange.ledger()["orders"] == []
