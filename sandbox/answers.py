"""Answers, and what faults make of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sandbox import faults, refusals
from sandbox.amounts import ZERO
from sandbox.faults import Fault
from sandbox.refusals import Refusal

JSON = "application/json;charset=UTF-8"
HTML = "text/html"
NOT_FOUND = faults.NGINX.format("404 Not Found")
HANG_SECONDS = Decimal(3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back; a status of None closes the connection without an answer."""

    status: int | None
    body: str = ""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    code: int | None = None
    wait: Decimal = ZERO  # seconds before it is sent
    hangs: bool = False  # send nothing; end when the client closes or `wait` is over
    breaks: bool = False  # close the connection in the middle of it


def dump(payload: object) -> str:
    """Write JSON as Binance does, without spaces."""
    return json.dumps(payload, separators=(",", ":"))


def refused(refusal: Refusal) -> Answer:
    """Return the answer that a refusal makes."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Answer(
        status=refusal.status,
        body=dump({"code": refusal.code, "msg": refusal.message}),
        headers=headers,
        code=refusal.code,
    )


def seconds(fault: Fault) -> Decimal:
    """Return how long a delaying fault waits."""
    return Decimal(1) if fault.seconds is None else fault.seconds


def fraction(fault: Fault | None) -> Decimal | None:
    """Return which part of the next order a fault lets fill; None for all."""
    if fault is None:
        return None
    return {"partial_fill": fault.fraction, "zero_fill": ZERO}.get(fault.kind)


def unprocessed(fault: Fault, now_ms: int) -> Answer:
    """Return the answer to a request that a fault kept from being processed."""
    if fault.kind == "drop_before":
        return Answer(status=None)
    if fault.kind == "hang_before":
        return _hanging(fault, Answer(status=None))
    if fault.kind == "error":
        return refused(Refusal(fault.code, fault.msg, fault.status or 400))
    if fault.kind == "rate_limit":
        return refused(refusals.too_many_requests(6000, "1 MINUTE", fault.retry_after))
    if fault.kind == "ban":
        return refused(refusals.banned(now_ms + fault.retry_after * 1000, fault.retry_after))
    return _html(fault)


def _html(fault: Fault) -> Answer:
    garbage = fault.kind.startswith("garbage")
    status = 200 if garbage else fault.status or 502
    body = fault.body if fault.body is not None else faults.GARBAGE if garbage else None
    return Answer(status=status, body=body or faults.BAD_GATEWAY, content_type=HTML)


def spoiled(fault: Fault, answer: Answer) -> Answer:
    """Return what a fault leaves of the answer to a processed request."""
    if fault.kind == "drop_after":
        return replace(answer, status=None)
    if fault.kind in ("status_after", "garbage_after"):
        return replace(_html(fault), code=answer.code)
    if fault.kind == "cut_json_after":
        return replace(answer, body=answer.body[: len(answer.body) // 2], status=200)
    if fault.kind == "delay_after":
        return replace(answer, wait=seconds(fault))
    if fault.kind == "hang_after":
        return _hanging(fault, answer)
    if fault.kind == "drop_midway":
        return replace(answer, breaks=True)
    return answer


def _hanging(fault: Fault, answer: Answer) -> Answer:
    limit = HANG_SECONDS if fault.seconds is None else fault.seconds
    return replace(answer, wait=limit, hangs=True)


def altered(fault: Fault | None, payload: Any) -> Any:
    """Return a well-formed answer that says something wrong."""
    if fault is not None and fault.kind == "empty_list" and isinstance(payload, list):
        return []
    if fault is None or not isinstance(payload, dict):
        return payload
    if fault.kind == "empty_balances" and "balances" in payload:
        return payload | {"balances": []}
    if fault.kind == "no_order_id":
        return {name: value for name, value in payload.items() if name != "orderId"}
    if fault.kind == "other_order" and "orderId" in payload:
        other = {"orderId": payload["orderId"] + 1_000_000, "clientOrderId": "someone-elses"}
        return payload | other
    return payload
