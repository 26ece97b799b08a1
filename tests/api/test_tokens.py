"""Who gets in: a valid token, for its scopes and accounts, and so often a minute."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from positions.models import BotToken, ExchangeAccount, Lease, Scope
from positions.services import tokens
from tests.api.conftest import Bot, refused
from tests.web import builders

WANTED = {"asset": "NEW", "ttl": 60, "idempotency_key": "1"}


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Basic x", "Bearer nonsense", "Bearer dust_"),
        *("Bearer dust__", "Bearer dust_000000000000_x", "Bearer dust_ü_ü"),
    ],
)
def test_without_a_token_nobody_gets_in(desk: ExchangeAccount, header: str) -> None:
    for address in (f"/api/v1/accounts/{desk.slug}/slots", "/api/v1/plans/1"):
        answer = Client().get(address, headers={"Authorization": header})
        refused(answer, 401, "unauthorized")
        assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_tells_what_it_is_good_for(hire: Callable[..., Bot], now: datetime) -> None:
    bot = hire(scopes=(Scope.LEASE,))
    told = bot.get("/token").json()
    end = (now + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert told.pop("prefix") == BotToken.objects.get().prefix
    assert told == {"bot": "grid-7", "scopes": ["lease"], "expires_at": end}


def test_another_secret_with_a_known_prefix_opens_nothing(bot: Bot) -> None:
    wrong = Bot(token=bot.token[:-1] + ("A" if bot.token[-1] != "A" else "B"), slug=bot.slug)
    assert refused(wrong.get("slots"), 401, "unauthorized") == "There is no such token."


def test_an_expired_token_opens_nothing(hire: Callable[..., Bot], now: datetime) -> None:
    bot = hire(issued=now - timedelta(days=2))
    assert "has expired" in refused(bot.get("slots"), 401, "unauthorized")


def test_a_revoked_token_opens_nothing(bot: Bot, now: datetime) -> None:
    assert bot.get("slots").status_code == 200
    tokens.revoke(BotToken.objects.get(), actor=builders.SCHEDULER, now=now)
    assert "was revoked" in refused(bot.get("slots"), 401, "unauthorized")
    assert "was revoked" in refused(bot.post("leases", WANTED), 401, "unauthorized")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.READ, {"slots", "leases", "claims", "positions", "snapshots+"}),
        (Scope.LEASE, {"leases+"}),
        (Scope.CLAIM, {"claims+"}),
    ],
)
def test_a_scope_opens_what_it_names_and_nothing_else(
    hire: Callable[..., Bot], scope: Scope, allowed: set[str]
) -> None:
    bot = hire(scopes=(scope,))
    claim = {"asset": "SOL", "until": _in_an_hour(), "reason": "grid"}
    answers = {
        **{name: bot.get(name) for name in ("slots", "leases", "claims", "positions")},
        "snapshots+": bot.post("snapshots"),
        "leases+": bot.post("leases", WANTED),
        "claims+": bot.post("claims", claim),
    }
    assert {name for name, answer in answers.items() if answer.status_code < 400} == allowed
    for name in answers.keys() - allowed:
        assert "grid-7 may not" in refused(answers[name], 403, "forbidden")


def test_another_account_is_refused_and_an_unknown_one_is_not_found(
    bot: Bot, desk: ExchangeAccount, now: datetime
) -> None:
    other = builders.account("desk-two", now=now)
    builders.snapshot(other, at=now)
    for answer in (bot.on("desk-two").get("slots"), bot.on("desk-two").post("leases", WANTED)):
        refused(answer, 403, "forbidden")
    assert not Lease.objects.exists()
    sentence = refused(bot.on("nowhere").get("slots"), 404, "not_found")
    assert sentence == "There is no account nowhere."


def test_a_session_opens_nothing(desk: ExchangeAccount) -> None:
    web = Client()
    web.force_login(builders.person("admin", "Administrator"))
    refused(web.get(f"/api/v1/accounts/{desk.slug}/slots"), 401, "unauthorized")


def test_a_token_may_ask_so_often_a_minute(
    bot: Bot, hire: Callable[..., Bot], settings: Any
) -> None:
    settings.DUSTADMIN_BOT_REQUESTS_PER_MINUTE = 3
    # The first four of one minute: a minute may end after some of them.
    answers = [bot.get("slots") for _ in range(7)]
    late = answers[-1]
    assert "3 times a minute" in refused(late, 429, "rate_limited")
    assert 0 < int(late["Retry-After"]) <= 60
    assert hire("other").get("slots").status_code == 200


def test_without_redis_bots_get_their_answers(bot: Bot, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    assert bot.get("slots").status_code == 200
    assert bot.post("leases", WANTED).status_code == 201


def _in_an_hour() -> str:
    return (timezone.now() + timedelta(hours=1)).isoformat()
