"""Run the whole system in the foreground: database, Valkey, sandboxes, web, worker, scheduler."""

import argparse
import fcntl
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import requests
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, CommandParser, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from positions.management import demo, ports, valkey
from positions.management.command import NOT_DONE, WRONG_USE, ProductCommand
from positions.management.supervision import (
    CannotContinue,
    Child,
    StopRequested,
    Supervisor,
    module,
)

# What a stage needs stands in a lower one; the end goes the other way round.
VALKEY, SANDBOX, WORKER, SCHEDULER, WEB = range(5)


class Command(ProductCommand):
    """Start everything, wait until it is ready, keep it running, end it together."""

    help = "Run the whole system until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the web port and whether to set up the demo."""
        parser.add_argument(
            "--port", type=_port, default=8000, help="where the pages are served (default: 8000)"
        )
        parser.add_argument(
            "--no-demo", action="store_true", help="don't set up the demo on the first start"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C (exit 0) or until something can't be kept running (exit 1)."""
        state = Path(settings.STATE_DIR)
        supervisor = Supervisor(root=Path(settings.BASE_DIR), logs=state / "logs", say=self._say)
        with _only_one(state):
            _refuse_taken(options["port"], "Choose another one with --port.")
            try:
                with supervisor.listening():
                    self._start(supervisor, options["port"], demo_wanted=not options["no_demo"])
                    supervisor.watch()
            except StopRequested:
                self._say("Everything has ended.")
            except CannotContinue as error:
                raise CommandError(str(error), returncode=NOT_DONE) from None

    def _start(self, supervisor: Supervisor, port: int, *, demo_wanted: bool) -> None:
        state = Path(settings.STATE_DIR)
        self._say(f"Starting Dust Admin with its state in {state} …")
        if settings.EMBEDDED_VALKEY:
            supervisor.start(_valkey(state))
        _migrate()
        supervisor.check()
        exchanges = demo.exchanges(folder=state / "sandbox", create=demo_wanted)
        for exchange in exchanges:
            _refuse_taken(exchange.port, f"The sandbox of the account {exchange.slug} needs it.")
            supervisor.start(exchange.child(stage=SANDBOX, folder=state / "sandbox"))
        call_command("collectstatic", interactive=False, verbosity=0)
        supervisor.wait_until(_redis_answers, seconds=15, otherwise=_no_redis)
        for exchange in exchanges:
            self._wait_for_sandbox(supervisor, exchange)
            exchange.connect(now=timezone.now())
        for child in _processes(port, state):
            supervisor.start(child)
        self._wait_until_ready(supervisor, port)
        self._say_ready(port)

    def _wait_for_sandbox(self, supervisor: Supervisor, exchange: demo.DemoExchange) -> None:
        supervisor.wait_until(
            exchange.answers,
            seconds=30,
            otherwise=lambda: (
                f"The sandbox exchange of {exchange.slug} does not answer."
                + supervisor.last_words(f"sandbox-{exchange.slug}")
            ),
        )

    def _wait_until_ready(self, supervisor: Supervisor, port: int) -> None:
        url = f"http://127.0.0.1:{port}/readyz"
        supervisor.wait_until(
            lambda: not _missing(url),
            seconds=90,
            otherwise=lambda: f"Not ready after 90 s: {' '.join(_missing(url))}",
        )

    def _say_ready(self, port: int) -> None:
        command = f"{_interpreter()} manage.py changepassword"
        with transaction.atomic():
            password = _first_password()
        self._say("")
        self._say(f"Dust Admin is ready: http://127.0.0.1:{port}/")
        if password:
            self._say(f"Sign in as admin with the password {password}")
            self._say(f"It is shown this once; change it with: {command} admin")
        else:
            self._say(f"A forgotten password is reset with: {command} admin")
        self._say("Ctrl-C ends everything.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port from 1 to 65535")
    return int(text)


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Hold the state folder; a lock ends with its process, however that ends."""
    with (state / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(
                f"Another 'manage.py up' is running with the state in {state}.",
                returncode=WRONG_USE,
            ) from None
        yield


def _refuse_taken(port: int, why: str) -> None:
    try:
        free = ports.is_free(port)
    except PermissionError:
        raise CommandError(
            f"Port {port} may not be used by this user. {why}", returncode=WRONG_USE
        ) from None
    if not free:
        raise CommandError(f"Port {port} is taken by another program. {why}", returncode=WRONG_USE)


def _migrate() -> None:
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        reason = str(error).strip().split("\n")[0]
        raise CommandError(f"The database can't be used: {reason}", returncode=WRONG_USE) from None
    # The children open connections of their own; this one would only hold the file.
    connection.close()


def _valkey(state: Path) -> Child:
    try:
        command = valkey.command(socket=settings.VALKEY_SOCKET, data=state / "valkey")
    except valkey.ValkeyUnusable as error:
        raise CommandError(str(error), returncode=WRONG_USE) from None
    return Child(name="valkey", command=command, stage=VALKEY, essential=True)


def _processes(port: int, state: Path) -> list[Child]:
    celery = ["-A", "dustadmin"]
    return [
        Child(
            name="worker",
            command=module(
                "celery",
                *celery,
                "worker",
                *("-Q", "dustadmin", "-l", "WARNING", "--without-gossip", "--without-mingle"),
            ),
            stage=WORKER,
            essential=False,
            # A request on its way gets its answer; what is killed is resolved by evidence.
            stop_seconds=8.0,
        ),
        Child(
            name="scheduler",
            command=module(
                "celery",
                *celery,
                "beat",
                *("-s", str(state / "celerybeat-schedule"), "--pidfile=", "-l", "WARNING"),
            ),
            stage=SCHEDULER,
            essential=False,
        ),
        Child(
            name="web",
            command=module(
                "gunicorn",
                "dustadmin.wsgi:application",
                *("--bind", f"127.0.0.1:{port}"),
                *("--worker-class", "gthread", "--workers", "2", "--threads", "8"),
                *("--graceful-timeout", "3", "--log-level", "warning", "--no-control-socket"),
            ),
            stage=WEB,
            essential=True,
        ),
    ]


def _redis_answers() -> bool:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _no_redis() -> str:
    # The URL may hold a password, so it isn't repeated.
    return "Valkey does not answer." if settings.EMBEDDED_VALKEY else "REDIS_URL does not answer."


def _missing(url: str) -> list[str]:
    with requests.Session() as session:
        session.trust_env = False
        try:
            reply = session.get(url, timeout=10)
            return [] if reply.ok else list(reply.json()["missing"].values())
        except (requests.RequestException, ValueError, KeyError):
            return ["The web server does not answer."]


def _first_password() -> str | None:
    """Make the first person, an administrator, and return the password; None if there is one."""
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    admin = User.objects.create_superuser("admin", password=password)
    admin.groups.add(Group.objects.get(name="Administrator"))
    return password


def _interpreter() -> str:
    path = os.path.relpath(sys.executable)
    return sys.executable if path.startswith("..") else path
