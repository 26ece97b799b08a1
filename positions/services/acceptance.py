"""Let a person accept that orders are not verified at an account's exchange."""

from datetime import datetime

from django.db import transaction

from positions.models import ExchangeAccount
from positions.selectors.acceptance import waits_for_acceptance
from positions.services import audit
from positions.services.accounts import BadAccount
from positions.services.actors import Actor
from positions.services.permissions import Permission, require


def accept_unverified(account: ExchangeAccount, *, actor: Actor, now: datetime) -> None:
    """Let plans start at an exchange whose orders are not verified; twice changes nothing.

    Raise `NotPermitted`, or `BadAccount` for a part of the product: that is a person's to accept.
    """
    require(actor, Permission.CONNECT)
    if actor.user is None:
        raise BadAccount("A person has to accept that orders are not verified.")
    with transaction.atomic():
        locked = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        if not waits_for_acceptance(locked):
            return
        locked.unverified_accepted_at, locked.unverified_accepted_by = now, actor.user
        locked.save(update_fields=["unverified_accepted_at", "unverified_accepted_by"])
        audit.record(
            "account.unverified_accepted",
            f"{actor.name} accepted that orders are not verified at {locked.exchange}",
            actor=actor,
            at=now,
            account=locked,
        )
