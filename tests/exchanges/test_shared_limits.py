"""What the exchange counts is shared with bots: its answers slow all workers of the key down."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from positions.domain.pacing import SECOND, Limit
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import RateLimited
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import Open, sale
from tests.sandbox.clients import connect
from tests.trading import forget_orders


def next_moment(port: CcxtExchange) -> int:
    return port.pacer.take_order(lead=Decimal(0), latest=Decimal(60)).at


def test_a_bot_on_the_same_key_slows_us_down_by_what_the_exchange_counts(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    """Ten orders in ten seconds are allowed; a bot sends eight, and our next answer tells."""
    exchange.control("POST", "balances", {"DOGE": {"free": "1000"}})
    exchange.control("POST", "limits", {"orders": [{"limit": 10, "interval_seconds": 10}]})
    port.pacer.limits = (Limit(allowed=10, window=10),)
    forget_orders(port.pacer)
    next_moment(port)
    bot = connect(exchange)
    for _ in range(8):
        bot.create_order("DOGE/USDT", "market", "sell", "5")
    bot.session.close()
    port.sell(sale(port), may_leave=lambda: True)
    moments = [next_moment(port) for _ in range(3)]
    assert moments[2] - moments[1] >= 3 * SECOND  # our half of ten would be two seconds apart


def test_too_many_orders_of_one_key_hold_nobody_else_at_the_address(
    open_port: Open, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "balances", {"DOGE": {"free": "1000"}})
    exchange.control("POST", "limits", {"orders": [{"limit": 1, "interval_seconds": 10}]})
    one = open_port()
    two = open_port(exchange.control("POST", "accounts", {"balances": {"USDT": "1"}}))
    for port in (one, two):
        port.now_ms()
        forget_orders(port.pacer)
    one.sell(sale(one), may_leave=lambda: True)
    with pytest.raises(RateLimited):
        one.sell(sale(one), may_leave=lambda: True)
    facts: dict[str, Any] = {"lead": Decimal(0), "latest": Decimal(1)}
    assert not one.pacer.take_order(**facts).is_reserved
    assert two.pacer.take_order(**facts).is_reserved


def test_too_many_orders_without_a_time_to_wait_cost_the_window_that_is_full(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "balances", {"DOGE": {"free": "1000"}})
    orders = [{"limit": 2, "interval_seconds": 1}, {"limit": 100, "interval_seconds": 10}]
    exchange.control("POST", "limits", {"orders": orders})
    port.pacer.limits = (Limit(allowed=2, window=1), Limit(allowed=100, window=10))
    forget_orders(port.pacer)
    with pytest.raises(RateLimited) as limited:  # noqa: PT012 - the third, unless the machine sleeps
        for _ in range(20):
            port.sell(sale(port), may_leave=lambda: True)
    assert limited.value.retry_after == 1
    assert port.pacer.take_order(lead=Decimal(0), latest=Decimal(60)).wait < 3
