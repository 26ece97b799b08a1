"""Say whether the system lives and whether it is ready; both without signing in."""

import logging

import redis
from celery import current_app
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError
from redis.backoff import NoBackoff
from redis.retry import Retry

from positions.models import Environment, ExchangeAccount, SnapshotStatus

_ANSWER_SECONDS = 1.0
_log = logging.getLogger(__name__)


@require_safe
@login_not_required
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this process serves requests."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@login_not_required
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when everything works together, else 503 and a sentence for each missing part."""
    missing = _missing()
    return JsonResponse({"ready": not missing, "missing": missing}, status=503 if missing else 200)


def _missing() -> dict[str, str]:
    missing = {}
    database = _missing_in_database()
    if database:
        missing["database"] = database
    if not _redis_answers():
        # Without it no worker can be asked, and asking would only wait.
        missing["redis"] = "Redis does not answer."
    elif not _worker_answers():
        missing["worker"] = "No worker answers."
    if not database:
        waiting = _demo_accounts_without_snapshot()
        if waiting:
            missing["demo"] = (
                f"These demo accounts have no good snapshot yet: {', '.join(waiting)}."
            )
    return missing


def _missing_in_database() -> str | None:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        _log.exception("The database does not answer.")
        return "The database does not answer."
    return f"{len(plan)} migrations are not applied." if plan else None


def _redis_answers() -> bool:
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _worker_answers() -> bool:
    try:
        # A connection of its own: a pooled one may have died with the server before this one.
        with current_app.connection_for_write() as connection:
            replies = current_app.control.ping(
                limit=1, timeout=_ANSWER_SECONDS, connection=connection
            )
        return bool(replies)
    except (KombuError, redis.RedisError, OSError):
        return False


def _demo_accounts_without_snapshot() -> list[str]:
    return list(
        ExchangeAccount.objects.filter(slug__startswith="demo", environment=Environment.SANDBOX)
        .exclude(snapshots__status=SnapshotStatus.GOOD)
        .values_list("slug", flat=True)
    )
