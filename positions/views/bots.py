"""Let bots in and shut them out, and end what they hold."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from positions.forms.tokens import TokenForm
from positions.models import BotToken, Claim, Lease
from positions.selectors.bots import TokenState, held_by, state_of, token_rows, valid_tokens
from positions.services import claims, leases, tokens
from positions.services.permissions import Permission, require
from positions.services.tokens import BadToken, Issued
from positions.views.analysis import account_page
from positions.views.errors import page, step
from positions.views.people import actor_of

# --- Tokens -------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "POST"])
@page
def bot_list(request: HttpRequest) -> HttpResponse:
    """Show every token; on POST issue one, and show its text in this one answer."""
    if request.method == "GET":
        return _shown(request, TokenForm())
    actor, now = actor_of(request), timezone.now()
    require(actor, Permission.CONNECT)
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _shown(request, form, status=400)
    # A form that was sent already would issue a second token of which nobody knows.
    last = BotToken.objects.filter(created_by=actor.user).first()
    if last is not None and str(last.pk) != request.POST.get("last"):
        form.add_error(
            None,
            f"You issued the token {last.prefix} for {last.bot} after this form was shown. "
            "Send it again if you want another one.",
        )
        return _shown(request, form, status=409)
    try:
        issued = tokens.issue(
            form.cleaned_data["bot"],
            accounts=form.cleaned_data["accounts"],
            scopes=form.granted(),
            expires_at=now + form.lifetime(),
            actor=actor,
            now=now,
        )
    except BadToken as error:
        form.add_error("bot", str(error))  # the form has looked at everything else
        return _shown(request, form, status=400)
    return _shown(request, TokenForm(), issued=issued)


def _shown(
    request: HttpRequest, form: TokenForm, *, issued: Issued | None = None, status: int = 200
) -> HttpResponse:
    rows = token_rows(now=timezone.now())
    me = actor_of(request).user
    own = [row.token.pk for row in rows if me is not None and row.token.created_by_id == me.pk]
    context = {
        # Loading the answer to a POST again would send the form again.
        "at": "" if request.method == "GET" else reverse("positions:bot_list"),
        "rows": rows,
        "form": form,
        "issued": issued,
        "last": max(own, default=""),
    }
    return render(request, "positions/bot_list.html", context, status=status)


@require_http_methods(["GET", "POST"])
@page
def revoke_token(request: HttpRequest, prefix: str) -> HttpResponse:
    """Show what revoking would do; do it on POST."""
    actor, now = actor_of(request), timezone.now()
    require(actor, Permission.CONNECT)
    token = get_object_or_404(BotToken, prefix=prefix)
    if request.method == "POST":
        tokens.revoke(token, actor=actor, now=now)
        messages.warning(
            request, f"The token {token.prefix} of {token.bot} is revoked: it opens nothing more."
        )
        return redirect("positions:bot_list")
    context = {
        "token": token,
        "is_valid": state_of(token, now=now) is TokenState.VALID,
        "others": valid_tokens(token.bot, now=now).exclude(pk=token.pk),
        "holds": held_by(token.bot, now=now),
    }
    return render(request, "positions/revoke_token.html", context)


# --- What bots hold -----------------------------------------------------------------------------


def _account(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    return account_page(request, slug)


@require_POST
@step(_account)
def end_lease(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """End a bot's lease; whether a trade was opened is unknown unless the person knows it."""
    lease = Lease.objects.select_related("account").filter(account__slug=slug, pk=pk).first()
    if lease is None:
        raise Http404(f"{slug} has no such lease.")
    opened = False if request.POST.get("opened") == "no" else None
    leases.release(lease, opened=opened, actor=actor_of(request), now=timezone.now())
    slot = (
        "It goes on taking its slot until the next snapshot."
        if opened is None
        else "Nothing was opened: it takes no slot any more."
    )
    messages.success(request, f"The lease of {lease.asset} by {lease.bot} has ended. {slot}")
    return _back_to_bots(slug)


@require_POST
@step(_account)
def give_claim_back(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give back an asset that a bot has claimed: plans may close it again."""
    claim = Claim.objects.select_related("account").filter(account__slug=slug, pk=pk).first()
    if claim is None:
        raise Http404(f"{slug} has no such claim.")
    claims.give_back(claim, actor=actor_of(request), now=timezone.now())
    messages.success(
        request, f"{claim.asset} is no longer claimed by {claim.bot}: plans may close it."
    )
    return _back_to_bots(slug)


def _back_to_bots(slug: str) -> HttpResponse:
    return redirect(reverse("positions:account_detail", args=[slug]) + "#bots")
