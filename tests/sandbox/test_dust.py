"""Converting small balances into BNB."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.exchange_process import SandboxProcess
from tests.sandbox.bookkeeping import assert_explained
from tests.sandbox.clients import Raw
from tests.sandbox.test_ledger import MARKETS

DUST = "/sapi/v1/asset/dust"
NEWER = "/sapi/v1/asset/dust-convert/convert"
NEWER_PREVIEW = "/sapi/v1/asset/dust-convert/query-convertible-assets"
SIX_HOURS_MS = 6 * 3600 * 1000


def assets(batch: dict[str, Any]) -> list[str]:
    return [each["fromAsset"] for each in batch["userAssetDribbletDetails"]]


def test_the_preview_lists_what_is_small_with_its_cost(client: ccxt.binance) -> None:
    preview = client.sapiPostAssetDustBtc({})
    details = {each["asset"]: each for each in preview["details"]}
    assert set(details) == {"SOL", "DOGE", "XRP", "ADA", "ONE", "SHIB", "PEPE"}
    doge = details["DOGE"]
    assert doge["amountFree"] == "5.00000000"
    assert doge["toBNB"] == "0.00146774"  # 0.91 / 620
    assert Decimal(doge["toBNB"]) == Decimal(doge["toBNBOffExchange"]) + Decimal(doge["exchange"])


def test_a_conversion_takes_all_that_is_free_and_pays_the_preview(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    preview = {each["asset"]: each for each in client.sapiPostAssetDustBtc({})["details"]}
    done = client.sapiPostAssetDust({"asset": ["DOGE", "ADA"]})
    assert [each["fromAsset"] for each in done["transferResult"]] == ["DOGE", "ADA"]
    paid = sum(Decimal(preview[asset]["toBNBOffExchange"]) for asset in ("DOGE", "ADA"))
    assert Decimal(done["totalTransfered"]) == paid
    assert exchange.balance("DOGE")["free"] == exchange.balance("ADA")["free"] == "0"
    assert Decimal(exchange.balance("BNB")["free"]) == Decimal("0.02") + paid
    history = client.sapiGetAssetDribblet()
    assert len(history["userAssetDribblets"][0]["userAssetDribbletDetails"]) == 2
    assert_explained(exchange.ledger(), MARKETS)


def test_locked_balances_are_not_converted(exchange: SandboxProcess, raw: Raw) -> None:
    raw.limit("DOGEUSDT", "SELL", "3", "0.30")
    raw.call("POST", "/sapi/v1/asset/dust", asset="DOGE")
    assert exchange.balance("DOGE") == {"free": "0", "locked": "3"}


def test_a_second_conversion_waits_six_hours(exchange: SandboxProcess, raw: Raw) -> None:
    assert raw.call("POST", "/sapi/v1/asset/dust", asset="DOGE").status == 200
    assert raw.call("POST", DUST, asset="ADA").data["code"] == -5006
    # Both calls share the waiting time.
    assert raw.call("POST", NEWER, asset="ADA", targetAsset="BNB").data["code"] == -5006
    exchange.control("POST", "clock", {"skew_ms": SIX_HOURS_MS})
    now_ms = exchange.control("GET", "health")["now_ms"]
    late = raw.call("POST", "/sapi/v1/asset/dust", asset="ADA", timestamp=now_ms)
    assert late.status == 200
    listed = raw.call("GET", "/sapi/v1/asset/dribblet", timestamp=now_ms).data
    assert [assets(batch) for batch in listed["userAssetDribblets"]] == [["ADA"], ["DOGE"]]
    until = {"endTime": now_ms - SIX_HOURS_MS // 2, "timestamp": now_ms}
    first = raw.call("GET", "/sapi/v1/asset/dribblet", **until).data
    assert [assets(batch) for batch in first["userAssetDribblets"]] == [["DOGE"]]


def test_somebodys_own_conversion_uses_the_same_window_and_is_no_request(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "convert", {"assets": ["DOGE", "ADA"]})
    assert exchange.balance("DOGE")["free"] == exchange.balance("ADA")["free"] == "0"
    assert exchange.ledger()["requests"] == []
    assert raw.call("POST", DUST, asset="XRP").data["code"] == -5006
    listed = raw.call("GET", "/sapi/v1/asset/dribblet").data
    assert [assets(batch) for batch in listed["userAssetDribblets"]] == [["DOGE", "ADA"]]
    assert_explained(exchange.ledger(), MARKETS)


@pytest.mark.parametrize("path", [DUST, NEWER])
@pytest.mark.parametrize(
    ("asset", "code"),
    [("USDT", -5001), ("BNB", -5001), ("NOPE", -5001), ("LINK", -5003), ("ETH", -5004)],
)
def test_one_asset_that_cannot_be_converted_fails_the_batch(
    exchange: SandboxProcess, raw: Raw, path: str, asset: str, code: int
) -> None:
    exchange.control("POST", "markets", {"LINKUSDT": {"base": "LINK", "quote": "USDT"}})
    exchange.control("POST", "prices", {"LINKUSDT": "18"})
    exchange.control("POST", "balances", {"ETH": {"free": "1"}})
    answer = raw.call("POST", path, asset=f"DOGE,{asset}", targetAsset="BNB")
    assert answer.data["code"] == code
    assert exchange.balance("DOGE")["free"] == "5"
    assert exchange.ledger()["conversions"] == []


def test_an_asset_that_would_pay_nothing_is_listed_and_fails_the_batch(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    exchange.control("POST", "balances", {"SHIB": {"free": "0.1"}})
    details = {each["asset"]: each for each in client.sapiPostAssetDustBtc({})["details"]}
    assert details["SHIB"]["toBNBOffExchange"] == "0.00000000"
    assert raw.call("POST", DUST, asset="DOGE,SHIB").data["code"] == -5005
    assert exchange.balance("DOGE")["free"] == "5"


def test_what_does_not_trade_is_not_converted(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"status": "BREAK"}})
    assert "DOGE" not in {each["asset"] for each in client.sapiPostAssetDustBtc({})["details"]}


def test_the_newer_call_offers_and_pays_the_same_and_keeps_the_clients_id(
    exchange: SandboxProcess, raw: Raw, client: ccxt.binance
) -> None:
    older = {each["asset"]: each for each in client.sapiPostAssetDustBtc({})["details"]}
    answer = raw.call("POST", NEWER_PREVIEW, targetAsset="BNB").data
    newer = {each["asset"]: each for each in answer["details"]}
    assert set(newer) == set(older)
    assert newer["DOGE"]["toTargetAssetAmount"] == older["DOGE"]["toBNB"]
    assert newer["DOGE"]["toTargetAssetOffExchange"] == older["DOGE"]["toBNBOffExchange"]
    done = raw.call("POST", NEWER, asset="DOGE", targetAsset="BNB", clientId="ours").data
    assert done["totalTransfered"] == older["DOGE"]["toBNBOffExchange"]
    (conversion,) = exchange.ledger()["conversions"]
    assert (conversion["from_asset"], conversion["client_id"]) == ("DOGE", "ours")
    (batch,) = raw.call("GET", "/sapi/v1/asset/dribblet").data["userAssetDribblets"]
    assert batch["userAssetDribbletDetails"][0]["targetAsset"] == "BNB"
    assert_explained(exchange.ledger(), MARKETS)


@pytest.mark.parametrize("path", [NEWER, NEWER_PREVIEW])
def test_the_newer_call_has_no_other_target(raw: Raw, path: str) -> None:
    assert raw.call("POST", path, asset="DOGE", targetAsset="USDC").data["code"] == -1100


def test_all_rows_of_a_batch_carry_its_one_id(raw: Raw) -> None:
    done = raw.call("POST", DUST, asset="DOGE,ADA").data
    assert len({each["tranId"] for each in done["transferResult"]}) == 1
    (batch,) = raw.call("GET", "/sapi/v1/asset/dribblet").data["userAssetDribblets"]
    numbers = {each["transId"] for each in batch["userAssetDribbletDetails"]}
    assert numbers == {batch["transId"]} == {done["transferResult"][0]["tranId"]}


def test_a_fault_can_let_the_answer_look_empty_although_it_was_converted(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.fault("empty_list", method="POST", path=DUST)
    answer = raw.call("POST", DUST, asset="DOGE")
    assert (answer.status, answer.data["transferResult"]) == (200, [])
    assert exchange.balance("DOGE")["free"] == "0"


def test_the_names_of_assets_can_be_asked(client: ccxt.binance) -> None:
    coins = {coin["coin"]: coin for coin in client.sapiGetCapitalConfigGetall()}
    assert coins["DOGE"]["name"] == "Dogecoin"
    assert coins["DOGE"]["free"] == "5.00000000"
