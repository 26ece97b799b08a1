"""Looking orders and trades up."""

from __future__ import annotations

import time
from decimal import Decimal

import ccxt
import pytest

from tests.exchange_process import SandboxProcess, wait_until
from tests.sandbox.kraken.clients import Raw, limit, selling

CID = "0123456789abcdef0123456789abcdef"


def sell(client: ccxt.kraken, **params: object) -> str:
    order = client.create_order("SOL/USD", "market", "sell", "0.00412345", None, params)
    return str(order["id"])


def test_an_order_is_found_by_its_client_id_among_the_closed_ones_only(
    client: ccxt.kraken,
) -> None:
    txid = sell(client, clientOrderId=CID)
    (found,) = client.fetch_closed_orders(params={"clientOrderId": CID})
    assert (found["id"], found["clientOrderId"], found["status"]) == (txid, CID, "closed")
    assert (found["filled"], found["symbol"]) == ("0.00412345", "SOL/USD")
    assert client.fetch_open_orders(params={"clientOrderId": CID}) == []
    assert client.fetch_closed_orders(params={"clientOrderId": "another"}) == []


def test_an_open_order_is_found_by_its_client_id_among_the_open_ones_only(
    client: ccxt.kraken,
) -> None:
    client.create_order("SOL/USD", "limit", "sell", "0.004", "250", {"clientOrderId": CID})
    (found,) = client.fetch_open_orders(params={"clientOrderId": CID})
    assert found["clientOrderId"] == CID
    assert client.fetch_closed_orders(params={"clientOrderId": CID}) == []


def test_fetch_order_can_not_look_for_a_client_id(client: ccxt.kraken) -> None:
    sell(client, clientOrderId=CID)
    with pytest.raises(ccxt.ExchangeError, match="EGeneral:Invalid arguments:userref"):
        client.fetch_order(None, "SOL/USD", {"clientOrderId": CID})


def test_an_order_states_less_than_its_trades_do(client: ccxt.kraken) -> None:
    txid = sell(client)
    order = client.fetch_order(txid)
    info = order["info"]
    # Two decimals, as prices in this market have.
    assert (info["cost"], info["fee"], info["price"]) == ("0.76", "0.00", "185.96")
    trades = client.fetch_order_trades(txid, params={"trades": order["trades"]})
    assert [(each["cost"], each["fee"]["cost"]) for each in trades] == [
        ("0.76679676", "0.00306718")
    ]


def test_an_order_eats_into_several_levels_with_a_trade_each(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    shallow = {"levels": 5, "level_quote": "0.3"}
    exchange.control("POST", "markets", {"SOLUSD": {"depth": shallow}})
    txid = sell(client)
    trades = client.fetch_my_trades()
    assert len(trades) == 3
    assert len({trade["id"] for trade in trades}) == 3
    assert all(trade["id"].startswith("T") for trade in trades)
    assert {trade["order"] for trade in trades} == {txid}
    assert sum(Decimal(trade["amount"]) for trade in trades) == Decimal("0.00412345")
    fills = exchange.ledger(0, "fills")["fills"]
    assert {fill["txid"]: Decimal(fill["commission"]) for fill in fills} == {
        trade["id"]: Decimal(trade["fee"]["cost"]) for trade in trades
    }


def test_ids_that_are_none_are_refused_and_unknown_ones_left_out(
    client: ccxt.kraken, raw: Raw
) -> None:
    assert raw.refusal("QueryOrders", txid="17") == "EOrder:Invalid order"
    assert raw.refusal("QueryTrades", txid="x") == "EOrder:Invalid order"
    assert raw.result("QueryOrders", txid="OAAAAA-AAAAA-AAAAAA") == {}
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("OAAAAA-AAAAA-AAAAAA")


def test_other_accounts_orders_are_not_shown(exchange: SandboxProcess, raw: Raw) -> None:
    placed = raw.result("AddOrder", **selling("SOLUSD", "0.004"))
    other = Raw(exchange, exchange.control("POST", "accounts", {}))
    assert other.result("QueryOrders", txid=placed["txid"][0]) == {}
    assert other.result("ClosedOrders") == {"closed": {}, "count": 0}
    assert other.result("TradesHistory") == {"trades": {}, "count": 0}


def test_lists_come_in_pages_of_fifty_the_newest_first(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "balances", {"ADA": {"free": "1000"}})
    for number in range(53):
        raw.result("AddOrder", **selling("ADAUSD", "1", cl_ord_id=f"n{number}"))
    first = raw.result("ClosedOrders")
    assert (len(first["closed"]), first["count"]) == (50, 53)
    names = [order["cl_ord_id"] for order in first["closed"].values()]
    assert names == [f"n{number}" for number in range(52, 2, -1)]
    rest = raw.result("ClosedOrders", ofs=50)["closed"].values()
    assert [order["cl_ord_id"] for order in rest] == ["n2", "n1", "n0"]
    trades = raw.result("TradesHistory", ofs=40)
    assert (len(trades["trades"]), trades["count"]) == (13, 53)


def test_lists_can_be_limited_in_time_and_by_an_order(exchange: SandboxProcess, raw: Raw) -> None:
    (first,) = raw.result("AddOrder", **selling("XDGUSD", "5", userref=7))["txid"]
    now = time.time()
    wait_until(lambda: time.time() > now + 0.01, what="another moment")
    (second,) = raw.result("AddOrder", **selling("SOLUSD", "0.004"))["txid"]
    between = now + 0.005
    assert list(raw.result("ClosedOrders", start=between)["closed"]) == [second]
    assert list(raw.result("ClosedOrders", end=between)["closed"]) == [first]
    # The start is no part of it, the end is.
    assert list(raw.result("ClosedOrders", start=first)["closed"]) == [second]
    assert list(raw.result("ClosedOrders", end=first)["closed"]) == [first]
    assert list(raw.result("ClosedOrders", userref=7)["closed"]) == [first]
    assert raw.result("TradesHistory", start=between)["count"] == 1
    assert raw.refusal("ClosedOrders", start="soon") == "EGeneral:Invalid arguments:start"


def test_what_bots_do_is_in_the_lists_too(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    sale = {"symbol": "DOGEUSD", "side": "SELL", "quantity": "5"}
    exchange.control("POST", "trade", sale)
    (order,) = client.fetch_closed_orders()
    assert (order["symbol"], order["clientOrderId"]) == ("DOGE/USD", None)
    assert [trade["symbol"] for trade in client.fetch_my_trades()] == ["DOGE/USD"]


def test_open_orders_show_their_trades_when_asked(raw: Raw) -> None:
    raw.result("AddOrder", **limit("sell", "SOLUSD", "0.004", "250"))
    (plain,) = raw.result("OpenOrders")["open"].values()
    (whole,) = raw.result("OpenOrders", trades="true")["open"].values()
    assert "trades" not in plain
    assert whole["trades"] == []
