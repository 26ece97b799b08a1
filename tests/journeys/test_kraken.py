"""The whole way at an exchange that speaks Kraken: real workers, and answers that get lost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from positions.domain.balances import Kind
from positions.domain.orders import OrderState as S
from positions.domain.plans import PlanState as P
from positions.exchanges.port import RateLimited
from positions.models import Position
from positions.services import policies
from tests.journeys.faults.case import Case
from tests.journeys.faults.ground import KRAKEN
from tests.journeys.faults.house import House, judged_house, shared_database
from tests.journeys.faults.waiting import wait_for
from tests.trading import TEST, connect

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# What becomes of the answer, and what it is taken for. An answer has no client id, so nobody sees
# that it is about another order; the look-up by the client id puts it right.
LOST = {"drop_after": "UNKNOWN", "other_order": "ACCEPTED"}


@pytest.fixture(scope="module")
def house(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[House]:
    """Return a house at Kraken in which a worker and a scheduler are at work."""
    with shared_database(django_db_blocker), judged_house(KRAKEN) as made:
        keys = made.exchange.control("POST", "accounts", {"balances": {"USD": "1"}})
        wait_for(lambda: may_ask(made, keys), what="a first request", patience=KRAKEN.patience)
        made.start_crew(workers=1)
        yield made


def may_ask(house: House, keys: dict[str, str]) -> bool:
    """Tell whether a request may leave; a new Valkey counts a whole window as used."""
    try:
        connect(house.exchange, slug="first", keys=keys, exchange="kraken", quote="USD")
    except RateLimited:
        return False
    return True


@pytest.fixture
def _django_db_helper(house: House) -> None:
    """Take the place of pytest-django's, which would empty the database after each test."""


def holding(house: House, *assets: str) -> Case:
    """Connect an account that holds what the scenario's holds; the case is about some of it."""
    keys = house.exchange.control("POST", "accounts", {"nonce_window": 0})
    requests = house.exchange.ledger()["requests"]
    account = connect(
        house.exchange, slug=assets[0].lower(), keys=keys, exchange="kraken", quote="USD"
    )
    policies.change(account, {"limit_share": Decimal(1)}, actor=TEST, now=timezone.now())
    since = requests[-1]["id"] if requests else 0
    case = Case(house=house, assets=assets, keys=keys, account=account, since=since)
    house.cases.append(case)
    return case


@pytest.fixture(scope="module")
def whole(house: House) -> Case:
    """Start what sells four of an account's positions."""
    case = holding(house, "XRP", "XLM", "TRX", "SOL")
    case.draft(threshold="0.78")
    return case.start()


@pytest.fixture(scope="module")
def lost(house: House, whole: Case) -> dict[str, Case]:
    """Lose an answer in each way while the whole plan runs: Kraken counts each key by itself."""
    return {kind: house.case().fault(kind).start() for kind in LOST}


def test_dust_is_read_planned_sold_and_explained_to_the_last_digit(
    whole: Case, lost: dict[str, Case]
) -> None:
    case = whole
    read = {row.asset: row for row in Position.objects.filter(snapshot=case.plan.snapshot)}
    assert set(read) >= {"BTC", "ETH", "DOGE", "XRP", "XLM", "ADA", "LINK", "ATOM", "DOT.S"}
    assert read["BTC"].price_usd == Decimal(97500)
    assert [sale["symbol"] for sale in read["BTC"].sales] == ["BTC/USD", "BTC/USDT"]
    assert [asset for asset, row in read.items() if row.kind == Kind.EARN] == ["DOT.S"]
    assert {order.asset for order in case.orders} == {"XRP", "XLM", "TRX", "SOL"}
    reasons = {row["asset"]: row["reason"] for row in case.plan.skipped}
    assert reasons["ATOM"] == "BELOW_MIN_NOTIONAL"
    case.settled()
    assert case.plan.state is P.COMPLETED, case.told
    assert {order.state for order in case.orders} == {S.FILLED}, case.told
    for order in case.orders:
        assert (order.fee_currency, order.filled_quantity) == ("USD", order.quantity)
    assert len(case.sent()) == 4
    case.is_true()


@pytest.mark.parametrize(("kind", "meaning"), LOST.items())
def test_an_order_whose_answer_is_lost_is_found_by_its_client_id(
    house: House, lost: dict[str, Case], kind: str, meaning: str
) -> None:
    case = lost[kind].settled()
    assert case.state is S.FILLED, case.told
    assert case.answers() == [meaning]
    assert len(case.sent()) == 1
    asked = [
        request["params"]
        for request in house.exchange.ledger(since=case.since)["requests"]
        if request["path"] == "/0/private/ClosedOrders"
    ]
    assert {case.order.client_order_id} <= {params.get("cl_ord_id") for params in asked}
    case.is_true()
