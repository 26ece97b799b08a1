"""Placing, filling, resting, finding and cancelling orders."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw

FILTER = "Filter failure: "
POOR = (400, -2010, "Account has insufficient balance for requested action.")
DUST = ["DOGE", "XRP", "ADA", "ONE", "SHIB", "PEPE"]


@pytest.mark.parametrize("asset", DUST)
def test_every_dust_position_of_the_reference_case_can_be_sold(
    exchange: SandboxProcess, client: ccxt.binance, asset: str
) -> None:
    held = client.fetch_balance()["free"][asset]
    order = client.create_order(f"{asset}/USDT", "market", "sell", held)
    assert order["status"] == "closed"
    assert Decimal(order["filled"]) == Decimal(held)
    assert exchange.balance(asset) == {"free": "0", "locked": "0"}


def test_a_sell_pays_its_fee_in_quote(exchange: SandboxProcess, client: ccxt.binance) -> None:
    order = client.create_order("DOGE/USDT", "market", "sell", "5", None, {"clientOrderId": "a1"})
    assert order["clientOrderId"] == "a1"
    assert Decimal(order["average"]) == Decimal("0.18196")  # the bid, below the last price
    assert Decimal(order["cost"]) == Decimal("0.9098")
    assert order["fee"] == {"currency": "USDT", "cost": "0.00090980"}
    assert exchange.balance("USDT")["free"] == "185.1088902"
    trades = client.fetch_my_trades("DOGE/USDT", params={"orderId": order["id"]})
    assert [trade["order"] for trade in trades] == [order["id"]]
    assert trades[0]["fee"] == order["fee"]


def test_a_buy_pays_its_fee_in_base(exchange: SandboxProcess, client: ccxt.binance) -> None:
    order = client.create_order("DOGE/USDT", "market", "buy", "100")
    assert order["fee"] == {"currency": "DOGE", "cost": "0.10000000"}
    assert exchange.balance("DOGE")["free"] == "104.9"


def test_fees_are_paid_in_bnb_at_a_discount_while_there_is_enough(
    exchange: SandboxProcess,
) -> None:
    balances = {"SOL": "2", "BNB": "0.0003"}
    keys = exchange.control("POST", "accounts", {"balances": balances, "bnb_burn": True})
    raw = Raw(exchange, keys)
    first = raw.sell("SOLUSDT", "1").data["fills"][0]
    # 185.96 * 0.001 * 0.75 / 620
    assert (first["commissionAsset"], first["commission"]) == ("BNB", "0.00022495")
    second = raw.sell("SOLUSDT", "1").data["fills"][0]
    assert (second["commissionAsset"], second["commission"]) == ("USDT", "0.18596000")
    assert exchange.balance("BNB", keys["api_key"])["free"] == "0.00007505"


def test_a_market_order_walks_down_the_book(exchange: SandboxProcess, client: ccxt.binance) -> None:
    exchange.control("POST", "balances", {"SOL": {"free": "60"}})
    order = client.create_order("SOL/USDT", "market", "sell", "60")
    assert len(order["trades"]) == 3
    assert Decimal("185.8") < Decimal(order["average"]) < Decimal("185.96")


def test_a_market_order_beyond_the_depth_expires_with_a_part(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "balances", {"SOL": {"free": "1000"}})
    order = raw.sell("SOLUSDT", "1000").data
    filled = Decimal(order["executedQty"])
    assert order["status"] == "EXPIRED"
    assert 260 < filled < 270
    assert Decimal(exchange.balance("SOL")["free"]) == 1000 - filled


def test_a_market_order_into_an_empty_book_expires_with_nothing(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    exchange.control("POST", "prices", {"DOGEUSDT": None})
    answer = raw.sell("DOGEUSDT", "5").data
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "0.00000000")
    assert exchange.balance("DOGE")["free"] == "5"
    assert client.fetch_order(answer["orderId"], "DOGE/USDT")["status"] == "expired"


def test_a_quote_amount_buys_and_sells_whole_steps(exchange: SandboxProcess, raw: Raw) -> None:
    sold = raw.order(symbol="DOGEUSDT", side="SELL", type="MARKET", quoteOrderQty="0.5").data
    assert (sold["status"], sold["executedQty"]) == ("FILLED", "2.00000000")
    bought = raw.order(symbol="DOGEUSDT", side="BUY", type="MARKET", quoteOrderQty="10").data
    assert (bought["status"], bought["executedQty"]) == ("FILLED", "54.00000000")
    assert bought["origQuoteOrderQty"] == "10.00000000"


def test_a_quote_amount_below_one_step_fills_nothing(raw: Raw) -> None:
    order = raw.order(symbol="DOGEUSDT", side="BUY", type="MARKET", quoteOrderQty="0.1").data
    assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.00000000")


@pytest.mark.parametrize("kind", ["ACK", "RESULT", "FULL"])
def test_the_answer_has_the_asked_shape(raw: Raw, kind: str) -> None:
    answer = raw.sell("DOGEUSDT", "5", newOrderRespType=kind).data
    assert ("status" in answer) == (kind != "ACK")
    assert ("fills" in answer) == (kind == "FULL")
    assert answer["orderId"] > 0


def test_a_resting_order_locks_its_balance_until_it_is_canceled(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    order = client.create_order("DOGE/USDT", "limit", "sell", "3", "0.30")
    assert order["status"] == "open"
    assert exchange.balance("DOGE") == {"free": "2", "locked": "3"}
    assert client.fetch_balance()["DOGE"]["used"] == "3.00000000"
    assert [each["id"] for each in client.fetch_open_orders()] == [order["id"]]
    assert client.fetch_open_orders("XRP/USDT") == []
    assert ["0.30000000", "3.00000000"] in Raw(exchange).public(
        "/api/v3/depth?symbol=DOGEUSDT"
    ).data["asks"]
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("DOGE/USDT", "market", "sell", "3")
    assert client.cancel_order(order["id"], "DOGE/USDT")["status"] == "canceled"
    assert exchange.balance("DOGE") == {"free": "5", "locked": "0"}
    assert client.fetch_open_orders() == []


def test_a_resting_buy_locks_quote(exchange: SandboxProcess, raw: Raw) -> None:
    order = raw.limit("DOGEUSDT", "BUY", "100", "0.10").data
    assert exchange.balance("USDT") == {"free": "174.2", "locked": "10"}
    raw.call("DELETE", "/api/v3/order", symbol="DOGEUSDT", orderId=order["orderId"])
    assert exchange.balance("USDT") == {"free": "184.2", "locked": "0"}


def test_a_resting_order_fills_at_its_price_when_the_market_comes(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    order = raw.limit("DOGEUSDT", "SELL", "5", "0.30").data
    exchange.control("POST", "prices", {"DOGEUSDT": "0.35"})
    found = client.fetch_order(order["orderId"], "DOGE/USDT")
    assert (found["status"], Decimal(found["cost"])) == ("closed", Decimal("1.5"))
    trade = client.fetch_my_trades("DOGE/USDT")[0]
    assert (trade["takerOrMaker"], trade["fee"]["cost"]) == ("maker", "0.00150000")
    assert exchange.balance("DOGE") == {"free": "0", "locked": "0"}


def test_a_crossing_limit_order_takes_what_it_can_and_rests_with_the_rest(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"depth": {"levels": 1, "level_quote": "1"}}})
    exchange.control("POST", "balances", {"DOGE": {"free": "20"}})
    order = raw.limit("DOGEUSDT", "SELL", "20", "0.18").data
    assert (order["status"], order["executedQty"]) == ("PARTIALLY_FILLED", "5.00000000")
    assert exchange.balance("DOGE") == {"free": "0", "locked": "15"}


@pytest.mark.parametrize(("life", "filled"), [("IOC", "5.00000000"), ("FOK", "0.00000000")])
def test_orders_that_may_not_rest_expire(
    exchange: SandboxProcess, raw: Raw, life: str, filled: str
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"depth": {"levels": 1, "level_quote": "1"}}})
    exchange.control("POST", "balances", {"DOGE": {"free": "20"}})
    order = raw.limit("DOGEUSDT", "SELL", "20", "0.18", timeInForce=life).data
    assert (order["status"], order["executedQty"]) == ("EXPIRED", filled)
    assert exchange.balance("DOGE")["locked"] == "0"


def test_a_market_order_can_meet_another_accounts_resting_order(exchange: SandboxProcess) -> None:
    keys = exchange.control("POST", "accounts", {"balances": {"DOGE": "100"}})
    seller, buyer = Raw(exchange, keys), Raw(exchange)
    # Between the makers' best bid 0.18196 and best ask 0.18204.
    resting = seller.limit("DOGEUSDT", "SELL", "60", "0.18200").data
    bought = buyer.order(symbol="DOGEUSDT", side="BUY", type="MARKET", quantity="80").data
    assert [fill["price"] for fill in bought["fills"]] == ["0.18200000", "0.18204000"]
    found = seller.call("GET", "/api/v3/order", symbol="DOGEUSDT", orderId=resting["orderId"])
    assert found.data["status"] == "FILLED"
    assert exchange.balance("USDT", keys["api_key"])["free"] == "10.90908"  # 10.92 less 0.1 %


def test_a_client_id_of_an_open_order_is_a_duplicate(raw: Raw, client: ccxt.binance) -> None:
    raw.limit("DOGEUSDT", "SELL", "2", "0.30", newClientOrderId="same")
    refusal = raw.sell("DOGEUSDT", "2", newClientOrderId="same").refusal
    assert refusal == (400, -2010, "Duplicate order sent.")
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order("DOGE/USDT", "market", "sell", "2", None, {"newClientOrderId": "same"})


def test_a_client_id_of_a_filled_order_sells_again(exchange: SandboxProcess, raw: Raw) -> None:
    for _ in range(2):
        assert raw.sell("DOGEUSDT", "2", newClientOrderId="again").data["status"] == "FILLED"
    assert exchange.balance("DOGE")["free"] == "1"
    found = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", origClientOrderId="again").data
    assert found["orderId"] == exchange.ledger()["orders"][-1]["order_id"]


def test_orders_are_found_by_either_id(client: ccxt.binance) -> None:
    order = client.create_order("DOGE/USDT", "market", "sell", "5", None, {"clientOrderId": "b7"})
    assert client.fetch_order(order["id"], "DOGE/USDT")["clientOrderId"] == "b7"
    by_client_id = client.fetch_order(None, "DOGE/USDT", {"clientOrderId": "b7"})
    assert (by_client_id["id"], by_client_id["status"]) == (order["id"], "closed")
    assert [each["id"] for each in client.fetch_orders("DOGE/USDT")] == [order["id"]]


def test_what_never_existed_is_not_found(raw: Raw, client: ccxt.binance) -> None:
    asked = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", origClientOrderId="none")
    assert asked.refusal == (400, -2013, "Order does not exist.")
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order(None, "DOGE/USDT", {"clientOrderId": "none"})
    canceled = raw.call("DELETE", "/api/v3/order", symbol="DOGEUSDT", orderId=12345)
    assert canceled.refusal == (400, -2011, "Unknown order sent.")


def test_a_filled_order_cannot_be_canceled(raw: Raw) -> None:
    order = raw.sell("DOGEUSDT", "5").data
    canceled = raw.call("DELETE", "/api/v3/order", symbol="DOGEUSDT", orderId=order["orderId"])
    assert canceled.refusal == (400, -2011, "Unknown order sent.")


def test_a_test_order_is_checked_but_not_placed(exchange: SandboxProcess, raw: Raw) -> None:
    asked = {"symbol": "DOGEUSDT", "side": "SELL", "type": "MARKET"}
    assert raw.call("POST", "/api/v3/order/test", quantity="5", **asked).data == {}
    assert raw.call("POST", "/api/v3/order/test", quantity="6", **asked).refusal == POOR
    assert exchange.ledger()["orders"] == []


MARKET_SELL = {"symbol": "DOGEUSDT", "side": "SELL", "type": "MARKET", "quantity": "5"}
LIMIT_SELL = MARKET_SELL | {"type": "LIMIT", "price": "0.3", "timeInForce": "GTC"}


@pytest.mark.parametrize(
    ("base", "changes", "code"),
    [
        (MARKET_SELL, {"symbol": "NOPEUSDT"}, -1121),
        (MARKET_SELL, {"symbol": None}, -1102),
        (MARKET_SELL, {"symbol": "doge!"}, -1100),
        (MARKET_SELL, {"side": "HOLD"}, -1117),
        (MARKET_SELL, {"type": "OCO"}, -1116),
        (MARKET_SELL, {"quantity": None}, -1102),
        (MARKET_SELL, {"quantity": "1e-5"}, -1100),
        (MARKET_SELL, {"quantity": "-5"}, -1100),
        (MARKET_SELL, {"price": "0.3"}, -1106),
        (MARKET_SELL, {"timeInForce": "GTC"}, -1106),
        (MARKET_SELL, {"quoteOrderQty": "5"}, -1106),
        (MARKET_SELL, {"newOrderRespType": "ALL"}, -1102),
        (MARKET_SELL, {"newClientOrderId": "x" * 37}, -1100),
        (MARKET_SELL, {"newClientOrderId": "a b"}, -1100),
        (MARKET_SELL, {"newClientOrderId": ""}, -1105),
        (LIMIT_SELL, {"price": None}, -1102),
        (LIMIT_SELL, {"timeInForce": None}, -1102),
        (LIMIT_SELL, {"timeInForce": "DAY"}, -1115),
        (LIMIT_SELL, {"price": "0.123456789"}, -1111),
        (LIMIT_SELL, {"quantity": "1000"}, -2010),
    ],
)
def test_bad_order_parameters_are_refused(
    exchange: SandboxProcess,
    raw: Raw,
    base: dict[str, str],
    changes: dict[str, str | None],
    code: int,
) -> None:
    params = {name: value for name, value in (base | changes).items() if value is not None}
    answer = raw.order(**params)
    assert (answer.status, answer.data["code"]) == (400, code)
    assert exchange.ledger()["orders"] == []
