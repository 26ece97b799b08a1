"""Whether the system lives and is ready, asked without signing in."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import current_app
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from positions.management import valkey
from positions.models import Environment, ExchangeAccount, Snapshot, SnapshotStatus
from positions.views import health
from tests.journeys.processes import eventually

NO_SNAPSHOT = "These demo accounts have no good snapshot yet: demo."


@pytest.fixture
def nowhere(settings, tmp_path: Path) -> None:
    """Name a Redis that isn't there."""
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"


@pytest.fixture
def lonely_redis(settings, monkeypatch) -> Iterator[None]:
    """Run a Redis that no worker listens to."""
    # A Unix socket's path is short; pytest's own folders may be too deep.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "valkey.sock"
        server = subprocess.Popen(
            valkey.command(socket=path, data=Path(folder)), stdout=subprocess.DEVNULL
        )
        client = redis.Redis(unix_socket_path=str(path))
        try:
            eventually(path.exists)
            eventually(client.ping)
            settings.REDIS_URL = f"unix://{path}"
            monkeypatch.setattr(current_app.conf, "broker_url", f"redis+socket://{path}")
            yield
        finally:
            client.close()
            server.terminate()
            server.wait()


def account(*, slug: str = "demo", environment: str = Environment.SANDBOX) -> ExchangeAccount:
    return ExchangeAccount.objects.create(
        slug=slug,
        exchange="binance",
        environment=environment,
        credentials=b"",
        key_fingerprint=slug,
        created_at=timezone.now(),
    )


def snapshot(of: ExchangeAccount, status: str) -> None:
    now = timezone.now()
    Snapshot.objects.create(account=of, status=status, asked_at=now, taken_at=now, trigger="test")


def missing(client: Client) -> dict[str, str]:
    reply = client.get(reverse("positions:readyz"))
    body = reply.json()
    assert reply.status_code == (503 if body["missing"] else 200)
    assert body["ready"] is not bool(body["missing"])
    parts: dict[str, str] = body["missing"]
    return parts


@pytest.mark.parametrize("method", ["get", "head"])
def test_healthz_answers_without_sign_in_and_without_the_database(client, method):
    reply = getattr(client, method)("/healthz")

    assert reply.status_code == 200
    assert reply.content == (b"ok" if method == "get" else b"")
    assert "no-store" in reply["Cache-Control"]


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_only_reading_is_allowed(client, page):
    assert client.post(page).status_code == 405


@pytest.mark.django_db
def test_a_redis_that_is_not_there_is_named_and_no_worker_is_asked(client, nowhere):
    assert missing(client) == {"redis": "Redis does not answer."}


@pytest.mark.django_db
def test_a_demo_account_needs_a_good_snapshot(client, nowhere):
    demo = account()
    assert missing(client)["demo"] == NO_SNAPSHOT

    snapshot(demo, SnapshotStatus.FAILED)
    assert missing(client)["demo"] == NO_SNAPSHOT

    snapshot(demo, SnapshotStatus.GOOD)
    assert "demo" not in missing(client)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "environment"),
    [("main", Environment.SANDBOX), ("demo-of-mine", Environment.TESTNET)],
)
def test_other_accounts_are_not_waited_for(client, nowhere, slug, environment):
    account(slug=slug, environment=environment)

    assert "demo" not in missing(client)


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_is_counted(client, nowhere):
    newest = MigrationRecorder.Migration.objects.filter(app="positions").latest("name")
    newest.delete()

    assert missing(client)["database"].endswith("migrations are not applied.")


def test_a_database_that_does_not_answer_is_named_without_details(client, nowhere, monkeypatch):
    def refuse(*_: object) -> None:
        raise OperationalError("password authentication failed for user dustadmin")

    monkeypatch.setattr(health, "MigrationExecutor", refuse)

    assert missing(client)["database"] == "The database does not answer."


@pytest.mark.django_db
def test_a_redis_without_a_worker_is_not_ready(client, lonely_redis):
    assert missing(client) == {"worker": "No worker answers."}
