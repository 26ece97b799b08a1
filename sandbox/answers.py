"""Answers, and what faults make of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sandbox import faults
from sandbox.amounts import ZERO
from sandbox.faults import Fault

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
    code: int | str | None = None
    wait: Decimal = ZERO  # seconds before it is sent
    hangs: bool = False  # send nothing; end when the client closes or `wait` is over
    breaks: bool = False  # close the connection in the middle of it


def dump(payload: object) -> str:
    """Write JSON without spaces."""
    return json.dumps(payload, separators=(",", ":"))


def seconds(fault: Fault) -> Decimal:
    """Return how long a delaying fault waits."""
    return Decimal(1) if fault.seconds is None else fault.seconds


def fraction(fault: Fault | None) -> Decimal | None:
    """Return which part of the next order a fault lets fill; None for all."""
    if fault is None:
        return None
    return {"partial_fill": fault.fraction, "zero_fill": ZERO}.get(fault.kind)


def unprocessed(fault: Fault) -> Answer:
    """Return the answer to a request that a fault kept from being processed."""
    if fault.kind == "drop_before":
        return Answer(status=None)
    if fault.kind == "hang_before":
        return _hanging(fault, Answer(status=None))
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
