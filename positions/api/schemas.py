"""What goes in and out: money and quantities as text, counts as integers, moments in UTC."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, PlainSerializer, StrictInt
from pydantic import StrictBool as Strictly

from positions.domain.amounts import canonical
from positions.models import BotToken, Claim, ExchangeAccount, Lease
from positions.models.bots import LONGEST_BOT, LONGEST_KEY, LONGEST_REASON
from positions.selectors.slots import SlotsNow

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_EXAMPLE = "2030-01-31T12:00:00Z"


def _written_out(value: object) -> object:
    """Take moments as text alone: a number could be seconds or milliseconds."""
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise ValueError(f"write it with its time zone, for example {_EXAMPLE}")
    return value


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    PlainSerializer(_utc, return_type=str),
    Field(examples=[_EXAMPLE]),
]


class _In(Schema):
    """A request's body; what nobody asked for is a mistake, not nothing."""

    model_config = ConfigDict(extra="forbid")


class Slots(Schema):
    """How many slots an account has; unknown never means free, so then every number is null."""

    account: str = Field(examples=["demo"])
    status: Literal["known", "unknown"]
    cap: int = Field(examples=[8])
    dust_threshold: str = Field(examples=["0.50"], description="US dollars.")
    policy_version: int = Field(examples=[3])
    counted: int | None = Field(examples=[5], description="Positions that take a slot.")
    leased: int | None = Field(examples=[1], description="Slots that bots have reserved.")
    available: int | None = Field(examples=[2], description="Free slots.")
    over_cap: int | None = Field(examples=[0], description="By how many the cap is exceeded.")
    as_of: Moment | None = Field(description="When the balances were asked for.")
    fresh: bool
    fresh_until: Moment | None = Field(description="From when on nobody knows, unless read again.")
    detail: str = Field(examples=[""], description="Why nobody knows; empty if it is known.")

    @classmethod
    def of(cls, seen: SlotsNow) -> "Slots":
        """Return them as they are told."""
        slots = seen.slots if seen.is_fresh else None
        return cls.model_construct(
            account=seen.policy.account.slug,
            status="unknown" if slots is None else "known",
            cap=seen.policy.position_cap,
            dust_threshold=canonical(seen.policy.dust_threshold),
            policy_version=seen.policy.version,
            counted=slots and slots.counted,
            leased=slots and slots.leased,
            available=slots and slots.available,
            over_cap=slots and slots.over_cap,
            as_of=seen.as_of,
            fresh=seen.is_fresh,
            fresh_until=seen.fresh_until if seen.is_fresh else None,
            detail=seen.why_unknown,
        )


class TokenTold(Schema):
    """What a token is good for."""

    bot: str = Field(examples=["grid-7"])
    prefix: str = Field(examples=["3f9a1c20b7de"], description="By this people know it.")
    scopes: list[str] = Field(examples=[["lease", "read"]])
    expires_at: Moment

    @classmethod
    def of(cls, token: BotToken) -> "TokenTold":
        """Return it as it is told; never the token itself."""
        return cls.model_construct(
            bot=token.bot, prefix=token.prefix, scopes=token.scopes, expires_at=token.expires_at
        )


class LeaseWanted(_In):
    """A slot for an asset, for so many seconds."""

    asset: str = Field(examples=["SOL"], description="The code of what is going to be bought.")
    ttl: StrictInt = Field(examples=[300], description="Seconds, 1 to 86400; renew it meanwhile.")
    idempotency_key: str = Field(
        examples=["grid-7-2030-01-31-0001"],
        max_length=LONGEST_KEY,
        description="Yours; the same one after a lost answer returns the same lease.",
    )
    bot: str | None = Field(
        None,
        examples=["grid-7"],
        max_length=LONGEST_BOT,
        description="The token's bot, or nothing.",
    )


class Renewal(_In):
    """So many seconds from now."""

    ttl: StrictInt = Field(examples=[300], description="Seconds from now, 1 to 86400.")


class LeaseGivenBack(_In):
    """What became of it."""

    opened: Strictly | None = Field(
        None,
        examples=[False],
        description="false: nothing was opened, the slot is free at once. Else it goes on counting "
        "until a good snapshot whose balances were asked for after this moment.",
    )


class LeaseTold(Schema):
    """One lease."""

    id: int = Field(examples=[12])
    account: str = Field(examples=["demo"])
    bot: str = Field(examples=["grid-7"])
    asset: str = Field(examples=["SOL"])
    status: Literal["active", "ended"]
    created_at: Moment
    expires_at: Moment
    ended_at: Moment | None
    ended_how: Literal["", "released", "not_opened", "expired"] = Field(examples=[""])
    opened: bool | None = Field(description="Whether a trade was opened, if it was told.")

    @classmethod
    def of(cls, lease: Lease, account: ExchangeAccount, *, now: datetime) -> "LeaseTold":
        """Return it as it is told; over is over, written down yet or not."""
        over = lease.ended_at is None and lease.expires_at <= now
        return cls.model_construct(
            id=lease.pk,
            account=account.slug,
            bot=lease.bot,
            asset=lease.asset,
            status="ended" if over or lease.ended_at else "active",
            created_at=lease.created_at,
            expires_at=lease.expires_at,
            ended_at=lease.expires_at if over else lease.ended_at,
            ended_how="expired" if over else lease.ended_how,
            opened=lease.opened,
        )


class Leases(Schema):
    """The leases in force, of every bot, the newest first."""

    leases: list[LeaseTold]


class ClaimWanted(_In):
    """An asset that no plan may touch until then."""

    asset: str = Field(examples=["SOL"])
    until: Moment = Field(description="At most 30 days away.")
    reason: str = Field(examples=["grid 120-160"], max_length=LONGEST_REASON)


class ClaimTold(Schema):
    """One claim."""

    id: int = Field(examples=[7])
    account: str = Field(examples=["demo"])
    bot: str = Field(examples=["grid-7"])
    asset: str = Field(examples=["SOL"])
    status: Literal["active", "ended"]
    reason: str = Field(examples=["grid 120-160"])
    created_at: Moment
    until: Moment
    ended_at: Moment | None

    @classmethod
    def of(cls, claim: Claim, account: ExchangeAccount, *, now: datetime) -> "ClaimTold":
        """Return it as it is told; over is over, written down yet or not."""
        over = claim.ended_at is None and claim.until <= now
        return cls.model_construct(
            id=claim.pk,
            account=account.slug,
            bot=claim.bot,
            asset=claim.asset,
            status="ended" if over or claim.ended_at else "active",
            reason=claim.reason,
            created_at=claim.created_at,
            until=claim.until,
            ended_at=claim.until if over else claim.ended_at,
        )


class Claims(Schema):
    """The claims in force, of every bot, the newest first."""

    claims: list[ClaimTold]


class SnapshotAsked(Schema):
    """A snapshot that was asked for; a worker takes it."""

    account: str = Field(examples=["demo"])
    asked_at: Moment
