"""Every kind of fault on Kraken's calls, as an unmodified client and the ledger see it."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import pytest

from sandbox.faults import KINDS
from tests.exchange_process import SandboxProcess, wait_until
from tests.sandbox.kraken.clients import Raw, selling

CID = "0123456789abcdef0123456789abcdef"
RAISING = [
    ("drop_before", {}, ccxt.NetworkError, False, None),
    ("drop_after", {}, ccxt.NetworkError, True, None),
    ("drop_midway", {}, ccxt.NetworkError, True, None),
    ("hang_before", {"seconds": "0.1"}, ccxt.NetworkError, False, None),
    ("hang_after", {"seconds": "0.1"}, ccxt.NetworkError, True, None),
    ("status_before", {}, ccxt.ExchangeNotAvailable, False, 502),
    ("status_after", {}, ccxt.ExchangeNotAvailable, True, 502),
    ("status_after", {"status": 520}, ccxt.ExchangeNotAvailable, True, 520),
    ("rate_limit", {}, ccxt.DDoSProtection, False, 200),
    ("ban", {}, ccxt.DDoSProtection, False, 200),
    ("error", {}, ccxt.ExchangeNotAvailable, False, 200),
    ("error", {"msg": "EService:Unavailable"}, ccxt.ExchangeNotAvailable, False, 200),
    ("error", {"msg": "EService:Busy"}, ccxt.ExchangeNotAvailable, False, 200),
    ("error", {"msg": "EAPI:Invalid nonce"}, ccxt.InvalidNonce, False, 200),
    ("error", {"msg": "EGeneral:Permission denied"}, ccxt.PermissionDenied, False, 200),
    ("error", {"msg": "EService:Market in post_only mode"}, ccxt.OnMaintenance, False, 200),
    ("error", {"msg": "EService:Deadline elapsed"}, ccxt.ExchangeError, False, 200),
]
SILENT = {"garbage_before": False, "garbage_after": True, "cut_json_after": True}
OTHERWISE = {
    *("change", "delay_before", "delay_after", "empty_balances", "empty_list", "no_order_id"),
    *("other_order", "partial_fill", "zero_fill"),
}


def sell(client: ccxt.kraken) -> dict[str, object]:
    order: dict[str, object] = client.create_order(
        "DOGE/USD", "market", "sell", "5", None, {"clientOrderId": CID}
    )
    return order


def sold(exchange: SandboxProcess) -> bool:
    return exchange.balance("DOGE")["free"] == "0"


def test_every_kind_is_tried_here() -> None:
    assert {kind for kind, *_ in RAISING} | set(SILENT) | OTHERWISE == set(KINDS)


@pytest.mark.parametrize(("kind", "extra", "error", "is_sold", "status"), RAISING)
def test_a_fault_that_raises(
    exchange: SandboxProcess,
    client: ccxt.kraken,
    kind: str,
    extra: dict[str, object],
    error: type[Exception],
    is_sold: bool,
    status: int | None,
) -> None:
    exchange.fault(kind, **extra)
    with pytest.raises(error):
        sell(client)
    assert sold(exchange) is is_sold
    request = exchange.ledger()["requests"][-1]
    assert (request["fault"], request["status"]) == (kind, status)
    # Whatever the answer was, the order can be looked up by its client id, or is not there.
    found = client.fetch_closed_orders(params={"clientOrderId": CID})
    assert len(found) == is_sold


@pytest.mark.parametrize(("kind", "is_sold"), SILENT.items())
def test_a_fault_that_ccxt_takes_for_an_order(
    exchange: SandboxProcess, client: ccxt.kraken, kind: str, is_sold: bool
) -> None:
    exchange.fault(kind)
    assert sell(client)["id"] is None
    assert sold(exchange) is is_sold


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/0/private/AddOrder", "EOrder:Rate limit exceeded"),
        ("/0/private/BalanceEx", "EAPI:Rate limit exceeded"),
    ],
)
def test_a_rate_limit_has_the_word_of_its_call(raw: Raw, path: str, word: str) -> None:
    raw.exchange.fault("rate_limit", path=path)
    params = selling("XDGUSD", "5") if path.endswith("AddOrder") else {}
    assert raw.refusal(path.rpartition("/")[2], **params) == word
    assert raw.exchange.ledger()["requests"][-1]["code"] == word


def test_what_was_not_processed_has_not_used_its_nonce(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("error", path="/0/private/Balance", msg="EService:Unavailable")
    assert raw.refusal("Balance", nonce=1000) == "EService:Unavailable"
    raw.result("Balance", nonce=1000)


def test_a_delay_before_makes_a_nonce_late(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("delay_after", path="/0/private/Balance", seconds="0.05")
    raw.result("Balance")
    change = {"path": "keys/revoke", "body": {}}
    exchange.fault("delay_before", seconds="0.05", first=[change])
    assert raw.refusal("AddOrder", **selling("XDGUSD", "5")) == "EAPI:Invalid key"


def test_an_answer_without_an_order_id_was_still_processed(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    exchange.fault("no_order_id")
    assert sell(client)["id"] is None
    assert sold(exchange)


def test_an_answer_may_be_about_another_order(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    exchange.fault("other_order")
    told = sell(client)["id"]
    (real,) = exchange.ledger()["orders"]
    assert told != real["txid"]
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order(told)
    for name in ("ClosedOrders", "QueryOrders"):
        exchange.fault("other_order", path=f"/0/private/{name}")
    (found,) = client.fetch_closed_orders(params={"clientOrderId": CID})
    assert (found["id"] != real["txid"], found["clientOrderId"]) == (True, "someone-elses")
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order(real["txid"])


@pytest.mark.parametrize(
    ("kind", "extra", "filled", "left"),
    [("partial_fill", {"fraction": "0.5"}, "2.5", "2.5"), ("zero_fill", {}, "0", "5")],
)
def test_an_order_may_end_before_it_is_filled(
    exchange: SandboxProcess,
    client: ccxt.kraken,
    kind: str,
    extra: dict[str, object],
    filled: str,
    left: str,
) -> None:
    exchange.fault(kind, **extra)
    order = client.fetch_order(sell(client)["id"])
    assert (order["status"], Decimal(order["filled"])) == ("canceled", Decimal(filled))
    assert exchange.balance("DOGE")["free"] == left


def test_an_account_may_look_empty_once(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    exchange.fault("empty_balances", path="/0/private/BalanceEx")
    assert client.fetch_balance()["total"] == {}
    assert Decimal(client.fetch_balance()["total"]["DOGE"]) == 5


def test_lists_may_look_empty_once(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    sell(client)
    for name in ("ClosedOrders", "TradesHistory", "OpenOrders"):
        exchange.fault("empty_list", path=f"/0/private/{name}")
    client.create_order("SOL/USD", "limit", "sell", "0.004", "250")
    reads = [client.fetch_closed_orders, client.fetch_my_trades, client.fetch_open_orders]
    assert [len(read()) for read in reads] == [0, 0, 0]
    assert [len(read()) for read in reads] == [1, 1, 1]


def test_a_bot_sells_just_before_our_order(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    sale = {"symbol": "DOGEUSD", "side": "SELL", "quantity": "5"}
    exchange.fault("change", first=[{"path": "trade", "body": sale}])
    with pytest.raises(ccxt.InsufficientFunds):
        sell(client)
    assert [order["origin"] for order in exchange.ledger()["orders"]] == ["bot"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"path": "keys/revoke", "body": {}}, ccxt.AuthenticationError),
        ({"path": "permissions", "body": {"modify-trades": False}}, ccxt.PermissionDenied),
        ({"path": "markets", "body": {"DOGEUSD": {"status": "HALT"}}}, ccxt.OnMaintenance),
        ({"path": "markets", "body": {"DOGEUSD": {"min_notional": "5"}}}, ccxt.ExchangeError),
        ({"path": "balances", "body": {"DOGE": {"free": "4"}}}, ccxt.InsufficientFunds),
    ],
)
def test_what_changes_just_before_an_order_counts(
    exchange: SandboxProcess,
    client: ccxt.kraken,
    change: dict[str, object],
    error: type[Exception],
) -> None:
    exchange.fault("change", first=[change])
    with pytest.raises(error):
        sell(client)
    assert not sold(exchange)


def test_a_fault_can_be_meant_for_one_market(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.fault("error", match={"pair": "XDGUSD"}, times=None, msg="EService:Busy")
    assert raw.refusal("AddOrder", **selling("XDGUSD", "5")) == "EService:Busy"
    raw.result("AddOrder", **selling("SOLUSD", "0.004"))


def test_kraken_may_refuse_connections_for_a_while(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    exchange.control("POST", "listening", {"seconds": "0.3"})
    with pytest.raises(ccxt.NetworkError):
        sell(client)

    def sells() -> bool:
        try:
            return bool(sell(client)["id"])
        except ccxt.NetworkError:
            return False

    wait_until(sells, what="the exchange to listen again")
    assert len(exchange.ledger()["orders"]) == 1
