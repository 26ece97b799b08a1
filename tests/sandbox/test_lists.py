"""Listing orders and fills: pages, periods and what is refused."""

from __future__ import annotations

import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw

DAY_MS = 86_400_000
ORDERS, TRADES = "/api/v3/allOrders", "/api/v3/myTrades"


@pytest.fixture
def three(exchange: SandboxProcess, raw: Raw) -> list[int]:
    """Sell three times, each ten seconds after the last, and return the moments."""
    moments = []
    for number in range(3):
        exchange.control("POST", "clock", {"skew_ms": number * 10_000})
        now_ms = exchange.control("GET", "health")["now_ms"]
        assert raw.sell("DOGEUSDT", "1", timestamp=now_ms).status == 200
        moments.append(now_ms)
    return moments


def listed(raw: Raw, path: str, now_ms: int, **params: object) -> list[int]:
    answer = raw.call("GET", path, symbol="DOGEUSDT", timestamp=now_ms, **params)
    return [each["orderId"] for each in answer.data]


@pytest.mark.parametrize("path", [ORDERS, TRADES])
def test_a_list_has_the_newest_or_begins_where_it_is_told(
    raw: Raw, three: list[int], path: str
) -> None:
    one, two, last = listed(raw, path, three[2])
    assert one < two < last
    assert listed(raw, path, three[2], limit=2) == [two, last]
    assert listed(raw, path, three[2], limit=1, startTime=three[1]) == [two]
    assert listed(raw, path, three[2], limit=1, endTime=three[1] + 5000) == [two]
    assert listed(raw, path, three[2], startTime=three[0], endTime=three[1] + 5000) == [one, two]


def test_orders_are_listed_from_an_id_on(raw: Raw, three: list[int]) -> None:
    one, two, last = listed(raw, ORDERS, three[2])
    assert listed(raw, ORDERS, three[2], orderId=two) == [two, last]
    assert listed(raw, ORDERS, three[2], orderId=one, limit=1) == [one]
    assert listed(raw, TRADES, three[2], orderId=two) == [two]


@pytest.mark.parametrize("path", [ORDERS, TRADES])
@pytest.mark.parametrize(("length", "code"), [(DAY_MS, None), (DAY_MS + 1, -1127)])
def test_more_than_a_day_at_once_is_refused(
    raw: Raw, path: str, length: int, code: int | None
) -> None:
    period = {"startTime": 1_700_000_000_000, "endTime": 1_700_000_000_000 + length}
    answer = raw.call("GET", path, symbol="DOGEUSDT", **period)
    assert (answer.data["code"] if code else answer.data) == (code or [])


def test_an_id_beyond_all_numbers_is_refused(raw: Raw) -> None:
    answer = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", orderId=2**63)
    assert answer.refusal == (400, -1108, "Parameter 'orderId' overflowed.")
    largest = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", orderId=2**63 - 1)
    assert largest.refusal[1] == -2013
