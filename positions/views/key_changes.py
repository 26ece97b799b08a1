"""Replace the key of an account."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from positions.forms.connections import NewKeyForm
from positions.services import accounts, key_changes
from positions.services.accounts import BadAccount
from positions.services.key_changes import KeyNeeded
from positions.services.keys import Examination
from positions.services.permissions import Permission, require
from positions.views.connections import guidance, read_soon, tell_failures
from positions.views.errors import page
from positions.views.people import actor_of
from positions.views.policies import account_named


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@page
def replace_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the form; on POST test the new key, and keep it if that is asked for."""
    actor = actor_of(request)
    require(actor, Permission.CONNECT)
    account = account_named(slug)
    about = guidance(account.exchange)
    posted = request.POST if request.method == "POST" else None
    form = NewKeyForm(posted, has_passphrase=about["asks_passphrase"])
    found: Examination | None = None
    refused = False
    if request.method == "POST" and form.is_valid():
        credentials = form.credentials()
        try:
            candidate = key_changes.with_new_key(account, credentials, actor=actor)
            found = key_changes.compared(account, accounts.tried(candidate, credentials))
            if request.POST.get("do") == "replace" and not found.failed:
                key_changes.replace_key(
                    candidate,
                    found,
                    moves=form.cleaned_data["moves"],
                    actor=actor,
                    now=timezone.now(),
                )
                messages.success(request, f"{slug} has its new key. It is being read with it now.")
                read_soon(request, account.pk)
                return redirect("positions:account_detail", slug=slug)
        except BadAccount as error:
            form.add_error(error.field or None, str(error))
        except KeyNeeded as error:
            form.add_error(None, str(error))
            refused = True
    tell_failures(form, found)
    context = about | {
        "account": account,
        "form": form,
        "found": found,
        "why_not": key_changes.why_not_now(account),
        "fingerprint": account.key_fingerprint[: key_changes.SHOWN],
    }
    status = 409 if refused else 400 if form.errors else 200
    return render(request, "positions/replace_key.html", context, status=status)
