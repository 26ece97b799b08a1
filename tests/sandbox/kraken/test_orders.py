"""Placing orders: what is taken, what is refused, and that the answer is no more than an id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.kraken.clients import Raw, limit, selling

CID = "0123456789abcdef0123456789abcdef"


def later(seconds: float, zone: str = "Z") -> str:
    """Return a moment from now as RFC 3339."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + zone


def nothing_happened(exchange: SandboxProcess) -> bool:
    ledger = exchange.ledger(0, "orders", "fills")
    return ledger == {"orders": [], "fills": []}


def test_the_answer_to_an_order_is_an_id_and_no_more(client: ccxt.kraken) -> None:
    order = client.create_order("SOL/USD", "market", "sell", "0.004", None, {"clientOrderId": CID})
    assert order["info"] == {
        "descr": {"order": "sell 0.00400000 SOLUSD @ market"},
        "txid": [order["id"]],
    }
    unknown = ("status", "filled", "average", "cost", "fee", "clientOrderId", "timestamp")
    assert [order[name] for name in unknown] == [None] * len(unknown)


def test_a_sale_is_filled_at_once_and_its_fee_is_in_quote(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    order = client.create_order("SOL/USD", "market", "sell", "0.00412345")
    (trade,) = client.fetch_my_trades("SOL/USD")
    cost, fee = Decimal(trade["cost"]), Decimal(trade["fee"]["cost"])
    assert (trade["order"], trade["amount"], trade["side"]) == (order["id"], "0.00412345", "sell")
    assert (trade["takerOrMaker"], trade["fee"]["currency"]) == ("taker", "USD")
    assert cost == Decimal("0.00412345") * Decimal("185.96") // Decimal("1e-8") * Decimal("1e-8")
    assert fee == cost * Decimal("0.004") // Decimal("1e-8") * Decimal("1e-8")
    assert exchange.balance("SOL")["free"] == "0"
    assert Decimal(exchange.balance("USD")["free"]) == Decimal("184.20") + cost - fee


def test_the_price_of_a_market_order_is_ignored(raw: Raw) -> None:
    answer = raw.result("AddOrder", **selling("SOLUSD", "0.004", price="1"))
    assert answer["descr"]["order"] == "sell 0.00400000 SOLUSD @ market"
    (fill,) = raw.exchange.ledger(0, "fills")["fills"]
    assert (fill["quantity"], fill["price"]) == ("0.004", "185.96")


@pytest.mark.parametrize("pair", ["XXBTZUSD", "XBTUSD", "XBT/USD"])
def test_a_market_can_be_named_in_each_way(raw: Raw, pair: str) -> None:
    answer = raw.result("AddOrder", **selling(pair, "0.0001"))
    assert answer["descr"]["order"] == "sell 0.00010000 XBTUSD @ market"


@pytest.mark.parametrize(
    ("symbol", "volume", "error", "word"),
    [
        ("LINK/USD", "0.04", ccxt.InvalidOrder, "EOrder:Order minimum not met"),
        ("SOL/USD", "0.0019", ccxt.InvalidOrder, "EOrder:Order minimum not met"),
        ("ATOM/USD", "0.05", ccxt.ExchangeError, "EOrder:Cost minimum not met"),
        ("SOL/USD", "0.0026", ccxt.ExchangeError, "EOrder:Cost minimum not met"),
        ("SOL/USD", "0.00412346", ccxt.InsufficientFunds, "EOrder:Insufficient funds"),
        ("DOT/USD", "1.5", ccxt.InsufficientFunds, "EOrder:Insufficient funds"),
    ],
)
def test_what_is_too_small_or_not_there_is_refused(
    exchange: SandboxProcess,
    client: ccxt.kraken,
    symbol: str,
    volume: str,
    error: type[Exception],
    word: str,
) -> None:
    with pytest.raises(error, match=word):
        client.create_order(symbol, "market", "sell", volume)
    assert nothing_happened(exchange)


def test_the_minimums_themselves_are_enough(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "balances", {"LINK": {"free": "0.2"}, "ATOM": {"free": "0.08"}})
    raw.result("AddOrder", **selling("LINKUSD", "0.2"))
    raw.result("AddOrder", **selling("ATOMUSD", "0.077"))  # 0.077 at 6.4987 is 0.5004
    assert raw.refusal("AddOrder", **selling("LINKUSD", "0.19999999")) == (
        "EOrder:Order minimum not met"
    )


def test_a_volume_with_more_decimals_than_the_market_takes_is_refused(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "markets", {"ADAUSD": {"step": "0.1"}})
    assert raw.refusal("AddOrder", **selling("ADAUSD", "1.05")) == (
        "EGeneral:Invalid arguments:volume"
    )
    raw.result("AddOrder", **selling("ADAUSD", "1.1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("volume", each) for each in ("0", "-1", "1e3", "", "0.000000001")),
        *(("type", each) for each in ("SELL", "", "short")),
        *(("ordertype", each) for each in ("stop-loss", "")),
        *(("oflags", each) for each in ("viqc", "fcib", "post")),
        *(("leverage", "2"), ("reduce_only", "true"), ("timeinforce", "GTD"), ("expiretm", "5")),
        *(("userref", each) for each in ("x", 2**31)),
        *(("cl_ord_id", each) for each in ("x" * 19, "a b", CID[:-1] + "g", f"{CID}0", "\u00e9")),
        *(("deadline", each) for each in ("soon", "2026-11-24T12:00:00")),
    ],
)
def test_an_argument_that_kraken_does_not_take_is_named(
    exchange: SandboxProcess, raw: Raw, name: str, value: object
) -> None:
    word = raw.refusal("AddOrder", **selling("SOLUSD", "0.004") | {name: value})
    assert word == f"EGeneral:Invalid arguments:{name}"
    assert nothing_happened(exchange)


def test_a_market_in_cancel_only_mode_takes_no_order_but_a_cancellation(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    resting = client.create_order("SOL/USD", "limit", "sell", "0.004", "250")
    exchange.control("POST", "markets", {"SOLUSD": {"status": "BREAK"}})
    with pytest.raises(ccxt.OnMaintenance, match="EService:Market in cancel_only mode"):
        client.create_order("SOL/USD", "market", "sell", "0.0001")
    client.cancel_order(resting["id"])
    assert exchange.balance("SOL") == {"free": "0.00412345", "locked": "0"}


# Client order ids
@pytest.mark.parametrize("cid", [CID, "01234567-89ab-cdef-0123-456789abcdef", "x" * 18])
def test_a_client_order_id_is_a_uuid_or_eighteen_characters(raw: Raw, cid: str) -> None:
    raw.result("AddOrder", **selling("SOLUSD", "0.004", cl_ord_id=cid))
    (order,) = raw.result("ClosedOrders", cl_ord_id=cid)["closed"].values()
    assert order["cl_ord_id"] == cid


def test_a_client_order_id_is_unique_among_open_orders_of_all_markets(raw: Raw) -> None:
    raw.result("AddOrder", **limit("sell", "SOLUSD", "0.004", "250", cl_ord_id=CID))
    again = selling("XDGUSD", "5", cl_ord_id=CID)
    assert raw.refusal("AddOrder", **again) == "EGeneral:Invalid arguments:cl_ord_id"
    assert raw.result("CancelOrder", cl_ord_id=CID) == {"count": 1}
    # Once closed it is free again: no protection against a second sale.
    raw.result("AddOrder", **again)
    raw.result("AddOrder", **selling("XRPUSD", "0.25", cl_ord_id=CID))
    assert raw.result("ClosedOrders", cl_ord_id=CID)["count"] == 3


def test_a_client_order_id_and_a_userref_exclude_each_other(raw: Raw) -> None:
    both = selling("SOLUSD", "0.004", cl_ord_id=CID, userref=7)
    assert raw.refusal("AddOrder", **both) == "EGeneral:Invalid arguments:cl_ord_id"


def test_orders_without_either_show_neither(raw: Raw) -> None:
    raw.result("AddOrder", **selling("SOLUSD", "0.004"))
    raw.result("AddOrder", **selling("XDGUSD", "5", userref=-7))
    first, second = reversed(raw.result("ClosedOrders")["closed"].values())
    assert (first.get("cl_ord_id"), first["userref"]) == (None, None)
    assert (second.get("cl_ord_id"), second["userref"]) == (None, -7)


# Deadlines
@pytest.mark.parametrize("zone", ["Z", "+00:00"])
def test_an_order_within_its_deadline_is_taken(raw: Raw, zone: str) -> None:
    raw.result("AddOrder", **selling("SOLUSD", "0.004", deadline=later(5, zone)))


def test_an_order_after_its_deadline_is_refused_and_ccxt_has_no_class_for_it(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    with pytest.raises(ccxt.ExchangeError, match="EService:Deadline elapsed") as caught:
        client.create_order("SOL/USD", "market", "sell", "0.004", None, {"deadline": later(-0.001)})
    assert type(caught.value) is ccxt.ExchangeError
    assert nothing_happened(exchange)


@pytest.mark.parametrize("seconds", [1.5, 62])
def test_a_deadline_is_two_to_sixty_seconds_away(raw: Raw, seconds: float) -> None:
    order = selling("SOLUSD", "0.004", deadline=later(seconds))
    assert raw.refusal("AddOrder", **order) == "EGeneral:Invalid arguments:deadline"


def test_a_deadline_is_judged_by_the_exchanges_clock(exchange: SandboxProcess, raw: Raw) -> None:
    exchange.control("POST", "clock", {"skew_ms": 10_000})
    order = selling("SOLUSD", "0.004", deadline=later(9))
    assert raw.refusal("AddOrder", **order) == "EService:Deadline elapsed"
    raw.result("AddOrder", **selling("SOLUSD", "0.004", deadline=later(15)))


def test_a_request_that_is_on_its_way_too_long_misses_its_deadline(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.fault("delay_before", seconds="0.5")
    order = selling("SOLUSD", "0.004", deadline=later(0.3))
    assert raw.refusal("AddOrder", **order) == "EService:Deadline elapsed"
    assert nothing_happened(exchange)


# Limit orders, cancelling, checking
def test_an_open_order_holds_what_it_offers(client: ccxt.kraken) -> None:
    order = client.create_order(
        "SOL/USD", "limit", "sell", "0.003", "250", {"clientOrderId": "mine"}
    )
    (resting,) = client.fetch_open_orders()
    assert (resting["id"], resting["clientOrderId"]) == (order["id"], "mine")
    assert (resting["status"], resting["price"], resting["amount"]) == (
        "open",
        "250.00000",
        "0.00300000",
    )
    balance = client.fetch_balance()["SOL"]
    amounts = [Decimal(balance[name]) for name in ("free", "used", "total")]
    assert amounts == [Decimal("0.00112345"), Decimal("0.003"), Decimal("0.00412345")]
    client.cancel_order(order["id"])
    (closed,) = client.fetch_closed_orders()
    assert (closed["status"], closed["info"]["reason"]) == ("canceled", "User requested")
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"])


def test_orders_can_be_cancelled_by_each_of_their_ids(client: ccxt.kraken, raw: Raw) -> None:
    client.create_order("SOL/USD", "limit", "sell", "0.003", "250", {"clientOrderId": "mine"})
    client.cancel_order("any", params={"clientOrderId": "mine"})
    for _ in range(2):
        raw.result("AddOrder", **limit("sell", "SOLUSD", "0.002", "300", userref=7))
    assert raw.result("CancelOrder", txid=7) == {"count": 2}


def test_a_limit_price_off_the_tick_is_refused(raw: Raw) -> None:
    order = limit("sell", "SOLUSD", "0.004", "250.001")
    assert raw.refusal("AddOrder", **order) == "EOrder:Tick size check failed"


def test_checking_an_order_places_none(exchange: SandboxProcess, raw: Raw) -> None:
    checked = raw.result("AddOrder", **selling("SOLUSD", "0.004", validate="true"))
    assert checked == {"descr": {"order": "sell 0.00400000 SOLUSD @ market"}}
    too_much = selling("SOLUSD", "9", validate="true")
    assert raw.refusal("AddOrder", **too_much) == "EOrder:Insufficient funds"
    assert nothing_happened(exchange)


def test_a_buyer_pays_the_fee_in_quote_and_needs_it_beforehand(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "balances", {"USD": {"free": "100.39"}})
    order = limit("buy", "SOLUSD", "1", "100")
    assert raw.refusal("AddOrder", **order) == "EOrder:Insufficient funds"
    exchange.control("POST", "balances", {"USD": {"free": "100.40"}})
    raw.result("AddOrder", **order)
    assert exchange.balance("USD") == {"free": "0", "locked": "100.4"}
    exchange.control("POST", "prices", {"SOLUSD": "99"})
    # As a maker it costs 0.25 instead of 0.40; what is left of the hold comes back.
    assert exchange.balance("USD") == {"free": "0.15", "locked": "0"}
    assert exchange.balance("SOL")["free"] == "1.00412345"


# Earn products
def test_staked_balances_are_shown_and_can_not_be_sold(
    exchange: SandboxProcess, client: ccxt.kraken
) -> None:
    exchange.control("POST", "balances", {"ADA.F": {"free": "7"}})
    total = client.fetch_balance()["total"]
    assert (Decimal(total["DOT.S"]), Decimal(total["ADA.F"])) == (Decimal("1.5"), 7)
    assert "DOT.S/USD" not in client.markets
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("ADA/USD", "market", "sell", "5")


def test_plain_balances_carry_krakens_ids(raw: Raw) -> None:
    balances = raw.result("Balance")
    assert (balances["XXBT"], balances["ZUSD"]) == ("0.00030000", "184.20000000")
    assert {"XXDG", "XETH", "XXLM", "XXRP", "ADA", "SOL", "DOT.S"} < set(balances)
