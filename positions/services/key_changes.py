"""Replace an account's key: after the same checks, and never while an order could be lost by it.

The exchange's own id of the account, told with the balances, says whether the new key opens the
same account. Then everything goes on, and whatever is unknown is looked up with the new key at
once. Otherwise the account moves to another one at the exchange, which a person has to say, and
which nothing that is still under way allows.
"""

import copy
from datetime import datetime

from django.db import IntegrityError, transaction

from positions.domain.orders import CLOSED, IN_FLIGHT, OrderState
from positions.domain.plans import ENDED, LIVE, UNSTARTED, PlanState
from positions.models import CloseOrder, ExchangeAccount
from positions.services import audit
from positions.services.accounts import BadAccount, check_key_text, check_key_unused
from positions.services.actors import Actor
from positions.services.credentials import Credentials, encrypted, fingerprint
from positions.services.keys import Examination, KeyCheck, Verdict
from positions.services.permissions import Permission, require
from positions.services.stops import expire

SHOWN = 8  # of a fingerprint: tells keys apart, leads to none
_SAME_ACCOUNT = "Same account"


class KeyNeeded(Exception):
    """Something under way needs the old key; the message says what has to end first."""


def with_new_key(
    account: ExchangeAccount, credentials: Credentials, *, actor: Actor
) -> ExchangeAccount:
    """Return a copy of the account that has the new key, not kept yet.

    Raise `NotPermitted`, `BadAccount`, or `KeyNeeded` while requests may leave.
    """
    require(actor, Permission.CONNECT)
    check_key_text(credentials, exchange=account.exchange)
    _check_nothing_leaves(account)
    candidate = copy.copy(account)
    candidate.credentials = encrypted(credentials)
    candidate.key_fingerprint = fingerprint(credentials.api_key)
    check_key_unused(candidate)
    return candidate


def replace_key(
    candidate: ExchangeAccount,
    found: Examination,
    *,
    moves: bool,
    actor: Actor,
    now: datetime,
) -> None:
    """Keep a key that has passed; `moves` says that it may open another account.

    Raise `NotPermitted`, `BadAccount`, or `KeyNeeded` if something under way needs the old one.
    """
    require(actor, Permission.CONNECT)
    if found.failed:
        raise BadAccount(found.failed[0].said, field=found.failed[0].field)
    try:
        with transaction.atomic():
            # The account first, as every step of a plan locks it: none starts meanwhile.
            old = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=candidate.pk)
            _check_nothing_leaves(old)
            same = is_same_account(old, found)
            if not same:
                _check_may_move(old, moves=moves)
                for plan in old.plans.filter(status__in=UNSTARTED):
                    expire(plan, "The key was moved to another account.", actor=actor, now=now)
            audit.record(
                "account.key_replaced",
                f"{actor.name} replaced the key of {old.slug}"
                + ("" if same else ", which opens another account now"),
                actor=actor,
                at=now,
                account=old,
                data={
                    "from": old.key_fingerprint[:SHOWN],
                    "to": candidate.key_fingerprint[:SHOWN],
                    "same_account": same,
                },
            )
            # After the chain, as whoever records a step locks them: the key's fingerprint is part
            # of a unique key, and writing it takes the row from all whose events refer to it.
            ExchangeAccount.objects.filter(pk=old.pk).update(
                credentials=candidate.credentials,
                key_fingerprint=candidate.key_fingerprint,
                key_checked_at=now,
                owner_fingerprint=found.owner_fingerprint,
                read_since=old.read_since if same else now,
                snapshot_due_at=now,
            )
            CloseOrder.objects.filter(account=old, status__in=IN_FLIGHT).update(due_at=now)
    except IntegrityError:
        check_key_unused(candidate)
        raise


def is_same_account(account: ExchangeAccount, found: Examination) -> bool:
    """Tell whether it is proved that the examined key opens the same account at the exchange."""
    return bool(found.owner_fingerprint) and found.owner_fingerprint == account.owner_fingerprint


def compared(account: ExchangeAccount, found: Examination) -> Examination:
    """Return the examination with what it says about whose account the key opens."""
    known = bool(account.owner_fingerprint and found.owner_fingerprint)
    name = account.exchange_name
    if is_same_account(account, found):
        check = KeyCheck(
            name=_SAME_ACCOUNT,
            verdict=Verdict.PASSED,
            said=f"The key opens the same account at {name} as the old one.",
        )
    elif found.failed and not found.owner_fingerprint:
        check = KeyCheck(name=_SAME_ACCOUNT, verdict=Verdict.SKIPPED, said="Not compared.")
    else:
        check = KeyCheck(
            name=_SAME_ACCOUNT,
            verdict=Verdict.CAUTION,
            said=f"The key opens another account at {name} than the old one."
            if known
            else f"{name} does not tell whether the key opens the same account as the old one.",
            advice="If it is meant to be another account, tick the box below. What was read before "
            "then counts no longer. Better: connect it as an account of its own.",
            field="moves",
        )
    return Examination(checks=[*found.checks, check], owner_fingerprint=found.owner_fingerprint)


def why_not_now(account: ExchangeAccount) -> str:
    """Return why no key may be replaced while requests may leave with it; empty if it may."""
    running = account.plans.filter(status=PlanState.RUNNING).first()
    if running is not None:
        return (
            f"Plan {running.pk} of {account.slug} is running. Pause it first: then nothing is sent "
            "while the key changes."
        )
    if CloseOrder.objects.filter(account=account, status=OrderState.SUBMITTING).exists():
        return f"An order of {account.slug} is being sent this moment. Try again in a few seconds."
    return ""


def _check_nothing_leaves(account: ExchangeAccount) -> None:
    if why := why_not_now(account):
        raise KeyNeeded(why)


def _check_may_move(account: ExchangeAccount, *, moves: bool) -> None:
    """Refuse another account's key while anything of this one still has to be found out."""
    why = _under_way(account)
    if why:
        raise KeyNeeded(
            f"{why} Only a key of the same account at {account.exchange_name} can find out what "
            "becomes of it, and nothing proves that this key is one."
        )
    if not moves:
        raise BadAccount(
            "Nothing proves that this key opens the same account. Tick the box if it is meant to "
            "open another one.",
            field="moves",
        )


def _under_way(account: ExchangeAccount) -> str:
    open_order = (
        CloseOrder.objects.filter(account=account)
        .exclude(status__in=CLOSED)
        .exclude(plan__status__in=UNSTARTED)
        .first()
    )
    if open_order is not None:
        word = "unknown" if open_order.state is OrderState.UNKNOWN else "open"
        return f"The order for {open_order.asset} of plan {open_order.plan_id} is {word}."
    live = account.plans.filter(status__in=LIVE).first()
    if live is not None:
        return f"Plan {live.pk} has not ended."
    unproved = account.plans.filter(
        status__in=ENDED, started_at__isnull=False, closing_snapshot=None
    ).first()
    if unproved is not None:
        return f"Plan {unproved.pk} waits for its closing snapshot."
    return ""
