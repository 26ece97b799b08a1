"""Check what an API key may do: when it is connected, and every day after that."""

from datetime import datetime, timedelta

from django.db import transaction

from positions.exchanges.port import BadConfiguration, ExchangePort
from positions.models import ExchangeAccount
from positions.services import audit
from positions.services.actors import Actor

EVERY = timedelta(days=1)


def check_rights(exchange: ExchangePort) -> None:
    """Raise `BadConfiguration` if the key may do too much or too little.

    Where the exchange does not tell, one reading of the balances shows at least that it reads.
    """
    rights = exchange.key_rights()
    if rights.may_withdraw:
        raise BadConfiguration("This key may withdraw. Use one that can only read and trade.")
    if rights.may_trade is False:
        raise BadConfiguration("This key may not trade. Give it the right to trade spot.")
    if rights.may_read is False:
        raise BadConfiguration("This key may not read. Give it the right to read.")
    if rights.may_read is None:
        exchange.balances()


def check_again(account: ExchangeAccount, exchange: ExchangePort, *, now: datetime) -> None:
    """Check a key whose last check is a day old; disable the account if its rights are wrong.

    Raises `BadConfiguration` then, so that the reading fails with the reason.
    """
    if account.key_checked_at is not None and now - account.key_checked_at < EVERY:
        return
    try:
        check_rights(exchange)
    except BadConfiguration as error:
        with transaction.atomic():
            ExchangeAccount.objects.filter(pk=account.pk).update(is_enabled=False)
            audit.record(
                "account.disabled",
                f"{account.slug} was disabled: {error}",
                actor=Actor.service("scheduler"),
                at=now,
                account=account,
            )
        raise
    ExchangeAccount.objects.filter(pk=account.pk).update(key_checked_at=now)
