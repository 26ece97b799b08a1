"""Any list of the history can be taken along as CSV: exact, harmless, and noted."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from positions.models import (
    Attempt,
    AuditEvent,
    CleanupPlan,
    CloseOrder,
    Conversion,
    Fill,
)
from positions.services import audit
from positions.services.actors import Actor
from tests.admin.conftest import SECRET, started
from tests.admin.test_history import HISTORY, by_name, listing
from tests.commands import builders


def export(client: Client, model: type[Model], filters: str = "") -> list[dict[str, str]]:
    """Return what the button above a list hands out."""
    address = reverse(f"admin:positions_{model._meta.model_name}_export")
    return table(client.post(address + filters))


def selected(client: Client, model: type[Model], *pks: int, **extra: str) -> list[dict[str, str]]:
    """Return what the action hands out for the ticked rows."""
    ticked = {"action": "export_selected", "_selected_action": [str(pk) for pk in pks]}
    return table(client.post(listing(model), ticked | extra))


def table(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="')
    return list(csv.DictReader(io.StringIO(response.getvalue().decode(), newline="")))


def newest_event() -> AuditEvent:
    return AuditEvent.objects.latest("pk")


@by_name
def test_every_list_exports_all_its_rows_and_the_export_is_an_event(
    as_root: Client, history: CleanupPlan, root: User, model: type[Model]
) -> None:
    count = model._default_manager.count()
    rows = export(as_root, model)
    assert len(rows) == count
    assert {row["id"] for row in rows} == {
        str(pk) for pk in model._default_manager.values_list("pk", flat=True)
    } - ({str(newest_event().pk)} if model is AuditEvent else set())
    event = newest_event()
    assert (event.kind, event.actor, event.account) == ("history.exported", root, None)
    assert event.data["rows"] == count
    assert str(model._meta.verbose_name_plural) in event.summary
    assert audit.verify_all() == []


def test_only_what_the_filters_leave_is_exported(as_root: Client, history: CleanupPlan) -> None:
    other = started(builders.account("other"), actor=Actor.service("test"), assets=["LUNA"])
    rows = export(as_root, CloseOrder, f"?account__id__exact={other.account.pk}")
    assert [(row["account"], row["asset"]) for row in rows] == [("other", "LUNA")]
    assert newest_event().data["filter"] == f"?account__id__exact={other.account.pk}"
    found = export(as_root, CleanupPlan, f"?q={history.short_hash.replace(' ', '+')}")
    assert [row["hash"] for row in found] == [history.hash]
    assert export(as_root, CloseOrder, "?q=nothing-like-this") == []
    year = timezone.now().year
    assert len(export(as_root, AuditEvent, f"?at__year={year}")) > 3
    assert export(as_root, AuditEvent, f"?at__year={year - 1}") == []


def test_the_ticked_rows_alone_are_exported(as_root: Client, history: CleanupPlan) -> None:
    first = history.orders.earliest("pk")
    assert {row["id"] for row in selected(as_root, CloseOrder, first.pk)} == {str(first.pk)}
    assert newest_event().data["ids"] == [first.pk]
    across = selected(as_root, CloseOrder, first.pk, select_across="1", index="0")
    assert len(across) == history.orders.count() > 2
    assert "ids" not in newest_event().data


def test_numbers_are_exact_moments_are_utc_and_nothing_stored_is_an_empty_cell(
    as_root: Client, history: CleanupPlan
) -> None:
    order = history.orders.get(asset="DOGE")
    exact = "123456789012345678.000000000012345678"
    CloseOrder.objects.filter(pk=order.pk).update(quantity=exact, net_usd="-0.00000001")
    (row,) = selected(as_root, CloseOrder, order.pk)
    assert (row["quantity"], row["net_usd"], row["average_price"]) == (exact, "-0.00000001", "")
    assert (row["plan_id"], row["account"]) == (str(history.pk), "demo")
    moment = datetime.fromisoformat(row["updated_at"])
    order.refresh_from_db()
    assert moment == order.updated_at
    assert row["updated_at"].endswith("+00:00")
    assert row["waits_for_person"] == "false"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_could_be_a_formula_is_disarmed(
    as_root: Client, history: CleanupPlan, start: str
) -> None:
    fill = history.orders.get(asset="DOGE").fills.get()
    Fill.objects.filter(pk=fill.pk).update(trade_id=f'{start}HYPERLINK("http://x","y")\n"z"')
    (row,) = selected(as_root, Fill, fill.pk)
    assert row["trade_id"] == f'\'{start}HYPERLINK("http://x","y")\n"z"'


def test_credentials_and_claims_are_in_no_file(as_root: Client, history: CleanupPlan) -> None:
    account = history.account
    for model in HISTORY:
        text = json.dumps(export(as_root, model))
        for secret in (bytes(account.credentials).decode(), account.key_fingerprint, SECRET):
            assert secret not in text
    attempt = history.orders.get(asset="DOGE").attempts.get()
    (row,) = selected(as_root, Attempt, attempt.pk)
    assert row["order_client_order_id"] == attempt.order.client_order_id
    assert json.loads(row["request"]) == attempt.request


def test_the_chain_can_be_computed_again_from_the_file_alone(
    as_root: Client, history: CleanupPlan
) -> None:
    previous = ""
    rows = export(as_root, AuditEvent, f"?account__id__exact={history.account.pk}")
    for row in sorted(rows, key=lambda row: int(row["sequence"])):
        content = {
            "account": int(row["account_id"]),
            "sequence": int(row["sequence"]),
            "kind": row["kind"],
            "summary": row["summary"],
            "plan": int(row["plan_id"]) if row["plan_id"] else None,
            "order": int(row["order_id"]) if row["order_id"] else None,
            "actor": int(row["actor_id"]) if row["actor_id"] else None,
            "actor_name": row["actor_name"],
            "at": row["at"],
            "data": json.loads(row["data"]),
            "previous": row["previous_hash"],
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert row["previous_hash"] == previous
        previous = row["hash"]
        assert previous == hashlib.sha256(text.encode()).hexdigest()


def test_a_long_export_is_streamed_with_a_handful_of_queries(
    as_root: Client, history: CleanupPlan, django_assert_max_num_queries: Any
) -> None:
    with transaction.atomic():
        for number in range(2500):
            audit.record(
                "test.happened",
                f"Number {number}",
                actor=Actor.service("test"),
                at=timezone.now(),
                account=history.account,
                data={"amount": Decimal("0.1")},
            )
    address = reverse("admin:positions_auditevent_export")
    with django_assert_max_num_queries(17):
        response = as_root.post(address)
        assert isinstance(response, StreamingHttpResponse)
        pieces = list(response.streaming_content)  # type: ignore[arg-type]
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 100_000
    assert b"".join(pieces).count(b"\r\n") == AuditEvent.objects.count()


def test_an_export_needs_a_post_a_sign_in_and_the_right_to_see(
    history: CleanupPlan, as_root: Client
) -> None:
    address = reverse("admin:positions_auditevent_export")
    before = AuditEvent.objects.count()
    assert as_root.get(address).status_code == 405
    assert Client().post(address).status_code == 302
    nobody = Client()
    nobody.force_login(builders.person("nobody", None))
    assert nobody.post(address).status_code in {302, 403}
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(User.objects.get(username="root"))
    assert careful.post(address).status_code == 403
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver", "Administrator"])
def test_every_group_that_reads_the_history_may_take_it_along(
    history: CleanupPlan, group: str
) -> None:
    client = Client()
    client.force_login(builders.person("vera", group))
    page = client.get(listing(AuditEvent)).content.decode()
    assert f"Export all {AuditEvent.objects.count()} rows as CSV" in page
    assert "Export selected as CSV" in page
    assert len(export(client, AuditEvent)) == AuditEvent.objects.count() - 1
    assert newest_event().actor_name == "vera"


def test_a_filter_that_makes_no_sense_leads_back_to_the_list(
    as_root: Client, history: CleanupPlan
) -> None:
    address = reverse("admin:positions_auditevent_export")
    response = as_root.post(f"{address}?account__id__exact=soon", follow=True)
    assert response.redirect_chain == [("../?e=1", 302)]
    assert response.request["PATH_INFO"] == listing(AuditEvent)
    assert newest_event().kind != "history.exported"


def test_a_conversion_is_exported_with_its_assets_and_its_wire_but_no_claim(
    as_root: Client, history: CleanupPlan
) -> None:
    (row,) = export(as_root, Conversion)
    assert (row["target"], row["answer"], row["answer_code"]) == ("BNB", "UNKNOWN", "'-1007")
    assert json.loads(row["request"]) == {"assets": ["PEPE"], "target": "BNB"}
    assert json.loads(row["wire"]) == {"path": "/sapi/v1/asset/dust"}
    assert SECRET not in str(row)
