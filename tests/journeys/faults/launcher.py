"""Run the product's real worker with its points marked, as production runs it otherwise.

The product knows nothing of this: its functions are wrapped from outside, then the ordinary
command runs. `FAULTS_FOLDER` is the folder of the instructions.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from celery.__main__ import main as celery
from django import setup
from requests import PreparedRequest, Session, adapters
from urllib3.connection import HTTPConnection

from tests.journeys.faults.points import AUTHORITY, Action, Point, Points

# A broker gives a message that was not acknowledged to somebody else after this long.
VISIBILITY_SECONDS = 5

_sending = threading.local()  # the asset whose order this thread sends


def wrap(
    owner: Any,
    name: str,
    *,
    before: Callable[..., None] | None = None,
    after: Callable[..., None] | None = None,
) -> None:
    """Replace a function by one that does more: `after` gets the result first."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            before(*arguments, **named)
        result = original(*arguments, **named)
        if after is not None:
            after(result, *arguments, **named)
        return result

    setattr(owner, name, wrapped)


class Marked:
    """Do at each point what the test has asked for."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def at(self, asset: str, point: Point) -> None:
        """Follow the instruction for this point, if there is one."""
        action = self._points.take(asset, point)
        if action is Action.HOLD:
            self._points.wait(asset, point)
        elif action is Action.STOP:
            # To this thread: sent to the process, another one takes it and this one runs on a bit.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        elif action is Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif action is Action.DISCONNECT:
            from django.db import connection  # needs the settings

            connection.ensure_connection()
            connection.connection.close()

    def mark(self) -> None:
        """Wrap the product's functions where the points are."""
        from positions.exchanges.ccxt_adapter import CcxtExchange
        from positions.models import CloseOrder
        from positions.services import attempts, execution

        def claiming(order_pk: int, **_: Any) -> None:
            order = CloseOrder.objects.filter(pk=order_pk).first()
            if order is not None:
                self.at(order.asset, Point.BEFORE_CLAIM)

        def claimed(order: Any, *_: Any, **__: Any) -> None:
            if order is not None:
                self.at(order.asset, Point.AFTER_CLAIM)

        def committed(attempt: Any, order: Any, **_: Any) -> None:
            if attempt is not None:
                self.at(order.asset, Point.AFTER_COMMIT)

        def may_leave(leave: bool, order: Any, *_: Any, **__: Any) -> None:
            _sending.asset = order.asset if leave else None

        def leaving(_: Session, request: PreparedRequest, **__: Any) -> None:
            if request.method == "POST" and _asset():
                self.at(_asset(), Point.AFTER_LEAVE)

        def sent(connection: HTTPConnection, *_: Any, **__: Any) -> None:
            options = connection._response_options
            if options is not None and options.request_method == "POST" and _asset():
                self.at(_asset(), Point.REQUEST_LEFT)

        def answered(*_: Any, **__: Any) -> None:
            if _asset():
                self.at(_asset(), Point.AFTER_ANSWER)
            _sending.asset = None

        def recorded(_: Any, order: Any, *__: Any, **___: Any) -> None:
            self.at(order.asset, Point.BEFORE_RESULT)

        wrap(execution, "_claimed", before=claiming, after=claimed)
        wrap(execution, "commit", after=committed)
        wrap(attempts, "may_leave", after=may_leave)
        wrap(Session, "send", before=leaving)
        wrap(HTTPConnection, "getresponse", before=sent)
        wrap(CcxtExchange, "sell", after=answered)
        wrap(attempts, "apply_outcome", after=recorded)

    def mark_conversions(self) -> None:
        """Wrap the same points of a batch, which goes by its first asset."""
        from positions.exchanges.ccxt_adapter import CcxtExchange
        from positions.models import CloseOrder
        from positions.services import conversion_requests, conversions

        def claiming(plan_pk: int, **_: Any) -> None:
            batch = CloseOrder.objects.filter(plan=plan_pk, route="CONVERT").order_by("number")
            self._at_first(batch, Point.BEFORE_CLAIM)

        def claimed(orders: Any, *_: Any, **__: Any) -> None:
            self._at_first(orders, Point.AFTER_CLAIM)

        def committed(conversion: Any, orders: Any, *_: Any, **__: Any) -> None:
            if conversion is not None:
                self._at_first(orders, Point.AFTER_COMMIT)

        def may_leave(leave: bool, _: Any, orders: Any, **__: Any) -> None:
            _sending.asset = orders[0].asset if leave else None

        def answered(*_: Any, **__: Any) -> None:
            if _asset():
                self.at(_asset(), Point.AFTER_ANSWER)
            _sending.asset = None

        def recorded(_: Any, __: Any, orders: Any, *___: Any, **____: Any) -> None:
            self._at_first(orders, Point.BEFORE_RESULT)

        wrap(conversions, "_claimed", before=claiming, after=claimed)
        wrap(conversions, "commit", after=committed)
        wrap(conversion_requests, "may_leave", after=may_leave)
        wrap(CcxtExchange, "convert", after=answered)
        wrap(conversion_requests, "apply_conversion", after=recorded)

    def _at_first(self, orders: Any, point: Point) -> None:
        for order in orders[:1]:
            self.at(order.asset, point)

    def break_names(self) -> None:
        """Let no host name be found while the test says so."""

        def look_up(host: Any, *_: Any, **__: Any) -> None:
            if host == "localhost" and self._points.is_on("names"):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        wrap(socket, "getaddrinfo", before=look_up)


def _asset() -> str:
    return getattr(_sending, "asset", None) or ""


def launch(*arguments: str, log: Path, environment: Mapping[str, str]) -> None:
    """Mark the points and be what `celery -A dustadmin` is with these arguments."""
    os.environ.clear()
    os.environ.update({**environment, "DJANGO_SETTINGS_MODULE": "dustadmin.settings"})
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    setup()
    from dustadmin.celery import app

    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        "visibility_timeout": VISIBILITY_SECONDS,
    }
    folder = Path(os.environ["FAULTS_FOLDER"])
    marked = Marked(Points(folder))
    marked.mark()
    marked.mark_conversions()
    marked.break_names()
    adapters.DEFAULT_CA_BUNDLE_PATH = str(folder / AUTHORITY)
    sys.argv[1:] = ["-A", "dustadmin", *arguments]
    celery()
