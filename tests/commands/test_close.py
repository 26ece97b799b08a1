"""`close_dust_positions` in this process, against a real exchange."""

from __future__ import annotations

from decimal import Decimal

import pytest

from positions.domain.resolutions import Finding
from positions.management import runs
from positions.models import CleanupPlan, CloseOrder, ExchangeAccount
from positions.services import policies
from positions.services.actors import Actor
from positions.services.resolutions import resolve_order
from positions.services.stops import pause_plan
from tests.commands import builders
from tests.commands.conftest import Manage
from tests.exchange_process import SandboxProcess

# Nothing is sent inside a transaction, so the tests must not hold one.
pytestmark = pytest.mark.django_db(transaction=True)

ORDER = [
    "asset",
    "symbol",
    "route",
    "quantity",
    "expected_net_usd",
    "client_order_id",
    "status",
    "reason",
    "message",
    "filled_quantity",
    "average_price",
    "fee",
    "fee_currency",
    "net_usd",
]
TOTALS = [
    "planned",
    "filled",
    "failed",
    "unknown",
    "not_sent",
    "expected_net_usd",
    "net_usd",
    "counts_before",
    "counts_after",
    "slots_before",
    "slots_after",
]
SELL = ("POST", "/api/v3/order")


def check_shape(document: dict[str, object]) -> None:
    """Fail unless the document has exactly the promised keys and adds up."""
    assert list(document) == ["account", "plan", "orders", "skipped", "totals"]
    assert list(document["plan"]) == ["id", "hash", "status", "dry_run", "threshold", "purpose"]
    assert all(list(order) == ORDER for order in document["orders"])
    assert all(list(item) == ["asset", "reason", "message"] for item in document["skipped"])
    totals = document["totals"]
    assert list(totals) == TOTALS
    assert totals["planned"] == len(document["orders"])
    assert totals["planned"] == (
        totals["filled"] + totals["failed"] + totals["unknown"] + totals["not_sent"]
    )


def sales(exchange: SandboxProcess) -> list[dict[str, object]]:
    """Return the orders that reached the exchange."""
    return [
        item for item in exchange.ledger()["requests"] if (item["method"], item["path"]) == SELL
    ]


def test_the_dust_is_closed_and_proved(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    result = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert (result.code, result.err) == (0, "")
    document = result.document
    check_shape(document)
    assert document["plan"]["status"] == "COMPLETED"
    assert document["plan"]["dry_run"] is False
    assert [order["status"] for order in document["orders"]] == ["FILLED"] * 6
    assert document["totals"]["filled"] == 6
    assert (document["totals"]["counts_before"], document["totals"]["counts_after"]) == (8, 2)
    plan = CleanupPlan.objects.get()
    assert plan.closing_snapshot is not None
    assert plan.other_activity == []
    assert len(sales(exchange)) == 6
    assert exchange.balance("DOGE") == {"free": "0", "locked": "0"} or not Decimal(
        exchange.balance("DOGE")["free"]
    )
    again = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert (again.code, again.err) == (0, "")
    check_shape(again.document)
    assert again.document["plan"]["status"] == "NOTHING_TO_CLOSE"
    assert again.document["plan"]["id"] is None
    assert len(sales(exchange)) == 6


def test_in_a_pipe_there_is_a_line_for_every_change_and_no_control_character(
    manage: Manage, demo: ExchangeAccount
) -> None:
    result = manage("close_dust_positions", "demo", "--yes", "--inline")
    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in result.out
    assert "\r" not in result.out
    assert result.out.count(": filled. ") == 6
    assert "6 of 6 orders filled." in result.out
    assert "8 before, 2 now" in result.out


def test_a_dry_run_sends_nothing_and_asks_nothing(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    result = manage("close_dust_positions", "demo", "--dry-run", "--json")
    assert (result.code, result.err) == (0, "")
    check_shape(result.document)
    assert result.document["plan"]["dry_run"] is True
    assert result.document["plan"]["status"] == "DRAFT"
    assert result.document["totals"]["not_sent"] == 6
    assert "Dry run: nothing was sent." in manage("close_dust_positions", "demo", "--dry-run").out
    assert sales(exchange) == []


@pytest.mark.parametrize(
    ("changes", "arguments", "code"),
    [
        ([], ["--threshold", "10.01"], "MAX_THRESHOLD"),
        ([], ["--threshold", "5000"], "MAX_THRESHOLD"),
        (["max_plan_value=2"], [], "MAX_PLAN_VALUE"),
        (["max_plan_orders=5"], [], "MAX_PLAN_ORDERS"),
    ],
)
@pytest.mark.parametrize("how", [["--dry-run"], ["--yes", "--inline"]], ids=["dry", "wet"])
def test_a_guard_refuses_with_a_document_and_exit_3(
    manage: Manage,
    demo: ExchangeAccount,
    exchange: SandboxProcess,
    changes: list[str],
    arguments: list[str],
    code: str,
    how: list[str],
) -> None:
    if changes:
        assert manage("set_policy", "demo", *changes).code == 0
    result = manage("close_dust_positions", "demo", *arguments, *how, "--json")
    assert result.code == 3
    assert code.lower() in result.problem
    check_shape(result.document)
    assert result.document["plan"]["status"] == "DENIED"
    (skipped,) = result.document["skipped"]
    assert (skipped["asset"], skipped["reason"]) == ("*", code)
    assert result.document["totals"]["counts_before"] == 8
    assert not CleanupPlan.objects.exists()
    assert sales(exchange) == []


def test_yes_is_no_approval(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    manage("set_policy", "demo", "approval_above=1")
    result = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert result.code == 3
    assert "approval" in result.problem
    check_shape(result.document)
    assert result.document["plan"]["status"] == "AWAITING_APPROVAL"
    assert result.document["skipped"][0]["reason"] == "NEEDS_APPROVAL"
    assert sales(exchange) == []


def test_an_order_that_the_exchange_refuses_is_exit_1(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    exchange.fault("error", code=-2010, msg="Order was rejected.", status=400)
    result = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert result.code == 1
    assert result.problem.endswith("1 of 6 planned orders did not fill.")
    check_shape(result.document)
    assert result.document["totals"]["filled"] == 5
    assert result.document["totals"]["failed"] == 1
    assert len(sales(exchange)) == 6


def test_a_lost_answer_is_looked_up_and_never_sent_again(
    manage: Manage, demo: ExchangeAccount, exchange: SandboxProcess
) -> None:
    exchange.fault("drop_after")
    result = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert (result.code, result.err) == (0, "")
    assert result.document["totals"]["filled"] == 6
    assert len(sales(exchange)) == 6


def test_an_order_that_a_person_closes_meanwhile_is_no_success(
    manage: Manage,
    demo: ExchangeAccount,
    exchange: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exchange.fault("drop_after", method="POST", path="/api/v3/order")
    exchange.fault("status_before", method="GET", path="/api/v3/order", status=503, times=None)
    doing, approver = runs.in_this_process, Actor.person(builders.person("ann", "Approver"))

    def closed_by_hand(due: runs.Due) -> None:
        doing(due)
        order = CloseOrder.objects.select_related("plan").filter(status="UNKNOWN").first()
        if order is not None:
            CloseOrder.objects.filter(pk=order.pk).update(waits_for_person=True)
            found = Finding(sale=None, reason="Not in the order history.")
            resolve_order(order, found, actor=approver, now=builders.timezone.now())

    monkeypatch.setattr(runs, "in_this_process", closed_by_hand)
    result = manage("close_dust_positions", "demo", "--yes", "--inline", "--json")
    assert result.code == 1
    assert "1 of 6 planned orders did not fill." in result.problem
    assert "1 order closed by a person, without proof." in result.problem
    totals = result.document["totals"]
    assert (totals["filled"], totals["failed"], totals["unknown"]) == (5, 1, 0)
    assert [order["status"] for order in result.document["orders"]].count("RESOLVED") == 1


def test_a_paused_plan_is_not_waited_for(
    manage: Manage, demo: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = runs.in_this_process

    def pause_after_the_first(due: runs.Due) -> None:
        doing(due)
        plan = CleanupPlan.objects.get()
        if plan.status == "RUNNING" and plan.orders.filter(status="FILLED").exists():
            pause_plan(plan, actor=Actor.service("test"), now=builders.timezone.now(), note="Wait.")

    monkeypatch.setattr(runs, "in_this_process", pause_after_the_first)
    result = manage("close_dust_positions", "demo", "--yes", "--inline")
    assert result.code == 1
    assert "was paused. Wait." in result.problem
    assert "1 of 6 orders filled, 5 not sent yet" in result.problem


def test_nothing_moving_for_two_minutes_ends_the_wait(
    manage: Manage, demo: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "in_this_process", lambda due: None)
    monkeypatch.setattr(runs, "STALLED_AFTER", builders.timedelta(seconds=0.5))
    result = manage("close_dust_positions", "demo", "--yes", "--inline")
    assert result.code == 1
    assert "has moved for two minutes" in result.problem
    assert "manage.py halt demo" in result.problem


def test_ctrl_c_says_where_the_plan_stands(
    manage: Manage, demo: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = runs.in_this_process

    def interrupted(due: runs.Due) -> None:
        doing(due)
        if CloseOrder.objects.filter(status="FILLED").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(runs, "in_this_process", interrupted)
    result = manage("close_dust_positions", "demo", "--yes", "--inline")
    assert result.code == 130
    assert "Interrupted. Plan " in result.problem
    assert "1 of 6 orders filled, 5 not sent yet" in result.problem
    assert "'manage.py halt demo' stops it" in result.problem


@pytest.mark.parametrize("answer", ["", "n", "no", "what"])
def test_any_answer_but_yes_sends_nothing(
    manage: Manage,
    demo: ExchangeAccount,
    exchange: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    result = manage("close_dust_positions", "demo", "--inline")
    assert result.code == 1
    assert asked == ["Close 6 positions worth $2.11? [y/N] "]
    assert "Not confirmed." in result.problem
    assert sales(exchange) == []
    assert {order.status for order in CloseOrder.objects.all()} == {"PLANNED"}


def test_the_answer_yes_closes(
    manage: Manage, demo: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert manage("close_dust_positions", "demo", "--inline").code == 0


def test_no_worker_is_exit_2_and_names_inline(
    manage: Manage,
    demo: ExchangeAccount,
    exchange: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    running_valkey: object,
) -> None:
    from celery import current_app

    monkeypatch.setattr(current_app.conf, "broker_url", running_valkey.broker_url)
    monkeypatch.setattr(runs, "WORKER_ANSWERS_WITHIN", 0.5)
    result = manage("close_dust_positions", "demo", "--yes", "--json")
    assert (result.code, result.out) == (2, "")
    assert "--inline" in result.problem
    assert not CleanupPlan.objects.exists()
    assert policies.in_force(demo).version == 1
