"""Binance's spot REST protocol: how its requests are signed, counted, answered and refused."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox import filters, refusals, signing
from sandbox.answers import HTML, NOT_FOUND, Answer, dump, fraction
from sandbox.call import Call
from sandbox.clock import wall_us
from sandbox.dialect import Desk, Outcome
from sandbox.faults import Fault
from sandbox.fields import Data
from sandbox.gate import Gate
from sandbox.limits import Limits as LimitSet
from sandbox.limits import limits_data, parse_limits
from sandbox.params import Params
from sandbox.records import Account
from sandbox.refusals import Refusal
from sandbox.request import Request
from sandbox.routes import PUBLIC, ROUTES, Route
from sandbox.rules import Rules

if TYPE_CHECKING:
    from sandbox.service import Service

BANNED = 418
_SAPI = "/sapi/"
_UNKNOWN_ERROR = "An unknown error occurred while processing the request."


class BinanceRules:
    """The symbol filters, and Binance's words for what it refuses."""

    check_quantity = staticmethod(filters.check_quantity)
    check_price = staticmethod(filters.check_price)
    check_notional = staticmethod(filters.check_notional)
    check_quote_quantity = staticmethod(filters.check_quote_quantity)
    check_open_orders = staticmethod(filters.check_open_orders)
    bad_symbol = staticmethod(refusals.bad_symbol)
    market_closed = staticmethod(refusals.market_closed)
    insufficient_balance = staticmethod(refusals.insufficient_balance)
    duplicate_order = staticmethod(refusals.duplicate_order)
    unknown_order = staticmethod(refusals.unknown_order)

    def client_order_id(self) -> str:
        """Return what Binance makes up for an order that came without one."""
        return secrets.token_urlsafe(16)

    def txid(self, prefix: str) -> str:
        """Return nothing: orders and trades go by their numbers."""
        return ""


class BinanceDesk:
    """Where Binance's calls are answered; weight is counted by address, orders by account."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gate = self._new_gate(LimitSet())

    def load(self, limits: Data) -> None:
        """Take over the limits, the bans and the requests of the last minutes."""
        self._gate = self._new_gate(parse_limits(LimitSet(), limits))
        self._gate.remember_bans(self._service.state.meta("bans") or "{}")
        longest = max([300, *(limit.interval_seconds for limit in self._gate.limits.orders)])
        since = wall_us() - longest * 1_000_000
        sql = "SELECT * FROM requests WHERE wall_us > ? AND weight > 0 ORDER BY wall_us"
        for row in self._service.state.rows(sql, since):
            self._gate.remember(
                row["wall_us"],
                row["weight"],
                address=row["address"],
                is_sapi=row["path"].startswith(_SAPI),
                orders_of=row["api_key"] if row["counted_order"] else None,
            )

    def change_limits(self, limits: Data) -> None:
        """Take other limits; counting starts anew and bans end."""
        self._service.state.set_meta("bans", "{}")
        self._gate = self._new_gate(parse_limits(LimitSet(), limits))

    def _new_gate(self, limits: LimitSet) -> Gate:
        return Gate(limits, self._service.report_violation)

    # Requests
    def answer(self, request: Request, params: Params, fault: Fault | None, now_us: int) -> Outcome:
        """Process one request inside a transaction."""
        route = ROUTES.get((request.method, request.path))
        weight, counted = route.weight(params) if route else 1, False
        is_sapi = request.path.startswith(_SAPI)
        try:
            self._gate.admit_request(request.address, weight, is_sapi=is_sapi, now_us=now_us)
        except Refusal as refusal:
            weight = 0
            answer = refused(refusal)
        else:
            if route is None:
                answer = Answer(status=404, body=NOT_FOUND, content_type=HTML)
            else:
                answer, counted = self._run(route, request, params, fault, now_us)
        if answer.status == BANNED:
            self._service.state.set_meta("bans", self._gate.bans())
        answer = replace(answer, headers=self._headers(request, route, answer))
        return Outcome(answer=answer, weight=weight, counted_order=counted)

    def refuse(self, fault: Fault, request: Request, now_ms: int) -> Answer:
        """Return the refusal that a fault of kind error, rate_limit or ban orders."""
        if fault.kind == "rate_limit":
            return refused(refusals.too_many_requests(6000, "1 MINUTE", fault.retry_after))
        if fault.kind == "ban":
            until_ms = now_ms + fault.retry_after * 1000
            return refused(refusals.banned(until_ms, fault.retry_after))
        code = -1000 if fault.code is None else fault.code
        message = _UNKNOWN_ERROR if fault.msg is None else fault.msg
        return refused(Refusal(code, message, fault.status or 400))

    def _run(
        self, route: Route, request: Request, params: Params, fault: Fault | None, now_us: int
    ) -> tuple[Answer, bool]:
        """Return the handler's answer and whether the request counted as an order."""
        counted, service = False, self._service
        now_ms = now_us // 1000 + service.skew_ms
        try:
            signer = None
            if route.permission != PUBLIC:
                signer = self._authenticate(route, request, params, now_ms)
            if route.counts_order and signer is not None:
                # Counted before the filters look: stricter than Binance, never more generous.
                self._gate.admit_order(signer.api_key, address=request.address, now_us=now_us)
                counted = True
            call = Call(
                state=service.state,
                matching=service.matching,
                limits=self._gate.limits,
                asset_names=service.scenario.asset_names,
                params=params,
                now_ms=now_ms,
                signer=signer,
                fraction=fraction(fault),
            )
            with service.state.undone_on_refusal():
                payload = altered(fault, route.handler(call))
            return Answer(status=200, body=dump(payload)), counted
        except Refusal as refusal:
            return refused(refusal), counted
        except Exception as error:  # noqa: BLE001  a bug must not look like a lost connection
            sys.stderr.write(f"sandbox: {request.method} {request.path}: {error!r}\n")
            return refused(Refusal(-1000, _UNKNOWN_ERROR, 500)), counted

    def _authenticate(self, route: Route, request: Request, params: Params, now_ms: int) -> Account:
        if request.api_key is None or not signing.is_key_format(request.api_key):
            raise refusals.bad_key_format()
        account = self._service.state.account(request.api_key)
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
        used = self._gate.address(request.address)
        if request.path.startswith(_SAPI):
            headers["X-SAPI-USED-IP-WEIGHT-1M"] = str(used.sapi_weight.used(now_us))
        else:
            window = used.weight
            headers["X-MBX-USED-WEIGHT"] = str(window.used(now_us))
            headers[f"X-MBX-USED-WEIGHT-{window.limit.header}"] = str(window.used(now_us))
        if route is not None and route.counts_order and request.api_key is not None:
            for each in self._gate.owner(request.api_key).windows:
                headers[f"X-MBX-ORDER-COUNT-{each.limit.header}"] = str(each.used(now_us))
        return headers


class Binance:
    """The protocol of scenarios that name none."""

    name = "binance"
    key_header = "X-MBX-APIKEY"
    signature_header: str | None = None
    rules: Rules = BinanceRules()
    fees_in_quote = False
    permissions: Mapping[str, bool] = {
        "ipRestrict": False,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }

    def limits(self, known: Data, changes: Data) -> Data:
        """Return limits changed by plain data; raise BadValue naming the first bad field."""
        return limits_data(parse_limits(parse_limits(LimitSet(), known), changes))

    def desk(self, service: Service) -> Desk:
        """Return the desk of an exchange that speaks this protocol."""
        return BinanceDesk(service)


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


def altered(fault: Fault | None, payload: Any) -> Any:
    """Return a well-formed answer that says something wrong."""
    if fault is not None and fault.kind == "empty_list" and isinstance(payload, list):
        return []
    if fault is None or not isinstance(payload, dict):
        return payload
    if fault.kind == "empty_list":
        return {name: [] if isinstance(item, list) else item for name, item in payload.items()}
    if fault.kind == "empty_balances" and "balances" in payload:
        return payload | {"balances": []}
    if fault.kind == "no_order_id":
        return {name: value for name, value in payload.items() if name != "orderId"}
    if fault.kind == "other_order" and "orderId" in payload:
        other = {"orderId": payload["orderId"] + 1_000_000, "clientOrderId": "someone-elses"}
        return payload | other
    return payload
