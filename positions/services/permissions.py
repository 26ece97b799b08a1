"""Decide who may do what, for pages, the history and commands alike.

A permission is one of Django's, kept on `ExchangeAccount`; a migration gives each group its own.
A part of the product (an actor without user and token) may do what an operator with a shell can do,
but never approve, release or close an order by hand: that is a person's. A bot may do what its
token's scopes say, on the token's accounts.
"""

from datetime import datetime
from enum import StrEnum

from django.contrib.auth.models import User

from positions.models import BotToken, ExchangeAccount, Scope
from positions.services.actors import Actor


class Permission(StrEnum):
    """What somebody may do."""

    VIEW = "view_panel"
    SNAPSHOT = "take_snapshot"
    THRESHOLD = "change_threshold"
    DRAFT = "draft_plan"
    START = "start_plan"
    STOP = "stop_trading"
    APPROVE = "approve_plan"
    RELEASE = "release_halt"
    RESOLVE = "resolve_order"
    POLICY = "change_policy"
    CONNECT = "connect_account"
    LEASE = "lease_slot"
    CLAIM = "claim_asset"


_VIEWER = frozenset({Permission.VIEW})
_OPERATOR = _VIEWER | {
    Permission.SNAPSHOT,
    Permission.THRESHOLD,
    Permission.DRAFT,
    Permission.START,
    Permission.STOP,
    Permission.LEASE,
    Permission.CLAIM,
}
_APPROVER = _OPERATOR | {Permission.APPROVE, Permission.RELEASE, Permission.RESOLVE}
_ADMINISTRATOR = frozenset(Permission)

GROUPS: dict[str, frozenset[Permission]] = {
    "Viewer": _VIEWER,
    "Operator": _OPERATOR,
    "Approver": _APPROVER,
    "Administrator": _ADMINISTRATOR,
}
_SCOPES = {
    Permission.VIEW: Scope.READ,
    Permission.SNAPSHOT: Scope.READ,
    Permission.LEASE: Scope.LEASE,
    Permission.CLAIM: Scope.CLAIM,
}
_SERVICE = _ADMINISTRATOR - {Permission.APPROVE, Permission.RELEASE, Permission.RESOLVE}

_SENTENCES = {
    Permission.VIEW: "see accounts and plans",
    Permission.SNAPSHOT: "take snapshots",
    Permission.THRESHOLD: "change the threshold or the asset lists",
    Permission.DRAFT: "draft plans",
    Permission.START: "start plans",
    Permission.STOP: "stop trading",
    Permission.APPROVE: "approve plans",
    Permission.RELEASE: "release the kill switch",
    Permission.RESOLVE: "close an order by hand",
    Permission.POLICY: "change this field of the policy",
    Permission.CONNECT: "connect accounts",
    Permission.LEASE: "reserve or release slots",
    Permission.CLAIM: "claim assets or give them back",
}


class NotPermitted(Exception):
    """The actor lacks the permission; the message is a sentence for them."""

    def __init__(self, actor: Actor, permission: Permission) -> None:
        """Say who may not do what, and who can change that."""
        super().__init__(
            f"{actor.name} may not {_SENTENCES[permission]}. Ask an administrator for the right."
        )
        self.permission = permission


def user_has(user: User, permission: Permission) -> bool:
    """Tell whether a person has the permission."""
    return user.is_active and user.has_perm(f"positions.{permission}")


def has(actor: Actor, permission: Permission) -> bool:
    """Tell whether the actor has the permission."""
    if actor.token is not None:
        return permission in _SCOPES and actor.token.may(_SCOPES[permission])
    if actor.user is None:
        return permission in _SERVICE
    return user_has(actor.user, permission)


def require(actor: Actor, permission: Permission) -> None:
    """Raise `NotPermitted` unless the actor has the permission."""
    if not has(actor, permission):
        raise NotPermitted(actor, permission)


def require_on(
    account: ExchangeAccount, actor: Actor, permission: Permission, *, now: datetime
) -> None:
    """Raise `NotPermitted` unless the actor has the permission on this account.

    A bot's token is read anew: it may have been revoked since the bot came in.
    """
    require(actor, permission)
    if actor.token is None:
        return
    valid = BotToken.objects.filter(BotToken.valid(now), pk=actor.token.pk, accounts=account)
    if not valid.exists():
        raise NotPermitted(actor, permission)
