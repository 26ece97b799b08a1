"""Read what people are shown of bots: their tokens, and what they hold of an account."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import QuerySet

from positions.models import BotToken, Claim, ExchangeAccount, Lease, Scope
from positions.selectors.accounts import AccountReading
from positions.selectors.holds import ShownHold


class TokenState(StrEnum):
    """Whether a token opens anything."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """One token as people see it; of its secret nothing is left to show."""

    token: BotToken
    state: TokenState

    @property
    def accounts(self) -> list[ExchangeAccount]:
        """Return its accounts, by name."""
        return sorted(self.token.accounts.all(), key=lambda account: account.slug)

    @property
    def may(self) -> list[str]:
        """Return what it may do, in words."""
        return [scope.label for scope in Scope if self.token.may(scope)]


def state_of(token: BotToken, *, now: datetime) -> TokenState:
    """Return whether the token opens anything now."""
    if token.revoked_at is not None:
        return TokenState.REVOKED
    return TokenState.EXPIRED if token.expires_at <= now else TokenState.VALID


def token_rows(*, now: datetime) -> list[TokenRow]:
    """Return every token in two queries: the valid ones first, each kind newest first."""
    found = BotToken.objects.prefetch_related("accounts")
    rows = [TokenRow(token=token, state=state_of(token, now=now)) for token in found]
    return sorted(rows, key=lambda row: row.state is not TokenState.VALID)


def valid_tokens(bot: str, *, now: datetime) -> QuerySet[BotToken]:
    """Return the tokens that let a bot in now."""
    return BotToken.objects.filter(BotToken.valid(now), bot=bot)


# --- What bots hold -----------------------------------------------------------------------------


def holds_of(reading: AccountReading) -> list[ShownHold]:
    """Return what bots hold of an account: in force first, then what only keeps a slot."""
    analysis = reading.analysis
    counted = frozenset() if analysis is None else analysis.what_if.counted_assets
    # Of what is counted anyway, a lease that has ended keeps no second slot.
    shown = [hold for hold in reading.held.shown if not (hold.ended_at and hold.asset in counted)]
    return sorted(shown, key=lambda hold: (hold.ended_at is not None, hold.asset))


def held_by(bot: str, *, now: datetime) -> list[Lease | Claim]:
    """Return what a bot holds in force, on all accounts."""
    leases = Lease.objects.filter(Lease.in_force(now), bot=bot)
    claims = Claim.objects.filter(Claim.in_force(now), bot=bot)
    return [*leases.select_related("account"), *claims.select_related("account")]
