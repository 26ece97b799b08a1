"""One request from its arrival to its answer: faults, limits, signature, handler, ledger."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from sandbox import changes, faults, refusals, signing
from sandbox.amounts import BadValue
from sandbox.answers import (
    HTML,
    NOT_FOUND,
    Answer,
    altered,
    dump,
    fraction,
    refused,
    seconds,
    spoiled,
    unprocessed,
)
from sandbox.call import Call
from sandbox.changes import Change
from sandbox.clock import wall_us
from sandbox.faults import Fault
from sandbox.gate import Gate
from sandbox.limits import Limit, parse_limits
from sandbox.limits import Limits as LimitSet
from sandbox.matching import Matching
from sandbox.params import Params
from sandbox.records import Account
from sandbox.refusals import Refusal
from sandbox.routes import PUBLIC, ROUTES, Route
from sandbox.scenario import Scenario, seed
from sandbox.state import State, StateError

BANNED = 418
_SAPI = "/sapi/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came over the wire."""

    method: str
    path: str
    query: str
    body: str
    api_key: str | None
    address: str


class Service:
    """The exchange behind the wire protocol."""

    def __init__(self, state: State, scenario: Scenario, *, skew_ms: int | None) -> None:
        self.state = state
        self.scenario = scenario
        self.matching = Matching(state, scenario.fees)
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
            self._remember_requests()

    def load_settings(self) -> None:
        """Take clock, latency, limits and faults from the state."""
        state = self.state
        self.skew_ms = int(state.meta("skew_ms") or 0)
        self.latency = Decimal(state.meta("latency") or 0)
        self.has_faults = bool(faults.listing(state))
        limits = parse_limits(LimitSet(), json.loads(state.meta("limits") or "{}"))
        self.gate = self.new_gate(limits)
        self.gate.remember_bans(state.meta("bans") or "{}")

    def new_gate(self, limits: LimitSet) -> Gate:
        """Return a gate that has counted nothing; what it refuses stands in the ledger."""
        return Gate(limits, self._report_violation)

    def _remember_requests(self) -> None:
        longest = max([300, *(limit.interval_seconds for limit in self.gate.limits.orders)])
        since = wall_us() - longest * 1_000_000
        sql = "SELECT * FROM requests WHERE wall_us > ? AND weight > 0 ORDER BY wall_us"
        for row in self.state.rows(sql, since):
            self.gate.remember(
                row["wall_us"],
                row["weight"],
                address=row["address"],
                is_sapi=row["path"].startswith(_SAPI),
                orders_of=row["api_key"] if row["counted_order"] else None,
            )

    def now_ms(self) -> int:
        """Return the exchange's clock."""
        return wall_us() // 1000 + self.skew_ms

    def _report_violation(
        self, kind: str, observed: int, limit: Limit, address: str, key: str | None
    ) -> None:
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
        weight, counted = 0, False
        if fault is not None and fault.kind in faults.UNPROCESSED:
            answer = unprocessed(fault, self.now_ms())
        else:
            route = ROUTES.get((request.method, request.path))
            weight = route.weight(params) if route else 1
            try:
                is_sapi = request.path.startswith(_SAPI)
                self.gate.admit_request(request.address, weight, is_sapi=is_sapi, now_us=now_us)
            except Refusal as refusal:
                weight = 0
                answer = refused(refusal)
            else:
                if route is None:
                    answer = Answer(status=404, body=NOT_FOUND, content_type=HTML)
                else:
                    answer, counted = self._run(route, request, params, fault, now_us)
            if answer.status == BANNED:
                self.state.set_meta("bans", self.gate.bans())
            answer = replace(answer, headers=self._headers(request, route, answer))
            if fault is not None:
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
            weight=weight,
            counted_order=counted,
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

    def _run(
        self, route: Route, request: Request, params: Params, fault: Fault | None, now_us: int
    ) -> tuple[Answer, bool]:
        """Return the handler's answer and whether the request counted as an order."""
        counted = False
        now_ms = now_us // 1000 + self.skew_ms
        try:
            signer = None
            if route.permission != PUBLIC:
                signer = self._authenticate(route, request, params, now_ms)
            if route.counts_order and signer is not None:
                # Counted before the filters look: stricter than Binance, never more generous.
                self.gate.admit_order(signer.api_key, address=request.address, now_us=now_us)
                counted = True
            call = Call(
                state=self.state,
                matching=self.matching,
                limits=self.gate.limits,
                asset_names=self.scenario.asset_names,
                params=params,
                now_ms=now_ms,
                signer=signer,
                fraction=fraction(fault),
            )
            with self.state.undone_on_refusal():
                payload = altered(fault, route.handler(call))
            return Answer(status=200, body=dump(payload)), counted
        except Refusal as refusal:
            return refused(refusal), counted
        except Exception as error:  # noqa: BLE001  a bug must not look like a lost connection
            sys.stderr.write(f"sandbox: {request.method} {request.path}: {error!r}\n")
            broken = Refusal(-1000, "An unknown error occurred while processing the request.", 500)
            return refused(broken), counted

    def _authenticate(self, route: Route, request: Request, params: Params, now_ms: int) -> Account:
        if request.api_key is None or not signing.is_key_format(request.api_key):
            raise refusals.bad_key_format()
        account = self.state.account(request.api_key)
        if account is None:
            raise refusals.unknown_key()
        if account.revoked:
            raise refusals.no_permission()
        signing.verify(account, request.query, request.body, params, now_ms=now_ms)
        if not account.permissions.get(route.permission, False):
            raise refusals.no_permission()
        return account

    def _headers(self, request: Request, route: Route | None, answer: Answer) -> dict[str, str]:
        headers, now_us = dict(answer.headers), wall_us()
        used = self.gate.address(request.address)
        if request.path.startswith(_SAPI):
            headers["X-SAPI-USED-IP-WEIGHT-1M"] = str(used.sapi_weight.used(now_us))
        else:
            window = used.weight
            headers["X-MBX-USED-WEIGHT"] = str(window.used(now_us))
            headers[f"X-MBX-USED-WEIGHT-{window.limit.header}"] = str(window.used(now_us))
        if route is not None and route.counts_order and request.api_key is not None:
            for each in self.gate.owner(request.api_key).windows:
                headers[f"X-MBX-ORDER-COUNT-{each.limit.header}"] = str(each.used(now_us))
        return headers
