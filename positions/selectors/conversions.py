"""Say what an account's conversion of small balances allows now, and what else verdicts rest on."""

from datetime import datetime
from decimal import Decimal

from positions.domain.amounts import ZERO
from positions.domain.conversions import ConversionRule, Terms, budget_at
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
    prices = {asset: Decimal(text) for asset, text in snapshot.prices.items()}
    return Terms(
        rule=rule,
        budget=budget_at(rule, made_at=made_at, now=now),
        target_price_usd=prices.get(rule.target),
        most_gross=_most_gross(rule, prices),
        problem=snapshot.conversion_problem,
    )


def _most_gross(rule: ConversionRule, prices: dict[str, Decimal]) -> Decimal | None:
    """Return how much of the target one batch may bring; None: no limit. Nothing if unknown."""
    if rule.max_batch_value is None or rule.max_value_asset == rule.target:
        return rule.max_batch_value
    asset, target = prices.get(rule.max_value_asset), prices.get(rule.target)
    if asset is None or not target:
        return ZERO
    return rule.max_batch_value * asset / target
