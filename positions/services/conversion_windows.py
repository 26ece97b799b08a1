"""Keep when an account converted, whoever did it: one conversion a window, and a budget a day.

What we sent counts from its leave, before the exchange's history tells of it; what was certainly
not processed is given back.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction

from positions.domain.conversions import DAY, Budget, ConversionRule, budget_at
from positions.exchanges.port import ExchangeError, ExchangePort
from positions.exchanges.profiles import profile_of
from positions.models import Conversion, ExchangeAccount

log = logging.getLogger(__name__)

# What we wrote when a request left and what the exchange's history says of it are one conversion.
SAME = timedelta(seconds=60)


def locked_account(account_pk: int) -> ExchangeAccount:
    """Return the account and keep it to ourselves; before the plan and the chain, as all lock."""
    return ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account_pk)


def kept_window(account: ExchangeAccount, made_at: Sequence[datetime]) -> None:
    """Keep when the account converted, whoever did it, as far back as its rule looks."""
    rule = profile_of(account.exchange).conversion
    if rule is None or not made_at:
        return
    with transaction.atomic():
        locked = locked_account(account.pk)
        ours = [
            at for at in _window_of(locked) if not any(abs(at - other) < SAME for other in made_at)
        ]
        latest = max([*ours, *made_at])
        kept = sorted(at for at in [*ours, *made_at] if at > latest - rule.window - DAY)
        locked.conversions_at = [at.isoformat() for at in kept]
        locked.save(update_fields=["conversions_at"])


def budget_now(account_pk: int, *, now: datetime) -> Budget | None:
    """Return what the account may convert now by all that is known of it, read anew.

    What we sent counts before the exchange's history tells of it. None: it converts nothing.
    """
    account = ExchangeAccount.objects.only("exchange", "conversions_at").get(pk=account_pk)
    rule = profile_of(account.exchange).conversion
    return None if rule is None else budget_at(rule, made_at=_window_of(account), now=now)


def _window_of(account: ExchangeAccount) -> list[datetime]:
    return [datetime.fromisoformat(text) for text in account.conversions_at]


def window_given_back(conversion: Conversion) -> None:
    """Take back the window of a request that was certainly not processed."""
    if conversion.sent_at is None:
        return
    account = locked_account(conversion.plan.account_id)
    sent_at = conversion.sent_at.isoformat()
    account.conversions_at = [text for text in account.conversions_at if text != sent_at]
    account.save(update_fields=["conversions_at"])


def learn_window(account: ExchangeAccount, exchange: ExchangePort, rule: ConversionRule) -> int:
    """Keep when the account converted, as the exchange tells it; return its clock."""
    now_ms = exchange.now_ms()
    made_at = exchange.conversions_since(now_ms - int((rule.window + DAY).total_seconds() * 1000))
    ahead_ms = exchange.clock_offset_ms
    kept_window(account, [datetime.fromtimestamp((at - ahead_ms) / 1000, tz=UTC) for at in made_at])
    return now_ms


def learn_who_closed(conversion: Conversion, exchange: ExchangePort) -> None:
    """Ask whose conversion closed the window; while none is told, it counts from our request."""
    rule, account, sent_at = (
        exchange.conversion_rule,
        conversion.plan.account,
        conversion.sent_at,
    )
    if rule is None or sent_at is None:
        return
    try:
        learn_window(account, exchange, rule)
    except ExchangeError as error:
        log.info("whose conversion closed the window is not known: %s", error)
        return
    with transaction.atomic():
        window_given_back(conversion)
        budget = budget_now(account.pk, now=sent_at)
        if budget is not None and budget.is_open:
            kept_window(account, [sent_at])
