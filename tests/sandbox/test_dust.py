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
    assert raw.call("POST", "/sapi/v1/asset/dust", asset="ADA").data["code"] == 32110
    exchange.control("POST", "clock", {"skew_ms": SIX_HOURS_MS})
    now_ms = exchange.control("GET", "health")["now_ms"]
    late = raw.call("POST", "/sapi/v1/asset/dust", asset="ADA", timestamp=now_ms)
    assert late.status == 200
    listed = raw.call("GET", "/sapi/v1/asset/dribblet", timestamp=now_ms).data
    assert [assets(batch) for batch in listed["userAssetDribblets"]] == [["ADA"], ["DOGE"]]
    until = {"endTime": now_ms - SIX_HOURS_MS // 2, "timestamp": now_ms}
    first = raw.call("GET", "/sapi/v1/asset/dribblet", **until).data
    assert [assets(batch) for batch in first["userAssetDribblets"]] == [["DOGE"]]


@pytest.mark.parametrize("asset", ["USDT", "BNB", "NOPE"])
def test_one_asset_that_cannot_be_converted_fails_the_batch(
    exchange: SandboxProcess, raw: Raw, asset: str
) -> None:
    answer = raw.call("POST", "/sapi/v1/asset/dust", asset=f"DOGE,{asset}")
    assert answer.data["code"] == 32103
    assert exchange.balance("DOGE")["free"] == "5"


def test_the_names_of_assets_can_be_asked(client: ccxt.binance) -> None:
    coins = {coin["coin"]: coin for coin in client.sapiGetCapitalConfigGetall()}
    assert coins["DOGE"]["name"] == "Dogecoin"
    assert coins["DOGE"]["free"] == "5.00000000"
