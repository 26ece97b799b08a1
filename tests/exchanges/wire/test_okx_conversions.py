"""OKX easy convert on the wire: documented bodies, checked signatures, unmodified ccxt."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
)
from tests.exchanges.responder import HTML, KEYS, Answer, OpenAt, Request, Responder

LIST = ("GET", "/api/v5/trade/easy-convert-currency-list")
CONVERT = ("POST", "/api/v5/trade/easy-convert")
HISTORY = ("GET", "/api/v5/trade/easy-convert-history")
NOW_MS = 1_661_419_684_000


def said(*rows: Any) -> dict[str, Any]:
    return {"code": "0", "data": list(rows), "msg": ""}


def instrument(base: str, quote: str = "USDT") -> dict[str, Any]:
    return {
        "instType": "SPOT",
        "instId": f"{base}-{quote}",
        "baseCcy": base,
        "quoteCcy": quote,
        "state": "live",
        "tickSz": "0.0001",
        "lotSz": "0.0001",
        "minSz": "1",
        "maxMktSz": "1000000",
        "maxLmtSz": "999999999",
        "lever": "",
        "ctVal": "",
        "listTime": "1548133413000",
    }


def ticker(base: str, bid: str) -> dict[str, Any]:
    return {
        "instType": "SPOT",
        "instId": f"{base}-USDT",
        "last": bid,
        "bidPx": bid,
        "askPx": bid,
        "ts": str(NOW_MS),
    }


def row(source: str, sold: str, got: str, *, status: str = "filled", **changes: Any) -> Any:
    """Return a row as the documentation of the answer shows it."""
    return {
        "fillFromSz": sold,
        "fillToSz": got,
        "fromCcy": source,
        "status": status,
        "toCcy": "USDT",
        "uTime": str(NOW_MS + 100),
    } | changes


def turned(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the documented example of the history shows it: the other way round."""
    return shown | {
        "fromCcy": shown["toCcy"],
        "toCcy": shown["fromCcy"],
        "fillFromSz": shown["fillToSz"],
        "fillToSz": shown["fillFromSz"],
        "acct": "18",
    }


ADA = row("ADA", "6.5807127", "3.04858615")
ACH = row("ACH", "120.5", "2.997")


@pytest.fixture
def port(responder: Responder, open_at: OpenAt) -> CcxtExchange:
    responder.answer("GET", "/api/v5/public/time", said({"ts": str(NOW_MS)}))
    responder.answer("GET", "/api/v5/asset/currencies", said())  # ccxt asks with its markets
    markets = said(instrument("ADA"), instrument("ACH"), instrument("OKB", "BTC"))
    responder.answer("GET", "/api/v5/public/instruments", markets)
    tickers = said(ticker("ADA", "0.4633"), ticker("ACH", "0.025"))
    responder.answer("GET", "/api/v5/market/tickers", tickers)
    return open_at("okx")


def batch(*assets: str) -> ConversionRequest:
    return ConversionRequest(
        assets=assets or ("ADA", "ACH"),
        target="USDT",
        client_id="unused",
        reference="",
        signed_at_ms=NOW_MS,
    )


def convert(port: CcxtExchange, request: ConversionRequest) -> Any:
    return port.convert(request, may_leave=lambda: True)


def assert_signed(request: Request, *, at_ms: int | None = None) -> None:
    """Check the signature as OKX does: over time, method, path with query, and body."""
    moment = request.headers["ok-access-timestamp"]
    text = moment + request.method + request.target + request.body
    digest = hmac.new(KEYS["api_secret"].encode(), text.encode(), hashlib.sha256).digest()
    assert request.headers["ok-access-sign"] == base64.b64encode(digest).decode()
    assert request.headers["ok-access-key"] == KEYS["api_key"]
    assert request.headers["ok-access-passphrase"] == KEYS["passphrase"]
    if at_ms is not None:
        second, milliseconds = divmod(at_ms, 1000)
        dated = datetime.fromtimestamp(second, UTC) + timedelta(milliseconds=milliseconds)
        assert moment == dated.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- What can be converted ------------------------------------------------------------------


def listed(*held: tuple[str, str]) -> dict[str, Any]:
    rows = [{"fromAmt": amount, "fromCcy": name} for name, amount in held]
    return said({"fromData": rows, "toCcy": ["USDT", "BTC", "ETH", "OKB"]})


def test_the_list_is_reckoned_with_the_bids_of_the_exchanges_own_markets(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*LIST, listed(("ADA", "6.580712708344864"), ("OKB", "0.2"), ("USDT", "3")))
    quote = port.quote_conversion(())
    assert_signed(responder.only(*LIST))
    assert (quote.target, quote.reference) == ("USDT", "")
    assert set(quote.offers) == {"ADA", "OKB"}
    ada = quote.offers["ADA"]
    assert ada.quantity == Decimal("6.580712708344864")
    assert ada.gross == ada.net == Decimal("6.580712708344864") * Decimal("0.4633")
    assert quote.offers["OKB"].net == 0  # no market against the target


def test_only_named_assets_are_offered(port: CcxtExchange, responder: Responder) -> None:
    responder.answer(*LIST, listed(("ADA", "6.5"), ("ACH", "3")))
    assert set(port.quote_conversion(["ACH", "BTC"]).offers) == {"ACH"}


def test_an_account_with_nothing_small_is_offered_nothing(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*LIST, listed())
    assert port.quote_conversion(()).offers == {}


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        "",
        '{"code": "0", "data": [{"fromData": [{"from',
        said(),
        said({"fromData": []}),
        said({"fromData": [], "toCcy": ["BTC"]}),
        said({"fromData": [{"fromCcy": "ADA", "fromAmt": "some"}], "toCcy": ["USDT"]}),
        {"code": "0", "data": {}},
    ],
)
def test_a_list_that_makes_no_sense_is_none(
    port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*LIST, body)
    with pytest.raises(AnswerUnknown):
        port.quote_conversion(())


# --- The conversion -------------------------------------------------------------------------


def test_a_conversion_is_signed_with_its_stored_moment_and_says_what_was_meant(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*CONVERT, said(ADA, ACH))
    convert(port, replace(batch(), signed_at_ms=NOW_MS - 1234))
    sent = responder.only(*CONVERT)
    assert sent.params == {"fromCcy": ["ADA", "ACH"], "toCcy": "USDT"}
    assert_signed(sent, at_ms=NOW_MS - 1234)


def test_a_conversion_that_is_running_is_not_final(
    port: CcxtExchange, responder: Responder
) -> None:
    running = [item | {"status": "running"} for item in (ADA, ACH)]
    responder.answer(*CONVERT, said(*running))
    outcome = convert(port, batch())
    assert not outcome.is_final
    assert outcome.converted == outcome.refused == {}
    assert outcome.conversion_id == str(NOW_MS + 100)


def test_each_currency_is_decided_for_itself(port: CcxtExchange, responder: Responder) -> None:
    responder.answer(*CONVERT, said(ADA, ACH | {"status": "failed", "fillToSz": ""}))
    outcome = convert(port, batch())
    assert outcome.is_final
    assert set(outcome.refused) == {"ACH"}
    ada = outcome.converted["ADA"]
    assert (ada.quantity, ada.received) == (Decimal("6.5807127"), Decimal("3.04858615"))
    assert (ada.fee, ada.at_ms) == (Decimal(0), NOW_MS + 100)


def test_it_does_not_leave_when_our_last_check_says_no(
    port: CcxtExchange, responder: Responder
) -> None:
    with pytest.raises(NoLeave):
        port.convert(batch(), may_leave=lambda: False)
    assert responder.sent(*CONVERT) == []


@pytest.mark.parametrize(
    "body",
    [
        Answer(drop=True),
        Answer(status=502, body=HTML),
        HTML,
        "",
        '{"code": "0", "data": [{"fillFr',
        said(),
        said(ADA),
        said(ADA, ACH, ADA),
        said(ADA, ACH | {"toCcy": "BTC"}),
        said(ADA, ACH | {"status": "unheard of"}),
        said(ADA, ACH | {"uTime": "1"}),
        said(ADA, ACH | {"fillToSz": ""}),
        {"code": "59999", "data": [], "msg": "Something new."},
        {"code": "50004", "data": [], "msg": "Endpoint request timeout."},
    ],
)
def test_an_answer_that_makes_no_sense_is_unknown(
    port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*CONVERT, body)
    with pytest.raises(AnswerUnknown):
        convert(port, batch())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("50102", ClockRefused),  # Timestamp request expired
        ("50113", KeyRefused),  # Invalid signature
        ("50111", KeyRefused),  # Invalid OK-ACCESS-KEY
        ("50011", RateLimited),  # Too Many Requests
    ],
)
def test_refusals_keep_their_meaning(
    port: CcxtExchange, responder: Responder, code: str, kind: type[ExchangeError]
) -> None:
    responder.answer(*CONVERT, Answer(status=401, body={"code": code, "data": [], "msg": "No."}))
    with pytest.raises(kind):
        convert(port, batch())


# --- The history ----------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [lambda item: item | {"acct": "18"}, turned])
def test_a_lost_answer_is_found_in_the_history_whichever_way_round_it_is_told(
    port: CcxtExchange, responder: Responder, shown: Any
) -> None:
    responder.answer(*CONVERT, Answer(drop=True))
    with pytest.raises(AnswerUnknown):
        convert(port, batch())
    responder.answer(*HISTORY, said(shown(ADA), shown(ACH)))
    found = port.find_conversion(batch())
    asked = responder.only(*HISTORY)
    assert_signed(asked)
    assert asked.params == {"before": str(NOW_MS - 2001), "limit": "100"}
    assert found is not None
    assert found.is_final
    assert found.converted["ACH"].quantity == Decimal("120.5")
    assert found.converted["ACH"].received == Decimal("2.997")


def test_what_the_history_has_not_decided_yet_is_not_final(
    port: CcxtExchange, responder: Responder
) -> None:
    responder.answer(*HISTORY, said(ADA, ACH | {"status": "running"}))
    found = port.find_conversion(batch())
    assert found is not None
    assert (set(found.converted), found.refused, found.is_final) == ({"ADA"}, {}, False)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [ADA | {"fromCcy": "XRP"}],
        [ADA | {"toCcy": "BTC"}],
        [ADA | {"uTime": str(NOW_MS - 2000)}],
        [ADA | {"uTime": str(NOW_MS + 125_001)}],
    ],
)
def test_a_history_without_our_conversion_has_none(
    port: CcxtExchange, responder: Responder, rows: list[Any]
) -> None:
    responder.answer(*HISTORY, said(*rows))
    assert port.find_conversion(batch()) is None


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        '{"code": "0", "data": [{"fi',
        {"code": "0"},
        said(ADA, ADA),
        said(*[row("XRP", "1", "1", uTime=str(NOW_MS + number)) for number in range(100)]),
    ],
)
def test_a_history_that_can_not_be_relied_on_proves_nothing(
    port: CcxtExchange, responder: Responder, body: Any
) -> None:
    responder.answer(*HISTORY, body)
    with pytest.raises(AnswerUnknown):
        port.find_conversion(batch())


def test_the_rows_of_one_conversion_count_as_one(port: CcxtExchange, responder: Responder) -> None:
    later = str(NOW_MS + 9000)
    responder.answer(*HISTORY, said(ADA | {"uTime": later}, ACH, ADA))
    assert port.conversions_since(NOW_MS) == [NOW_MS + 100, NOW_MS + 9000]
    assert responder.only(*HISTORY).params["before"] == str(NOW_MS - 1)
