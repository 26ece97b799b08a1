"""One request from its arrival to its answer: faults, the protocol's desk, ledger."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from sandbox import changes, faults
from sandbox.amounts import BadValue
from sandbox.answers import Answer, seconds, spoiled, unprocessed
from sandbox.changes import Change
from sandbox.clock import wall_us
from sandbox.dialect import Outcome
from sandbox.faults import Fault
from sandbox.limits import Limit
from sandbox.matching import Matching
from sandbox.params import Params
from sandbox.refusals import Refusal
from sandbox.request import Request
from sandbox.scenario import Scenario, seed
from sandbox.state import State, StateError


class Service:
    """The exchange behind its wire protocol."""

    def __init__(self, state: State, scenario: Scenario, *, skew_ms: int | None) -> None:
        self.state = state
        self.scenario = scenario
        self.dialect = scenario.dialect
        self.matching = Matching(state, scenario.fees, self.dialect.rules)
        self.desk = self.dialect.desk(self)
        self.stopping = threading.Event()
        # The server's; whatever has no server has no door.
        self.close_door: Callable[[str, Decimal], None] = lambda kind, seconds: None
        with state.transaction():
            known = state.meta("scenario")
            if known is None:
                seed(state, scenario, now_ms=wall_us() // 1000 + (skew_ms or 0))
            elif known != scenario.name:
                raise StateError(f"the state file belongs to scenario {known!r}")
            if skew_ms is not None:
                state.set_meta("skew_ms", str(skew_ms))
            self.load_settings()

    def load_settings(self) -> None:
        """Take clock, latency, limits and faults from the state."""
        state = self.state
        self.skew_ms = int(state.meta("skew_ms") or 0)
        self.latency = Decimal(state.meta("latency") or 0)
        self.has_faults = bool(faults.listing(state))
        self.desk.load(json.loads(state.meta("limits") or "{}"))

    def now_ms(self) -> int:
        """Return the exchange's clock."""
        return wall_us() // 1000 + self.skew_ms

    def report_violation(
        self, kind: str, observed: int, limit: Limit, address: str, key: str | None
    ) -> None:
        """Note a request that came in spite of a limit."""
        self.state.add(
            "violations",
            at_ms=self.now_ms(),
            wall_us=wall_us(),
            kind=kind,
            observed=observed,
            allowed=limit.limit,
            interval_seconds=limit.interval_seconds,
            api_key=key,
            address=address,
        )

    # The way of a request
    def answer(self, request: Request) -> Answer:
        """Process one request and return what goes back; all effects are committed by then."""
        # Half of the latency on the way in, half on the way out.
        half = self.latency / 2
        self.pause(half)
        params = Params(request.query, request.body)
        fault = self._due_fault(request, params)
        if fault is not None and fault.kind == "delay_before":
            self.pause(seconds(fault))
        with self.state.transaction():
            answer = self._process(request, params, fault)
        return replace(answer, wait=answer.wait + half)

    def pause(self, duration: Decimal) -> None:
        """Wait, but not beyond the end of the process."""
        if duration > 0:
            self.stopping.wait(float(duration))

    def _due_fault(self, request: Request, params: Params) -> Fault | None:
        if not self.has_faults:
            return None
        with self.state.transaction():
            return faults.take(
                self.state, request.method, request.path, request.api_key, params.logged()
            )

    def _process(self, request: Request, params: Params, fault: Fault | None) -> Answer:
        if fault is not None:
            self._change(fault, fault.first)
        now_us = wall_us()
        if fault is not None and fault.kind in faults.REFUSALS:
            outcome = Outcome(answer=self.desk.refuse(fault, request, self.now_ms()))
        elif fault is not None and fault.kind in faults.UNPROCESSED:
            outcome = Outcome(answer=unprocessed(fault))
        else:
            outcome = self.desk.answer(request, params, fault, now_us)
        answer = outcome.answer
        if fault is not None and fault.kind not in faults.UNPROCESSED:
            answer = spoiled(fault, answer)
        self.state.add(
            "requests",
            at_ms=now_us // 1000 + self.skew_ms,
            wall_us=now_us,
            method=request.method,
            path=request.path,
            params=params.logged(),
            api_key=request.api_key,
            # What came back as a whole: None for an answer that never did.
            status=None if answer.hangs or answer.breaks else answer.status,
            code=answer.code,
            weight=outcome.weight,
            counted_order=outcome.counted_order,
            fault=fault.kind if fault else None,
            address=request.address,
        )
        if fault is not None:
            self._change(fault, fault.afterwards)
        return answer

    def _change(self, fault: Fault, ordered: Iterable[Change]) -> None:
        """Make the changes of a fault; one that can't be made is noted, and the request goes on."""
        for change in ordered:
            try:
                with self.state.undone_on_refusal():
                    changes.make(self, change, fault_id=fault.number)
            except (Refusal, BadValue, ArithmeticError) as error:
                sentence = f"{change.path}: {error}"
                faults.refuse_change(self.state, fault.number, sentence)
                sys.stderr.write(f"sandbox: fault {fault.number} could not change {sentence}\n")
