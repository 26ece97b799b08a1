"""Let bots lease slots and claim assets."""

from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Router, Status

from positions.api.bearer import Bearer, Visit
from positions.api.problems import Problem
from positions.api.reading import REFUSALS, visit_of
from positions.api.schemas import (
    Claims,
    ClaimTold,
    ClaimWanted,
    LeaseGivenBack,
    Leases,
    LeaseTold,
    LeaseWanted,
    Renewal,
)
from positions.models import Claim, Lease
from positions.selectors.holds import claims_in_force, leases_in_force
from positions.services import claims, leases
from positions.services.holds import BadHold
from positions.services.permissions import Permission

router = Router()
_READS = Bearer(Permission.VIEW)
_LEASES = Bearer(Permission.LEASE)
_CLAIMS = Bearer(Permission.CLAIM)
_WRITING = {400: Problem, 409: Problem, 413: Problem, **REFUSALS}


@router.post(
    "accounts/{slug:slug}/leases",
    auth=_LEASES,
    response={201: LeaseTold, **_WRITING},
    tags=["Leases"],
    summary="Reserve a slot",
)
def reserve(request: HttpRequest, slug: str, body: LeaseWanted) -> Status[LeaseTold]:
    """Reserve a slot for an asset, or say why not: 409 none is free, 503 nobody knows.

    The asset is the bot's as long as the lease lasts: no plan touches it.
    """
    visit = visit_of(request)
    if body.bot not in {None, visit.token.bot}:
        raise BadHold("bot", f"This token is {visit.token.bot}'s.")
    made = leases.reserve(
        visit.account,
        asset=body.asset,
        ttl=body.ttl,
        key=body.idempotency_key,
        actor=visit.actor,
        now=visit.now,
    )
    return Status(201, _told(made, visit))


@router.get(
    "accounts/{slug:slug}/leases",
    auth=_READS,
    response={200: Leases, **REFUSALS},
    tags=["Leases"],
    summary="The leases in force",
)
def list_leases(request: HttpRequest, slug: str) -> Leases:
    """Tell who has reserved slots."""
    visit = visit_of(request)
    found = leases_in_force(visit.account, now=visit.now)
    return Leases.model_construct(leases=[_told(lease, visit) for lease in found])


@router.post(
    "accounts/{slug:slug}/leases/{int:pk}/renew",
    auth=_LEASES,
    response={200: LeaseTold, **_WRITING},
    tags=["Leases"],
    summary="Keep a slot for longer",
)
def renew(request: HttpRequest, slug: str, pk: int, body: Renewal) -> LeaseTold:
    """Let a lease last so many seconds from now; 409 if it has ended."""
    visit = visit_of(request)
    lease = _lease(visit, pk)
    return _told(leases.renew(lease, ttl=body.ttl, actor=visit.actor, now=visit.now), visit)


@router.post(
    "accounts/{slug:slug}/leases/{int:pk}/release",
    auth=_LEASES,
    response={200: LeaseTold, **_WRITING},
    tags=["Leases"],
    summary="Give a slot back",
)
def release(request: HttpRequest, slug: str, pk: int, body: LeaseGivenBack) -> LeaseTold:
    """End a lease, and say whether a trade was opened. Saying it again changes nothing."""
    visit = visit_of(request)
    lease = _lease(visit, pk)
    ended = leases.release(lease, opened=body.opened, actor=visit.actor, now=visit.now)
    return _told(ended, visit)


def _lease(visit: Visit, pk: int) -> Lease:
    found = visit.account.leases.filter(pk=pk).first()
    if found is None:
        raise Http404(f"{visit.account.slug} has no lease {pk}.")
    return found


def _told(lease: Lease, visit: Visit) -> LeaseTold:
    # What was waited for may have ended meanwhile: nobody may read it as a slot.
    return LeaseTold.of(lease, visit.account, now=timezone.now())


@router.post(
    "accounts/{slug:slug}/claims",
    auth=_CLAIMS,
    response={201: ClaimTold, **_WRITING},
    tags=["Claims"],
    summary="Claim an asset",
)
def claim(request: HttpRequest, slug: str, body: ClaimWanted) -> Status[ClaimTold]:
    """Let no plan touch an asset until then; the bot's own claim gets the new end and reason.

    409 names the plan while an order on the asset is under way.
    """
    visit = visit_of(request)
    made = claims.claim(
        visit.account,
        asset=body.asset,
        until=body.until,
        reason=body.reason,
        actor=visit.actor,
        now=visit.now,
    )
    return Status(201, ClaimTold.of(made, visit.account, now=visit.now))


@router.get(
    "accounts/{slug:slug}/claims",
    auth=_READS,
    response={200: Claims, **REFUSALS},
    tags=["Claims"],
    summary="The claims in force",
)
def list_claims(request: HttpRequest, slug: str) -> Claims:
    """Tell whose assets are whose."""
    visit = visit_of(request)
    found = claims_in_force(visit.account, now=visit.now)
    return Claims.model_construct(
        claims=[ClaimTold.of(item, visit.account, now=visit.now) for item in found]
    )


@router.post(
    "accounts/{slug:slug}/claims/{int:pk}/release",
    auth=_CLAIMS,
    response={200: ClaimTold, **REFUSALS},
    tags=["Claims"],
    summary="Give an asset back",
)
def give_back(request: HttpRequest, slug: str, pk: int) -> ClaimTold:
    """End a claim. Twice changes nothing."""
    visit = visit_of(request)
    found: Claim | None = visit.account.claims.filter(pk=pk).first()
    if found is None:
        raise Http404(f"{visit.account.slug} has no claim {pk}.")
    ended = claims.give_back(found, actor=visit.actor, now=visit.now)
    return ClaimTold.of(ended, visit.account, now=visit.now)
