"""Measure the account's page with 2,000 positions, as gunicorn serves it over loopback."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from statistics import median
from typing import Any

import pytest
import requests
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import Browser

from tests.benchmarks.conftest import POSITIONS
from tests.benchmarks.figures import record
from tests.browser.visits import signed_in, visit
from tests.panel_process import PanelProcess, slug_of
from tests.web import builders

ROUNDS = 150
WARM_UP = 20  # both web processes have classified the snapshot by then
TRIVIAL = "/auth/logout/"
ACCOUNT = f"/accounts/{slug_of(POSITIONS)}/"


class Person:
    """A signed-in operator on one connection that is kept."""

    def __init__(self, panel: PanelProcess) -> None:
        self._base = panel.base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set("sessionid", panel.session)
        self._number = 0

    def get(self, path: str, **headers: str) -> requests.Response:
        response = self._session.get(self._base + path, headers=headers, timeout=30)
        assert response.status_code == 200, response.text
        return response

    def trivial(self) -> requests.Response:
        """Ask for the cheapest page of somebody signed in: whether to sign out."""
        return self.get(TRIVIAL)

    def what_if(self) -> requests.Response:
        """Try the next of many thresholds, as somebody does who drags the handle."""
        self._number += 1
        threshold = f"{0.01 + self._number % 900 / 100:.2f}"
        return self.get(f"{ACCOUNT}what-if/?threshold={threshold}", **{"HX-Request": "true"})

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def person(panel: PanelProcess) -> Iterator[Person]:
    """Sign in on a connection."""
    found = Person(panel)
    yield found
    found.close()


def _milliseconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    begun = clock()
    call()
    return (clock() - begun) * 1000


def _record_above(
    name: str,
    trivial: Callable[[], object],
    what_if: Callable[[], object],
    clock: Callable[[], float],
) -> None:
    """Note how much longer one takes than the other, in turns: what else runs meets both alike."""
    for _ in range(WARM_UP):
        trivial()
        what_if()
    pairs = [(_milliseconds(trivial, clock), _milliseconds(what_if, clock)) for _ in range(ROUNDS)]
    base, more = (median(times) for times in zip(*pairs, strict=True))
    least = [min(times) for times in zip(*pairs, strict=True)]
    record(
        name,
        more - base,
        "ms",
        limit=10,
        positions=POSITIONS,
        trivial_ms=round(base, 2),
        what_if_ms=round(more, 2),
        least_ms=[round(time, 2) for time in least],
        rounds=ROUNDS,
    )


def test_a_threshold_is_answered(person: Person, benchmark: Any) -> None:
    benchmark.pedantic(person.what_if, rounds=ROUNDS, warmup_rounds=WARM_UP)


def test_a_trivial_page(person: Person, benchmark: Any) -> None:
    benchmark.pedantic(person.trivial, rounds=ROUNDS, warmup_rounds=WARM_UP)


def test_a_threshold_costs_little_more_than_a_page_that_does_nothing(person: Person) -> None:
    """Include the way over loopback and whatever else the machine does: for a quiet one."""
    _record_above(
        "what-if above a trivial page, gunicorn", person.trivial, person.what_if, time.perf_counter
    )


def test_a_threshold_costs_the_server_little_more(web: Client, db: None) -> None:
    """Count the server's own time through the whole stack, whatever else the machine does."""
    account = builders.account("crowded", now=timezone.now())
    builders.snapshot(account, at=timezone.now(), holdings=builders.crowd(POSITIONS))
    numbers = count()

    def what_if() -> None:
        threshold = f"{0.01 + next(numbers) % 900 / 100:.2f}"
        address = f"/accounts/crowded/what-if/?threshold={threshold}"
        assert web.get(address, headers={"HX-Request": "true"}).status_code == 200

    _record_above(
        "what-if above a trivial page, processor",
        lambda: web.get(TRIVIAL),
        what_if,
        time.process_time,
    )


def test_the_fragment_s_bytes(person: Person) -> None:
    response = person.what_if()
    record(
        "what-if fragment",
        len(response.content),
        "bytes",
        limit=20_000,
        positions=POSITIONS,
        over_the_wire=int(response.headers["Content-Length"]),
    )


def test_the_account_page_s_time_and_queries(person: Person, web: Client, db: None) -> None:
    for _ in range(WARM_UP):
        person.get(ACCOUNT)
    load = partial(person.get, ACCOUNT)
    times = [_milliseconds(load, time.perf_counter) for _ in range(40)]
    record("account page", median(times), "ms", positions=POSITIONS)
    account = builders.account("counted", now=timezone.now())
    builders.snapshot(account, at=timezone.now(), holdings=builders.crowd(POSITIONS))
    with CaptureQueriesContext(connection) as queries:
        assert web.get("/accounts/counted/").status_code == 200
    record("account page", len(queries), "queries", limit=10, positions=POSITIONS)


def test_the_first_visit(panel: PanelProcess, browser: Browser) -> None:
    context = signed_in(browser, panel, viewport={"width": 1440, "height": 900})
    seen = visit(context.new_page(), ACCOUNT)
    context.close()
    record("first visit", seen.requests, "requests", limit=20, positions=POSITIONS)
    record("first visit", seen.bytes, "bytes", limit=150_000, positions=POSITIONS)
