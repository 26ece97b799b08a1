"""Decide when an exchange's own conversion of small balances may be made again, by its rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from positions.domain.absence import AbsenceRule

# A calendar day of an unknown time zone fits into it, so it never allows more than that day does.
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRule:
    """How one exchange converts small balances, as data; `source` and `read` say who says so."""

    target: str  # what everything becomes
    charge: Decimal  # share of the gross that the exchange keeps
    most_gross: Decimal | None = None  # of the target, for one batch; None: no limit is stated
    most_assets: int | None = None  # in one batch
    window: timedelta = timedelta(0)  # at least so long between two conversions
    per_day: int | None = None
    window_codes: frozenset[str] = frozenset()  # "too early for another one"
    refusal_codes: frozenset[str] = frozenset()  # that certainly nothing was converted
    waits: timedelta = timedelta(0)  # how long one may take after its answer; zero: it is final
    # When "not in the history" proves that a conversion was not made; None: nothing does.
    absence: AbsenceRule | None = None
    source: str
    read: str  # when, year and month


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Whether an account may convert now, and when it may next."""

    is_open: bool
    next_at: datetime | None  # when the next one may be made; None: now
    left_today: int | None  # how many more in these 24 hours; None: no such limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the exchange says that converting all that is free of one asset would bring."""

    asset: str
    quantity: Decimal  # of the asset
    gross: Decimal  # of the target, before the charge
    fee: Decimal  # of the target
    net: Decimal  # of the target


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """An exchange's conversion as it stands now: its rule, its budget, what its target is worth."""

    rule: ConversionRule
    budget: Budget
    target_price_usd: Decimal | None
    problem: str = ""  # why the exchange did not say what it converts

    @property
    def opens(self) -> str:
        """Return when the next conversion may be made."""
        if self.budget.next_at is None:
            return ""
        return f"The next conversion window opens at {self.budget.next_at:%H:%M} UTC."


def budget_at(rule: ConversionRule, *, made_at: Sequence[datetime], now: datetime) -> Budget:
    """Return what the rule leaves at this moment after conversions at those, whoever made them.

    `made_at` needs to reach back a day and a window; one dated after `now` counts too, because the
    exchange's clock is what decides.
    """
    latest_first = sorted(made_at, reverse=True)
    moments = [made + rule.window for made in latest_first[:1]]
    left = None
    if rule.per_day is not None:
        left = max(0, rule.per_day - sum(1 for made in latest_first if made + DAY > now))
        # The oldest of the last `per_day` conversions must be a day old.
        moments += [made + DAY for made in latest_first[rule.per_day - 1 : rule.per_day]]
    opens_at = max(moments, default=now)
    is_open = opens_at <= now
    return Budget(is_open=is_open, next_at=None if is_open else opens_at, left_today=left)
