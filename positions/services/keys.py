"""Check an API key: when it is entered, and every day after that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction

from positions.exchanges.port import (
    BadConfiguration,
    ClockRefused,
    ExchangeError,
    ExchangePort,
    KeyRefused,
    KeyRights,
    PacerUnavailable,
    RateLimited,
    Unreachable,
)
from positions.exchanges.profiles.keys import guide_of
from positions.models import ExchangeAccount
from positions.services import audit
from positions.services.actors import Actor
from positions.services.credentials import fingerprint

EVERY = timedelta(days=1)
# Requests are dated by the exchange's clock; beyond this, the times that people read mislead.
CLOCK_TOLERANCE_MS = 5_000


class Verdict(StrEnum):
    """What came of one check."""

    PASSED = "PASSED"
    CAUTION = "CAUTION"  # nothing is wrong, and nothing is proved either
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """One check of a key: what was found, what it means and what to do."""

    name: str
    verdict: Verdict
    said: str
    advice: str = ""
    field: str = "api_key"  # what a person entered that it is about
    error: ExchangeError | None = None  # with FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything that was checked, in order. Nothing was written."""

    checks: Sequence[KeyCheck]
    owner_fingerprint: str  # stands for the exchange's own id of the account; empty: not told

    @property
    def failed(self) -> list[KeyCheck]:
        """Return the checks that failed; with none the key may be kept."""
        return [check for check in self.checks if check.verdict is Verdict.FAILED]


def examine(exchange: ExchangePort, *, account: ExchangeAccount) -> Examination:
    """Check clock, markets, rights and one reading; what the exchange does not answer ends it."""
    checks: list[KeyCheck] = []
    answers = True
    for name, field, check in _STEPS:
        if not answers:
            checks.append(
                KeyCheck(
                    name=name,
                    verdict=Verdict.SKIPPED,
                    said="Not checked, because of what failed before.",
                    field=field,
                )
            )
            continue
        try:
            checks += check(exchange, account)
        except ExchangeError as error:
            answers = False
            checks.append(_failed(name, error, field=field))
    return Examination(checks=checks, owner_fingerprint=owner_of(exchange))


def owner_of(exchange: ExchangePort) -> str:
    """Return what stands for the exchange's own id of the account; empty if it was not told."""
    return fingerprint(f"owner {exchange.owner}") if exchange.owner else ""


def _reach(exchange: ExchangePort, account: ExchangeAccount) -> list[KeyCheck]:
    exchange.server_time_ms()
    off = exchange.clock_offset_ms
    where = "ahead of" if off > 0 else "behind"
    said = f"{account.exchange_name} answers. Its clock is {abs(off)} ms {where} this machine's."
    if abs(off) <= CLOCK_TOLERANCE_MS:
        return [KeyCheck(name=_REACH, verdict=Verdict.PASSED, said=said, field="exchange")]
    return [
        KeyCheck(
            name=_REACH,
            verdict=Verdict.CAUTION,
            said=said,
            advice="Requests are dated by the exchange's clock, so it works. Set this machine's "
            "clock, so that the times that people read are right.",
            field="exchange",
        )
    ]


def _markets(exchange: ExchangePort, account: ExchangeAccount) -> list[KeyCheck]:
    found = sum(market.quote == account.quote for market in exchange.markets().values())
    if not found:
        error = BadConfiguration(
            f"{account.exchange_name} has no market against {account.quote}.",
        )
        return [_failed(_MARKETS, error, field="quote")]
    return [
        KeyCheck(
            name=_MARKETS,
            verdict=Verdict.PASSED,
            said=f"{found} {'market' if found == 1 else 'markets'} against {account.quote}.",
            field="quote",
        )
    ]


def _rights(exchange: ExchangePort, account: ExchangeAccount) -> list[KeyCheck]:
    return _of_rights(exchange.key_rights(), account)


def _of_rights(rights: KeyRights, account: ExchangeAccount) -> list[KeyCheck]:
    """Return what is said of each right, the most dangerous first."""
    guide = guide_of(account.exchange)
    on = f"At {guide.where}, switch on: {', '.join(guide.needed)}."
    off = f"At {guide.where}, switch off: {', '.join(guide.never)}."
    untold = f"{account.exchange_name} does not tell what a key may do."
    found = []
    for name, right, wanted, good, wrong, advice in (
        (
            "May not withdraw",
            rights.may_withdraw,
            False,
            "The key may not withdraw.",
            "This key may withdraw. Use one that can only read and trade.",
            off,
        ),
        (
            "May trade spot",
            rights.may_trade,
            True,
            "The key may trade spot.",
            "This key may not trade. Give it the right to trade spot.",
            on,
        ),
        (
            "May read",
            rights.may_read,
            True,
            "The key may read.",
            "This key may not read. Give it the right to read.",
            on,
        ),
    ):
        if right is None:
            found.append(KeyCheck(name=name, verdict=Verdict.CAUTION, said=untold, advice=advice))
        elif right is wanted:
            found.append(KeyCheck(name=name, verdict=Verdict.PASSED, said=good))
        else:
            error = BadConfiguration(wrong)
            found.append(_failed(name, error, advice=advice))
    return found


def _balances(exchange: ExchangePort, account: ExchangeAccount) -> list[KeyCheck]:
    held = len(exchange.balances())
    said = {0: "It was read: the account is empty.", 1: "It was read: 1 asset is held."}.get(
        held, f"It was read: {held} assets are held."
    )
    return [KeyCheck(name=_BALANCES, verdict=Verdict.PASSED, said=said)]


_REACH, _MARKETS, _RIGHTS, _BALANCES = "Exchange and clock", "Markets", "Rights", "Balances"
_Step = Callable[[ExchangePort, ExchangeAccount], list[KeyCheck]]
_STEPS: Sequence[tuple[str, str, _Step]] = (
    (_REACH, "exchange", _reach),
    (_MARKETS, "quote", _markets),
    (_RIGHTS, "api_key", _rights),
    (_BALANCES, "api_key", _balances),
)
_ADVICE: Sequence[tuple[type[ExchangeError], str]] = (
    (
        KeyRefused,
        "The key or its secret is mistyped or revoked, or the exchange takes it from other IP "
        "addresses only. Copy both again, and look at the key's list of addresses.",
    ),
    (Unreachable, "Nothing was sent. Look at this machine's network and the operator's address."),
    (PacerUnavailable, "No request leaves without the shared rate limiter. Start it, then test."),
    (RateLimited, "Wait a minute, then test again. The team's bots share these limits."),
    (ClockRefused, "Set this machine's clock, then test again."),
    (BadConfiguration, "Change what is named here, then test again."),
    (ExchangeError, "Test again in a minute. If it stays, ask the exchange or the operator."),
)


def _failed(
    name: str, error: ExchangeError, *, field: str = "api_key", advice: str = ""
) -> KeyCheck:
    if not advice:
        advice = next(text for kind, text in _ADVICE if isinstance(error, kind))
    return KeyCheck(
        name=name,
        verdict=Verdict.FAILED,
        said=str(error),
        advice=advice,
        field=field,
        error=error,
    )


# --- Every day ----------------------------------------------------------------------------------


def check_rights(exchange: ExchangePort, *, account: ExchangeAccount) -> None:
    """Raise `BadConfiguration` if the key may do too much or too little.

    Where the exchange does not tell, one reading of the balances shows at least that it reads.
    """
    rights = exchange.key_rights()
    for check in _of_rights(rights, account):
        if check.error is not None:
            raise check.error
    if rights.may_read is None:
        exchange.balances()


def check_again(account: ExchangeAccount, exchange: ExchangePort, *, now: datetime) -> None:
    """Check a key whose last check is a day old; disable the account if its rights are wrong.

    Raises `BadConfiguration` then, so that the reading fails with the reason.
    """
    # A key that was replaced meanwhile is somebody else's to judge.
    same_key = ExchangeAccount.objects.filter(
        pk=account.pk, key_fingerprint=account.key_fingerprint
    )
    if not account.owner_fingerprint and exchange.owner:
        same_key.update(owner_fingerprint=owner_of(exchange))
    if account.key_checked_at is not None and now - account.key_checked_at < EVERY:
        return
    try:
        check_rights(exchange, account=account)
    except BadConfiguration as error:
        with transaction.atomic():
            if same_key.select_for_update(no_key=True).first() is not None:
                put_out_of_use(account, str(error), actor=Actor.service("scheduler"), now=now)
        raise
    same_key.update(key_checked_at=now)


def put_out_of_use(account: ExchangeAccount, why: str, *, actor: Actor, now: datetime) -> None:
    """Write that an account is disabled, by whom and why; must run in a transaction."""
    ExchangeAccount.objects.filter(pk=account.pk).update(
        is_enabled=False,
        disabled_reason=why[:200],
        disabled_by=actor.user,
        disabled_by_name=actor.name,
        disabled_at=now,
    )
    audit.record(
        "account.disabled",
        f"{actor.name} disabled {account.slug}: {why}",
        actor=actor,
        at=now,
        account=account,
        data={"reason": why},
    )
