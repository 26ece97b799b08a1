"""Answer every refusal as problem details (RFC 9457), with the services' own sentences."""

import logging
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic import Field

from positions.services.holds import AssetHeld, BadHold, HoldOver, NotTheirs, OrderInFlight
from positions.services.leases import KeyReused, NoSlotFree, SlotsUnknown
from positions.services.permissions import NotPermitted
from positions.services.snapshots import AccountDisabled
from positions.services.token_uses import TooManyRequests
from positions.services.tokens import TokenRefused
from positions.tasks import QueueUnreachable

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible now",
    413: "Too large",
    422: "Not valid",
    429: "Too many requests",
    500: "Something broke",
    503: "Unknown",
}
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "invalid",
}
# When a bot may ask again about what nobody knows now, in seconds.
_AGAIN = 5


class Problem(Schema):
    """What went wrong, in words for a person and a status and a code for a machine."""

    type: str = "about:blank"
    title: str = Field(examples=["Not possible now"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["No slot of 8 is free: 6 counted, 2 leased."])
    code: str = Field(examples=["no_slot_free"], description="What it is, for a machine.")
    field: str | None = Field(None, description="Which part of the request, if it is about one.")
    plan: int | None = Field(None, description="Whose order is in the way, if it is one.")


def problem(
    status: int,
    detail: str,
    *,
    code: str = "",
    field: str | None = None,
    plan: int | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """Return the answer of a refusal."""
    body = Problem(
        title=TITLES[status],
        status=status,
        detail=detail,
        code=code or _CODES[status],
        field=field,
        plan=plan,
    )
    return HttpResponse(
        body.model_dump_json(), status=status, content_type=CONTENT_TYPE, headers=headers
    )


def answer_refusals(api: NinjaAPI) -> None:
    """Let the API answer whatever is raised; nobody gets a traceback."""
    for kind, answer in _ANSWERS.items():
        api.add_exception_handler(kind, answer)


def _plain(
    status: int, *, code: str = "", headers: dict[str, str] | None = None
) -> Callable[[HttpRequest, Any], HttpResponse]:
    def answer(request: HttpRequest, error: Exception) -> HttpResponse:
        return problem(status, str(error), code=code, headers=headers)

    return answer


def _without_token(request: HttpRequest, error: Any) -> HttpResponse:
    sentence = "Send a bot's token: Authorization: Bearer dust_…"
    return problem(401, sentence, headers=_BEARER)


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(error.status_code, str(error))


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Say what is wrong with each field, without repeating what was sent."""
    fields = [".".join(str(part) for part in item["loc"][2:]) for item in error.errors]
    told = [
        f"{field}: {item['msg']}" if field else item["msg"]
        for field, item in zip(fields, error.errors, strict=True)
    ]
    return problem(422, "; ".join(told), field=fields[0] or None)


def _bad_hold(request: HttpRequest, error: BadHold) -> HttpResponse:
    return problem(422, str(error), field=error.field)


def _in_flight(request: HttpRequest, error: OrderInFlight) -> HttpResponse:
    return problem(409, str(error), code="order_in_flight", plan=error.order.plan_id)


def _too_many(request: HttpRequest, error: TooManyRequests) -> HttpResponse:
    again = {"Retry-After": str(error.seconds)}
    return problem(429, str(error), code="rate_limited", headers=again)


def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(404, str(error) or "There is nothing at this address.")


def _no_database(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("The database did not answer a bot: %s", type(error).__name__)
    sentence = "The database does not answer: what you asked for may have been done or not."
    return problem(503, sentence, code="unavailable", headers={"Retry-After": str(_AGAIN)})


def _broken(request: HttpRequest, error: Exception) -> HttpResponse:
    log.exception("A bot's request broke", exc_info=error)
    sentence = "Something broke on our side. Take it as no answer; the log says more."
    return problem(500, sentence, code="broken")


_BEARER = {"WWW-Authenticate": "Bearer"}
_ANSWERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    Exception: _broken,
    OperationalError: _no_database,
    InterfaceError: _no_database,
    AuthenticationError: _without_token,
    HttpError: _http,
    ValidationError: _invalid,
    Http404: _not_found,
    TokenRefused: _plain(401, headers=_BEARER),
    NotPermitted: _plain(403),
    NotTheirs: _plain(403, code="not_yours"),
    TooManyRequests: _too_many,
    BadHold: _bad_hold,
    SlotsUnknown: _plain(503, code="slots_unknown", headers={"Retry-After": str(_AGAIN)}),
    NoSlotFree: _plain(409, code="no_slot_free"),
    AssetHeld: _plain(409, code="asset_held"),
    OrderInFlight: _in_flight,
    KeyReused: _plain(409, code="key_reused"),
    HoldOver: _plain(409, code="hold_over"),
    AccountDisabled: _plain(409, code="account_disabled"),
    QueueUnreachable: _plain(503, code="unavailable", headers={"Retry-After": str(_AGAIN)}),
}
