"""Whatever an account holds and whatever its policy says, a plan keeps to the rules."""

from decimal import Decimal

from hypothesis import assume, given, settings

from positions.domain.balances import Holding, Kind
from positions.domain.classification import Classified, is_counted, landing_of
from positions.domain.planning import NothingToClose, PlanDraft, PlannedOrder, draw_plan
from positions.domain.policies import GuardBroken, Policy
from positions.domain.routes import Circumstances
from positions.domain.verdicts import Category, Route
from tests.domain.builders import (
    CASH,
    FEES,
    IGNORED,
    IN_FLIGHT,
    PROTECTED,
    accounts,
    at_threshold,
    circumstances,
    policies,
    thresholds,
)


def drawn(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> tuple[Classified, PlanDraft]:
    """Return what is planned for the account; a plan without orders is none."""
    classified = at_threshold(holdings, str(threshold), policy=policy, circumstances=now)
    try:
        plan = draw_plan(classified, threshold=threshold, policy=policy, terms=now.terms)
    except (GuardBroken, NothingToClose):
        plan = None
    assume(plan is not None)
    assert plan is not None
    return classified, plan


CASES = (accounts(), policies(), circumstances(), thresholds())


@settings(deadline=None, max_examples=50)
@given(*CASES)
def test_nothing_is_planned_that_a_person_or_the_exchange_holds_back(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> None:
    _, plan = drawn(holdings, policy, now, threshold)
    by_asset = {item.asset: item for item in holdings}
    for order in plan.orders:
        held = by_asset[order.asset]
        assert order.asset not in {*CASH, *PROTECTED, *IGNORED, *FEES, *IN_FLIGHT}
        assert held.kind in {Kind.SPOT, Kind.AIRDROP}
        assert held.debt == 0
        assert not held.has_open_order
        assert held.value_usd is not None
        assert held.value_usd < threshold
        assert 0 < order.quantity <= held.free
        assert order.value_usd <= policy.order_value_limit(threshold)
        assert order.expected_net_usd > 0
        assert order.into in landing_of(holdings, policy=policy)
        assert order.into not in {item.asset for item in plan.orders}
    assert 0 < len(plan.orders) <= policy.max_plan_orders
    assert plan.value_usd <= policy.max_plan_value


@settings(deadline=None, max_examples=50)
@given(*CASES)
def test_a_planned_order_breaks_no_rule_of_its_market_and_none_of_the_conversion(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> None:
    _, plan = drawn(holdings, policy, now, threshold)
    by_asset = {item.asset: item for item in holdings}
    for order in plan.orders:
        if order.route is Route.SELL:
            check_sale(order, by_asset[order.asset], policy)
        else:
            check_conversion(order, by_asset[order.asset], policy, now)
    converted = [order for order in plan.orders if order.route is Route.CONVERT]
    if now.terms is not None and now.terms.rule.most_assets is not None:
        assert len(converted) <= now.terms.rule.most_assets
    if now.terms is not None and now.terms.rule.most_gross is not None:
        gross = sum(order.quantity * order.price for order in converted)
        assert gross <= now.terms.rule.most_gross


def check_sale(order: PlannedOrder, held: Holding, policy: Policy) -> None:
    (sale,) = (item for item in held.sales if item.market.symbol == order.symbol)
    rule, ticker = sale.market.rule, sale.ticker
    assert policy.sell_enabled
    assert sale.market.active
    assert sale.market.quote == order.into
    assert ticker is not None
    assert ticker.bid is not None
    assert sale.quote_price_usd is not None
    bid = ticker.bid if sale.deep_bid is None else sale.deep_bid
    assert order.price == bid > 0
    assert order.quantity % rule.step_size == 0
    assert order.quantity >= rule.min_quantity
    if rule.max_quantity:
        assert order.quantity <= rule.max_quantity
    assert order.quantity * bid >= rule.min_notional * (1 + policy.minimum_margin)
    assert bid >= (ticker.last or bid) * (1 - policy.max_slippage)
    gross = order.quantity * bid * sale.quote_price_usd
    assert order.expected_net_usd + order.expected_fee_usd == gross


def check_conversion(
    order: PlannedOrder, held: Holding, policy: Policy, now: Circumstances
) -> None:
    assert policy.convert_enabled
    assert now.terms is not None
    assert now.terms.budget.is_open
    assert now.terms.target_price_usd is not None
    assert order.symbol == ""
    assert order.into == now.terms.rule.target
    assert held.offer is not None
    assert order.quantity == held.offer.quantity
    assert order.expected_net_usd == held.offer.net * now.terms.target_price_usd


@settings(deadline=None, max_examples=50)
@given(*CASES)
def test_every_position_is_either_planned_or_skipped(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> None:
    classified, plan = drawn(holdings, policy, now, threshold)
    named = [*(item.asset for item in plan.orders), *(item.asset for item in plan.skipped)]
    assert sorted(named) == sorted(item.asset for item in classified.positions)
    for position in classified.positions:
        if position.category is not Category.DUST:
            assert position.asset in {item.asset for item in plan.skipped}


@settings(deadline=None, max_examples=50)
@given(*CASES)
def test_only_what_dust_becomes_takes_a_slot_that_was_free(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> None:
    classified, plan = drawn(holdings, policy, now, threshold)
    positions = {item.asset: item for item in classified.positions}
    became = {order.into for order in plan.orders} - policy.cash_assets
    assert len(plan.skipped) <= plan.positions_after + len(became)
    assert plan.positions_after <= plan.positions_before + len(became - set(positions))
    before, after = plan.slots_before, plan.slots_after
    assert after.counted <= before.counted + len(became)
    stay = [item.holding for item in classified.positions if item.asset not in became]
    stay = [item for item in stay if item.asset not in {order.asset for order in plan.orders}]
    counted = [is_counted(item, threshold=policy.dust_threshold, policy=policy) for item in stay]
    assert after.counted >= sum(counted)
