"""What the stepped tests share: one step of a worker at a time, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from positions.models import CleanupPlan, CloseOrder
from positions.services import attempts, execution, stops
from tests.trading import TEST, World, fresh

PEPE = "0.05"  # the threshold below which only PEPE is dust


LOOK_UP = {"method": "GET", "path": "/api/v3/order"}


CLOCK_REFUSED = {"code": -1021, "msg": "Timestamp for this request is outside."}


def only(plan: Any) -> CloseOrder:
    """Return the plan's one order."""
    found: CloseOrder = plan.orders.get()
    return found


def attempts_of(order: CloseOrder) -> list[str]:
    """Return what the answers to each request meant."""
    return list(order.attempts.order_by("number").values_list("answer", flat=True))


def order_answer(order: CloseOrder, **fields: str) -> str:
    """Return an answer of the exchange about an order, with nothing about what was sold."""
    return json.dumps(
        {
            "symbol": "PEPEUSDT",
            "orderId": 7,
            "clientOrderId": order.client_order_id,
            "type": "MARKET",
            "side": "SELL",
            "transactTime": 1,
            **fields,
        }
    )


def committed(world: World, order: CloseOrder) -> tuple[CloseOrder, Any, attempts.Turn]:
    """Make the steps of a worker up to its commit."""
    claimed = execution._claimed(order.pk, now=world.now)
    assert claimed is not None
    port = world.port
    port.markets()
    turn = attempts.Turn(
        slot=port.pacer.take_order(lead=Decimal("0.05"), latest=Decimal(1)),
        signed_at_ms=port.now_ms() + 50,
        look_ends_at=world.now + timedelta(seconds=5),
    )
    attempt = attempts.commit(
        claimed, quantity=claimed.quantity, turn=turn, exchange=port, now=world.now
    )
    assert attempt is not None
    return claimed, attempt, turn


def between_leave_and_request(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any]) -> None:
    """Let something happen where a worker can be stopped: after its leave, before its request."""
    ask = attempts.may_leave

    def leave(*args: Any, **kwargs: Any) -> bool:
        allowed = ask(*args, **kwargs)
        monkeypatch.setattr(attempts, "may_leave", ask)
        happens()
        return allowed

    monkeypatch.setattr(attempts, "may_leave", leave)


class Interrupting:
    """A pause that lets something happen between the commit and the request."""

    def __init__(self, happening: Any) -> None:
        self.happening = happening

    def __call__(self, seconds: float) -> None:
        self.happening()


def interrupted(world: World, plan: Any, happening: Any) -> CloseOrder:
    order = only(plan)
    execution.run_order(order.pk, clock=world.clock, pause=Interrupting(happening))
    found: CloseOrder = fresh(order)
    return found


def pause(world: World, plan: CleanupPlan) -> None:
    stops.pause_plan(plan, actor=TEST, now=world.now)


def halt(world: World, plan: CleanupPlan) -> None:
    stops.halt_plan(plan, actor=TEST, now=world.now)


def halt_account(world: World, plan: CleanupPlan) -> None:
    stops.halt_everything(world.account, reason="stop", actor=TEST, now=world.now)


def halt_everything(world: World, plan: CleanupPlan) -> None:
    stops.halt_everything(None, reason="stop", actor=TEST, now=world.now)
