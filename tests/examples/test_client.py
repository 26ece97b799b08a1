"""The client: what it asks, what it makes of every answer, and of none."""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dust_admin_client as client
import pytest
import redis
from django.conf import settings
from dust_admin_client import DustAdmin

from positions.domain.orders import OrderState
from positions.models import BotToken, Claim, Lease, LeaseEnd, Scope
from positions.services import tokens
from tests.bots import hire_bot, lease
from tests.examples.conftest import Desk, Issue
from tests.examples.front import Answer, Front
from tests.journeys.faults.network import Relay
from tests.trading import order_of
from tests.valkey_process import ValkeyProcess
from tests.web import builders


@pytest.fixture
def admin(desk: Desk) -> DustAdmin:
    return DustAdmin(desk.account.slug, environ=desk.environment)


def test_slots_are_read_and_read_again_only_when_they_changed(desk: Desk, admin: DustAdmin) -> None:
    first = admin.slots()
    assert (first.available, first.cap, first.counted, first.leased) == (6, 8, 2, 0)
    assert first.dust_threshold == "1"
    assert admin.slots() == first
    admin.lease("SOL")
    assert admin.slots().available == 6  # SOL was counted already
    admin.lease("LINK")
    assert admin.slots().available == 5
    assert [seen.status for seen in desk.front.seen if seen.method == "GET"] == [200, 304, 304, 200]


def test_a_lease_is_taken_renewed_listed_and_released(desk: Desk, admin: DustAdmin) -> None:
    taken = admin.lease("LINK", ttl=60, bot="alpha")
    assert (taken.bot, taken.asset, taken.is_active) == ("alpha", "LINK", True)
    renewed = admin.renew(taken, ttl=600)
    assert renewed.expires_at > taken.expires_at
    assert admin.leases() == [renewed]
    assert admin.release(taken, opened=True).status == "ended"
    assert admin.leases() == []
    assert (desk.lease().ended_how, desk.lease().opened) == (LeaseEnd.RELEASED, True)
    assert desk.free == 5  # until the next snapshot


def test_a_slot_that_was_not_used_is_free_at_once(desk: Desk, admin: DustAdmin) -> None:
    admin.release(admin.lease("LINK"), opened=False)
    assert desk.free == 6


def test_a_claim_is_made_prolonged_and_given_back(desk: Desk, admin: DustAdmin) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    first = admin.claim("ADA", until=until, reason="grid")
    longer = admin.claim("ADA", until=until + timedelta(days=1), reason="grid")
    assert (longer.id, longer.status) == (first.id, "active")
    assert Claim.objects.get().until == until + timedelta(days=1)
    assert admin.give_back(longer).status == "ended"


def test_a_snapshot_is_asked_for(desk: Desk, admin: DustAdmin) -> None:
    admin.snapshot()
    assert desk.front.seen[-1].status == 202


# No -----------------------------------------------------------------------------------------------


def test_unknown_slots_are_an_exception_and_never_a_number(desk: Desk, admin: DustAdmin) -> None:
    assert admin.slots().available == 6
    desk.make_unknown()
    with pytest.raises(client.SlotsUnknown, match="reading of desk-one failed"):
        admin.slots()
    with pytest.raises(client.SlotsUnknown) as refused:
        admin.lease("LINK")
    assert refused.value.retry_after == 5


def test_the_last_slot_is_had_once(desk: Desk, admin: DustAdmin) -> None:
    desk.fill(but=1)
    admin.lease("LINK")
    with pytest.raises(client.NoSlotFree, match="No slot of 8 is free"):
        admin.lease("UNI")


def test_what_another_bot_holds_is_refused(desk: Desk, admin: DustAdmin) -> None:
    other = hire_bot(desk.account, name="other", now=desk.now)
    lease(desk.account, "LINK", bot=other, now=desk.now)
    with pytest.raises(client.AssetHeld, match="LINK is"):
        admin.lease("LINK")
    (held,) = admin.leases()
    with pytest.raises(client.NotAllowed, match="belongs to other"):
        admin.release(held)


def test_an_order_under_way_names_its_plan(desk: Desk, admin: DustAdmin) -> None:
    plan = builders.started(desk.account, by=builders.person("operator", "Operator"), now=desk.now)
    builders.put(order_of(plan, "ADA"), OrderState.UNKNOWN, now=desk.now)
    with pytest.raises(client.OrderInFlight) as refused:
        admin.lease("ADA")
    assert refused.value.plan == plan.pk


def test_a_lease_that_ended_is_over(desk: Desk, admin: DustAdmin) -> None:
    taken = admin.lease("LINK")
    admin.release(taken)
    with pytest.raises(client.HoldOver):
        admin.renew(taken)


def test_a_token_opens_what_it_was_issued_for(desk: Desk, admin: DustAdmin, issue: Issue) -> None:
    reader = issue(desk.account, scopes=(Scope.READ,))
    reading = DustAdmin("desk-one", environ=desk.environment | {"DUST_ADMIN_TOKEN": reader})
    assert reading.slots().available == 6
    with pytest.raises(client.NotAllowed):
        reading.lease("LINK")
    builders.account("desk-two", now=desk.now)
    with pytest.raises(client.NotAllowed):
        DustAdmin("desk-two", environ=desk.environment).slots()
    with pytest.raises(client.BadRequest, match="This token is alpha's"):
        admin.lease("LINK", bot="beta")
    for token in BotToken.objects.all():
        tokens.revoke(token, actor=builders.SCHEDULER, now=desk.now)
    with pytest.raises(client.NotAllowed, match="revoked"):
        admin.slots()
    assert not Lease.objects.exists()


def test_a_mistake_of_the_bot_is_said_and_not_repeated(desk: Desk, admin: DustAdmin) -> None:
    with pytest.raises(client.BadRequest, match="ttl"):
        admin.lease("LINK", ttl=0)
    with pytest.raises(client.BadRequest):
        DustAdmin("nowhere", environ=desk.environment).slots()
    assert len(desk.front.seen) == 2


def test_too_many_requests_say_when_to_ask_again(desk: Desk, running_valkey: ValkeyProcess) -> None:
    minute = int(time.time()) // 60
    with redis.Redis.from_url(running_valkey.url) as counts:
        for at in (minute, minute + 1):
            counts.set(f"dustadmin:token:{desk.token.split('_')[1]}:{at}", 1_000_000)
    with pytest.raises(client.RateLimited) as refused:
        DustAdmin("desk-one", environ=desk.environment, attempts=1).slots()
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 60


def test_a_short_wait_is_waited(desk: Desk, admin: DustAdmin) -> None:
    desk.front.instead.append(Answer(status=429, headers={"Retry-After": "0"}))
    assert admin.slots().available == 6


def test_every_code_of_the_api_has_its_class_or_is_no_answer() -> None:
    source = (settings.BASE_DIR / "positions" / "api" / "problems.py").read_text()
    codes = set(re.findall(r'(?:code=|\d{3}: )"([a-z_]+)"', source))
    assert codes >= {"no_slot_free", "unauthorized"}
    assert codes - set(client.REFUSALS) == {"unavailable", "broken"}


# No answer ----------------------------------------------------------------------------------------


def test_a_lost_answer_is_asked_for_under_the_same_key(desk: Desk, admin: DustAdmin) -> None:
    desk.front.losing = 2
    taken = admin.lease("LINK")
    assert taken.id == desk.lease().pk
    keys = {json.loads(seen.body)["idempotency_key"] for seen in desk.front.seen}
    assert (len(desk.front.seen), len(keys)) == (3, 1)


def test_answers_that_stay_lost_leave_one_lease_and_an_exception(
    desk: Desk, admin: DustAdmin
) -> None:
    desk.front.losing = 3
    with pytest.raises(client.Unreachable, match="did not answer"):
        admin.lease("LINK")
    assert desk.lease().asset == "LINK"


def test_a_server_that_went_away_is_no_answer(desk: Desk, admin: DustAdmin) -> None:
    assert admin.slots().available == 6
    desk.front.close()
    with pytest.raises(client.Unreachable):
        admin.slots()


def test_silence_is_no_answer() -> None:
    with Relay(0) as relay:
        relay.ignore()
        with pytest.raises(client.Unreachable):
            _asking(f"http://127.0.0.1:{relay.port}", timeout=0.1, attempts=2).slots()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=200, body=b"<html>Sign in</html>"),
        Answer(status=200, body=b"[]"),
        Answer(status=200, body=b'{"status": "known"}'),
        Answer(status=500, body=b"{}"),
        Answer(status=502, body=b"<html>Bad gateway</html>"),
        Answer(status=304),
    ],
    ids=["page", "list", "half", "broken", "gateway", "unasked"],
)
def test_an_answer_without_sense_is_no_answer(answer: Answer) -> None:
    with Front(0) as front:
        front.instead.extend([answer] * 2)
        admin = _asking(front.url, attempts=1)
        with pytest.raises(client.Unreachable):
            admin.slots()
        with pytest.raises(client.Unreachable):
            admin.lease("LINK")


def test_no_redirect_is_followed() -> None:
    with Front(0) as front:
        front.instead.append(Answer(status=302, headers={"Location": "/elsewhere"}))
        with pytest.raises(client.Unreachable, match="status 302"):
            _asking(front.url, attempts=1).slots()
        assert len(front.seen) == 1


def test_null_is_no_number_of_slots() -> None:
    body = dict.fromkeys(client.Slots.__dataclass_fields__) | {"status": "known"}
    with Front(0) as front:
        front.instead.append(Answer(status=200, body=json.dumps(body).encode()))
        with pytest.raises(client.Unreachable):
            _asking(front.url).slots()


def _asking(url: str, **changes: Any) -> DustAdmin:
    environment = {"DUST_ADMIN_URL": url, "DUST_ADMIN_TOKEN": "dust_a_b"}
    return DustAdmin("demo", environ=environment, **changes)


# The token ----------------------------------------------------------------------------------------


def test_the_token_is_never_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    secret = desk.token.rpartition("_")[2]
    caplog.set_level(logging.DEBUG)
    admin = DustAdmin("desk-one", environ=desk.environment, attempts=1)
    admin.lease("LINK")
    desk.front.close()
    with pytest.raises(client.Unreachable) as lost:
        admin.slots()
    broken = desk.environment | {"DUST_ADMIN_TOKEN": f"{desk.token}\n"}
    with pytest.raises(ValueError, match="is no token") as refused:
        DustAdmin("desk-one", environ=broken)
    told = [caplog.text, repr(vars(admin)), *map(repr, (lost.value, refused.value))]
    assert [text for text in told if secret in text] == []
    assert refused.value.__context__ is None


@pytest.mark.parametrize("name", ["DUST_ADMIN_URL", "DUST_ADMIN_TOKEN"])
def test_what_is_not_set_is_named(name: str) -> None:
    given = {"DUST_ADMIN_URL": "http://127.0.0.1:1", "DUST_ADMIN_TOKEN": "t"}
    with pytest.raises(KeyError, match=name):
        DustAdmin("demo", environ={key: given[key] for key in given if key != name})
