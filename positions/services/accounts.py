"""Connect exchange accounts: check the key before it is kept, refuse one that may withdraw."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from positions.domain.policies import DEFAULT_CASH_ASSETS
from positions.exchanges.port import BadConfiguration, ExchangePort
from positions.models import Environment, ExchangeAccount
from positions.services import audit, keys, policies
from positions.services.actors import Actor
from positions.services.connections import open_exchange
from positions.services.credentials import Credentials, encrypted, fingerprint
from positions.services.permissions import Permission, require

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,58}[a-z0-9]|[a-z0-9]")


class BadAccount(Exception):
    """The account can't be connected like this; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What a person enters to connect an account."""

    slug: str
    exchange: str
    environment: str = Environment.SANDBOX
    quote: str = "USDT"
    base_url: str = ""  # the operator's, from the configuration; never a user's


def base_url_of(exchange: str) -> str:
    """Return where the operator sends this exchange's requests; empty: to the exchange itself."""
    return str(settings.DUSTADMIN_EXCHANGE_BASE_URLS.get(exchange, ""))


def connect_account(
    new: NewAccount, *, credentials: Credentials, actor: Actor, now: datetime
) -> ExchangeAccount:
    """Check and keep an account with its first policy.

    Raise `NotPermitted`, `BadAccount`, or the exchange's error if the key does not work. Asks the
    exchange for the key's rights and one reading before anything is written.
    """
    require(actor, Permission.CONNECT)
    _check_names(new)
    _check_key_text(credentials)
    account = ExchangeAccount(
        slug=new.slug,
        exchange=new.exchange,
        environment=new.environment,
        base_url=new.base_url,
        quote=new.quote,
        credentials=encrypted(credentials),
        key_fingerprint=fingerprint(credentials.api_key),
        key_checked_at=now,
        snapshot_due_at=now,
        created_at=now,
    )
    _check_unused(account)
    try:
        exchange = open_exchange(account, policies.DEFAULTS)
        keys.check_rights(exchange)
        _check_quote(account, exchange)
    except BadConfiguration as error:
        raise BadAccount(str(error)) from None
    try:
        with transaction.atomic():
            account.save()
            audit.record(
                "account.connected",
                f"{actor.name} connected {account.slug}",
                actor=actor,
                at=now,
                account=account,
                data={"exchange": new.exchange, "environment": new.environment},
            )
            policies.write_first(account, actor=actor, now=now)
    except IntegrityError:
        _check_unused(account)
        raise
    return account


def _check_names(new: NewAccount) -> None:
    if not _SLUG.fullmatch(new.slug):
        raise BadAccount(
            "The account's name may have lower-case letters, digits and hyphens, 60 at most."
        )
    if new.environment not in Environment.values:
        raise BadAccount(f"The environment is one of {', '.join(Environment.values)}.")
    if new.quote not in DEFAULT_CASH_ASSETS:
        raise BadAccount(f"The quote must be a cash asset such as USDT, not '{new.quote[:20]}'.")


def _check_key_text(credentials: Credentials) -> None:
    for name, text in (("API key", credentials.api_key), ("API secret", credentials.api_secret)):
        if not text:
            raise BadAccount(f"There is no {name}.")
        if not text.isascii() or not text.isprintable():
            raise BadAccount(f"The {name} has characters that no exchange uses; copy it again.")


def _check_unused(account: ExchangeAccount) -> None:
    if ExchangeAccount.objects.filter(slug=account.slug).exists():
        raise BadAccount(f"There is an account '{account.slug}' already.")
    same = ExchangeAccount.objects.filter(
        exchange=account.exchange,
        base_url=account.base_url,
        key_fingerprint=account.key_fingerprint,
    ).first()
    if same is not None:
        raise BadAccount(f"This API key is in use by the account '{same.slug}' already.")


def _check_quote(account: ExchangeAccount, exchange: ExchangePort) -> None:
    markets = exchange.markets()
    if not any(market.quote == account.quote for market in markets.values()):
        raise BadConfiguration(f"{account.exchange_name} has no market against {account.quote}.")
