"""What really left and came back is known, without key, secret and signature."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import ExchangeError, RateLimited
from positions.exchanges.wire import WatchedSession, told
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import sale

SECRET = "s3cr3t-of-the-account"


def session(
    method: str = "POST", url: str = "https://x/api", status: int | None = 200, **request: Any
) -> WatchedSession:
    """Return a session after one request."""
    made = WatchedSession()
    made.sent, made.status = requests.Request(method, url, **request).prepare(), status
    return made


def test_what_the_exchange_received_is_what_is_told(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    port.sell(sale(port), may_leave=lambda: True)
    wire = port.last_wire
    received = exchange.ledger()["requests"][-1]
    assert (wire["method"], wire["path"]) == (received["method"], received["path"])
    expected = {name: text for name, text in received["params"].items() if name != "signature"}
    assert wire["parameters"] == expected
    assert "symbol" in expected
    assert wire["status"] == 200
    headers = {name.lower(): value for name, value in wire["headers"].items()}
    assert headers["x-mbx-order-count-10s"] == "1"
    assert headers["x-mbx-used-weight-1m"].isdigit()


def test_a_refusal_is_told_with_its_status_and_its_pause(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("rate_limit", retry_after=7)
    request = sale(port)
    with pytest.raises(RateLimited):
        port.sell(request, may_leave=lambda: True)
    assert port.last_wire["status"] == 429
    headers = {name.lower(): value for name, value in port.last_wire["headers"].items()}
    assert headers["retry-after"] == "7"


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_without_an_answer_there_is_no_status_but_the_request_is_told(
    port: CcxtExchange, exchange: SandboxProcess, kind: str
) -> None:
    port.balances()  # its answer must not pass for the order's
    request = sale(port)
    exchange.fault(kind)
    with pytest.raises(ExchangeError):
        port.sell(request, may_leave=lambda: True)
    wire = port.last_wire
    assert (wire["path"], wire["status"], wire["headers"]) == ("/api/v3/order", None, {})
    assert wire["parameters"]["newClientOrderId"] == request.client_order_id


def test_before_anything_left_nothing_is_told(open_port: Any) -> None:
    assert open_port().last_wire == {}


@pytest.mark.parametrize(
    "request_",
    [
        {"url": f"https://x/v1/order?AccessKeyId={SECRET}&Signature=0badc0de&amount=1"},
        {"data": f"amount=1&nonce=5&api_key={SECRET}&sign=0badc0de"},
        {"data": json.dumps({"amount": "1", "auth": {"passphrase": SECRET, "sig": "0badc0de"}})},
        {"data": json.dumps([{"amount": "1", "memo": SECRET, "hmac": "0badc0de"}])},
        {"data": f"amount=1&memo={SECRET}&next=https%3A%2F%2Fx%3Fsignature%3D0badc0de"},
        {"headers": {"API-Key": SECRET, "API-Sign": "0badc0de"}, "data": "amount=1"},
    ],
)
def test_however_an_exchange_signs_neither_key_nor_signature_is_told(
    request_: dict[str, Any],
) -> None:
    wire = told(session(**request_), {"X-Token": SECRET}, secrets=[SECRET])
    assert "amount" in str(wire["parameters"])
    assert SECRET not in str(wire)
    assert "0badc0de" not in str(wire)


def test_numbers_in_a_json_request_keep_their_digits() -> None:
    body = '{"amount": 0.10000000000000000001, "at": 12345678901234567890}'
    assert told(session(data=body), None, secrets=[])["parameters"] == {
        "amount": "0.10000000000000000001",
        "at": "12345678901234567890",
    }


@pytest.mark.parametrize("body", [b"\xff\xfe", "{cut", "", None])
def test_a_body_that_is_no_form_and_no_json_is_no_problem(body: Any) -> None:
    assert told(session(data=body), None, secrets=[])["status"] == 200


def test_a_proxy_of_the_machine_never_sees_a_request(
    port: CcxtExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    assert port.server_time_ms() > 0
