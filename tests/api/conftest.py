"""Fixtures of the API's tests: an account that was just read, bots, and what asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from positions.models import ExchangeAccount, Scope
from positions.services import tokens
from tests.trading import exchange, fresh_process, running_exchange, running_valkey, valkey
from tests.valkey_process import ValkeyProcess
from tests.web import builders

__all__ = ["exchange", "fresh_process", "running_exchange", "running_valkey", "valkey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """One bot with its token, asking about one account."""

    token: str
    slug: str

    def get(self, rest: str, **headers: str) -> HttpResponse:
        """Ask under the account's address."""
        return Client().get(self._at(rest), headers=self._headers | headers)  # type: ignore[return-value]

    def post(self, rest: str, body: Any = None, **headers: str) -> HttpResponse:
        """Send JSON under the account's address."""
        return Client().post(  # type: ignore[return-value]
            self._at(rest),
            {} if body is None else body,
            content_type="application/json",
            headers=self._headers | headers,
        )

    def on(self, slug: str) -> Bot:
        """Return it asking about another account."""
        return Bot(token=self.token, slug=slug)

    def _at(self, rest: str) -> str:
        return f"/api/v1/{rest[1:]}" if rest[0] == "/" else f"/api/v1/accounts/{self.slug}/{rest}"

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def refused(answer: Any, status: int, code: str) -> str:
    """Return the sentence of a problem document; fail if it is none."""
    told = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert set(told) == {"type", "title", "status", "detail", "code", "field", "plan"}
    sentence: str = told["detail"]
    return sentence


@pytest.fixture
def now() -> datetime:
    """Return one moment for the whole test."""
    return timezone.now()


@pytest.fixture
def broker(valkey: ValkeyProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let wake-ups go to a queue that nobody listens to."""
    monkeypatch.setattr(current_app.conf, "broker_url", valkey.broker_url)
    monkeypatch.setattr(current_app.amqp, "_producer_pool", None)  # another test's connections


@pytest.fixture
def desk(db: None, broker: None, now: datetime) -> ExchangeAccount:
    """Return the reference account, just read: six of its eight slots are free."""
    account = builders.account(now=now)
    builders.snapshot(account, at=now)
    return account


@pytest.fixture
def hire(desk: ExchangeAccount, now: datetime) -> Callable[..., Bot]:
    """Return what issues a token to a bot: for the desk, with every scope, unless said."""

    def make(
        name: str = "grid-7",
        *,
        scopes: tuple[Scope, ...] = tuple(Scope),
        accounts: tuple[ExchangeAccount, ...] | None = None,
        lasts: timedelta = timedelta(days=1),
        issued: datetime | None = None,
    ) -> Bot:
        made = tokens.issue(
            name,
            accounts=[desk] if accounts is None else accounts,
            scopes=scopes,
            expires_at=(issued or now) + lasts,
            actor=builders.SCHEDULER,
            now=issued or now,
        )
        return Bot(token=made.text, slug=desk.slug)

    return make


@pytest.fixture
def bot(hire: Callable[..., Bot]) -> Bot:
    """Return a bot that may do everything on the desk."""
    return hire()
