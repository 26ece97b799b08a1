"""Connect exchange accounts: check the key before it is kept, refuse one that may withdraw."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from positions.domain.policies import DEFAULT_CASH_ASSETS
from positions.exchanges.connection import is_loopback
from positions.exchanges.port import BadConfiguration
from positions.exchanges.profiles.keys import GUIDES, guide_of
from positions.models import Environment, ExchangeAccount
from positions.services import audit, keys, policies
from positions.services.actors import Actor
from positions.services.connections import trial_exchange
from positions.services.credentials import Credentials, encrypted, fingerprint
from positions.services.keys import Examination
from positions.services.permissions import Permission, require

_LONGEST_SECRET = 4_000
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,58}[a-z0-9]|[a-z0-9]")
# Pages under /accounts/ that an account of this name would hide behind.
RESERVED_SLUGS = frozenset({"connect"})


class BadAccount(Exception):
    """The account can't be connected like this; the message says what to change."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        """Keep which of the entered fields it is about; empty: none in particular."""
        super().__init__(sentence)
        self.field = field


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


def sandboxes() -> dict[str, str]:
    """Return the operator's addresses on this machine, by exchange: sandbox accounts need one."""
    urls: dict[str, str] = settings.DUSTADMIN_EXCHANGE_BASE_URLS
    return {exchange: url for exchange, url in urls.items() if is_loopback(url)}


def connect_account(
    new: NewAccount, *, credentials: Credentials, actor: Actor, now: datetime
) -> ExchangeAccount:
    """Check and keep an account with its first policy.

    Raise `NotPermitted`, `BadAccount`, or the exchange's error if the key does not work. Asks the
    exchange for the key's rights and one reading before anything is written.
    """
    account = prepared(new, credentials=credentials, actor=actor, now=now)
    found = tried(account, credentials)
    for check in found.failed:
        if isinstance(check.error, BadConfiguration):
            raise BadAccount(check.said, field=check.field)
        if check.error is not None:
            raise check.error
    return keep(account, found, actor=actor, now=now)


def prepared(
    new: NewAccount, *, credentials: Credentials, actor: Actor, now: datetime
) -> ExchangeAccount:
    """Return the account as it would be kept, checked as far as no exchange has to be asked.

    Raise `NotPermitted`, or `BadAccount` with the field that it is about.
    """
    require(actor, Permission.CONNECT)
    _check_names(new)
    check_key_text(credentials, exchange=new.exchange)
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
    if ExchangeAccount.objects.filter(slug=account.slug).exists():
        raise BadAccount(f"There is an account '{account.slug}' already.", field="slug")
    check_key_unused(account)
    return account


def tried(account: ExchangeAccount, credentials: Credentials) -> Examination:
    """Return what the exchange says about the key; raise `BadAccount` if it can't be asked."""
    try:
        with trial_exchange(account, credentials, policies.DEFAULTS) as exchange:
            return keys.examine(exchange, account=account)
    except BadConfiguration as error:
        # What is known of an exchange is that it exists: then its environment is the problem.
        field = "environment" if account.exchange in GUIDES else "exchange"
        raise BadAccount(str(error), field=field) from None


def keep(
    account: ExchangeAccount, found: Examination, *, actor: Actor, now: datetime
) -> ExchangeAccount:
    """Keep an account whose key has passed, with its first policy; its first snapshot is due.

    Raise `NotPermitted`, or `BadAccount` if a check failed or somebody else was faster.
    """
    require(actor, Permission.CONNECT)
    if found.failed:
        raise BadAccount(found.failed[0].said, field=found.failed[0].field)
    account.owner_fingerprint = found.owner_fingerprint
    try:
        with transaction.atomic():
            account.save()
            audit.record(
                "account.connected",
                f"{actor.name} connected {account.slug}",
                actor=actor,
                at=now,
                account=account,
                data={"exchange": account.exchange, "environment": account.environment},
            )
            policies.write_first(account, actor=actor, now=now)
    except IntegrityError:
        if ExchangeAccount.objects.filter(slug=account.slug).exists():
            raise BadAccount(
                f"There is an account '{account.slug}' already.", field="slug"
            ) from None
        check_key_unused(account)
        raise
    return account


def _check_names(new: NewAccount) -> None:
    if not _SLUG.fullmatch(new.slug):
        raise BadAccount(
            "The account's name may have lower-case letters, digits and hyphens, 60 at most.",
            field="slug",
        )
    if new.slug in RESERVED_SLUGS:
        raise BadAccount(
            f"'{new.slug}' is the name of a page here; give the account another name.",
            field="slug",
        )
    if new.environment not in Environment.values:
        raise BadAccount(
            f"The environment is one of {', '.join(Environment.values)}.", field="environment"
        )
    if new.quote not in DEFAULT_CASH_ASSETS:
        raise BadAccount(
            f"The quote must be a cash asset such as USDT, not '{new.quote[:20]}'.", field="quote"
        )


def check_key_text(credentials: Credentials, *, exchange: str) -> None:
    """Raise `BadAccount` for text that can't be this exchange's key."""
    for field, name, text in (
        ("api_key", "API key", credentials.api_key),
        ("api_secret", "API secret", credentials.api_secret),
        ("passphrase", "passphrase", credentials.passphrase),
    ):
        if not text and (field != "passphrase" or guide_of(exchange).has_passphrase):
            raise BadAccount(f"There is no {name}.", field=field)
        if len(text) > _LONGEST_SECRET:
            raise BadAccount(
                f"The {name} is longer than any exchange's; copy it again.", field=field
            )
        if not text.isascii() or not text.isprintable():
            raise BadAccount(
                f"The {name} has characters that no exchange uses; copy it again.", field=field
            )


def check_key_unused(account: ExchangeAccount) -> None:
    """Raise `BadAccount` if another account has the same key."""
    same = ExchangeAccount.objects.filter(
        exchange=account.exchange,
        base_url=account.base_url,
        key_fingerprint=account.key_fingerprint,
    ).exclude(pk=account.pk)
    if (other := same.first()) is not None:
        raise BadAccount(
            f"This API key is in use by the account '{other.slug}' already.", field="api_key"
        )
