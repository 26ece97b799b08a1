"""Keys, secrets and signatures stay out of errors, answers and logs."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import pytest

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import ExchangeError
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import Open, sale

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("status_after", {"status": 502}),
    ("rate_limit", {"retry_after": 1}),
    ("garbage_after", {}),
    ("cut_json_after", {}),
    ("no_order_id", {}),
    ("error", {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}),
    ("error", {"code": -1022, "msg": "Signature for this request is not valid."}),
    ("error", {"code": -1021, "msg": "Timestamp for this request is outside."}),
    ("error", {"code": -2010, "msg": "Account has insufficient balance."}),
]


def everything_said(port: CcxtExchange, error: BaseException | None) -> str:
    """Return all text that could reach a page, a row or a log."""
    said = [port.last_answer, json.dumps(port.last_wire)]
    if error is not None:
        said += [str(error), repr(error), *traceback.format_exception(error)]
        said += [str(getattr(error, "answer", "")), str(getattr(error, "answer_code", ""))]
    return "\n".join(said)


def assert_no_secret(text: str, keys: dict[str, str]) -> None:
    for secret in (keys["api_secret"], keys["api_key"], "signature="):
        assert secret not in text


@pytest.mark.parametrize(("kind", "spec"), FAULTS)
@pytest.mark.parametrize("what", ["sale", "look-up"])
def test_no_error_shows_a_secret(
    port: CcxtExchange,
    exchange: SandboxProcess,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    spec: dict[str, Any],
    what: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    keys = exchange.credentials()
    if what == "sale":
        exchange.fault(kind, **spec)
        request = sale(port)
        with pytest.raises(ExchangeError) as caught:
            port.sell(request, may_leave=lambda: True)
    else:
        request = sale(port)
        port.sell(request, may_leave=lambda: True)
        exchange.fault(kind, method="GET", **spec)
        with pytest.raises(ExchangeError) as caught:
            port.find_order([request])
    assert_no_secret(everything_said(port, caught.value), keys)
    assert_no_secret(caplog.text, keys)


def test_an_unreachable_place_shows_no_secret(
    open_port: Open, exchange: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with SandboxProcess("seed8") as short:
        keys = short.credentials()
        port = open_port(keys=keys, base_url=short.base_url)
        port.balances()
    with pytest.raises(ExchangeError) as caught:
        port.balances()
    assert_no_secret(everything_said(port, caught.value), keys)
    assert_no_secret(caplog.text, keys)


@pytest.mark.parametrize(
    "page",
    [
        "<html>Bad request: symbol=DOGEUSDT&timestamp=1&signature=0badc0de</html>",
        "<html>The key {api_key} was blocked.</html>",
        "<html>GET /api/v3/account?timestamp=1&signature=0badc0de</html>",
    ],
)
def test_a_page_that_repeats_the_request_is_kept_without_its_secrets(
    port: CcxtExchange, exchange: SandboxProcess, page: str
) -> None:
    """A proxy's error page may show the request it refused."""
    keys = exchange.credentials()
    exchange.fault("garbage_after", body=page.format(**keys))
    with pytest.raises(ExchangeError) as caught:
        port.sell(sale(port), may_leave=lambda: True)
    assert_no_secret(everything_said(port, caught.value), keys)


def test_a_successful_answer_shows_no_secret(
    port: CcxtExchange, exchange: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port.sell(sale(port), may_leave=lambda: True)
    assert "orderId" in port.last_answer
    assert_no_secret(everything_said(port, None), exchange.credentials())
    assert_no_secret(caplog.text, exchange.credentials())
