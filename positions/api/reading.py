"""Answer what bots read: slots, positions, plans; and note that they want a snapshot."""

import hashlib
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from ninja import Router, Status

from positions.api.bearer import Bearer, Visit
from positions.api.problems import Problem
from positions.api.schemas import Slots, SnapshotAsked, TokenTold
from positions.models import CleanupPlan
from positions.selectors.accounts import account_reading
from positions.selectors.analysis_json import as_json as analysis_json
from positions.selectors.plans import as_json as plan_json
from positions.selectors.plans import plan_view
from positions.selectors.slots import slots_on
from positions.services.dispatch import Due
from positions.services.leases import SlotsUnknown
from positions.services.permissions import NotPermitted, Permission
from positions.services.snapshots import ask_for_snapshot
from positions.tasks import wake

REFUSALS = {401: Problem, 403: Problem, 404: Problem, 422: Problem, 429: Problem, 503: Problem}

router = Router(auth=Bearer(Permission.VIEW))


def visit_of(request: HttpRequest) -> Visit:
    """Return who came in."""
    found: Visit = request.auth  # type: ignore[attr-defined]  # ninja keeps it there
    return found


@router.get(
    "token",
    auth=Bearer(None),
    response={200: TokenTold, **dict.fromkeys((401, 429, 503), Problem)},
    tags=["Slots"],
    summary="Whose token this is",
)
def token(request: HttpRequest) -> TokenTold:
    """Tell what the token is good for: what a bot asks first, to see that it was set up right."""
    return TokenTold.of(visit_of(request).token)


@router.get(
    "accounts/{slug:slug}/slots",
    response={200: Slots, 304: None, **REFUSALS},
    tags=["Slots"],
    summary="How many slots are free",
)
def slots(request: HttpRequest, slug: str) -> HttpResponse:
    """Tell an account's slots, or that nobody knows them: then `available` is null.

    With `If-None-Match` and the `ETag` of the last answer: 304 as long as nothing has changed. It
    changes when the freshness lapses.
    """
    visit = visit_of(request)
    body = Slots.of(slots_on(visit.grounds, now=visit.now)).model_dump_json()
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    answer = HttpResponse(body, content_type="application/json", headers=headers)
    same = get_conditional_response(request, etag=etag, response=answer)
    return same or answer


@router.get(
    "accounts/{slug:slug}/positions",
    response={200: dict[str, Any], **REFUSALS},
    tags=["Reading"],
    summary="What the account holds",
)
def positions(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Tell what `check_dust_positions --json` prints, from the newest good snapshot.

    `fresh` says whether it still holds; if not, no slot is told to be free. 503 if the account was
    never read.
    """
    visit = visit_of(request)
    reading = account_reading(slug, now=visit.now)
    if reading.analysis is None:
        raise SlotsUnknown(f"{slug} has not been read yet.")
    document = analysis_json(reading.analysis) | {"fresh": reading.slots_known}
    if not reading.slots_known:
        for told in (document["slots"], *document["thresholds"]):
            told |= dict.fromkeys(told.keys() & {"used", "available", "over_cap"})
    return document


@router.get(
    "plans/{int:pk}",
    response={200: dict[str, Any], **REFUSALS},
    tags=["Reading"],
    summary="How a plan stands",
)
def plan(request: HttpRequest, pk: int) -> dict[str, Any]:
    """Tell what `close_dust_positions --json` prints of a plan: each order with its state."""
    visit = visit_of(request)
    found = CleanupPlan.objects.filter(pk=pk).first()
    if found is None:
        raise Http404(f"There is no plan {pk}.")
    if not visit.token.accounts.filter(pk=found.account_id).exists():
        raise NotPermitted(visit.actor, Permission.VIEW)
    view = plan_view(found, now=visit.now)
    return plan_json(view, dry_run=found.started_at is None)


@router.post(
    "accounts/{slug:slug}/snapshots",
    auth=Bearer(Permission.SNAPSHOT),
    response={202: SnapshotAsked, 409: Problem, **REFUSALS},
    tags=["Reading"],
    summary="Have the account read anew",
)
def snapshots(request: HttpRequest, slug: str) -> Status[SnapshotAsked]:
    """Note that a snapshot is wanted; a worker takes it within the exchange's limits.

    It is there when `as_of` of the slots is later than `asked_at`.
    """
    visit = visit_of(request)
    ask_for_snapshot(visit.account, actor=visit.actor, now=visit.now)
    wake([Due(task="take_snapshot", pk=visit.account.pk)])
    return Status(202, SnapshotAsked.model_construct(account=slug, asked_at=visit.now))
