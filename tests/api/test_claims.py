"""Assets are claimed and given back over HTTP."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from positions.models import Claim, ExchangeAccount
from positions.services import drafts
from tests.api.conftest import Bot, refused
from tests.web import builders


def wanted(asset: str = "PEPE", *, hours: float = 1, **changes: Any) -> dict[str, Any]:
    until = (timezone.now() + timedelta(hours=hours)).isoformat()
    return {"asset": asset, "until": until, "reason": "grid 120-160"} | changes


def test_a_claimed_asset_is_in_no_plan_until_it_is_given_back(
    bot: Bot, desk: ExchangeAccount, now: datetime
) -> None:
    answer = bot.post("claims", wanted())
    made = answer.json()
    assert (answer.status_code, made["asset"], made["status"]) == (201, "PEPE", "active")
    assert bot.get("claims").json() == {"claims": [made]}

    def planned() -> set[str]:
        plan = drafts.draft_plan(desk, threshold=None, actor=builders.SCHEDULER, now=now)
        return set(plan.orders.values_list("asset", flat=True))

    before = planned()
    ended = bot.post(f"claims/{made['id']}/release")
    assert (ended.status_code, ended.json()["status"]) == (200, "ended")
    assert planned() == before | {"PEPE"}
    assert bot.post(f"claims/{made['id']}/release").json() == ended.json()


def test_a_second_claim_of_the_same_bot_gets_the_new_end_and_reason(bot: Bot) -> None:
    first = bot.post("claims", wanted()).json()
    second = bot.post("claims", wanted(hours=2, reason="longer")).json()
    assert second["id"] == first["id"]
    assert (second["reason"], second["until"] > first["until"]) == ("longer", True)


def test_another_bots_claim_can_not_be_taken_nor_given_back(
    bot: Bot, hire: Callable[..., Bot]
) -> None:
    made = bot.post("claims", wanted()).json()
    other = hire("dca-1")
    assert "claimed by grid-7" in refused(other.post("claims", wanted()), 409, "asset_held")
    refused(other.post(f"claims/{made['id']}/release"), 403, "not_yours")
    refused(other.post("claims/999/release"), 404, "not_found")


@pytest.mark.parametrize(
    "until",
    [
        *("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "2030-01-31", "2030-01-31T12:00:00"),
        *("soon", "", None, 1_900_000_000, "1900000000", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_an_end_that_makes_no_sense_is_refused(bot: Bot, until: Any) -> None:
    answer = bot.post("claims", wanted(until=until))
    refused(answer, 422, "invalid")
    assert answer.json()["field"] == "until"
    assert not Claim.objects.exists()


@pytest.mark.parametrize("reason", ["", " ", "x" * 201, "a\nb", None])
def test_a_reason_is_a_line_of_text(bot: Bot, reason: Any) -> None:
    answer = bot.post("claims", wanted(reason=reason))
    refused(answer, 422, "invalid")
    assert answer.json()["field"] == "reason"
