"""Answer every refusal in one place: the status, the service's own sentence, and a way back.

NotPermitted -> 403; GuardBroken, BadAmount, BadPolicy, BadReason -> 400; PlanRefused,
AccountDisabled, NothingToClose, IllegalPlanStep, NotResolvable, LostClaim, HoldRefused -> 409;
QueueUnreachable -> 503.

What nobody foresaw is answered by `broken`.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.urls import reverse

from positions.domain.amounts import BadAmount
from positions.domain.planning import NothingToClose
from positions.domain.plans import IllegalPlanStep
from positions.domain.policies import GuardBroken
from positions.services.holds import HoldRefused
from positions.services.permissions import NotPermitted, Permission, has, require
from positions.services.plans import BadReason, PlanRefused
from positions.services.policies import BadPolicy
from positions.services.resolutions import NotResolvable
from positions.services.snapshots import AccountDisabled
from positions.services.transitions import LostClaim
from positions.tasks import QueueUnreachable
from positions.views.people import actor_of

View = Callable[..., HttpResponse]

STATUS: dict[type[Exception], int] = {
    NotPermitted: 403,
    GuardBroken: 400,
    BadAmount: 400,
    BadPolicy: 400,
    BadReason: 400,
    PlanRefused: 409,
    AccountDisabled: 409,
    NothingToClose: 409,
    IllegalPlanStep: 409,
    NotResolvable: 409,
    LostClaim: 409,
    HoldRefused: 409,
    QueueUnreachable: 503,
}
TITLES = {
    400: "This can't be used",
    403: "You may not do this",
    409: "Not possible now",
    503: "The queue does not answer",
}


def page(view: View) -> View:
    """Let only people in who may see the panel, and answer every refusal with its sentence."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            require(actor_of(request), Permission.VIEW)
            return view(request, *args, **kwargs)
        except tuple(STATUS) as error:
            return refusal(request, _status(error), sentence(error), back=_back(kwargs))

    return answered


def step(show: View) -> Callable[[View], View]:
    """Answer a refused step with the page it was taken on, as it is now, and the sentence on top.

    `show` takes what the view takes. Nothing that was typed is lost: it reads `request.POST`.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                return view(request, *args, **kwargs)
            except tuple(STATUS) as error:
                if not has(actor_of(request), Permission.VIEW):
                    raise
                status = _status(error)
                left = " Nothing was changed." if status == 400 else ""
                messages.error(request, sentence(error) + left)
                response = show(request, *args, **kwargs)
                response.status_code = status
                return response

        return page(answered)

    return decorated


def at(request: HttpRequest, name: str, key: object) -> str:
    """Return the address that a page shown in answer to a step really has; empty on its own."""
    return "" if request.method == "GET" else reverse(name, args=[key])


def _status(error: Exception) -> int:
    return next(code for kind, code in STATUS.items() if isinstance(error, kind))


def fragment(view: View) -> View:
    """Do the same for a part of a page; without a sign-in the whole page is loaded again."""
    inner = page(view)

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return inner(request, *args, **kwargs)
        if request.htmx:  # type: ignore[attr-defined]  # set by its middleware
            # A redirect would put the sign-in page into the middle of the page.
            return page_again()
        return redirect_to_login(request.get_full_path())

    return login_not_required(answered)


def page_again() -> HttpResponse:
    """Return the answer that makes htmx load the whole page again."""
    return HttpResponse(headers={"HX-Refresh": "true"})


def sentence(error: Exception) -> str:
    """Return what a person is told."""
    if isinstance(error, BadPolicy):
        return " ".join(error.problems.values())
    if isinstance(error, LostClaim):
        return "Somebody else changed it this moment. Look at it again, then decide."
    return str(error)


def refusal(request: HttpRequest, status: int, text: str, *, back: str) -> HttpResponse:
    """Return a page with the sentence and the way back."""
    return render(
        request,
        "positions/refused.html",
        {"title": TITLES[status], "sentence": text, "status": status, "back": back},
        status=status,
    )


def broken(request: HttpRequest) -> HttpResponse:
    """Answer what no view could; Django calls it while it handles the exception.

    503 while the database can't be used, 400 for what it can't keep (PostgreSQL: a NUL), else 500.
    These pages stand alone and need no database; the log has the cause.
    """
    cause = sys.exc_info()[1]
    status = 500
    if isinstance(cause, OperationalError | InterfaceError):
        status = 503
    elif isinstance(cause, DataError):
        status = 400
    return HttpResponse(loader.get_template(f"{status}.html").render(), status=status)


def _back(kwargs: dict[str, Any]) -> str:
    if "slug" in kwargs:
        return reverse("positions:account_detail", args=[kwargs["slug"]])
    if "pk" in kwargs:
        return reverse("positions:plan_detail", args=[kwargs["pk"]])
    return reverse("positions:account_list")
