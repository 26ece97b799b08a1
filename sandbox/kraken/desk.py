"""Where Kraken's calls are answered: counters, signature, handler, and what faults make of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.answers import HTML, NOT_FOUND, Answer, dump, fraction
from sandbox.dialect import Desk, Outcome
from sandbox.faults import Fault
from sandbox.fields import Data
from sandbox.kraken.call import Arguments, Call
from sandbox.kraken.limits import (
    PRIVATE,
    PUBLIC,
    TRADING,
    Counters,
    Gate,
    counters_data,
    parse_counters,
)
from sandbox.kraken.refusals import (
    INTERNAL_ERROR,
    ORDER_RATE_LIMIT,
    PERMISSION_DENIED,
    RATE_LIMIT,
    TEMPORARY_LOCKOUT,
    UNKNOWN_METHOD,
    refusal,
)
from sandbox.kraken.routes import CLOSE, CLOSED, FUNDS, MODIFY, OPEN, PREFIX, ROUTES, Route
from sandbox.kraken.rules import KrakenRules
from sandbox.kraken.signing import authenticate
from sandbox.params import Params
from sandbox.records import Account
from sandbox.refusals import Refusal
from sandbox.request import Request
from sandbox.rules import Rules

if TYPE_CHECKING:
    from sandbox.service import Service

ADD_ORDER, QUERY_ORDERS = "/0/private/AddOrder", "/0/private/QueryOrders"


class KrakenDesk:
    """The desk of a running exchange."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gate = self._new_gate(Counters())

    def load(self, limits: Data) -> None:
        """Take over the limits; the counters are in the state."""
        self._gate = self._new_gate(parse_counters(Counters(), limits))

    def change_limits(self, limits: Data) -> None:
        """Take other limits; counting starts anew."""
        self._gate = self._new_gate(parse_counters(Counters(), limits))
        self._gate.forget()

    def _new_gate(self, counters: Counters) -> Gate:
        return Gate(self._service.state, counters, self._service.report_violation)

    def answer(self, request: Request, params: Params, fault: Fault | None, now_us: int) -> Outcome:
        """Process one request inside a transaction."""
        if not request.path.startswith(PREFIX):
            return Outcome(answer=Answer(status=404, body=NOT_FOUND, content_type=HTML))
        route = ROUTES.get(request.path.removeprefix(PREFIX), {}).get(request.method)
        if route is None:
            return Outcome(answer=refused(refusal(UNKNOWN_METHOD)))
        tally = _Tally()
        try:
            payload = self._run(route, request, params, fault, now_us, tally)
            answer = Answer(status=200, body=dump({"error": [], "result": payload}))
        except Refusal as refused_with:
            answer = refused(refused_with)
        except Exception as error:  # noqa: BLE001  a bug must not look like a lost connection
            sys.stderr.write(f"sandbox: {request.method} {request.path}: {error!r}\n")
            answer = refused(refusal(INTERNAL_ERROR))
        return Outcome(answer=answer, weight=tally.weight, counted_order=tally.counted_order)

    def refuse(self, fault: Fault, request: Request, now_ms: int) -> Answer:
        """Return the refusal that a fault of kind error, rate_limit or ban orders."""
        if fault.kind == "rate_limit":
            return refused(refusal(ORDER_RATE_LIMIT if request.path == ADD_ORDER else RATE_LIMIT))
        if fault.kind == "ban":
            return refused(refusal(TEMPORARY_LOCKOUT))
        word = INTERNAL_ERROR if fault.msg is None else fault.msg
        return refused(Refusal(word, word, fault.status or 200))

    def _run(
        self,
        route: Route,
        request: Request,
        params: Params,
        fault: Fault | None,
        now_us: int,
        tally: _Tally,
    ) -> Any:
        service, arguments = self._service, Arguments(params)
        signer = self._authenticate(route, request, arguments) if route.is_private else None
        call = Call(
            state=service.state,
            matching=service.matching,
            asset_names=service.scenario.asset_names,
            arguments=arguments,
            now_ms=now_us // 1000 + service.skew_ms,
            signer=signer,
            fraction=fraction(fault),
        )
        self._count(route, call, request.address, now_us, tally)
        with service.state.undone_on_refusal():
            return altered(fault, request.path, route.handler(call))

    def _authenticate(self, route: Route, request: Request, arguments: Arguments) -> Account:
        account = authenticate(self._service.state, request, arguments.text("nonce") or "")
        if route.rights and not any(account.permissions.get(right) for right in route.rights):
            raise refusal(PERMISSION_DENIED)
        return account

    def _count(self, route: Route, call: Call, address: str, now_us: int, tally: _Tally) -> None:
        """Count a call, before anything else is looked at: what fails counts, too."""
        if call.signer is None:
            self._gate.admit(PUBLIC, address, route.weight, now_us=now_us, address=address)
            tally.weight = route.weight
            return
        key = call.signer.api_key
        if route.weight:
            self._gate.admit(PRIVATE, key, route.weight, now_us=now_us, address=address, key=key)
            tally.weight = route.weight
        costs = route.trading_cost(call) if route.trading_cost else {}
        for symbol, cost in costs.items():
            who = f"{key} {symbol}"
            self._gate.admit(TRADING, who, cost, now_us=now_us, address=address, key=key)
        tally.counted_order = route.places_order


class _Tally:
    """What a request has counted for so far."""

    def __init__(self) -> None:
        self.weight = 0
        self.counted_order = False


class Kraken:
    """The protocol of scenarios with `"protocol": "kraken"`."""

    name = "kraken"
    key_header = "API-Key"
    signature_header: str | None = "API-Sign"
    rules: Rules = KrakenRules()
    fees_in_quote = True
    permissions: Mapping[str, bool] = {
        FUNDS: True,
        "withdraw-funds": False,
        OPEN: True,
        CLOSED: True,
        MODIFY: True,
        CLOSE: True,
    }

    def limits(self, known: Data, changes: Data) -> Data:
        """Return limits changed by plain data; raise BadValue naming the first bad field."""
        return counters_data(parse_counters(parse_counters(Counters(), known), changes))

    def desk(self, service: Service) -> Desk:
        """Return the desk of an exchange that speaks this protocol."""
        return KrakenDesk(service)


def refused(with_: Refusal) -> Answer:
    """Return the answer that a refusal makes."""
    return Answer(status=with_.status, body=dump({"error": [with_.message]}), code=with_.code)


def altered(fault: Fault | None, path: str, payload: Any) -> Any:
    """Return a well-formed answer that says something wrong."""
    if fault is None or not isinstance(payload, dict):
        return payload
    if fault.kind == "empty_balances" and path.startswith("/0/private/Balance"):
        return {}
    if fault.kind == "no_order_id":
        return {name: value for name, value in payload.items() if name != "txid"}
    if fault.kind == "other_order" and "txid" in payload:
        return payload | {"txid": [_another_id(0)]}
    if fault.kind == "other_order" and path == QUERY_ORDERS:
        return _others(payload)
    for name in ("open", "closed", "trades"):
        if name in payload and fault.kind == "empty_list":
            return payload | {name: {}} | ({"count": 0} if "count" in payload else {})
        if name in payload and fault.kind == "other_order":
            return payload | {name: _others(payload[name])}
    return payload


def _others(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries as if they were somebody else's."""
    theirs = {"cl_ord_id": "someone-elses", "ordertxid": _another_id(0)}
    return {
        _another_id(number): entry | {name: theirs[name] for name in theirs.keys() & entry.keys()}
        for number, entry in enumerate(entries.values())
    }


def _another_id(number: int) -> str:
    return f"OTHERS-ORDER-{number:06d}"
