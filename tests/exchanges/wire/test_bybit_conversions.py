"""Bybit's small balances on the wire: documented bodies, checked signatures, unmodified ccxt."""

from __future__ import annotations

import hashlib
import hmac
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
)
from tests.exchanges.responder import HTML, KEYS, Answer, OpenAt, Request, Responder

LIST = ("GET", "/v5/asset/covert/small-balance-list")
QUOTE = ("POST", "/v5/asset/covert/get-quote")
EXECUTE = ("POST", "/v5/asset/covert/small-balance-execute")
HISTORY = ("GET", "/v5/asset/covert/small-balance-history")
NOW_MS = 1_766_128_195_000
QUOTE_ID = "1010075157602517596339322880"
NO_TAX = {"totalAmount": "0", "feeCoin": "", "taxFeeItems": []}


def said(result: Any, **changes: Any) -> dict[str, Any]:
    known = {"retCode": 0, "retMsg": "ok", "result": result, "retExtInfo": {}, "time": NOW_MS}
    return known | changes


def instrument(base: str) -> dict[str, Any]:
    return {
        "symbol": f"{base}USDT",
        "baseCoin": base,
        "quoteCoin": "USDT",
        "status": "Trading",
        "lotSizeFilter": {
            "basePrecision": "0.000001",
            "quotePrecision": "0.00000001",
            "minOrderQty": "0.000048",
            "maxOrderQty": "71.73",
            "minOrderAmt": "1",
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": "0.01"},
    }


@pytest.fixture
def port(responder: Responder, open_at: OpenAt) -> CcxtExchange:
    responder.answer("GET", "/v5/market/time", said({}, time=str(NOW_MS)))
    # ccxt asks for coins with its markets.
    responder.answer("GET", "/v5/asset/coin/query-info", said({"rows": []}))
    markets = {"category": "spot", "list": [instrument("SOL"), instrument("XRP")]}
    responder.answer("GET", "/v5/market/instruments-info", said(markets))
    return open_at("bybit")


def assert_signed(request: Request, *, at_ms: int | None = None) -> None:
    """Check the signature as Bybit does: over time, key, validity, and query or body."""
    moment, window = request.headers["x-bapi-timestamp"], request.headers["x-bapi-recv-window"]
    text = moment + KEYS["api_key"] + window + (request.body or request.query)
    digest = hmac.new(KEYS["api_secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    assert request.headers["x-bapi-sign"] == digest
    assert request.headers["x-bapi-api-key"] == KEYS["api_key"]
    assert window == "5000"
    if at_ms is not None:
        assert moment == str(at_ms)


# --- The list -------------------------------------------------------------------------------


def small(coin: str, value: str, **changes: Any) -> dict[str, Any]:
    return {
        "fromCoin": coin,
        "supportConvert": 1,
        "availableBalance": "0.0002",
        "baseValue": value,
        "toCoin": "",
        "toAmount": "",
        "exchangeRate": "",
        "feeInfo": None,
        "taxFeeInfo": None,
    } | changes


def listed(*coins: dict[str, Any]) -> dict[str, Any]:
    return said({"smallAssetCoins": list(coins), "supportToCoins": ["MNT", "USDT", "USDC"]})


def test_without_names_all_that_can_be_converted_is_listed_at_bybits_value(
    port: CcxtExchange, responder: Responder
) -> None:
    held = (small("XRP", "0.5"), small("SOL", "1", supportConvert=2), small("USDT", "0.1"))
    responder.answer(*LIST, listed(*held))
    quote = port.quote_conversion(())
    asked = responder.only(*LIST)
    assert_signed(asked)
    assert asked.params == {"accountType": "eb_convert_uta"}
    assert (quote.target, quote.reference, quote.valid_until_ms) == ("USDT", "", None)
    assert set(quote.offers) == {"XRP"}
    xrp = quote.offers["XRP"]
    assert (xrp.gross, xrp.fee, xrp.net) == (Decimal("0.5"), Decimal("0.01"), Decimal("0.49"))


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        '{"retCode": 0, "result": {"smal',
        said({}),
        said({"smallAssetCoins": [], "supportToCoins": ["MNT"]}),
        listed(small("XRP", "")),
        listed(small("", "1")),
    ],
)
def test_a_list_that_makes_no_sense_is_none(
    port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*LIST, body)
    with pytest.raises(AnswerUnknown):
        port.quote_conversion(())


# --- The quote ------------------------------------------------------------------------------


def quoted(coin: str, **changes: Any) -> dict[str, Any]:
    """Return the documented coin of a quote: what arrives and the fee make the gross."""
    return {
        "fromCoin": coin,
        "supportConvert": 1,
        "availableBalance": "0.000003",
        "baseValue": "0.00036837",
        "toCoin": "USDT",
        "toAmount": "0.00035721396701649",
        "exchangeRate": "119.07132233883026",
        "feeInfo": {"feeCoin": "USDT", "amount": "0.00000729008095952", "feeRate": "0.02"},
        "taxFeeInfo": NO_TAX,
    } | changes


def quote_of(*coins: dict[str, Any], **changes: Any) -> dict[str, Any]:
    result = {
        "quoteCreateTime": str(NOW_MS),
        "quoteExpireTime": str(NOW_MS + 29_999),
        "exchangeCoins": list(coins),
        "totalFeeInfo": {"feeCoin": "USDT", "amount": "0.000014634298850576", "feeRate": "0.02"},
        "totalTaxFeeInfo": NO_TAX,
    }
    return said({"quoteId": QUOTE_ID, "result": result} | changes)


def test_named_assets_are_quoted_with_an_id_and_a_time(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*QUOTE, quote_of(quoted("SOL"), quoted("XRP")))
    quote = port.quote_conversion(("SOL", "XRP"))
    asked = responder.only(*QUOTE)
    assert_signed(asked)
    assert asked.params == {
        "accountType": "eb_convert_uta",
        "fromCoinList": ["SOL", "XRP"],
        "toCoin": "USDT",
    }
    assert (quote.reference, quote.valid_until_ms) == (QUOTE_ID, NOW_MS + 29_999)
    sol = quote.offers["SOL"]
    assert (sol.quantity, sol.net) == (Decimal("0.000003"), Decimal("0.00035721396701649"))
    assert sol.fee == Decimal("0.00000729008095952")
    assert sol.gross == Decimal("0.00036450404797601")


def test_a_tax_is_part_of_the_fee(port: CcxtExchange, responder: Responder) -> None:
    tax = NO_TAX | {"totalAmount": "0.00001", "feeCoin": "USDT"}
    responder.answer(*QUOTE, quote_of(quoted("SOL", taxFeeInfo=tax)))
    assert port.quote_conversion(["SOL"]).offers["SOL"].fee == Decimal("0.00001729008095952")


def test_what_bybit_does_not_support_is_not_offered(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*QUOTE, quote_of(quoted("SOL"), quoted("XRP", supportConvert=2)))
    assert set(port.quote_conversion(("SOL", "XRP")).offers) == {"SOL"}


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        said({}),
        said({"quoteId": QUOTE_ID}),
        quote_of(quoted("SOL"), quoteId=""),
        quote_of(quoted("DOGE")),
        quote_of(quoted("SOL", toCoin="MNT")),
        quote_of(quoted("SOL", toAmount="")),
        quote_of(quoted("SOL", feeInfo={"feeCoin": "MNT", "amount": "1"})),
        quote_of(quoted("SOL", feeInfo={})),
    ],
)
def test_a_quote_that_makes_no_sense_is_none(
    port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*QUOTE, body)
    with pytest.raises(AnswerUnknown):
        port.quote_conversion(["SOL"])


# --- The conversion -------------------------------------------------------------------------


def batch(*assets: str) -> ConversionRequest:
    return ConversionRequest(
        assets=assets or ("SOL", "XRP"),
        target="USDT",
        client_id="unused",
        reference=QUOTE_ID,
        signed_at_ms=NOW_MS,
    )


def convert(port: CcxtExchange, request: ConversionRequest) -> Any:
    return port.convert(request, may_leave=lambda: True)


@pytest.fixture
def quoted_port(port: CcxtExchange, responder: Responder) -> CcxtExchange:
    """Return a port that has a quote for the batch."""
    responder.answer(*QUOTE, quote_of(quoted("SOL"), quoted("XRP")))
    port.quote_conversion(("SOL", "XRP"))
    return port


def executed(**changes: Any) -> dict[str, Any]:
    return said(
        {
            "quoteId": QUOTE_ID,
            "exchangeTxId": QUOTE_ID,
            "submitTime": str(NOW_MS + 512),
            "status": "processing",
            "msg": "",
        }
        | changes
    )


@pytest.mark.parametrize("status", ["init", "processing", "success", "partial_fulfillment"])
def test_an_executed_quote_is_never_final_before_the_history_tells(
    quoted_port: CcxtExchange, responder: Responder, status: str
) -> None:
    responder.answer(*EXECUTE, executed(status=status))
    outcome = convert(quoted_port, replace(batch(), signed_at_ms=NOW_MS - 1234))
    sent = responder.only(*EXECUTE)
    assert json.loads(sent.body) == {"quoteId": QUOTE_ID}
    assert_signed(sent, at_ms=NOW_MS - 1234)
    assert (outcome.conversion_id, outcome.is_final) == (QUOTE_ID, False)
    assert outcome.converted == outcome.refused == {}


@pytest.mark.parametrize(
    "request_",
    [batch("SOL"), batch("SOL", "XRP", "ADA"), replace(batch(), reference="")],
)
def test_a_quote_of_other_assets_is_not_executed(
    quoted_port: CcxtExchange, responder: Responder, request_: ConversionRequest
) -> None:
    """What is executed is the quote: an asset that was dropped since would be converted too."""
    with pytest.raises(NoLeave):
        convert(quoted_port, request_)
    assert responder.sent(*EXECUTE) == []


def test_a_list_is_no_quote(port: CcxtExchange, responder: Responder) -> None:
    responder.answer(*LIST, listed(small("SOL", "1")))
    quote = port.quote_conversion(())
    with pytest.raises(NoLeave):
        convert(port, replace(batch("SOL"), reference=quote.reference))
    assert responder.sent(*EXECUTE) == []


def test_it_does_not_leave_when_our_last_check_says_no(
    quoted_port: CcxtExchange, responder: Responder
) -> None:
    with pytest.raises(NoLeave):
        quoted_port.convert(batch(), may_leave=lambda: False)
    assert responder.sent(*EXECUTE) == []


@pytest.mark.parametrize(
    "body",
    [
        Answer(drop=True),
        Answer(status=502, body=HTML),
        HTML,
        "",
        '{"retCode": 0, "result": {"quo',
        said(None),
        said({}),
        executed(quoteId="another"),
        executed(status="unheard of"),
        said({}, retCode=700009, retMsg="quoteTxId has already been used"),
        said({}, retCode=790000, retMsg="system error, please try again later"),
        said({}, retCode=10016, retMsg="Server error"),
        said({}, retCode=999999, retMsg="Something new."),
    ],
)
def test_an_answer_that_makes_no_sense_is_unknown(
    quoted_port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*EXECUTE, body)
    with pytest.raises(AnswerUnknown):
        convert(quoted_port, batch())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (700008, RequestRefused),  # the quote has lapsed
        (700005, RequestRefused),
        (32024, RequestRefused),
        (10002, ClockRefused),
        (10003, KeyRefused),
        (10005, KeyRefused),  # without the right "Convert"
        (10006, RateLimited),
    ],
)
def test_refusals_keep_their_meaning(
    quoted_port: CcxtExchange, responder: Responder, code: int, kind: type[ExchangeError]
) -> None:
    responder.answer(*EXECUTE, said({}, retCode=code, retMsg="Not now."))
    with pytest.raises(kind) as refused:
        convert(quoted_port, batch())
    assert type(refused.value) is kind
    assert refused.value.answer_code == str(code)


# --- The history ----------------------------------------------------------------------------


def part(coin: str, **changes: Any) -> dict[str, Any]:
    return {
        "fromCoin": coin,
        "fromAmount": "0.000003",
        "toCoin": "USDT",
        "toAmount": "0.000363439538230885",
        "feeCoin": "USDT",
        "feeAmount": "0.000007417133433283",
        "status": "success",
        "taxFeeInfo": NO_TAX,
    } | changes


def record(*parts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "accountType": "eb_convert_uta",
        "exchangeTxId": QUOTE_ID,
        "toCoin": "USDT",
        "toAmount": "0.000728325793503221",
        "subRecords": list(parts),
        "status": "success",
        "createdAt": str(NOW_MS),
        "exchangeSource": "small_asset_uta",
        "feeCoin": "USDT",
        "totalFeeAmount": "0.000014863791704147",
        "totalTaxFeeInfo": NO_TAX,
    } | changes


def history(*records: dict[str, Any], **changes: Any) -> dict[str, Any]:
    paging = {"cursor": "1", "size": "100", "lastPage": "1", "totalCount": str(len(records))}
    return said(paging | {"records": list(records)} | changes)


def test_a_lost_answer_is_found_by_the_quotes_id_with_all_its_amounts(
    quoted_port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*EXECUTE, Answer(drop=True))
    with pytest.raises(AnswerUnknown):
        convert(quoted_port, batch())
    responder.answer(*HISTORY, history(record(part("SOL"), part("XRP"))))
    found = quoted_port.find_conversion(batch())
    asked = responder.only(*HISTORY)
    assert_signed(asked)
    assert asked.params == {"quoteId": QUOTE_ID, "size": "100"}
    assert found is not None
    assert (found.is_final, found.refused, set(found.converted)) == (True, {}, {"SOL", "XRP"})
    sol = found.converted["SOL"]
    assert (sol.quantity, sol.received) == (Decimal("0.000003"), Decimal("0.000363439538230885"))
    assert (sol.fee, sol.at_ms) == (Decimal("0.000007417133433283"), NOW_MS)
    assert sol.transfer_id == found.conversion_id == QUOTE_ID


@pytest.mark.parametrize(
    ("parts", "status", "converted", "refused", "is_final"),
    [
        ([part("SOL"), part("XRP", status="failure")], "partial_fulfillment", "SOL", "XRP", True),
        ([part("SOL")], "partial_fulfillment", "SOL", "XRP", True),
        ([part("SOL"), part("XRP", status="processing")], "processing", "SOL", "", False),
        ([part("SOL"), part("XRP", status="processing")], "success", "SOL", "", False),
        ([part("SOL")], "processing", "SOL", "", False),
        ([], "init", "", "", False),
        ([], "failure", "", "SOL XRP", True),
        ([part("SOL", status="partial_fulfillment")], "success", "SOL", "XRP", True),
    ],
)
def test_each_coin_is_decided_for_itself(
    port: CcxtExchange,
    responder: Responder,
    parts: list[Any],
    status: str,
    converted: str,
    refused: str,
    is_final: bool,
) -> None:
    responder.answer(*HISTORY, history(record(*parts, status=status)))
    found = port.find_conversion(batch())
    assert found is not None
    assert set(found.converted) == set(converted.split())
    assert set(found.refused) == set(refused.split())
    assert found.is_final is is_final


def test_a_quote_that_was_not_executed_is_not_found(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*HISTORY, history())
    assert port.find_conversion(batch()) is None
    responder.answer(*HISTORY, history(record(part("SOL"), exchangeTxId="another")))
    assert port.find_conversion(batch()) is None


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        '{"retCode": 0, "result": {"cur',
        said({}),
        history(totalCount=""),
        history(record(part("SOL")), totalCount="2"),
        history(record(part("SOL")), record(part("SOL"))),
        history(record(part("DOGE"))),
        history(record(part("SOL"), part("SOL"))),
        history(record(part("SOL"), toCoin="MNT")),
        history(record(part("SOL", toCoin="MNT"))),
        history(record(part("SOL", feeCoin="MNT"))),
        history(record(part("SOL", status="unheard of"))),
        history(record(part("SOL"), status="unheard of")),
        history(record(part("SOL", fromAmount="some"))),
    ],
)
def test_a_history_that_can_not_be_relied_on_proves_nothing(
    port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*HISTORY, body)
    with pytest.raises(AnswerUnknown):
        port.find_conversion(batch())


def test_all_conversions_of_the_account_are_listed_whoever_made_them(
    port: CcxtExchange, responder: Responder
) -> None:
    older = record(part("XRP"), exchangeTxId="site", createdAt=str(NOW_MS - 9000))
    responder.answer(*HISTORY, history(record(part("SOL")), older))
    assert port.conversions_since(NOW_MS - 10_000) == [NOW_MS - 9000, NOW_MS]
    assert responder.only(*HISTORY).params == {"startTime": str(NOW_MS - 10_000), "size": "100"}
