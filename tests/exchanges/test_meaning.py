"""What an exception of ccxt means, where no sandbox can produce it."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import pytest
import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from positions.exchanges.outcomes import meaning, retry_after, scrubbed
from positions.exchanges.port import (
    AnswerUnknown,
    ClockRefused,
    ExchangeError,
    KeyRefused,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from positions.exchanges.profiles import BINANCE


def understood(error: BaseException, *, body: str = "", headers: object = None) -> ExchangeError:
    return meaning(error, profile=BINANCE, exchange="Binance", headers=headers, body=body)


def wrapped(
    surface: type[Exception], outer: type[Exception], reason: Exception | None
) -> Exception:
    """Return an exception as ccxt raises it: around requests', around urllib3's."""
    try:
        try:
            try:
                raise MaxRetryError(None, "/api/v3/order", reason)  # type: ignore[arg-type]
            except MaxRetryError as error:
                raise outer(error) from error
        except Exception as error:
            raise surface("binance POST https://api.binance.com/api/v3/order") from error
    except Exception as error:  # noqa: BLE001 - the one just raised
        return error


NO_POOL = None
REFUSED = NewConnectionError(NO_POOL, "Connection refused")  # type: ignore[arg-type]
NO_NAME = NameResolutionError("api.binance.com", NO_POOL, OSError("no name"))  # type: ignore[arg-type]
NO_CONNECTION = ConnectTimeoutError(NO_POOL, "timed out")
READ_TIMEOUT = ReadTimeoutError(NO_POOL, "/", "read timed out")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        wrapped(ccxt.NetworkError, requests.exceptions.ConnectionError, REFUSED),
        wrapped(ccxt.ExchangeNotAvailable, requests.exceptions.ConnectionError, REFUSED),
        wrapped(ccxt.NetworkError, requests.exceptions.ConnectionError, NO_NAME),
        wrapped(ccxt.RequestTimeout, requests.exceptions.ConnectTimeout, NO_CONNECTION),
        wrapped(ccxt.NetworkError, requests.exceptions.ConnectionError, NO_CONNECTION),
    ],
    ids=["refused", "refused, another class", "DNS", "connect timeout", "wrapped timeout"],
)
def test_a_connection_that_was_never_made_is_unreachable(error: Exception) -> None:
    assert type(understood(error)) is Unreachable


@pytest.mark.parametrize(
    "error",
    [
        wrapped(ccxt.ExchangeError, requests.exceptions.SSLError, SSLError("certificate expired")),
        wrapped(ccxt.RequestTimeout, requests.exceptions.ReadTimeout, READ_TIMEOUT),
        wrapped(
            ccxt.NetworkError,
            requests.exceptions.ConnectionError,
            ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")),
        ),
        ccxt.OperationFailed("binance {}"),
        ccxt.ExchangeError("binance"),
        ccxt.ExchangeNotAvailable("binance 502"),
        ccxt.OnMaintenance("binance"),
        ccxt.NullResponse("binance"),
        ccxt.BadResponse("binance"),
        ccxt.NotSupported("binance"),
        ValueError("not ccxt's"),
        KeyError("id"),
        RecursionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_not_understood_is_unknown(error: Exception) -> None:
    assert type(understood(error)) is AnswerUnknown


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ccxt.InsufficientFunds("b"), RequestRefused),
        (ccxt.InvalidOrder("b"), RequestRefused),
        (ccxt.OrderNotFillable("b"), RequestRefused),
        (ccxt.BadSymbol("b"), RequestRefused),
        (ccxt.BadRequest("b"), RequestRefused),
        (ccxt.MarketClosed("b"), RequestRefused),
        (ccxt.OperationRejected("b"), RequestRefused),
        (ccxt.ArgumentsRequired("b"), RequestRefused),
        (ccxt.AuthenticationError("b"), KeyRefused),
        (ccxt.PermissionDenied("b"), KeyRefused),
        (ccxt.AccountSuspended("b"), KeyRefused),
        (ccxt.InvalidNonce("b"), ClockRefused),
        (ccxt.RateLimitExceeded("b"), RateLimited),
        (ccxt.DDoSProtection("b"), RateLimited),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_ccxts_classes_are_translated(error: Exception, kind: type[ExchangeError]) -> None:
    assert type(understood(error)) is kind


@pytest.mark.parametrize(
    ("body", "error", "kind"),
    [
        ('{"code":-2015,"msg":"Invalid API-key"}', ccxt.DDoSProtection("b"), KeyRefused),
        ('{"code":-1021,"msg":"Timestamp"}', ccxt.ExchangeError("b"), ClockRefused),
        ('{"code":-2010,"msg":"Duplicate order sent."}', ccxt.InvalidOrder("b"), AnswerUnknown),
        ('{"code": "-1022", "msg": "Signature"}', ccxt.ExchangeError("b"), KeyRefused),
    ],
)
def test_the_exchanges_own_code_is_stronger_than_ccxts_class(
    body: str, error: Exception, kind: type[ExchangeError]
) -> None:
    assert type(understood(error, body=body)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, "7"),
        ({"retry-after": "120"}, "120"),
        ({}, "10"),
        (None, "10"),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:07 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            "7",
        ),
        # A date that is over, on whatever clock, still asks for a moment.
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, "1"),
        ({"Retry-After": "soon"}, "10"),
        ({"Retry-After": "-5"}, "10"),
    ],
)
def test_the_pause_is_what_the_exchange_asks_for(headers: object, seconds: str) -> None:
    limited = understood(ccxt.RateLimitExceeded("b"), headers=headers)
    assert isinstance(limited, RateLimited)
    assert limited.retry_after == Decimal(seconds) == retry_after(headers)


def test_an_answer_is_kept_short_and_without_queries() -> None:
    text = scrubbed("see https://x/api/v3/order?timestamp=1&signature=abc for it\0 " + "x" * 5000)
    assert "signature" not in text
    assert "\0" not in text
    assert len(text) <= 2000


def test_an_answer_is_kept_without_what_postgresql_refuses_and_still_without_secrets() -> None:
    assert scrubbed("re\0ason sec\0ret", secrets=["secret"]) == "reason [secret]"
