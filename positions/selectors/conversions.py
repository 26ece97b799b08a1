"""Say what an account's conversion of small balances allows now, and what else verdicts rest on."""

from datetime import datetime
from decimal import Decimal

from positions.domain.conversions import Terms, budget_at
from positions.domain.routes import Circumstances
from positions.exchanges.profiles import profile_of
from positions.models import ExchangeAccount, Snapshot
from positions.selectors.holds import Held


def circumstances_of(
    account: ExchangeAccount,
    snapshot: Snapshot | None,
    *,
    held: Held,
    now: datetime,
) -> Circumstances:
    """Return what the verdicts on a snapshot depend on beside the policy."""
    return Circumstances(
        in_flight=held.in_flight,
        terms=terms_of(account, snapshot, now=now),
        holds=held.holds,
        leased=held.leased,
    )


def terms_of(account: ExchangeAccount, snapshot: Snapshot | None, *, now: datetime) -> Terms | None:
    """Return the terms of the account's conversion; None where its exchange has none."""
    rule = profile_of(account.exchange).conversion
    if rule is None or snapshot is None:
        return None
    made_at = [datetime.fromisoformat(text) for text in account.conversions_at]
    price = snapshot.prices.get(rule.target)
    return Terms(
        rule=rule,
        budget=budget_at(rule, made_at=made_at, now=now),
        target_price_usd=None if price is None else Decimal(price),
        problem=snapshot.conversion_problem,
    )
