"""Keys, signatures, rights and nonces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.kraken.clients import Raw, connect, selling

DOGE = selling("XDGUSD", "5")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess("kraken8", state_file=tmp_path / "state.sqlite") as process:
        yield process


def test_a_key_that_was_never_issued_or_was_revoked_is_invalid(
    exchange: SandboxProcess, raw: Raw, client: ccxt.kraken
) -> None:
    assert raw.refusal("Balance", key="A" * 64) == "EAPI:Invalid key"
    exchange.control("POST", "keys/revoke", {})
    with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
        client.fetch_balance()


def test_a_wrong_signature_is_refused_and_ccxt_has_no_class_for_it(
    exchange: SandboxProcess, raw: Raw
) -> None:
    assert raw.refusal("Balance", signature="AAAA") == "EAPI:Invalid signature"
    other = exchange.control("POST", "accounts", {})["api_secret"]
    client = connect(exchange, raw.keys | {"api_secret": other})
    with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature") as caught:
        client.fetch_balance()
    assert type(caught.value) is ccxt.ExchangeError
    client.session.close()


def test_every_byte_of_the_body_is_signed(raw: Raw) -> None:
    path, body = "/0/private/Balance", "nonce=9000000000000000&asset=ADA"
    headers = {"API-Key": raw.keys["api_key"], "API-Sign": "x"}
    answer = raw.exchange.request("POST", path, body, headers)[2]
    assert "EAPI:Invalid signature" in answer
    assert raw.exchange.ledger()["requests"][-1]["code"] == "EAPI:Invalid signature"


@pytest.mark.parametrize(
    ("right", "call", "params"),
    [
        ("query-funds", "BalanceEx", {}),
        ("query-open-trades", "OpenOrders", {}),
        ("query-closed-trades", "ClosedOrders", {}),
        ("query-closed-trades", "TradesHistory", {}),
        ("modify-trades", "AddOrder", DOGE),
    ],
)
def test_a_call_needs_its_right(
    exchange: SandboxProcess, raw: Raw, right: str, call: str, params: dict[str, object]
) -> None:
    exchange.control("POST", "permissions", {right: False})
    assert raw.refusal(call, **params) == "EGeneral:Permission denied"
    exchange.control("POST", "permissions", {right: True})
    assert raw.call(call, **params)["error"] == []


def test_the_key_tells_what_it_may_do(exchange: SandboxProcess, client: ccxt.kraken) -> None:
    told = client.privatePostGetApiKeyInfo()["result"]
    assert set(told["permissions"]) == {
        "query-funds",
        "query-open-trades",
        "query-closed-trades",
        "modify-trades",
        "close-trades",
    }
    assert (told["nonceWindow"], told["apiKey"]) == (0, client.apiKey)
    exchange.control("POST", "permissions", {"withdraw-funds": True})
    assert "withdraw-funds" in client.privatePostGetApiKeyInfo()["result"]["permissions"]


def test_rights_of_another_protocol_are_unknown(exchange: SandboxProcess) -> None:
    with pytest.raises(AssertionError, match="enableReading"):
        exchange.control("POST", "permissions", {"enableReading": True})


@pytest.mark.parametrize("nonce", [999, 1000])
def test_a_nonce_must_be_above_the_last_one(raw: Raw, nonce: int) -> None:
    raw.result("Balance", nonce=1000)
    assert raw.refusal("Balance", nonce=nonce) == "EAPI:Invalid nonce"
    raw.result("Balance", nonce=1001)


@pytest.mark.parametrize("nonce", ["", "0", "-5", "1.5", "x", 2**63])
def test_a_nonce_is_a_whole_number_above_zero(raw: Raw, nonce: object) -> None:
    assert raw.refusal("Balance", nonce=nonce) == "EAPI:Invalid nonce"


def test_a_second_client_with_a_slower_clock_is_refused(exchange: SandboxProcess) -> None:
    ahead, behind = connect(exchange), connect(exchange)
    behind.options["timeDifference"] = 60_000
    ahead.load_markets()
    behind.load_markets()
    ahead.fetch_balance()
    with pytest.raises(ccxt.InvalidNonce):
        behind.fetch_balance()
    ahead.session.close()
    behind.session.close()


def test_a_refused_call_has_used_its_nonce_and_a_wrong_signature_has_not(raw: Raw) -> None:
    assert raw.refusal("AddOrder", nonce=1000, **selling("XDGUSD", "9")).startswith("EOrder")
    assert raw.refusal("Balance", nonce=1000) == "EAPI:Invalid nonce"
    assert raw.refusal("Balance", nonce=5000, signature="AAAA") == "EAPI:Invalid signature"
    raw.result("Balance", nonce=1001)


def test_a_late_order_with_an_older_nonce_does_nothing(exchange: SandboxProcess, raw: Raw) -> None:
    raw.result("OpenOrders", nonce=2000)
    assert raw.refusal("AddOrder", nonce=1999, **DOGE) == "EAPI:Invalid nonce"
    assert exchange.ledger()["orders"] == []


def test_a_key_with_a_window_takes_older_nonces_once(exchange: SandboxProcess) -> None:
    keys = exchange.control("POST", "accounts", {"nonce_window": 10})
    raw = Raw(exchange, keys)
    raw.result("Balance", nonce=1000)
    raw.result("Balance", nonce=991)
    assert raw.refusal("Balance", nonce=991) == "EAPI:Invalid nonce"
    assert raw.refusal("Balance", nonce=990) == "EAPI:Invalid nonce"
    assert raw.result("GetApiKeyInfo", nonce=1001)["nonceWindow"] == 10


def test_nonces_are_counted_by_key(exchange: SandboxProcess, raw: Raw) -> None:
    raw.result("Balance", nonce=5000)
    other = Raw(exchange, exchange.control("POST", "accounts", {}))
    other.result("Balance", nonce=1)
    keys = exchange.control("POST", "keys/replace", key=raw.keys["api_key"])
    assert raw.refusal("Balance", nonce=5001) == "EAPI:Invalid key"
    Raw(exchange, keys).result("Balance", nonce=5001)


def test_the_last_nonce_outlives_a_crash(kept: SandboxProcess) -> None:
    raw = Raw(kept)
    raw.result("AddOrder", nonce=1000, **DOGE)
    before = kept.ledger()
    kept.kill()
    kept.restart()
    assert raw.refusal("Balance", nonce=1000) == "EAPI:Invalid nonce"
    after = kept.ledger()
    requests = after.pop("requests")
    assert requests[:-1] == before.pop("requests")
    assert after == before
    (txid,) = raw.result("ClosedOrders", nonce=1001)["closed"]
    assert txid == before["orders"][0]["txid"]
