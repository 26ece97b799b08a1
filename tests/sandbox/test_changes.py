"""Changes ordered for a certain request: races between a look and an order, made exactly."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from tests.exchange_process import ControlError, SandboxProcess
from tests.sandbox.bookkeeping import assert_explained
from tests.sandbox.clients import Raw
from tests.sandbox.test_ledger import MARKETS

POOR = (400, -2010, "Account has insufficient balance for requested action.")
NOT_ALLOWED = (401, -2015, "Invalid API-key, IP, or permissions for action.")
LATE = (400, -1021, "Timestamp for this request is outside of the recvWindow.")
CLOSED = (400, -2010, "Market is closed.")
TOO_SMALL = (400, -1013, "Filter failure: NOTIONAL")
TOO_MANY = (429, -1015, "Too many new orders; current limit is 1 orders per 1 MINUTE.")

BOT = {"symbol": "DOGEUSDT", "side": "SELL", "quantity": "3"}
RACES: list[tuple[str, dict[str, Any], tuple[int, int, str]]] = [
    ("markets", {"DOGEUSDT": {"status": "HALT"}}, CLOSED),
    ("markets", {"DOGEUSDT": {"min_notional": "5"}}, TOO_SMALL),
    ("prices", {"DOGEUSDT": "0.001"}, TOO_SMALL),
    ("balances", {"DOGE": {"free": "4"}}, POOR),
    ("trade", BOT, POOR),
    ("open-order", BOT | {"price": "0.3"}, POOR),
    ("keys/revoke", {}, NOT_ALLOWED),
    ("permissions", {"enableSpotAndMarginTrading": False}, NOT_ALLOWED),
    ("clock", {"skew_ms": 30_000}, LATE),
]


def change(path: str, body: dict[str, Any], **more: object) -> dict[str, object]:
    return {"path": path, "body": body, **more}


@pytest.mark.parametrize(("path", "body", "refusal"), RACES)
def test_an_order_meets_what_changed_after_the_look_before_it(
    exchange: SandboxProcess,
    raw: Raw,
    path: str,
    body: dict[str, Any],
    refusal: tuple[int, int, str],
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"min_notional": "0.5"}})
    exchange.fault("change", first=[change(path, body)])
    assert raw.call("GET", "/api/v3/account").data["canTrade"]
    assert exchange.balance("DOGE")["free"] == "5"
    assert raw.sell("DOGEUSDT", "5").refusal == refusal
    ledger = exchange.ledger()
    assert [order["origin"] for order in ledger["orders"]] == ["bot"] * (
        BOT.items() <= body.items()
    )
    assert_explained(ledger, MARKETS)


@pytest.mark.parametrize(("path", "body", "refusal"), RACES)
def test_a_change_afterwards_leaves_its_request_alone_and_meets_the_next(
    exchange: SandboxProcess,
    raw: Raw,
    path: str,
    body: dict[str, Any],
    refusal: tuple[int, int, str],
) -> None:
    exchange.control("POST", "markets", {"DOGEUSDT": {"min_notional": "0.5"}})
    exchange.fault("change", method="GET", path="/api/v3/account", afterwards=[change(path, body)])
    seen = raw.call("GET", "/api/v3/account", omitZeroBalances="true").data["balances"]
    assert {"asset": "DOGE", "free": "5.00000000", "locked": "0.00000000"} in seen
    assert raw.sell("DOGEUSDT", "5").refusal == refusal


def test_a_price_may_jump_between_the_look_and_the_order(
    exchange: SandboxProcess, client: ccxt.binance
) -> None:
    exchange.fault("change", first=[change("prices", {"DOGEUSDT": "0.5"})])
    seen = client.fetch_bids_asks(["DOGE/USDT"])["DOGE/USDT"]["bid"]
    order = client.create_order("DOGE/USDT", "market", "sell", "5")
    assert (seen, order["average"]) == ("0.18196000", "0.4999")


def test_the_limits_may_change_at_a_request(exchange: SandboxProcess, raw: Raw) -> None:
    narrow = {"orders": [{"limit": 1, "interval_seconds": 60}]}
    exchange.fault("change", first=[change("limits", narrow)])
    assert [raw.sell("DOGEUSDT", "1").status for _ in range(2)] == [200, 429]
    assert raw.sell("DOGEUSDT", "1").refusal == TOO_MANY


def test_changes_happen_at_the_request_that_was_counted_to(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.fault("change", after_count=2, times=1, first=[change("prices", {"DOGEUSDT": "0.5"})])
    prices = [raw.sell("DOGEUSDT", "1").data["fills"][0]["price"] for _ in range(4)]
    assert prices == ["0.18196000"] * 2 + ["0.49990000"] * 2


def test_several_changes_are_made_in_order_around_a_fault(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.fault(
        "drop_after",
        first=[change("prices", {"DOGEUSDT": "0.5"}), change("trade", BOT)],
        afterwards=[change("prices", {"DOGEUSDT": "0.6"}), change("keys/revoke", {})],
    )
    with pytest.raises(OSError, match=r"without response|reset|closed"):
        raw.sell("DOGEUSDT", "2", newClientOrderId="lost")
    ledger = exchange.ledger()
    sold = [(order["origin"], order["filled_quote"]) for order in ledger["orders"]]
    assert sold == [("bot", "1.4997"), ("api", "0.9998")]
    assert raw.call("GET", "/api/v3/account").refusal == NOT_ALLOWED
    assert raw.public("/api/v3/ticker/24hr?symbol=DOGEUSDT").data["lastPrice"] == "0.60000000"


def test_a_change_is_about_the_account_of_its_key(exchange: SandboxProcess, raw: Raw) -> None:
    keys = exchange.control("POST", "accounts", {"name": "other"})
    revoked = change("keys/revoke", {}, key=keys["api_key"])
    exchange.fault("change", first=[revoked])
    assert raw.sell("DOGEUSDT", "5").status == 200
    assert Raw(exchange, keys).sell("DOGEUSDT", "5").refusal == NOT_ALLOWED


def test_every_change_is_in_the_ledger_with_its_moment_and_its_fault(
    exchange: SandboxProcess, raw: Raw
) -> None:
    exchange.control("POST", "prices", {"DOGEUSDT": "0.2"})
    number = exchange.fault("change", first=[change("prices", {"DOGEUSDT": "0.5"})])
    raw.sell("DOGEUSDT", "5")
    asked, faulty = exchange.ledger()["changes"]
    assert (asked["path"], asked["body"], asked["fault_id"]) == (
        "prices",
        {"DOGEUSDT": "0.2"},
        None,
    )
    assert (faulty["body"], faulty["fault_id"]) == ({"DOGEUSDT": "0.5"}, number)
    (request,) = exchange.ledger()["requests"]
    assert asked["wall_us"] < faulty["wall_us"] <= request["wall_us"]


def test_a_change_that_cannot_be_made_is_told_and_undone_and_the_request_goes_on() -> None:
    with SandboxProcess("seed8") as exchange:
        raw = Raw(exchange)
        half = {"DOGEUSDT": "9", "NOPEUSDT": "1"}
        exchange.fault("change", first=[change("prices", half), change("trade", BOT)])
        assert raw.sell("DOGEUSDT", "2").data["fills"][0]["price"] == "0.18196000"
        ledger = exchange.ledger()
        assert [order["origin"] for order in ledger["orders"]] == ["bot", "api"]
        assert [each["path"] for each in ledger["changes"]] == ["trade"]
        (fault,) = exchange.control("GET", "faults")["faults"]
        assert fault["refused"] == "prices: unknown symbol 'NOPEUSDT'"
        assert exchange.stop() == (
            f"sandbox: fault {fault['id']} could not change prices: unknown symbol 'NOPEUSDT'\n"
        )


@pytest.mark.parametrize(
    ("ordered", "said"),
    [
        ({"path": "reset"}, "must be a list"),
        ([{"path": "reset"}], "unknown path 'reset'"),
        ([{"body": {}}], "unknown path None"),
        ([{"path": "prices", "body": []}], "body must be an object"),
        ([{"path": "prices", "key": 7}], "key must be a string"),
        ([{"path": "prices", "when": "now"}], "unknown field 'when'"),
    ],
)
def test_a_wrong_list_of_changes_is_refused_with_a_sentence(
    exchange: SandboxProcess, ordered: object, said: str
) -> None:
    for name in ("first", "afterwards"):
        with pytest.raises(ControlError, match=said):
            exchange.fault("change", **{name: ordered})


def test_another_account_may_start_with_what_the_scenario_holds(exchange: SandboxProcess) -> None:
    keys = exchange.control("POST", "accounts", {"name": "twin"})
    ledger = exchange.ledger()
    first, twin = exchange.credentials()["api_key"], keys["api_key"]
    assert ledger["balances"][twin] == ledger["balances"][first] != {}
    assert ledger["initial_balances"][twin] == ledger["initial_balances"][first]
