"""Put version 1 together: its operations, its documentation, and the guards before both."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from positions.api import holding, reading
from positions.api.problems import CONTENT_TYPE, answer_refusals, problem

LARGEST_BODY = 16 * 1024  # bytes; the largest request that makes sense has some hundred

View = Callable[..., HttpResponseBase]


class DocumentedAPI(NinjaAPI):
    """Document refusals with the media type that they have."""

    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> OpenAPISchema:
        """Return the OpenAPI document."""
        document = super().get_openapi_schema(*args, **kwargs)
        for operations in document["paths"].values():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and "application/json" in answer.get("content", {}):
                        answer["content"] = {CONTENT_TYPE: answer["content"]["application/json"]}
        return document


api = DocumentedAPI(
    title="Dust Admin for bots",
    version="1",
    description="How many position slots are free, and who has which. What is unknown never reads "
    "as free. Each refusal is a problem document with a sentence and a code.",
    urls_namespace="bots",
    docs_url="/docs",
)
api.add_router("", reading.router)
api.add_router("", holding.router)
answer_refusals(api)


def _guarded(view: View) -> View:
    """Let requests in without a session, none that is too large, and answer as problems."""

    @login_not_required
    @csrf_exempt  # a token comes in a header, which no foreign page can send
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            return problem(400, "Content-Length is no number.")
        if int(length) > LARGEST_BODY:
            return problem(413, f"A request's body has at most {LARGEST_BODY} bytes.")
        answer = view(request, *args, **kwargs)
        if answer.status_code == 405:
            allowed = answer.headers["Allow"]
            sentence = f"Here only {allowed} is understood."
            return problem(405, sentence, headers={"Allow": allowed})
        return answer

    return guarded


def _nothing_here(request: HttpRequest) -> HttpResponse:
    return problem(404, "There is nothing at this address; /api/v1/docs lists all of them.")


_PAGE = "openapi-view"  # of the documentation: for people, who sign in
_ROOT = "api-root"


def _urls() -> list[Any]:
    made: list[Any] = [path("", RedirectView.as_view(pattern_name=f"bots:{_PAGE}"), name=_ROOT)]
    pattern: Any
    for pattern in api.urls[0]:
        if pattern.name == _ROOT:
            continue
        if pattern.name != _PAGE:
            pattern.callback = _guarded(pattern.callback)
        made.append(pattern)
    return [*made, re_path(r"[\s\S]*", _guarded(_nothing_here))]  # line ends included


app_name = "bots"
urlpatterns = _urls()
