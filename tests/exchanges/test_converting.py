"""Converting small balances at Binance: on the wire, in its answers, and in its history."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import (
    AnswerUnknown,
    ClockRefused,
    ConversionRequest,
    ExchangeError,
    KeyRefused,
    NoLeave,
    RateLimited,
    RequestRefused,
    WindowClosed,
)
from tests.exchange_process import SandboxProcess
from tests.exchanges.conftest import Open
from tests.trading import new_id

DUST = {"method": "POST", "path": "/sapi/v1/asset/dust"}
PREVIEW = {"method": "POST", "path": "/sapi/v1/asset/dust-btc"}
HISTORY = {"method": "GET", "path": "/sapi/v1/asset/dribblet"}
NEWER = "/sapi/v1/asset/dust-convert/convert"
SIX_HOURS_MS = 6 * 3600 * 1000


def batch(port: CcxtExchange, *assets: str, reference: str = "") -> ConversionRequest:
    """Return a request to convert, signed now."""
    return ConversionRequest(
        assets=assets or ("DOGE", "ADA"),
        target="BNB",
        client_id=new_id(),
        reference=reference,
        signed_at_ms=port.now_ms(),
    )


def convert(port: CcxtExchange, request: ConversionRequest) -> Any:
    return port.convert(request, may_leave=lambda: True)


def posted(exchange: SandboxProcess, path: str = DUST["path"]) -> list[dict[str, Any]]:
    return [item["params"] for item in exchange.ledger()["requests"] if item["path"] == path]


# --- The preview ----------------------------------------------------------------------------


def test_the_preview_tells_the_exchanges_own_figures(port: CcxtExchange) -> None:
    quote = port.quote_conversion(())
    assert (quote.target, quote.reference, quote.valid_until_ms) == ("BNB", "", None)
    assert set(quote.offers) == {"SOL", "DOGE", "XRP", "ADA", "ONE", "SHIB", "PEPE"}
    doge = quote.offers["DOGE"]
    assert (doge.quantity, doge.gross) == (Decimal(5), Decimal("0.00146774"))
    assert (doge.fee, doge.net) == (Decimal("0.00002935"), Decimal("0.00143839"))


def test_the_preview_of_named_assets_leaves_out_the_others_and_converts_nothing(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    assert set(port.quote_conversion(["DOGE", "BTC"]).offers) == {"DOGE"}
    assert exchange.ledger()["conversions"] == []


def test_an_asset_that_would_pay_nothing_is_offered_for_nothing(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.control("POST", "balances", {"SHIB": {"free": "0.1"}})
    assert port.quote_conversion(["SHIB"]).offers["SHIB"].net == 0


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "",
        "[]",
        "{}",
        '{"details": {}}',
        '{"details": [7]}',
        '{"details": [{"asset": "DOGE", "amountFree": "5", "toBNB": "1"}]}',
        '{"details": [{"asset": "DOGE", "amountFree": "5", "toBNB": "1", "exchange": "-1",'
        ' "toBNBOffExchange": "1"}]}',
        '{"details": [{"asset": null, "amountFree": "5"}]}',
    ],
)
def test_a_preview_that_makes_no_sense_is_no_preview(
    port: CcxtExchange, exchange: SandboxProcess, body: str
) -> None:
    exchange.fault("garbage_before", body=body, **PREVIEW)
    with pytest.raises(AnswerUnknown):
        port.quote_conversion(())


# --- The request ----------------------------------------------------------------------------


def test_a_conversion_says_exactly_what_was_meant(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = replace(batch(port), signed_at_ms=port.now_ms() - 1234)
    convert(port, request)
    (sent,) = posted(exchange)
    assert sent == {
        "asset": "DOGE,ADA",
        "timestamp": str(request.signed_at_ms),
        "recvWindow": "5000",
    }


def test_a_conversion_carries_what_became_of_each_asset(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    offers = port.quote_conversion(["DOGE", "ADA"]).offers
    outcome = convert(port, batch(port))
    assert outcome.is_final
    assert outcome.refused == {}
    for row in exchange.ledger()["conversions"]:
        item, offer = outcome.converted[row["from_asset"]], offers[row["from_asset"]]
        assert (item.quantity, item.received, item.fee) == (offer.quantity, offer.net, offer.fee)
        assert (item.quantity, item.received) == (
            Decimal(row["amount"]),
            Decimal(row["transferred"]),
        )
        assert item.at_ms == row["at_ms"]
        assert item.transfer_id == outcome.conversion_id == str(row["batch_id"])


def test_more_than_was_previewed_is_told_as_it_was_converted(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    """The call takes names and converts all that is free when it is processed."""
    port.quote_conversion(["DOGE"])
    grown = {"path": "balances", "body": {"DOGE": {"free": "7"}}}
    exchange.fault("change", first=[grown], **DUST)
    assert convert(port, batch(port, "DOGE")).converted["DOGE"].quantity == Decimal(7)


def test_it_does_not_leave_when_our_last_check_says_no(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    with pytest.raises(NoLeave):
        port.convert(batch(port), may_leave=lambda: False)
    assert posted(exchange) == []


def test_a_conversion_signed_too_long_ago_is_refused_by_the_exchange_itself(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    late = replace(batch(port), signed_at_ms=port.now_ms() - 5_500)
    with pytest.raises(ClockRefused):
        convert(port, late)
    assert exchange.ledger()["conversions"] == []


def test_all_that_pays_anything_leaves_in_one_batch(
    open_port: Open,
) -> None:
    """Of forty positions none could be sold alone: the exchange's minimum is $5."""
    with SandboxProcess("minimums") as crowd:
        port = open_port(keys=crowd.credentials(), base_url=crowd.base_url)
        quote = port.quote_conversion(())
        assert len(quote.offers) > 30
        assert not {"NFTY", "FTT", "LDDOGE", "BNB"} & set(quote.offers)
        meant = sorted(asset for asset, offer in quote.offers.items() if offer.net > 0)
        before = Decimal(crowd.balance("BNB")["free"])
        outcome = convert(port, batch(port, *meant))
        assert sorted(outcome.converted) == meant
        assert all(crowd.balance(asset)["free"] == "0" for asset in meant)
        received = sum(item.received for item in outcome.converted.values())
        assert Decimal(crowd.balance("BNB")["free"]) == before + received
        assert received == sum(quote.offers[asset].net for asset in meant)


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asset", "code"), [("BNB", "-5001"), ("NOPE", "-5001"), ("SHIB", "-5005")]
)
def test_one_asset_that_can_not_be_converted_refuses_the_whole_batch(
    port: CcxtExchange, exchange: SandboxProcess, asset: str, code: str
) -> None:
    exchange.control("POST", "balances", {"SHIB": {"free": "0.1"}})
    with pytest.raises(RequestRefused) as refused:
        convert(port, batch(port, "DOGE", asset))
    assert type(refused.value) is RequestRefused
    assert refused.value.answer_code == code
    assert exchange.ledger()["conversions"] == []


def test_a_second_conversion_within_six_hours_finds_the_window_closed(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    convert(port, batch(port, "DOGE"))
    with pytest.raises(WindowClosed) as refused:
        convert(port, batch(port, "ADA"))
    assert (refused.value.code, refused.value.answer_code) == ("CONVERT_WINDOW_CLOSED", "-5006")
    assert len(exchange.ledger()["conversions"]) == 1


@pytest.mark.parametrize("code", [-5006, 32110])
def test_both_codes_for_the_waiting_time_close_the_window(
    port: CcxtExchange, exchange: SandboxProcess, code: int
) -> None:
    exchange.fault("error", code=code, msg="Wait.", **DUST)
    with pytest.raises(WindowClosed):
        convert(port, batch(port))


@pytest.mark.parametrize("code", [-5001, -5002, -5003, -5004, -5005, -5007, -5008, -5009, -5013])
def test_what_certainly_converted_nothing_is_a_refusal_in_the_exchanges_words(
    port: CcxtExchange, exchange: SandboxProcess, code: int
) -> None:
    exchange.fault("error", code=code, msg="Not this one.", **DUST)
    with pytest.raises(RequestRefused, match="Not this one"):
        convert(port, batch(port))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [(-2015, 401, KeyRefused), (-1003, 429, RateLimited), (-1021, 400, ClockRefused)],
)
def test_other_refusals_keep_their_meaning(
    port: CcxtExchange, exchange: SandboxProcess, code: int, status: int, kind: type[ExchangeError]
) -> None:
    exchange.fault("error", code=code, msg="No.", status=status, **DUST)
    with pytest.raises(kind):
        convert(port, batch(port))


# --- Answers that make no sense -------------------------------------------------------------


def results(*rows: Any) -> str:
    return json.dumps({"totalTransfered": "1", "transferResult": list(rows)})


def row(asset: str, **changes: Any) -> dict[str, Any]:
    known = {
        "tranId": 7,
        "fromAsset": asset,
        "amount": "5",
        "serviceChargeAmount": "0.1",
        "transferedAmount": "4.9",
    }
    return known | changes


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("drop_before", {}),
        ("drop_after", {}),
        ("status_before", {"status": 502}),
        ("status_after", {"status": 500}),
        ("garbage_before", {}),
        ("garbage_after", {}),
        ("cut_json_after", {}),
        ("empty_list", {}),
        ("error", {"code": -1007, "status": 408}),
        ("error", {"code": -5010}),
        ("error", {"code": -5012}),
        ("error", {"code": -9000}),
        *[
            ("garbage_before", {"body": body})
            for body in ("", "null", "[]", "{}", '{"transferResult": {}}', results())
        ],
    ],
)
def test_an_answer_that_makes_no_sense_is_unknown(
    port: CcxtExchange, exchange: SandboxProcess, kind: str, spec: dict[str, Any]
) -> None:
    exchange.fault(kind, **DUST, **spec)
    with pytest.raises(AnswerUnknown):
        convert(port, batch(port))


@pytest.mark.parametrize(
    "rows",
    [
        [row("DOGE")],  # ADA is missing
        [row("DOGE"), row("ADA"), row("SHIB")],
        [row("DOGE"), row("DOGE"), row("ADA")],
        [row("DOGE"), row("ADA", amount="lots")],
        [row("DOGE"), row("ADA", transferedAmount=None)],
        [row("DOGE"), row("ADA", serviceChargeAmount="-1")],
        [row("DOGE"), row("ADA", operateTime="soon")],
        [row("DOGE"), row("ADA", operateTime=1)],
    ],
)
def test_results_that_are_not_of_our_batch_are_unknown(
    port: CcxtExchange, exchange: SandboxProcess, rows: list[dict[str, Any]]
) -> None:
    request = batch(port)
    dated = [{"operateTime": request.signed_at_ms} | item for item in rows]
    exchange.fault("garbage_before", body=results(*dated), **DUST)
    with pytest.raises(AnswerUnknown):
        convert(port, request)


def test_results_of_our_batch_are_believed(port: CcxtExchange, exchange: SandboxProcess) -> None:
    request = batch(port)
    dated = [row(asset, operateTime=request.signed_at_ms) for asset in request.assets]
    exchange.fault("garbage_before", body=results(*dated), **DUST)
    assert set(convert(port, request).converted) == set(request.assets)


# --- The history ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_after", "empty_list", "garbage_after", "cut_json_after"])
def test_a_conversion_whose_answer_was_lost_is_found_with_all_its_amounts(
    port: CcxtExchange, exchange: SandboxProcess, kind: str
) -> None:
    offers = port.quote_conversion(["DOGE", "ADA"]).offers
    exchange.fault(kind, **DUST)
    request = batch(port)
    with pytest.raises(AnswerUnknown):
        convert(port, request)
    found = port.find_conversion(request)
    assert found is not None
    assert found.is_final
    assert {asset: item.received for asset, item in found.converted.items()} == {
        asset: offer.net for asset, offer in offers.items()
    }


def test_the_history_says_the_same_as_the_answer(port: CcxtExchange) -> None:
    request = batch(port)
    assert convert(port, request) == port.find_conversion(request)


def test_a_conversion_that_was_not_made_is_not_found(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    exchange.fault("drop_before", **DUST)
    request = batch(port)
    with pytest.raises(AnswerUnknown):
        convert(port, request)
    assert port.find_conversion(request) is None


def test_somebody_elses_conversion_of_other_assets_is_not_ours(port: CcxtExchange) -> None:
    convert(port, batch(port, "SHIB", "DOGE"))
    assert port.find_conversion(batch(port, "XRP", "ADA")) is None


def test_a_conversion_of_ours_and_more_is_neither_ours_nor_an_absence(port: CcxtExchange) -> None:
    convert(port, batch(port, "SHIB", "DOGE"))
    with pytest.raises(AnswerUnknown, match="in a conversion of more"):
        port.find_conversion(batch(port, "DOGE", "ADA"))


@pytest.mark.parametrize(
    ("later_ms", "is_ours"), [(1_999, True), (2_000, False), (-35_000, True), (-35_001, False)]
)
def test_only_a_conversion_of_its_time_is_the_requests_own(
    port: CcxtExchange, later_ms: int, is_ours: bool
) -> None:
    """Two seconds before: a clock ahead and whole seconds; after: 5 s validity and the margin."""
    request = batch(port)
    made = next(iter(convert(port, request).converted.values())).at_ms
    found = port.find_conversion(replace(request, signed_at_ms=made + later_ms))
    assert (found is not None) is is_ours


def history(request: ConversionRequest, *batches: list[dict[str, Any]], **changes: Any) -> str:
    return json.dumps(
        {
            "total": len(batches),
            "userAssetDribblets": [
                {
                    "operateTime": request.signed_at_ms,
                    "transId": 9,
                    "userAssetDribbletDetails": [
                        row(item["fromAsset"], operateTime=request.signed_at_ms, transId=9)
                        | {"targetAsset": "BNB"}
                        | changes
                        for item in rows
                    ],
                }
                for rows in batches
            ],
        }
    )


def test_what_the_history_has_without_an_asset_was_converted_without_it(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = batch(port)
    exchange.fault("garbage_before", body=history(request, [row("DOGE")]), **HISTORY)
    found = port.find_conversion(request)
    assert found is not None
    assert (set(found.converted), set(found.refused), found.is_final) == ({"DOGE"}, {"ADA"}, True)


def test_a_conversion_into_another_target_is_not_ours(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = batch(port, "DOGE")
    body = history(request, [row("DOGE")], targetAsset="USDC")
    exchange.fault("garbage_before", body=body, **HISTORY)
    assert port.find_conversion(request) is None


def test_a_history_that_names_no_target_is_of_the_time_when_there_was_one(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = batch(port, "DOGE")
    body = history(request, [row("DOGE")]).replace(', "targetAsset": "BNB"', "")
    exchange.fault("garbage_before", body=body, **HISTORY)
    assert port.find_conversion(request) is not None


def test_two_conversions_that_could_be_ours_prove_nothing(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    request = batch(port, "DOGE")
    body = history(request, [row("DOGE")], [row("DOGE")])
    exchange.fault("garbage_before", body=body, **HISTORY)
    with pytest.raises(AnswerUnknown, match="two conversions"):
        port.find_conversion(request)


@pytest.mark.parametrize(("listed", "is_sure"), [(99, True), (100, False)])
def test_a_history_that_may_be_cut_off_proves_nothing(
    port: CcxtExchange, exchange: SandboxProcess, listed: int, is_sure: bool
) -> None:
    request = batch(port, "DOGE")
    others = [row(f"X{number}") for number in range(listed)]
    exchange.fault("garbage_before", body=history(request, others), **HISTORY)
    if is_sure:
        assert port.find_conversion(request) is None
    else:
        with pytest.raises(AnswerUnknown, match="too many"):
            port.find_conversion(request)


@pytest.mark.parametrize("kind", ["garbage_before", "cut_json_after", "drop_after"])
def test_a_spoiled_history_proves_nothing(
    port: CcxtExchange, exchange: SandboxProcess, kind: str
) -> None:
    request = batch(port)
    convert(port, request)
    exchange.fault(kind, **HISTORY)
    with pytest.raises(AnswerUnknown):
        port.find_conversion(request)


def test_all_conversions_of_the_account_are_listed_whoever_made_them(
    port: CcxtExchange, open_port: Open, exchange: SandboxProcess
) -> None:
    before = port.now_ms()
    assert port.conversions_since(before - SIX_HOURS_MS) == []
    first = convert(port, batch(port, "DOGE"))
    exchange.control("POST", "clock", {"skew_ms": SIX_HOURS_MS})
    other = open_port()  # as a person on the site would
    other.server_time_ms()
    second = convert(other, batch(other, "ADA"))
    moments = [next(iter(item.converted.values())).at_ms for item in (first, second)]
    assert other.conversions_since(before - SIX_HOURS_MS) == moments
    assert other.conversions_since(moments[0] + 1) == moments[1:]


# --- The newer call -------------------------------------------------------------------------


def test_the_newer_call_is_used_where_the_exchange_does_not_know_the_older_one(
    port: CcxtExchange, exchange: SandboxProcess
) -> None:
    known = port.quote_conversion(["DOGE"]).offers
    exchange.fault("status_before", status=404, **PREVIEW)
    quote = port.quote_conversion(["DOGE"])
    assert (quote.offers, quote.reference) == (known, "dust-convert")
    request = batch(port, "DOGE", reference=quote.reference)
    outcome = convert(port, request)
    (sent,) = posted(exchange, NEWER)
    assert sent == {
        "asset": "DOGE",
        "targetAsset": "BNB",
        "clientId": request.client_id,
        "timestamp": str(request.signed_at_ms),
        "recvWindow": "5000",
    }
    assert posted(exchange) == []
    assert outcome == port.find_conversion(request)
    assert exchange.ledger()["conversions"][0]["client_id"] == request.client_id


def test_the_newer_call_is_never_proved_absent(port: CcxtExchange) -> None:
    with pytest.raises(AnswerUnknown, match="does not say whether its history lists this call"):
        port.find_conversion(batch(port, "DOGE", reference="dust-convert"))


@pytest.mark.parametrize("status", [403, 500, 502])
def test_an_exchange_that_stumbles_is_not_asked_by_the_newer_call(
    port: CcxtExchange, exchange: SandboxProcess, status: int
) -> None:
    exchange.fault("status_before", status=status, **PREVIEW)
    with pytest.raises(AnswerUnknown):
        port.quote_conversion(["DOGE"])
    assert exchange.ledger()["requests"][-1]["path"] == PREVIEW["path"]


# --- Elsewhere ------------------------------------------------------------------------------


def test_where_no_rule_is_known_nothing_is_converted(
    open_port: Open, exchange: SandboxProcess
) -> None:
    elsewhere = open_port(exchange="kraken")
    assert elsewhere.conversion_rule is None
    for ask in (
        lambda: elsewhere.quote_conversion(()),
        lambda: elsewhere.conversions_since(0),
    ):
        with pytest.raises(RequestRefused):
            ask()
    assert exchange.ledger()["requests"] == []


def test_test_networks_convert_nothing(open_port: Open) -> None:
    assert open_port().conversion_rule is not None
    assert open_port(environment="testnet", base_url="").conversion_rule is None
