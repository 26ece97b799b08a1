"""Compare conversions of small balances with what the exchange's ledger says of them.

The exchange's ledger is the truth: which requests came, and what each batch converted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Any

from django.db.models import QuerySet

from positions.domain.orders import CLOSED, OrderState
from positions.domain.plans import ENDED, PlanState
from positions.domain.verdicts import Route
from positions.models import AuditEvent, CloseOrder, Conversion, Fill

CONVERTING = ("/sapi/v1/asset/dust", "/sapi/v1/asset/dust-convert/convert")
WINDOW_MS = 6 * 3600 * 1000
AVERAGE = Context(prec=28)
Row = dict[str, Any]


def assert_conversions(ledger: Row, orders: QuerySet[CloseOrder]) -> None:
    """Fail unless every batch is one committed request, known exactly and never more than planned.

    What somebody converted without the API is in the ledger as a change, and nobody else's
    requests may come: everything that came was committed before.
    """
    requests = _requests(ledger)
    ours = _committed(requests, orders)
    known: set[int] = set()
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for batch in _batches(ledger["conversions"]):
        first = batch[0]
        names = {row["from_asset"] for row in batch}
        made_by = [
            request
            for request in requests
            if (request["api_key"], request["at_ms"]) == (first["api_key"], first["at_ms"])
            and request["code"] is None
            and names == set(_assets(request))
        ]
        if not made_by:
            assert _somebody_did(names, ledger["changes"]), f"nobody asked for {batch}"
            continue
        (request,) = made_by
        by_key[first["api_key"]].append(first["at_ms"])
        known |= {_assert_known(row, ours[request["id"]]) for row in batch}
    for request in requests:
        earlier = [at for at in by_key[request["api_key"]] if at < request["at_ms"]]
        assert all(request["at_ms"] - at >= WINDOW_MS for at in earlier), "two in one window"
    for order in orders.filter(route=Route.CONVERT).exclude(pk__in=known):
        if order.state is OrderState.RESOLVED:
            continue  # a person's word
        assert order.state not in {OrderState.FILLED, OrderState.EXPIRED}, f"{order} was not made"
        assert order.filled_quantity == 0
        assert not Fill.objects.filter(order=order).exists()


def _requests(ledger: Row) -> list[Row]:
    return [
        item
        for item in ledger["requests"]
        if item["method"] == "POST" and item["path"] in CONVERTING
    ]


def _assets(request: Row) -> list[str]:
    return str(request["params"]["asset"]).split(",")


def _committed(requests: Iterable[Row], orders: QuerySet[CloseOrder]) -> dict[int, Conversion]:
    """Return the one committed request that each of the requests was."""
    waiting = list(Conversion.objects.filter(plan__in=orders.values("plan")).exclude(sent_at=None))
    found = {}
    for request in requests:
        same = [
            item
            for item in waiting
            if item.signed_at_ms == int(request["params"]["timestamp"])
            and item.request["assets"] == _assets(request)
        ]
        assert same, f"sent twice, or without being committed: {request['params']}"
        found[request["id"]] = same[0]
        waiting.remove(same[0])
    return found


def _batches(rows: Iterable[Row]) -> list[list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["batch_id"]].append(row)
    return list(found.values())


def _somebody_did(names: set[str], changes: Iterable[Row]) -> bool:
    return any(
        item["path"] == "convert" and set(item["body"]["assets"]) == names for item in changes
    )


def _assert_known(there: Row, conversion: Conversion) -> int:
    """Fail unless we know of one converted asset what the exchange did, and return its order."""
    order = conversion.orders.get(asset=there["from_asset"])
    assert order.state not in {OrderState.DENIED, OrderState.REJECTED, OrderState.PLANNED}, (
        f"{order} is {order.status}, but the exchange converted it"
    )
    if order.state not in CLOSED or order.state is OrderState.RESOLVED:
        return order.pk  # what it will learn is checked then; a person's word is no evidence
    quantity, fee = Decimal(there["amount"]), Decimal(there["service_charge"])
    gross = Decimal(there["transferred"]) + fee
    assert order.exchange_order_id == str(there["batch_id"])
    assert order.filled_quantity == quantity
    assert order.notional == gross
    assert order.average_price == AVERAGE.divide(gross, quantity)
    assert (order.fee, order.fee_currency) == (fee, order.quote)
    assert order.net_usd is not None
    fill = Fill.objects.get(order=order)
    assert (fill.trade_id, fill.quantity) == (str(there["batch_id"]), quantity)
    assert (fill.fee, fill.fee_currency) == (fee, order.quote)
    if quantity > order.quantity:
        exceeded = AuditEvent.objects.filter(kind="conversion.exceeded", plan=order.plan)
        assert [event for event in exceeded if f" {order.asset} were converted" in event.summary]
        assert order.plan.state in ENDED - {PlanState.COMPLETED}, f"{order.plan} was not halted"
    return order.pk
