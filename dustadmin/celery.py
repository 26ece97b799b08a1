"""Start Celery: messages are wake-ups; the database is the queue.

A lost, doubled or late message does no harm: the dispatcher finds whatever is due every two
seconds, and each piece of work is claimed in the database. So messages are not stored results,
not retried, and expire when the next dispatch would repeat them.
"""

import importlib
import os
import sys
from urllib.parse import urlsplit

from celery import Celery
from celery.signals import task_prerun, worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dustadmin.settings")

from django.conf import settings
from django.db import close_old_connections

DISPATCH_SECONDS = 2.0
RECONCILE_SECONDS = 60.0

app = Celery("dustadmin")
# For every thread: Celery keeps the current app per thread, and pages are served in many.
app.set_default()


def _broker_url(redis_url: str) -> str:
    """Return Celery's spelling of a Redis URL (it names Unix sockets differently)."""
    parts = urlsplit(redis_url)
    return f"redis+socket://{parts.path}" if parts.scheme == "unix" else redis_url


app.conf.update(
    broker_url=_broker_url(settings.REDIS_URL),
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        # Wake-ups are acknowledged when they arrive; this only bounds what a killed worker held.
        "visibility_timeout": 60,
        "max_retries": 1,
    },
    broker_transport="redis",
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="dustadmin",
    task_publish_retry=False,
    # Threads, because work waits: for its moment in the pace, an exchange, the disk. So many that
    # slow answers never use them all up; a thread is started when it is needed first.
    worker_pool="threads",
    worker_concurrency=64,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    # Celery would close the database after every task; `_keep_connections` looks at its age.
    CELERY_DB_REUSE_MAX=sys.maxsize // 2,
    worker_hijack_root_logger=False,
    timezone="UTC",
    enable_utc=True,
    beat_schedule={
        "dispatch": {
            "task": "positions.tasks.dispatch",
            "schedule": DISPATCH_SECONDS,
            "options": {"expires": 10},
        },
        "reconcile": {
            "task": "positions.tasks.reconcile",
            "schedule": RECONCILE_SECONDS,
            "options": {"expires": 30},
        },
        "thin-snapshots": {
            "task": "positions.tasks.thin_snapshots",
            "schedule": 3600.0,
            "options": {"expires": 600},
        },
    },
)
app.autodiscover_tasks(["positions"])


@task_prerun.connect  # type: ignore[untyped-decorator]  # celery ships no types
def _keep_connections(**_: object) -> None:
    close_old_connections()


@worker_init.connect  # type: ignore[untyped-decorator]  # celery ships no types
def _be_ready(**_: object) -> None:
    # A thread whose moment has come waits at most so long for another one's Python code.
    sys.setswitchinterval(0.001)
    # More than half a second that the first order need not wait for.
    importlib.import_module("positions.exchanges.ccxt_adapter")


@worker_ready.connect  # type: ignore[untyped-decorator]  # celery ships no types
def reconcile_at_start(**_: object) -> None:
    """Let a worker that starts ask at once for what the one before it may have left."""
    app.send_task("positions.tasks.reconcile", expires=30)
