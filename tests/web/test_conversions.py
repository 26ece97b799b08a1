"""What pages say of conversions: what is stuck, the budget, the preview, the result, one order."""

import csv
import io
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from positions.domain.orders import OrderState
from positions.domain.verdicts import Route
from positions.exchanges.profiles import profile_of
from positions.models import CleanupPlan, CloseOrder, Conversion, ExchangeAccount
from positions.selectors.plans import as_json, plan_view
from positions.services import audit, results, stops
from tests.web import builders
from tests.web.test_every_page import Page

D = Decimal


@pytest.fixture
def desk(db: None, now: datetime) -> ExchangeAccount:
    """Return an account with dust that only its exchange's conversion closes."""
    account = builders.account(now=now)
    builders.snapshot(account, at=now, holdings=builders.small_balances())
    return account


@pytest.fixture
def draft(desk: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return a draft that sells ADA, and converts DOGE and ONE."""
    return builders.draft(desk, by=operator, now=now)


@pytest.fixture
def running(desk: ExchangeAccount, operator: User, now: datetime) -> CleanupPlan:
    """Return the same plan, running."""
    return builders.started(desk, by=operator, now=now)


def _account(desk: ExchangeAccount, web: Client, **asked: str) -> str:
    return web.get(reverse("positions:account_detail", args=[desk.slug]), asked).text


def _plan(plan: CleanupPlan, web: Client) -> str:
    return web.get(reverse("positions:plan_detail", args=[plan.pk])).text


def _order(plan: CleanupPlan, web: Client, asset: str = "DOGE") -> str:
    order = plan.orders.get(asset=asset)
    return web.get(reverse("positions:order_detail", args=[order.pk])).text


def _part(text: str, part: str) -> str:
    """Return one section, by its id or its heading's."""
    start = text.rindex("<section", 0, text.index(f'id="{part}"') + 1)
    return " ".join(text[start : text.index("</section>", start)].split())


# --- What is stuck, and the budget --------------------------------------------------------------


def test_the_panel_says_what_is_stuck_why_and_what_would_free_it(
    desk: ExchangeAccount, web: Client
) -> None:
    stuck = _part(_account(desk, web), "stuck")
    assert "At $1.00" in stuck
    for reason, name, remedy in (
        ("MARKET_HALTED", "With a halted market", "<b>FTT</b>: Wait for the exchange."),
        ("BELOW_MIN_NOTIONAL", "Below the exchange minimum", "<b>KNC</b>: Needs $5.00 more"),
        ("UNPRICED", "Unpriced", "<b>NFTY</b>: It counts until it has a price or is ignored."),
    ):
        assert f'reason={reason}#positions">{name}</a>' in stuck
        assert remedy in stuck
    assert "DOGE" not in stuck
    assert "SOL" not in stuck


def test_the_panel_follows_the_tried_threshold(desk: ExchangeAccount, web: Client) -> None:
    stuck = _part(_account(desk, web, threshold="0.05"), "stuck")
    assert "At $0.05" in stuck
    assert "KNC" not in stuck
    assert "NFTY" in stuck
    assert "?threshold=0.05&amp;reason=UNPRICED#positions" in stuck


def test_nothing_stuck_is_said(web: Client, db: None, now: datetime) -> None:
    account = builders.account("clean", now=now)
    builders.snapshot(account, at=now)
    assert "Nothing is stuck: all dust can be closed now." in _account(account, web)


def test_more_than_three_of_one_reason_are_counted_and_share_one_remedy(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("halted", now=now)
    names = ("AAA", "BBB", "CCC", "DDD", "EEE")
    holdings = [builders.holding(name, "1", "0.10", active=False) for name in names]
    builders.snapshot(account, at=now, holdings=holdings)
    stuck = _part(_account(account, web), "stuck")
    assert "<b>AAA</b>, <b>BBB</b>, <b>CCC</b> and 2 more: Wait for the exchange." in stuck
    assert "$0.50" in stuck


def test_the_budget_says_what_a_conversion_allows_now(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    budget = _part(_account(desk, web), "conversion")
    for told in ("<dd>open</dd>", "<dd>BNB</dd>", "<dd>2%</dd>", "no daily limit", "every 6 h"):
        assert told in budget
    made = now - timedelta(hours=1)
    ExchangeAccount.objects.filter(pk=desk.pk).update(conversions_at=[made.isoformat()])
    text = _account(desk, web)
    opens = f"{made + timedelta(hours=6):%H:%M} UTC"
    assert "opens at <time" in _part(text, "conversion")
    assert opens in _part(text, "conversion")
    stuck = _part(text, "stuck")
    assert "Waiting for the next conversion" in stuck
    assert f"<b>DOGE</b>, <b>ONE</b>: The next conversion window opens at {opens}." in stuck


def test_a_daily_limit_and_what_is_left_of_it_are_shown(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("okx-desk", now=now, exchange="okx")
    builders.snapshot(account, at=now)
    rule = profile_of("okx").conversion
    assert rule is not None
    assert rule.per_day is not None
    made = [(now - timedelta(hours=hours)).isoformat() for hours in (2, 3)]
    ExchangeAccount.objects.filter(pk=account.pk).update(conversions_at=made)
    budget = _part(_account(account, web), "conversion")
    assert f"{rule.per_day - 2} <small>of {rule.per_day}</small>" in budget
    assert f"<dt>Assets at once</dt><dd>{rule.most_assets}</dd>" in budget


def test_a_budget_that_nobody_could_read_says_why(web: Client, db: None, now: datetime) -> None:
    account = builders.account("mute", now=now)
    builders.snapshot(account, at=now, conversion_problem="Binance did not say what it converts.")
    budget = _part(_account(account, web), "conversion")
    assert "<dd>unknown</dd>" in budget
    assert "Binance did not say what it converts." in budget


def test_a_switched_off_route_and_an_exchange_without_one_are_said(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    builders.policies.change(desk, {"convert_enabled": False}, actor=builders.SCHEDULER, now=now)
    assert "switched off <small>by the policy" in _part(_account(desk, web), "conversion")
    other = builders.account("kraken-desk", now=now, exchange="kraken")
    builders.snapshot(other, at=now)
    assert "converts nothing at" in _part(_account(other, web), "conversion")


# --- The preview --------------------------------------------------------------------------------


def test_the_preview_groups_the_orders_by_route(draft: CleanupPlan, web: Client) -> None:
    text = _plan(draft, web)
    orders = _part(text, "orders")
    head = "One conversion by Sandbox into BNB, for 2 assets"
    assert orders.index(">ADA<") < orders.index(head) < orders.index(">DOGE<")
    assert orders.index(">DOGE<") < orders.index(">ONE<")
    # BNB for one DOGE, with as many digits as count; what the head says stands in no row.
    assert "0.00029 <small>BNB</small>" in orders
    assert "Converted into BNB by the exchange." not in orders
    assert "Market order on ADA/USDT." in orders
    assert "1 sell, 2 convert" in text
    assert "1 market order is sent to Sandbox" in text
    assert "Sandbox is asked once to convert all that is free of 2 assets into BNB." in text
    assert "<dd>open</dd>" in _part(text, "conversion")


def test_a_row_says_why_it_is_converted_if_it_could_be_sold_as_well(
    web: Client, db: None, operator: User, now: datetime
) -> None:
    account = builders.account("both", now=now)
    offer = builders.make_offer("DOGE", quantity="3", gross="0.00088", fee="0")
    doge = builders.holding("DOGE", "3", "0.18", offer=offer)
    others = [row for row in builders.small_balances() if row["asset"] != "DOGE"]
    builders.snapshot(account, at=now, holdings=[*others, doge])
    text = _plan(builders.draft(account, by=operator, now=now), web)
    assert "It brings $0.5456, selling on DOGE/USDT $0.5395." in _part(text, "orders")


# --- The result ---------------------------------------------------------------------------------


def _closed(plan: CleanupPlan, *, now: datetime) -> CleanupPlan:
    """Fill every order and read the account again."""
    for order in plan.orders.order_by("number"):
        builders.fill(order, now=now + timedelta(seconds=1))
    plan.refresh_from_db()
    stops.finish_if_done(plan, now=now + timedelta(seconds=2))
    came = sum(
        (order.notional - order.fee for order in plan.orders.filter(route=Route.CONVERT)), D(0)
    )
    sold = plan.orders.get(asset="ADA")
    left = [row for row in builders.small_balances() if row["asset"] in {"SOL", "FTT", "KNC"}]
    closing = builders.snapshot(
        plan.account,
        at=now + timedelta(seconds=10),
        holdings=[
            *left,
            builders.holding("BNB", str(D("0.02") + came), "620"),
            builders.holding("USDT", str(D(builders.CASH) + sold.notional), "1", quote=None),
        ],
    )
    results.attach_closing_snapshots(closing, now=now + timedelta(seconds=11))
    plan.refresh_from_db()
    return plan


def test_the_result_explains_every_digit_of_what_was_converted(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    plan = _closed(running, now=now)
    assert plan.other_activity == []
    text = _plan(plan, web)
    proof = _part(text, "proof")
    assert "BNB grew by the actual net" in proof
    assert "+0.0011956" in proof
    assert "2 for 3 orders" in proof
    assert "3 of 3" in proof
    against = _part(text, "against")
    assert "0.00029 <small>BNB</small>" in against
    assert "$0.6600" in against
    assert "$0.0002" not in against
    assert "came back as BNB and USDT" in text
    assert "Other activity" not in text


def test_what_another_plan_converted_is_that_plans_and_no_other_activity(
    running: CleanupPlan, operator: User, web: Client, now: datetime
) -> None:
    first = _closed(running, now=now)
    # The next plan was drawn before the first one's conversion, and read after it.
    CloseOrder.objects.filter(plan=first).update(closed_at=now + timedelta(seconds=1))
    account = first.account
    second = CleanupPlan.objects.create(
        **{
            field.attname: getattr(first, field.attname)
            for field in CleanupPlan._meta.concrete_fields
            if field.attname not in {"id", "closing_snapshot_id", "hash"}
        }
        | {"hash": "f" * 64}
    )
    before = account.snapshots.order_by("pk").first()
    assert before is not None
    order = first.orders.get(asset="ADA")
    order.pk, order.plan, order.client_order_id = None, second, "another"
    order.filled_quantity, order.notional, order.fee = D(0), D(0), None
    order.status, order.quote = OrderState.DENIED, "BNB"
    order.save()
    closing = first.closing_snapshot
    assert closing is not None
    found = {item["asset"]: item["quantity"] for item in results.other_activity(second, closing)}
    # BNB is explained by the first plan's conversion, to the last digit.
    assert "BNB" not in found
    Conversion.objects.filter(plan=first).update(sent_at=before.asked_at - timedelta(seconds=5))
    CloseOrder.objects.filter(plan=first).update(closed_at=before.asked_at - timedelta(seconds=4))
    found = {item["asset"]: item["quantity"] for item in results.other_activity(second, closing)}
    assert found["BNB"] == "0.0011956"


def test_reports_have_no_id_and_no_market_for_what_is_converted(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    plan = _closed(running, now=now)
    report = web.get(reverse("positions:plan_report", args=[plan.pk])).text
    rows = {row["asset"]: row for row in csv.DictReader(io.StringIO(report))}
    assert (rows["DOGE"]["symbol"], rows["DOGE"]["client_order_id"]) == ("", "")
    assert rows["DOGE"]["route"] == "CONVERT"
    assert rows["DOGE"]["fee"] == "0.0000232"
    assert rows["DOGE"]["fee_currency"] == "BNB"
    told = json.loads(json.dumps(as_json(plan_view(plan, now=now), dry_run=False)))
    by_asset = {item["asset"]: item for item in told["orders"]}
    assert by_asset["DOGE"]["symbol"] is None
    assert by_asset["DOGE"]["client_order_id"] is None
    assert by_asset["ADA"]["symbol"] == "ADA/USDT"
    assert by_asset["ADA"]["client_order_id"]


def test_more_converted_than_planned_is_red_on_the_plan_the_order_and_the_overview(
    running: CleanupPlan, operator: User, web: Client, now: datetime
) -> None:
    order = running.orders.get(asset="DOGE")
    assert "More was converted" not in _plan(running, web)
    builders.fill(order, now=now, quantity=D(5))
    with transaction.atomic():
        audit.record(
            "conversion.exceeded",
            "5 DOGE were converted, 4 were planned.",
            actor=builders.SCHEDULER,
            at=now,
            plan=running,
        )
    bad = '<div class="notice notice--bad">'
    for text in (_plan(running, web), _order(running, web)):
        start = text.index("More was converted than planned.")
        assert bad in text[start - 250 : start]
        assert "5 DOGE were converted, 4 were planned." in text[start:]
    assert "More was converted" not in _order(running, web, "ONE")
    overview = web.get("/").text
    needs = _part(overview, "needs")
    assert "desk-one: more was converted than planned" in needs
    assert f"Open plan {running.pk}" in needs
    assert "row--alert" in overview
    # It stays until somebody starts another plan.
    for other in running.orders.exclude(pk=order.pk):
        builders.fill(other, now=now)
    stops.finish_if_done(running, now=now)
    assert "more was converted than planned" in web.get("/").text
    builders.snapshot(running.account, at=now, holdings=builders.small_balances())
    builders.started(running.account, by=operator, now=now)
    assert "more was converted than planned" not in web.get("/").text


# --- One order ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "says", "to_do"),
    [
        ("SUBMITTING", "Being converted now.", "can&#x27;t be taken back"),
        ("ACCEPTED", "Sandbox is converting it. Waiting for its result.", "followed to its end"),
        (
            "UNKNOWN",
            "Looking into Sandbox&#x27;s history of conversions (twice); nothing will be sent",
            "You don&#x27;t have to do anything yet",
        ),
        ("REJECTED", "Sandbox refused it.", "Draft a new plan"),
        ("EXPIRED", "Nothing was converted.", "Draft a new plan"),
        ("CANCELED", "Nothing was converted.", "Draft a new plan"),
    ],
)
def test_the_order_page_tells_of_its_conversion(
    running: CleanupPlan, web: Client, now: datetime, state: str, says: str, to_do: str
) -> None:
    order = running.orders.get(asset="DOGE")
    since = now if state == "UNKNOWN" else None
    builders.put(order, OrderState(state), now=now, unknown_since=since, lookups=2)
    builders.convert(running.orders.get(asset="ONE"))
    text = _order(running, web)
    assert says in text
    assert to_do in text
    assert "Nothing was sold" not in text
    what = _part(text, "what")
    assert "<b>Conversion 1</b>, one request for 2 assets." in what
    assert ">ONE</a>" in what
    assert "BNB <small>by Sandbox's conversion</small>" in what
    assert "Market" not in what


def test_a_converted_order_says_so_in_what_came_back(
    running: CleanupPlan, web: Client, now: datetime
) -> None:
    assert "Nothing was sent yet." in _order(running, web)
    builders.fill(running.orders.get(asset="DOGE"), now=now)
    text = _order(running, web)
    assert "4 converted at" in text
    assert "0.0000232 BNB" in text
    assert "0.00029" in _part(text, "against")
    assert "sold" not in _part(text, "against")


@pytest.mark.parametrize("sale", [True, False])
def test_an_unknown_conversion_is_closed_by_hand_in_its_own_words(
    running: CleanupPlan, signed_in: Any, now: datetime, sale: bool
) -> None:
    order = running.orders.get(asset="DOGE")
    builders.put(
        order,
        OrderState.UNKNOWN,
        now=now,
        waits_for_person=True,
        unknown_since=now - timedelta(seconds=90),
        lookups=9,
    )
    approver = signed_in("Approver")
    text = _order(running, approver)
    for words in (
        "the conversion of DOGE into BNB",
        "Nothing was converted",
        "It was converted",
        "If something was converted",
        "Quantity converted, DOGE",
        "BNB before the charge, for one DOGE.",
        "For example BNB.",
    ):
        assert words in text
    found = {"found": "nothing", "reason": "Not in the dust log."}
    if sale:
        amounts = {
            "quantity": "4",
            "average_price": "0.0003",
            "fee": "0.000018",
            "fee_currency": "BNB",
        }
        found = found | {"found": "sold"} | amounts
    response = approver.post(reverse("positions:resolve_order", args=[order.pk]), found)
    assert response.status_code == 302
    order.refresh_from_db()
    assert order.state is OrderState.RESOLVED
    if sale:
        assert "4 of 4 converted at 0.0003 BNB." in order.message
        assert order.notional == D("0.0012")
        assert order.net_usd == D("0.001182") * 620
    else:
        assert "nothing was converted." in order.message


# --- Every page ---------------------------------------------------------------------------------


def test_pages_of_conversions_keep_the_budget_and_the_security_policy(
    desk: ExchangeAccount,
    running: CleanupPlan,
    web: Client,
    now: datetime,
    django_assert_max_num_queries: Any,
) -> None:
    builders.fill(running.orders.get(asset="DOGE"), now=now)
    addresses = [
        reverse("positions:account_detail", args=[desk.slug]) + "?reason=UNPRICED",
        reverse("positions:plan_detail", args=[running.pk]),
        reverse("positions:order_detail", args=[running.orders.get(asset="DOGE").pk]),
        "/",
    ]
    for address in addresses:
        with django_assert_max_num_queries(10, info=address):
            text = web.get(address).text
        page = Page(text)
        assert page.forbidden == [], address
        assert len(page.ids) == len(set(page.ids)), address
        assert page.headings == 1, address
