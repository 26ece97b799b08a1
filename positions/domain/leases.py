"""Say which leases take a slot now, and what a bot's hold on an asset keeps us from.

A trade that has just been opened is in no snapshot yet. So a lease goes on taking its slot after
its end, until a good snapshot whose balances were asked for after that moment tells what became of
it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from positions.domain.verdicts import Reason, Verdict, keep


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTime:
    """One lease of an asset: until when it is in force, and how it ended."""

    asset: str
    expires_at: datetime
    ended_at: datetime | None = None
    opened: bool | None = None  # what the bot said at its end, if it said anything

    def ended(self, *, now: datetime) -> datetime | None:
        """Return the moment of its end, written down yet or not; None while it is in force."""
        if self.ended_at is not None:
            return self.ended_at
        return self.expires_at if self.expires_at <= now else None

    def takes_slot(self, *, asked_at: datetime, now: datetime) -> bool:
        """Tell whether its asset needs a slot; `asked_at`: of the newest good snapshot's balances.

        Told that nothing was opened, it is free at once.
        """
        ended = self.ended(now=now)
        if ended is None:
            return True
        return self.opened is not False and asked_at <= ended


def leased_assets(
    leases: Iterable[LeaseTime], *, asked_at: datetime, now: datetime
) -> frozenset[str]:
    """Return the assets that leases keep a slot for: each one, however many leases it has had.

    What is counted in the snapshot already takes no second one (`WhatIf.leased`).
    """
    return frozenset(
        lease.asset for lease in leases if lease.takes_slot(asked_at=asked_at, now=now)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A bot's lease or claim in force: the asset is the bot's, no plan touches it."""

    asset: str
    bot: str
    note: str = ""  # why it was claimed
    until: datetime | None = None  # of a claim; a lease is renewed all the time

    @property
    def reason(self) -> Reason:
        """Return the reason code."""
        return Reason.LEASED if self.until is None else Reason.CLAIMED_BY_BOT

    @property
    def words(self) -> str:
        """Return whose it is, as the rest of a sentence about the asset."""
        if self.until is None:
            return f"leased by {self.bot}, which may open a trade on it."
        until = f"{self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"claimed by {self.bot} until {until}: {self.note}"

    def verdict(self) -> Verdict:
        """Return the verdict that leaves the asset to its bot."""
        return keep(self.reason, self.words[0].upper() + self.words[1:], _REMEDIES[self.reason])


_REMEDIES = {
    Reason.LEASED: "Wait until the lease is released or expires.",
    Reason.CLAIMED_BY_BOT: "Wait for its end, or have the bot give it back.",
}
