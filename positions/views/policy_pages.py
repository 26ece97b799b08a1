"""Show an account's policy with its versions, and write a new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from positions.domain.policies import GuardBroken
from positions.domain.policy_fields import FIELDS, GROUPS, Difference, differences, told, written
from positions.forms.policies import PolicyForm
from positions.models import DustPolicy, ExchangeAccount
from positions.selectors.policies import Comparison, compared, versions
from positions.services import policies
from positions.services.actors import Actor
from positions.services.permissions import Permission, has, require
from positions.services.policies import DAILY_FIELDS, BadPolicy, PolicyConflict
from positions.views.errors import page
from positions.views.people import actor_of
from positions.views.policies import account_named

_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What somebody else changed while the person was editing."""

    row: DustPolicy
    changes: Sequence[Difference]
    both: Sequence[Difference]  # the person changed these, too; theirs are kept in the form


@require_http_methods(["GET", "POST"])
@page
def policy_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the policy in force and its versions; write a new version on POST."""
    account, actor = account_named(slug), actor_of(request)
    if request.method == "POST":
        return _saved(request, account, actor)
    current = policies.in_force(account)
    form = PolicyForm(current.as_domain(), may_change=may_change(actor))
    return _shown(request, account, current=current, form=form)


def may_change(actor: Actor) -> frozenset[str]:
    """Return the fields that the person may change."""
    if has(actor, Permission.POLICY):
        return frozenset(FIELDS)
    return DAILY_FIELDS if has(actor, Permission.THRESHOLD) else frozenset()


def _saved(request: HttpRequest, account: ExchangeAccount, actor: Actor) -> HttpResponse:
    require(actor, Permission.THRESHOLD)
    mine = may_change(actor)
    if any(name in FIELDS and name not in mine for name in request.POST):
        require(actor, Permission.POLICY)
    current = policies.in_force(account)
    form = PolicyForm(current.as_domain(), may_change=mine, data=request.POST)
    if not form.is_valid():
        return _shown(request, account, current=current, form=form, status=400)
    base = account.policies.filter(version=form.cleaned_data["version"]).first()
    if base is None:
        form.add_error("version", "There is no such version of this policy. Open the page anew.")
        return _shown(request, account, current=current, form=form, status=400)
    changes = form.changes(base.as_domain())
    try:
        row = policies.change(
            account,
            changes,
            actor=actor,
            now=timezone.now(),
            note=form.cleaned_data["note"],
            based_on=base.version,
        )
    except GuardBroken as error:
        form.add_error("dust_threshold", str(error))
    except BadPolicy as error:
        for name, sentence in error.problems.items():
            form.add_error(name, sentence)
    except PolicyConflict as conflict:
        return _conflict(request, account, form, base=base, current=conflict.current, actor=actor)
    else:
        if row.version == base.version:
            messages.info(request, f"Nothing was changed: policy v{row.version} stays in force.")
        else:
            messages.success(request, f"Policy v{row.version} of {account.slug} is in force.")
        return redirect("positions:policy_detail", slug=account.slug)
    return _shown(request, account, current=current, form=form, status=400)


def _conflict(
    request: HttpRequest,
    account: ExchangeAccount,
    form: PolicyForm,
    *,
    base: DustPolicy,
    current: DustPolicy,
    actor: Actor,
) -> HttpResponse:
    """Show the newer version with the person's own changes on top; nothing was saved."""
    changes = form.changes(base.as_domain())
    policy = current.as_domain()
    data = {
        name: form.data[name] if name in changes else written(field, getattr(policy, name))
        for name, field in FIELDS.items()
        if name in may_change(actor)
    }
    data |= {"version": str(current.version), "note": form.data["note"]}
    theirs = differences(base.as_domain(), policy)
    merged = PolicyForm(policy, may_change=may_change(actor), data=data)
    return _shown(
        request,
        account,
        current=current,
        form=merged,
        status=409,
        meanwhile=Meanwhile(
            row=current,
            changes=theirs,
            both=[item for item in theirs if item.field.name in changes],
        ),
    )


def _shown(
    request: HttpRequest,
    account: ExchangeAccount,
    *,
    current: DustPolicy,
    form: PolicyForm,
    status: int = 200,
    meanwhile: Meanwhile | None = None,
) -> HttpResponse:
    policy = current.as_domain()
    left, right = _number(request, "left"), _number(request, "right")
    asked = left is not None or right is not None
    comparison: Comparison | None = None
    if asked:
        comparison = compared(
            account,
            current.version if left is None else left,
            current.version if right is None else right,
        )
        status = 400 if comparison is None else status
    context: dict[str, Any] = {
        "account": account,
        "policy": current,
        "form": form,
        "groups": [
            {
                "title": group.title,
                "fields": [
                    {"bound": form[field.name], "told": told(field, getattr(policy, field.name))}
                    for field in group.fields
                ],
            }
            for group in GROUPS
        ],
        "meanwhile": meanwhile,
        "versions": versions(account, before=_number(request, "before")),
        "asked": asked,
        "comparison": comparison,
        "left": left or max(1, current.version - 1),
        "right": right or current.version,
    }
    return render(request, "positions/policy_detail.html", context, status=status)


def _number(request: HttpRequest, name: str) -> int | None:
    """Return a version's number from the address; 0, which no version has, for what is none."""
    text = request.GET.get(name, "").strip().removeprefix("v")
    if not text:
        return None
    good = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if good else 0
