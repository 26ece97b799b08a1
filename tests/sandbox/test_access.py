"""Keys, signatures, timestamps and permissions."""

from __future__ import annotations

import hashlib
import hmac
import time
from decimal import Decimal

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Raw

ACCOUNT = "/api/v3/account"
UNKNOWN_KEY = "A" * 64


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize("key", ["", "short", "!" * 64])
def test_a_malformed_key_is_refused(raw: Raw, key: str) -> None:
    assert raw.call("GET", ACCOUNT, key=key).refusal == (401, -2014, "API-key format invalid.")


def test_a_request_without_a_key_is_refused(exchange: SandboxProcess) -> None:
    status, _, text = exchange.request("GET", f"{ACCOUNT}?timestamp={now_ms()}&signature=ab")
    assert (status, text) == (401, '{"code":-2014,"msg":"API-key format invalid."}')


def test_an_unknown_key_is_refused(raw: Raw) -> None:
    refusal = raw.call("GET", ACCOUNT, key=UNKNOWN_KEY).refusal
    assert refusal == (401, -2008, "Invalid Api-Key ID.")


def test_a_revoked_key_is_refused_and_works_again_when_given_back(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "keys/revoke", {})
    assert raw.call("GET", ACCOUNT).refusal[:2] == (401, -2015)
    exchange.control("POST", "keys/revoke", {"revoked": False})
    assert raw.call("GET", ACCOUNT).status == 200


def test_a_key_without_the_right_to_trade_may_still_read(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "permissions", {"enableSpotAndMarginTrading": False})
    refusal = raw.sell("DOGEUSDT", "5").refusal
    assert refusal == (401, -2015, "Invalid API-key, IP, or permissions for action.")
    assert raw.call("GET", ACCOUNT).status == 200
    assert exchange.balance("DOGE")["free"] == "5"


def test_the_rights_of_a_key_can_be_asked(exchange: SandboxProcess, client: ccxt.binance) -> None:
    assert client.sapiGetAccountApiRestrictions()["enableWithdrawals"] is False
    exchange.control("POST", "permissions", {"enableWithdrawals": True, "ipRestrict": True})
    rights = client.sapiGetAccountApiRestrictions()
    assert rights["enableWithdrawals"] is True
    assert rights["ipRestrict"] is True
    assert rights["enableSpotAndMarginTrading"] is True


def test_a_wrong_signature_is_refused_in_query_and_body(raw: Raw) -> None:
    expected = (400, -1022, "Signature for this request is not valid.")
    assert raw.call("GET", ACCOUNT, signature="0" * 64).refusal == expected
    answer = raw.call("POST", "/api/v3/order", signature="0" * 64, in_body=True, symbol="DOGEUSDT")
    assert answer.refusal == expected


def test_a_signature_covers_the_exact_bytes(exchange: SandboxProcess, raw: Raw) -> None:
    answer = raw.call("GET", ACCOUNT, note="a b")  # urlencode signs and sends a+b
    assert answer.status == 200
    signed = raw.exchange.ledger()["requests"][-1]
    assert signed["params"]["note"] == "a b"
    assert "signature" not in signed["params"]


def test_parameters_may_be_split_over_query_and_body(raw: Raw, exchange: SandboxProcess) -> None:

    query = "symbol=DOGEUSDT&side=SELL"
    body = f"type=MARKET&quantity=5&timestamp={now_ms()}"
    secret = raw.keys["api_secret"].encode()
    signature = hmac.new(secret, (query + body).encode(), hashlib.sha256).hexdigest()
    status, _, _ = exchange.request(
        "POST",
        f"/api/v3/order?{query}",
        f"{body}&signature={signature}",
        {"X-MBX-APIKEY": raw.keys["api_key"]},
    )
    assert status == 200


@pytest.mark.parametrize("name", ["timestamp", "signature"])
def test_a_signed_call_needs_timestamp_and_signature(raw: Raw, name: str) -> None:
    sent = {"timestamp": str(now_ms()), "signature": "ab"}
    del sent[name]
    query = "&".join(f"{key}={value}" for key, value in sent.items())
    headers = {"X-MBX-APIKEY": raw.keys["api_key"]}
    status, _, text = raw.exchange.request("GET", f"{ACCOUNT}?{query}", "", headers)
    assert status == 400
    assert '"code":-1102' in text
    assert name in text


@pytest.mark.parametrize(
    ("age_ms", "window", "refused"),
    [
        (4000, None, False),
        (6000, None, True),  # the default window is 5 s
        (9000, 10000, False),
        (11000, 10000, True),
        (-500, None, False),
        (-2000, None, True),  # more than a second ahead
    ],
)
def test_a_timestamp_must_lie_in_the_window(
    raw: Raw, age_ms: int, window: int | None, refused: bool
) -> None:
    params = {} if window is None else {"recvWindow": window}
    answer = raw.call("GET", ACCOUNT, timestamp=now_ms() - age_ms, **params)
    assert answer.status == (400 if refused else 200)
    if refused:
        assert answer.data["code"] == -1021


def test_a_window_of_more_than_a_minute_is_refused(raw: Raw) -> None:
    assert raw.call("GET", ACCOUNT, recvWindow=60000).status == 200
    assert raw.call("GET", ACCOUNT, recvWindow=60001).data["code"] == -1131


def test_the_window_is_measured_on_the_exchanges_clock(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    exchange.control("POST", "clock", {"skew_ms": 20_000})
    assert raw.call("GET", ACCOUNT).data["code"] == -1021
    with pytest.raises(ccxt.InvalidNonce):
        client.fetch_balance()
    client.load_time_difference()
    client.options["adjustForTimeDifference"] = True
    assert Decimal(client.fetch_balance()["free"]["DOGE"]) == 5


def test_a_second_account_is_its_own(exchange: SandboxProcess, raw: Raw) -> None:
    keys = exchange.control("POST", "accounts", {"balances": {"DOGE": "7"}, "name": "other"})
    other = Raw(exchange, keys)
    assert other.sell("DOGEUSDT", "7").status == 200
    assert exchange.balance("DOGE")["free"] == "5"
    order_id = exchange.ledger()["orders"][-1]["order_id"]
    found = raw.call("GET", "/api/v3/order", symbol="DOGEUSDT", orderId=order_id)
    assert found.refusal[1] == -2013
