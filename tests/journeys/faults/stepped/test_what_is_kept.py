"""What was really sent and answered is kept with each attempt, without what is secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import Unreachable
from positions.models import AnswerClass
from positions.services import attempts
from tests.journeys.faults.stepped.steps import PEPE, committed, only
from tests.trading import World, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_attempt_keeps_what_really_left_and_how_it_was_answered(world: World) -> None:
    plan = world.work(world.start(PEPE))
    attempt = only(plan).attempts.get()
    (received,) = world.sent()
    assert (attempt.wire["method"], attempt.wire["path"]) == ("POST", "/api/v3/order")
    assert attempt.wire["parameters"] == {
        name: text for name, text in received["params"].items() if name != "signature"
    }
    assert attempt.wire["status"] == 200
    keys = world.exchange.credentials()
    for secret in (keys["api_key"], keys["api_secret"], "signature"):
        assert secret not in json.dumps(attempt.wire) + attempt.answer_text
    assert json.loads(attempt.answer_text)["fills"]


def test_an_attempt_without_an_answer_keeps_what_left(world: World) -> None:
    plan = world.start(PEPE)
    world.exchange.fault("drop_after")
    attempt = world.run(only(plan)).attempts.get()
    assert attempt.answer == AnswerClass.UNKNOWN
    assert (attempt.wire["path"], attempt.wire["status"]) == ("/api/v3/order", None)
    world.work(plan)


def test_an_attempt_that_never_left_tells_nothing_of_an_earlier_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.start(PEPE)
    order, attempt, turn = committed(world, only(plan))
    world.port.balances()

    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise Unreachable("Binance can't be reached: no connection was made.")

    monkeypatch.setattr(CcxtExchange, "markets", unreachable)
    attempts.send(order, attempt, turn=turn, exchange=world.port, clock=world.clock)
    monkeypatch.undo()
    assert fresh(attempt).answer == AnswerClass.NOT_PLACED
    assert fresh(attempt).wire == {}
    world.work(plan)
