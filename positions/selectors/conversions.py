"""Say what an account's conversion of small balances allows now, and what else verdicts rest on."""

from datetime import datetime
from decimal import Decimal

from positions.domain.conversions import Terms, budget_at
from positions.domain.routes import Circumstances
from positions.exchanges.profiles import profile_of
from positions.models import ExchangeAccount, Snapshot


def circumstances_of(
    account: ExchangeAccount,
    snapshot: Snapshot | None,
    *,
    in_flight: frozenset[str],
    now: datetime,
) -> Circumstances:
    """Return what the verdicts on a snapshot depend on beside the policy."""
    return Circumstances(in_flight=in_flight, terms=terms_of(account, snapshot, now=now))


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
