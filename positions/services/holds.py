"""Keep what bots hold and what we send apart: of one asset, never both.

A lease or claim is written, and an order goes from PLANNED to SUBMITTING, while the account's row
is held; each looks for the other there. Whoever comes second finds the first.

    HoldRefused             nothing was reserved or claimed
        BadHold             what was asked for makes no sense; `field` says which part
        AssetHeld           another bot has the asset; choose another one, or wait
        OrderInFlight       an order of ours on the asset is under way; wait for its end
        NotTheirs           it belongs to another bot
        HoldOver            it has ended already; ask for a new one
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from positions.domain.leases import Hold
from positions.domain.orders import IN_FLIGHT
from positions.models import BotToken, CloseOrder, ExchangeAccount, Listing
from positions.models.bots import BotsHold
from positions.selectors.holds import holds_on
from positions.selectors.snapshots import latest_good
from positions.services.actors import Actor
from positions.services.permissions import NotPermitted, Permission, require_on


class HoldRefused(Exception):
    """Nothing was reserved or claimed; the message says why and what to do."""


class BadHold(HoldRefused):
    """What was asked for makes no sense."""

    def __init__(self, field: str, sentence: str) -> None:
        """Keep which part of the request it is about."""
        super().__init__(sentence)
        self.field = field


class AssetHeld(HoldRefused):
    """Another bot has the asset, or the bot itself has leased it already."""

    def __init__(self, hold: Hold) -> None:
        """Say whose it is."""
        super().__init__(f"{hold.asset} is {hold.words}")
        self.hold = hold


class OrderInFlight(HoldRefused):
    """An order of a plan on the asset is under way."""

    def __init__(self, order: CloseOrder) -> None:
        """Name the plan."""
        super().__init__(
            f"An order of plan {order.plan_id} on {order.asset} is under way: "
            f"{order.get_status_display().lower()}. Wait for its end."
        )
        self.order = order


class NotTheirs(HoldRefused):
    """It belongs to another bot."""


class HoldOver(HoldRefused):
    """It has ended; ask for a new one."""


def asset_code(text: str) -> str:
    """Return the code of an asset as a bot wrote it; raise `BadHold`."""
    code = text.strip().upper()
    if not code or not code.isascii() or not code.isalnum() or len(code) > 40:
        raise BadHold("asset", "Write one asset code, for example BTC.")
    return code


def plain_text(field: str, text: str, *, longest: int) -> str:
    """Return a bot's text without spaces around it; raise `BadHold`."""
    found = text.strip()
    if not found or len(found) > longest or not found.isprintable():
        raise BadHold(field, f"Write {field} as a text of 1 to {longest} printable characters.")
    return found


def token_of(actor: Actor, permission: Permission) -> BotToken:
    """Return the token of the bot that acts; raise `NotPermitted` for anybody else."""
    if actor.token is None:
        raise NotPermitted(actor, permission)
    return actor.token


def locked_for(
    account: ExchangeAccount, actor: Actor, permission: Permission, *, now: datetime
) -> ExchangeAccount:
    """Return the account, kept to ourselves until the transaction ends; or raise `NotPermitted`."""
    locked = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    require_on(locked, actor, permission, now=now)
    return locked


def for_each_account(holds: QuerySet[Any, Any], do: Callable[[ExchangeAccount], None]) -> None:
    """Do it for each account that has some of these, one after the other, while it is held."""
    for pk in holds.order_by().values_list("account", flat=True).distinct():
        with transaction.atomic():
            do(ExchangeAccount.objects.select_for_update(no_key=True).get(pk=pk))


def moment_after_wait(now: datetime) -> datetime:
    """Return the moment once the account is held: the wait may have outlasted what `now` saw."""
    return max(now, timezone.now())


def check_owner(hold: BotsHold, actor: Actor) -> None:
    """Raise `NotTheirs` if a bot touches what another has; a person may who has the permission."""
    if actor.token is not None and actor.token.bot != hold.bot:
        raise NotTheirs(f"It belongs to {hold.bot}.")


def check_exists(account: ExchangeAccount, asset: str) -> None:
    """Raise `BadHold` for an asset that the account neither holds nor could buy.

    An account that was never read knows of none, and refuses none.
    """
    listing = Listing.objects.filter(account=account).first()
    if listing is None or asset in listing.assets:
        return
    held = latest_good(account)
    if held is None or not held.positions.filter(asset=asset).exists():
        raise BadHold("asset", f"{account.exchange} trades no {asset}.")


def check_free(
    account: ExchangeAccount, asset: str, *, bot: str, for_lease: bool, now: datetime
) -> None:
    """Raise `AssetHeld` or `OrderInFlight` unless the bot may have the asset.

    Must run while the account is held. A bot may claim what it has leased and the other way round.
    """
    for hold in holds_on(account.pk, [asset], now=now).get(asset, []):
        if hold.bot != bot or (for_lease and hold.until is None):
            raise AssetHeld(hold)
    order = CloseOrder.objects.filter(account=account, asset=asset, status__in=IN_FLIGHT).first()
    if order is not None:
        raise OrderInFlight(order)


def locked_holds(
    account_pk: int, assets: Sequence[str], *, now: datetime, since: datetime | None = None
) -> Mapping[str, Hold]:
    """Return which of the assets are a bot's, and let no bot have another until we are done.

    With `since` also which were a bot's from that moment on: it may have bought meanwhile. Must run
    in the transaction that sends them, and first: the account before the plan.
    """
    ExchangeAccount.objects.select_for_update(no_key=True).only("pk").get(pk=account_pk)
    return {
        # A claim tells more than a lease.
        asset: max(holds, key=lambda hold: hold.until is not None)
        for asset, holds in holds_on(account_pk, assets, now=now, since=since).items()
    }
