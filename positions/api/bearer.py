"""Let bots in by their token, each for its scopes and accounts, and so often a minute."""

import contextlib
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from positions.models import BotToken, DustPolicy, ExchangeAccount
from positions.selectors.prepared import Prepared
from positions.selectors.slots import Grounds, grounds_from, grounds_of
from positions.services import tokens
from positions.services.actors import Actor
from positions.services.dispatch import Due
from positions.services.permissions import NotPermitted, Permission, require
from positions.services.token_uses import count_use
from positions.tasks import QueueUnreachable, wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who came in, when, and about which account, if the address names one."""

    token: BotToken
    about: Grounds | None
    now: datetime

    @property
    def actor(self) -> Actor:
        """Return the bot."""
        return Actor.bot(self.token)

    @property
    def grounds(self) -> Grounds:
        """Return what the slots of the account in the address depend on."""
        if self.about is None:
            raise LookupError("This address names no account.")
        return self.about

    @property
    def account(self) -> ExchangeAccount:
        """Return the account in the address."""
        return self.grounds.policy.account


class Bearer(HttpBearer):
    """`Authorization: Bearer dust_…` of a token with the permission.

    Raise `TokenRefused`, `NotPermitted`, `TooManyRequests`, or `Http404` for an account that does
    not exist.
    """

    def __init__(self, permission: Permission | None) -> None:
        """Ask for one permission; None: any token will do."""
        super().__init__()
        self.permission = permission

    def authenticate(self, request: HttpRequest, token: str) -> Visit:
        """Return who came in."""
        now = timezone.now()
        match = request.resolver_match
        slug = match.kwargs.get("slug") if match else None
        found, grounds = _found(token, slug, now=now)
        if count_use(found, now=now):
            with contextlib.suppress(QueueUnreachable):  # the next minute's first one tells
                wake([Due(task="note_token_use", pk=found.pk)])
        if self.permission is not None:
            actor = Actor.bot(found)
            require(actor, self.permission)
            if slug is not None and grounds is None:
                if not ExchangeAccount.objects.filter(slug=slug).exists():
                    raise Http404(f"There is no account {slug}.")
                raise NotPermitted(actor, self.permission)
        return Visit(token=found, about=grounds, now=now)


def _found(text: str, slug: str | None, *, now: datetime) -> tuple[BotToken, Grounds | None]:
    """Return the token and, if it is for this account, what its slots depend on, in one query."""
    rows = [] if slug is None else _VISITS.rows(slug=slug, prefix=tokens.prefix_of(text))
    if not rows:
        return tokens.token_of(text, now=now), None
    (row,) = rows
    token = BotToken(**{name: row[f"token_{name}"] for name in _COLUMNS})
    return tokens.checked(token, text, now=now), grounds_from(row)


_COLUMNS = [field.attname for field in BotToken._meta.concrete_fields]
_VISITS = Prepared(
    lambda slug, prefix: grounds_of(
        DustPolicy.objects.filter(account__slug=slug, account__bot_tokens__prefix=prefix),
        **{f"token_{name}": F(f"account__bot_tokens__{name}") for name in _COLUMNS},
    ),
    slug=str,
    prefix=str,
)
