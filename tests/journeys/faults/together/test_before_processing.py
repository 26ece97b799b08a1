"""The order was certainly not processed: it is sent again, once, as soon as that is possible."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.models import AnswerClass
from positions.services import stops
from tests.journeys.faults.case import HELD, Case
from tests.journeys.faults.house import House
from tests.journeys.faults.network import Relay, write_certificate
from tests.journeys.faults.points import Action, Mark, Point
from tests.journeys.faults.waiting import wait_for
from tests.trading import TEST, fresh

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# Refused before processing, by the exchange.
REFUSED: dict[str, dict[str, Any]] = {
    "429 with Retry-After": {"kind": "rate_limit", "retry_after": 2},
    "418 ban": {"kind": "ban", "retry_after": 2},
    "-1021 clock skew": {"kind": "error", "code": -1021, "msg": "Timestamp is outside."},
}


@pytest.fixture(scope="module")
def refused(house: House) -> dict[str, Case]:
    """Return one case for each refusal, all of which run at once."""
    return {name: house.case().fault(**spec).start() for name, spec in REFUSED.items()}


@pytest.mark.parametrize("name", REFUSED)
def test_an_order_that_was_refused_before_processing_is_sent_again(
    refused: dict[str, Case], broken: dict[str, Broken], name: str
) -> None:
    case = refused[name].settled()
    assert case.state is S.FILLED, case.told
    first, second = case.sent()
    assert first["fault"] is not None
    assert first["params"]["newClientOrderId"] == second["params"]["newClientOrderId"]
    assert int(second["params"]["timestamp"]) > int(first["params"]["timestamp"])
    answers = [attempt.answer for attempt in case.order.attempts.exclude(sent_at=None)]
    assert answers == [AnswerClass.NOT_PLACED, AnswerClass.ACCEPTED]
    if "Retry" in name or "ban" in name:
        assert second["wall_us"] - first["wall_us"] >= 1_950_000
    case.is_true()


# The network, broken between the leave to send and the request


@dataclass
class Broken:
    """A case whose network breaks right before its request, and is whole again afterwards."""

    case: Case
    relay: Relay
    mark: Mark

    def first_answer(self) -> str:
        """Return what the first attempt's answer meant; PENDING while there is none."""
        first = self.case.order.attempts.order_by("number").first()
        return AnswerClass.PENDING if first is None else str(first.answer)


@pytest.fixture(scope="module")
def broken(
    house: House, refused: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Broken]]:
    """Return one case for each way in which a network breaks, all of which run at once."""
    folder = tmp_path_factory.mktemp("certificates")
    stranger = write_certificate(folder / "stranger.pem")
    with ExitStack() as stack:
        plain = [stack.enter_context(Relay(house.exchange.port)) for _ in range(3)]
        secure = stack.enter_context(Relay(house.exchange.port, certificate=house.authority))
        made = {
            "connection refused": (plain[0], "http://127.0.0.1"),
            "name not found": (plain[1], "http://localhost"),
            "connect timeout": (plain[2], "http://127.0.0.1"),
            "untrusted certificate": (secure, "https://127.0.0.1"),
        }
        cases = {}
        for name, (relay, host) in made.items():
            case = house.case(base_url=f"{host}:{relay.port}")
            cases[name] = Broken(case, relay, case.arm(Point.AFTER_LEAVE, Action.HOLD))
            case.start()
        for each in cases.values():
            each.mark.reached()
        cases["connection refused"].relay.refuse()
        cases["name not found"].relay.restore()  # no connection is left that needs no name
        house.points.switch("names", on=True)
        cases["connect timeout"].relay.ignore()
        cases["untrusted certificate"].relay.show(stranger)
        for each in cases.values():
            each.mark.go_on()
        for each in cases.values():
            wait_for(
                lambda each=each: each.first_answer() != AnswerClass.PENDING,
                what="the first answer",
            )
        house.points.switch("names", on=False)
        secure.show(house.authority)
        for relay in plain:
            relay.restore()
        yield cases


NETWORK = ["connection refused", "name not found", "connect timeout", "untrusted certificate"]


@pytest.mark.parametrize("name", NETWORK)
def test_an_order_whose_connection_was_never_made_is_sent_again(
    broken: dict[str, Broken], name: str
) -> None:
    case = broken[name].case.settled()
    assert case.state is S.FILLED, case.told
    first = case.order.attempts.order_by("number")[0]
    assert (first.answer, first.answer_code) == (AnswerClass.NOT_PLACED, "UNREACHABLE")
    assert first.sent_at is not None
    assert len(case.sent()) == 1
    assert case.order.filled_quantity == HELD
    case.is_true()


# The key, and the clock


def in_the_middle(house: House) -> tuple[Case, Mark, list[Mark]]:
    """Start three orders: the first is held with its leave, the others with their claim."""
    case = house.case(assets=3)
    first, *others = case.assets
    leaves = case.arm(Point.AFTER_LEAVE, Action.HOLD, asset=first)
    claimed = [case.arm(Point.AFTER_CLAIM, Action.HOLD, asset=asset) for asset in others]
    case.start()
    for mark in (leaves, *claimed):
        mark.reached()
    return case, leaves, claimed


def test_a_key_that_is_revoked_in_the_middle_pauses_the_plan_until_it_is_given_back(
    house: House,
) -> None:
    case, leaves, claimed = in_the_middle(house)
    case.revoke_key(True)
    leaves.go_on()
    wait_for(lambda: case.state is S.REJECTED, what="the refusal")
    for mark in claimed:
        mark.go_on()
    wait_for(lambda: fresh(case.plan).state is P.PAUSED, what="the pause")
    assert "does not accept the API key" in fresh(case.plan).status_note
    wait_for(house.crew.is_quiet, what="the workers to give back what they can't check")
    case.revoke_key(False)
    stops.resume_plan(fresh(case.plan), actor=TEST, now=timezone.now())
    case.wake()
    case.settled()
    assert [order.state for order in case.orders] == [S.REJECTED, S.FILLED, S.FILLED], case.told
    assert len(case.sent()) == 3
    case.is_true()


@pytest.mark.parametrize("skew_ms", [30_000, -30_000])
def test_a_clock_that_jumps_in_the_middle_is_compared_again(house: House, skew_ms: int) -> None:
    case, leaves, claimed = in_the_middle(house)
    house.exchange.control("POST", "clock", {"skew_ms": skew_ms})
    for mark in (leaves, *claimed):
        mark.go_on()
    case.settled()
    house.exchange.control("POST", "clock", {"skew_ms": 0})
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    assert case.order.attempts.order_by("number")[0].answer_code == "-1021"
    assert len(case.placed()) == 3
    case.is_true()
