"""Counters of addresses, keys and markets: they rise with calls and fall with time."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from sandbox.kraken.limits import PRIVATE, Counter, Counters, Gate, cancellation_cost
from sandbox.refusals import Refusal
from sandbox.state import State
from tests.exchange_process import ControlError, SandboxProcess
from tests.sandbox.kraken.clients import Raw, limit, selling

SECOND = 1_000_000


@pytest.fixture
def state() -> Iterator[State]:
    made = State(None)
    with made.transaction():
        yield made
    made.close()


def narrow(exchange: SandboxProcess, **counters: int) -> None:
    """Let counters reach so much, and fall by next to nothing while a test lasts."""
    limits = {name: {"maximum": most, "decay": "0.00001"} for name, most in counters.items()}
    exchange.control("POST", "limits", limits)


def violations(exchange: SandboxProcess) -> list[tuple[str, int, int]]:
    found = exchange.ledger(0, "violations")["violations"]
    return [(each["kind"], each["observed"], each["limit"]) for each in found]


def test_a_counter_may_reach_its_maximum_and_falls_with_time(state: State) -> None:
    reports: list[Any] = []
    counters = Counters(private=Counter(maximum=3, decay=Decimal("0.5")))
    gate = Gate(state, counters, lambda *report: reports.append(report))

    def passes(at_us: int, cost: int = 1) -> bool:
        try:
            gate.admit(PRIVATE, "key", cost, now_us=at_us, address="here")
        except Refusal:
            return False
        return True

    assert [passes(0) for _ in range(4)] == [True, True, True, False]
    assert not passes(2 * SECOND - 1)
    assert passes(2 * SECOND)
    assert not passes(2 * SECOND)
    assert passes(8 * SECOND, cost=3)
    assert not passes(8 * SECOND, cost=1)
    assert [report[:2] for report in reports] == [(PRIVATE, 4)] * 4


def test_a_clock_that_steps_back_gives_nothing(state: State) -> None:
    gate = Gate(state, Counters(private=Counter(maximum=1, decay=Decimal(1))), lambda *_: None)
    gate.admit(PRIVATE, "key", 1, now_us=10 * SECOND, address="here")
    with pytest.raises(Refusal):
        gate.admit(PRIVATE, "key", 1, now_us=0, address="here")


def test_private_calls_are_counted_by_key(exchange: SandboxProcess, raw: Raw) -> None:
    narrow(exchange, private=3)
    other = Raw(exchange, exchange.control("POST", "accounts", {}))
    for _ in range(3):
        raw.result("Balance")
    assert raw.refusal("Balance") == "EAPI:Rate limit exceeded"
    other.result("Balance")
    assert violations(exchange) == [("private", 4, 3)]


def test_ccxt_takes_it_for_a_reason_to_wait(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    narrow(exchange, private=1)
    client.fetch_balance()
    with pytest.raises(ccxt.DDoSProtection):
        client.fetch_balance()


def test_the_history_of_trades_counts_twice_and_orders_not_at_all(
    exchange: SandboxProcess, raw: Raw
) -> None:
    narrow(exchange, private=3)
    (txid,) = raw.result("AddOrder", **limit("sell", "SOLUSD", "0.004", "250"))["txid"]
    raw.result("CancelOrder", txid=txid)
    raw.result("TradesHistory")
    raw.result("ClosedOrders")
    assert raw.refusal("OpenOrders") == "EAPI:Rate limit exceeded"
    weights = [request["weight"] for request in exchange.ledger()["requests"]]
    assert weights == [0, 0, 2, 1, 0]


def test_orders_are_counted_by_market_even_if_they_are_refused(
    exchange: SandboxProcess, raw: Raw
) -> None:
    narrow(exchange, trading=2)
    raw.result("AddOrder", **selling("XDGUSD", "3"))
    assert raw.refusal("AddOrder", **selling("XDGUSD", "9")) == "EOrder:Insufficient funds"
    assert raw.refusal("AddOrder", **selling("XDGUSD", "3")) == "EOrder:Rate limit exceeded"
    raw.result("AddOrder", **selling("SOLUSD", "0.004"))
    assert violations(exchange) == [("trading", 3, 2)]
    counted = [request["counted_order"] for request in exchange.ledger()["requests"]]
    assert counted == [True, True, False, True]
    assert len(exchange.ledger()["orders"]) == 2


@pytest.mark.parametrize(
    ("age_ms", "cost"),
    [(0, 8), (4_999, 8), (5_000, 6), (14_999, 5), (89_999, 2), (299_999, 1), (300_000, 0)],
)
def test_cancelling_costs_more_the_younger_the_order_is(age_ms: int, cost: int) -> None:
    assert cancellation_cost(age_ms) == cost


def test_a_cancellation_counts_in_its_market(exchange: SandboxProcess, raw: Raw) -> None:
    narrow(exchange, trading=8)
    order = raw.result("AddOrder", **limit("sell", "SOLUSD", "0.004", "250"))
    assert raw.refusal("CancelOrder", txid=order["txid"][0]) == "EOrder:Rate limit exceeded"
    assert violations(exchange) == [("trading", 9, 8)]


def test_public_calls_are_counted_by_address(exchange: SandboxProcess, raw: Raw) -> None:
    narrow(exchange, public=2)
    for _ in range(2):
        assert raw.public("Time")["error"] == []
    assert raw.public("Time") == {"error": ["EGeneral:Too many requests"]}
    raw.result("Balance")
    answer = exchange.request("GET", "/0/public/Time", source="127.0.0.2")[2]
    assert "Too many" not in answer


def test_other_limits_start_counting_anew(exchange: SandboxProcess, raw: Raw) -> None:
    narrow(exchange, private=1)
    raw.result("Balance")
    narrow(exchange, private=1)
    raw.result("Balance")
    assert raw.refusal("Balance") == "EAPI:Rate limit exceeded"


def test_counters_outlive_a_crash(tmp_path: Path) -> None:
    with SandboxProcess("kraken8", state_file=tmp_path / "state.sqlite") as kept:
        narrow(kept, private=2)
        raw = Raw(kept)
        raw.result("Balance")
        raw.result("Balance")
        kept.kill()
        kept.restart()
        assert raw.refusal("Balance") == "EAPI:Rate limit exceeded"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"weight": {"maximum": 1, "decay": "1"}}, "unknown limit 'weight'"),
        ({"private": {"maximum": 1}}, "private needs"),
        ({"private": {"maximum": 0, "decay": "1"}}, "above zero"),
        ({"private": {"maximum": True, "decay": "1"}}, "above zero"),
        ({"private": {"maximum": 1, "decay": "0"}}, "above zero"),
        ({"private": {"maximum": 1, "decay": 1}}, "not an amount"),
    ],
)
def test_wrong_limits_are_refused_with_a_sentence(
    exchange: SandboxProcess, limits: dict[str, Any], words: str
) -> None:
    with pytest.raises(ControlError, match=words):
        exchange.control("POST", "limits", limits)
