"""Slots are reserved, renewed and given back over HTTP; each refusal is a problem document."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from positions.models import ExchangeAccount, Lease
from tests.api.conftest import Bot, refused
from tests.web import builders


def wanted(asset: str = "NEW", **changes: Any) -> dict[str, Any]:
    return {"asset": asset, "ttl": 60, "idempotency_key": f"key of {asset}"} | changes


def test_a_lease_goes_from_its_reservation_to_its_end(bot: Bot) -> None:
    answer = bot.post("leases", wanted(bot="grid-7"))
    made = answer.json()
    assert answer.status_code == 201
    assert {name: made[name] for name in ("account", "bot", "asset", "status", "opened")} == {
        "account": "desk-one",
        "bot": "grid-7",
        "asset": "NEW",
        "status": "active",
        "opened": None,
    }
    assert bot.get("leases").json() == {"leases": [made]}
    renewed = bot.post(f"leases/{made['id']}/renew", {"ttl": 600})
    assert renewed.status_code == 200
    assert renewed.json()["expires_at"] > made["expires_at"]
    ended = bot.post(f"leases/{made['id']}/release", {"opened": True})
    told = {name: ended.json()[name] for name in ("status", "ended_how", "opened")}
    assert told == {"status": "ended", "ended_how": "released", "opened": True}
    assert bot.get("leases").json() == {"leases": []}
    assert bot.get("slots").json()["leased"] == 1  # until a snapshot tells
    again = bot.post(f"leases/{made['id']}/release", {"opened": True})
    assert again.json() == ended.json()
    late = bot.post(f"leases/{made['id']}/renew", {"ttl": 60})
    assert refused(late, 409, "hold_over") == "The lease has ended. Reserve a new one."


def test_a_lease_of_which_nothing_was_opened_frees_its_slot_at_once(bot: Bot) -> None:
    made = bot.post("leases", wanted()).json()
    bot.post(f"leases/{made['id']}/release", {"opened": False})
    assert bot.get("slots").json()["leased"] == 0


def test_the_same_key_is_the_same_lease_and_another_body_is_refused(bot: Bot) -> None:
    first = bot.post("leases", wanted())
    again = bot.post("leases", wanted())
    assert (again.status_code, again.json()) == (201, first.json())
    other = bot.post("leases", wanted(ttl=61))
    assert "Use a new one" in refused(other, 409, "key_reused")
    assert Lease.objects.count() == 1


def test_no_slot_free_is_a_conflict(bot: Bot) -> None:
    answers = [bot.post("leases", wanted(f"N{number}")) for number in range(7)]
    assert [answer.status_code for answer in answers] == [201] * 6 + [409]
    sentence = refused(answers[-1], 409, "no_slot_free")
    assert sentence == "No slot of 8 is free: 2 counted, 6 leased."


def test_another_bots_lease_can_not_be_taken_nor_touched(
    bot: Bot, hire: Callable[..., Bot]
) -> None:
    made = bot.post("leases", wanted()).json()
    other = hire("dca-1")
    assert "leased by grid-7" in refused(other.post("leases", wanted()), 409, "asset_held")
    for step, body in (("renew", {"ttl": 60}), ("release", {"opened": False})):
        answer = other.post(f"leases/{made['id']}/{step}", body)
        assert refused(answer, 403, "not_yours") == "It belongs to grid-7."
    assert other.get("leases").json()["leases"] == [made]


def test_an_order_in_flight_names_its_plan(bot: Bot, desk: ExchangeAccount, now: datetime) -> None:
    plan = builders.started(desk, by=builders.person("ann", "Operator"), now=now)
    order = plan.orders.first()
    assert order is not None
    builders.put(order, builders.OrderState.SUBMITTING, now=now)
    until = (now + timedelta(hours=1)).isoformat()
    claim = {"asset": order.asset, "until": until, "reason": "mine"}
    for answer in (bot.post("leases", wanted(order.asset)), bot.post("claims", claim)):
        assert f"plan {plan.pk}" in refused(answer, 409, "order_in_flight")
        assert answer.json()["plan"] == plan.pk


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(({"ttl": ttl}, "ttl") for ttl in (0, -1, 86_401, 31_536_000, 10**40, "60", 1.5, True)),
        *(({"asset": asset}, "asset") for asset in ("", "A B", "Ä", "USDT", "x" * 41, None, 7)),
        *(({"idempotency_key": key}, "idempotency_key") for key in ("", " ", "k" * 101, "a\x00")),
        ({"bot": "dca-1"}, "bot"),
        ({"time": 60}, "time"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(
    bot: Bot, changes: dict[str, Any], field: str
) -> None:
    answer = bot.post("leases", wanted() | changes)
    refused(answer, 422, "invalid")
    assert answer.json()["field"] == field
    assert not Lease.objects.exists()


@pytest.mark.parametrize("missing", ["asset", "ttl", "idempotency_key"])
def test_what_is_missing_is_named(bot: Bot, missing: str) -> None:
    body = wanted()
    del body[missing]
    answer = bot.post("leases", body)
    assert refused(answer, 422, "invalid") == f"{missing}: Field required"


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "7", '{"ttl": NaN}', "\x00"])
def test_what_is_no_json_object_is_refused(bot: Bot, body: str) -> None:
    answer = bot.post("leases", body)
    assert answer.status_code in {400, 422}
    refused(answer, answer.status_code, {400: "bad_request", 422: "invalid"}[answer.status_code])


def test_a_body_that_is_too_large_is_refused(bot: Bot) -> None:
    answer = bot.post("leases", wanted(idempotency_key="k" * 20_000))
    assert "at most 16384 bytes" in refused(answer, 413, "too_large")


def test_a_lease_of_another_account_or_of_none_is_not_found(
    hire: Callable[..., Bot], desk: ExchangeAccount, now: datetime
) -> None:
    other = builders.account("desk-two", now=now)
    builders.snapshot(other, at=now)
    bot = hire(accounts=(desk, other))
    made = bot.post("leases", wanted()).json()
    for where, pk in ((bot.on("desk-two"), made["id"]), (bot, 999), (bot, 10**30)):
        answer = where.post(f"leases/{pk}/release", {"opened": False})
        refused(answer, 404, "not_found")
    assert bot.get("leases").json()["leases"] == [made]
