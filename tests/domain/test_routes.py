"""Each way out of a holding is judged, the best net wins, and its sentence says why."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from positions.domain.balances import Holding
from positions.domain.classification import landing_of
from positions.domain.conversions import Terms
from positions.domain.policies import Policy
from positions.domain.routes import Circumstances, closing_route
from positions.domain.verdicts import Reason, Route, Verdict
from tests.domain.builders import (
    accounts,
    at_threshold,
    circumstances,
    make_holding,
    make_offer,
    make_policy,
    make_sale,
    make_terms,
    policies,
    thresholds,
)


def way_out(
    holding: Holding,
    *,
    terms: Terms | None = None,
    others: tuple[Holding, ...] = (),
    **policy: Any,
) -> Verdict:
    rules = make_policy(**policy)
    landing = landing_of([holding, *others], policy=rules)
    return closing_route(holding, policy=rules, landing=landing, terms=terms)


def reason_of(**facts: Any) -> Reason | None:
    verdict = way_out(make_holding(**facts))
    assert (verdict.route is None) is (verdict.reason is not None)
    return verdict.reason


# A sale


def test_liquid_dust_is_sold_with_its_fee_and_its_slippage_shown() -> None:
    verdict = way_out(make_holding(free="5.019", bid="0.099", ask="0.101", last="0.1"))
    assert verdict.route is Route.SELL
    assert (verdict.symbol, verdict.into) == ("DOGE/USDT", "USDT")
    assert verdict.price == Decimal("0.099")
    assert verdict.quantity == Decimal("5.01")
    assert verdict.expected_fee_usd == Decimal("0.00049599")
    assert verdict.expected_slippage_usd == Decimal("0.00501")
    assert verdict.expected_net_usd == Decimal("0.49549401")
    assert verdict.sentence == "Market order on DOGE/USDT."


def test_expected_money_is_in_dollars_and_not_in_the_quote() -> None:
    dollars = way_out(make_holding(price="0.1"))
    euros = way_out(make_holding(price="0.05", bid="0.1", last="0.1", quote_price_usd="0.5"))
    assert dollars.expected_net_usd == Decimal("0.4995")
    assert euros.expected_net_usd == Decimal("0.24975")
    assert euros.expected_fee_usd == Decimal("0.00025")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"quote": None}, Reason.NO_MARKET),
        ({"active": False}, Reason.MARKET_HALTED),
        ({"active": False, "delisted": True}, Reason.NO_MARKET),
        ({"bid": None}, Reason.ILLIQUID),
        ({"bid": "0"}, Reason.ILLIQUID),
        ({"deep_bid": "0"}, Reason.ILLIQUID),
        ({"quote_price_usd": None}, Reason.UNPRICED),
        ({"min_quantity": "5.01"}, Reason.BELOW_MIN_QUANTITY),
        ({"max_quantity": "0.5", "min_quantity": "1"}, Reason.BELOW_MIN_QUANTITY),
        ({"min_notional": "5"}, Reason.BELOW_MIN_NOTIONAL),
        ({"taker_fee": "0.999"}, None),
        ({"taker_fee": "1"}, Reason.UNECONOMIC),
        ({"taker_fee": "1.1"}, Reason.UNECONOMIC),
    ],
)
def test_a_market_that_takes_no_sale_says_why(facts: dict[str, Any], reason: Reason) -> None:
    assert reason_of(**facts) is reason
    assert way_out(make_holding(**facts)).message.endswith(".")


def test_a_quote_that_nobody_can_value_is_named() -> None:
    verdict = way_out(make_holding(quote_price_usd=None))
    assert "pays in USDT, which has no trustworthy price" in verdict.message


@pytest.mark.parametrize(
    ("free", "reason"), [("4.99", Reason.BELOW_MIN_QUANTITY), ("5", None), ("5.01", None)]
)
def test_the_minimum_quantity_holds_at_its_edge(free: str, reason: Reason | None) -> None:
    assert reason_of(free=free, min_quantity="5") is reason


def test_a_quantity_that_meets_the_minimum_only_before_flooring_is_kept() -> None:
    assert reason_of(free="5.9", step_size="3", min_quantity="5") is Reason.BELOW_MIN_QUANTITY


def test_what_is_missing_to_the_smallest_order_is_a_sum_above_zero() -> None:
    # Eleven are held, but only nine or twelve can be sold: one more is needed.
    verdict = way_out(make_holding(free="11", price="0.01", step_size="3", min_quantity="10"))
    assert verdict.reason is Reason.BELOW_MIN_QUANTITY
    assert verdict.remedy == "Needs 1 DOGE more."


def test_nothing_is_missing_where_the_largest_order_is_below_the_smallest() -> None:
    verdict = way_out(make_holding(free="5", max_quantity="0.5", min_quantity="1"))
    assert verdict.reason is Reason.BELOW_MIN_QUANTITY
    assert verdict.remedy == "Wait for the exchange."


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("0.1", Reason.BELOW_MIN_NOTIONAL),  # exactly the minimum, without the margin
        ("0.10199999", Reason.BELOW_MIN_NOTIONAL),
        ("0.102", None),
        ("0.10200001", None),
    ],
)
def test_the_minimum_notional_needs_its_margin(price: str, reason: Reason | None) -> None:
    assert reason_of(free="5", price=price, min_notional="0.5") is reason


def test_the_minimum_is_met_by_what_is_free_and_not_by_what_is_locked() -> None:
    assert reason_of(free="5", locked="4", min_notional="0.6") is Reason.BELOW_MIN_NOTIONAL


def test_a_position_below_the_minimum_says_how_much_is_missing() -> None:
    verdict = way_out(make_holding(free="5", price="0.1", min_notional="5"))
    assert (
        verdict.sentence
        == "Below the exchange minimum of $5.00. Needs $4.60 more, 2% room included."
    )


@pytest.mark.parametrize(
    ("bid", "reason"), [("0.0990001", None), ("0.099", None), ("0.0989999", Reason.ILLIQUID)]
)
def test_slippage_up_to_the_limit_is_accepted(bid: str, reason: Reason | None) -> None:
    assert reason_of(bid=bid, last="0.1") is reason


@pytest.mark.parametrize(
    ("deep_bid", "reason"), [("0.0990001", None), ("0.099", None), ("0.0989999", Reason.ILLIQUID)]
)
def test_what_the_whole_order_would_bring_counts_where_the_best_bid_is_too_small(
    deep_bid: str, reason: Reason | None
) -> None:
    verdict = way_out(make_holding(bid="0.1", last="0.1", deep_bid=deep_bid))
    assert verdict.reason is reason
    if reason is None:
        assert verdict.price == Decimal(deep_bid)


@pytest.mark.parametrize(("price", "reason"), [("0.101", None), ("0.102", Reason.ILLIQUID)])
def test_a_low_bid_beside_an_old_low_trade_is_no_good_price(
    price: str, reason: Reason | None
) -> None:
    # Elsewhere it is worth more than this market's last trade says.
    assert reason_of(price=price, bid="0.1", last="0.1") is reason


def test_a_bid_above_the_last_trade_costs_no_slippage() -> None:
    verdict = way_out(make_holding(bid="0.11", ask="0.12", last="0.1"))
    assert verdict.route is Route.SELL
    assert verdict.expected_slippage_usd == 0


def test_a_sale_never_exceeds_the_largest_market_order() -> None:
    assert way_out(make_holding(max_quantity="3.005")).quantity == Decimal("3")
    assert way_out(make_holding(max_quantity=None)).quantity == Decimal("5")
    assert way_out(make_holding(max_quantity="0")).quantity == Decimal("5")


def test_selling_that_is_switched_off_is_no_way() -> None:
    assert way_out(make_holding(), sell_enabled=False).reason is Reason.ROUTE_OFF


# A sale for another quote, under what dust may become


def in_btc(**facts: Any) -> Any:
    """Return a market in which 5 DOGE at 0.1 pay 0.00001 BTC."""
    return make_sale("DOGE", "BTC", last="0.000002", quote_price_usd="50000", **facts)


BTC_HELD = make_holding("BTC", free="1", price="50000")


def test_a_sale_into_an_asset_that_would_be_the_next_dust_is_not_offered() -> None:
    held = make_holding(sales=(in_btc(),))
    assert way_out(held).reason is Reason.NO_MARKET
    little = make_holding("BTC", free="0.0001", price="50000")  # $5: a plan up to $10 closes it
    assert way_out(held, others=(little,)).reason is Reason.NO_MARKET
    sold = way_out(held, others=(BTC_HELD,))
    assert (sold.route, sold.symbol, sold.into) == (Route.SELL, "DOGE/BTC", "BTC")
    assert sold.expected_net_usd == Decimal("0.4995")


@pytest.mark.parametrize("policy", ["ignored_assets", "fee_assets", "cash_assets"])
def test_a_sale_into_what_takes_no_slot_by_the_policy_is_offered(policy: str) -> None:
    held = make_holding(sales=(in_btc(),))
    assert way_out(held, **{policy: ["BTC"]}).into == "BTC"


def test_the_other_quote_is_chosen_where_the_first_is_below_its_minimum() -> None:
    held = make_holding(sales=(make_sale(min_notional="5"), in_btc()))
    assert way_out(held, others=(BTC_HELD,)).symbol == "DOGE/BTC"
    assert way_out(held).reason is Reason.BELOW_MIN_NOTIONAL


def test_the_reason_of_a_market_that_could_be_used_soon_is_told_before_a_closed_ones() -> None:
    sales = (make_sale(active=False), make_sale("DOGE", "USDC", min_notional="5"))
    assert way_out(make_holding(sales=sales)).reason is Reason.BELOW_MIN_NOTIONAL


def test_of_two_equal_markets_the_accounts_quote_is_taken() -> None:
    sales = (make_sale(), make_sale("DOGE", "USDC"))
    assert way_out(make_holding(sales=sales)).symbol == "DOGE/USDT"


# The exchange's own conversion


def test_what_is_too_small_to_be_sold_is_converted() -> None:
    held = make_holding(min_notional="5", offer=make_offer())
    verdict = way_out(held, terms=make_terms())
    assert verdict.route is Route.CONVERT
    assert (verdict.symbol, verdict.into) == ("", "BNB")
    assert verdict.quantity == 5
    assert verdict.price == Decimal("0.00016")  # BNB for one DOGE, before the charge
    assert verdict.expected_fee_usd == Decimal("0.0096")
    assert verdict.expected_slippage_usd == Decimal("0.02")  # worth $0.50, paid for with $0.48
    assert verdict.expected_net_usd == Decimal("0.4704")


def test_a_conversion_closes_what_has_no_market() -> None:
    assert way_out(make_holding(quote=None, offer=make_offer()), terms=make_terms()).route is (
        Route.CONVERT
    )


def test_a_closed_window_says_when_it_opens() -> None:
    held = make_holding(min_notional="5", offer=make_offer())
    verdict = way_out(held, terms=make_terms(is_open=False))
    assert verdict.reason is Reason.CONVERT_WINDOW_CLOSED
    assert verdict.remedy == "The next conversion window opens at 14:20 UTC."


def test_a_closed_window_keeps_nothing_that_can_be_sold() -> None:
    held = make_holding(offer=make_offer())
    assert way_out(held, terms=make_terms(is_open=False)).route is Route.SELL


@pytest.mark.parametrize(
    ("facts", "terms", "reason"),
    [
        ({}, make_terms(), Reason.NOT_CONVERTIBLE),
        ({"offer": make_offer()}, make_terms(price=None), Reason.NOT_CONVERTIBLE),
        ({"offer": make_offer(fee="0.0008")}, make_terms(), Reason.UNECONOMIC),
        ({"offer": make_offer(fee="0.0009")}, make_terms(), Reason.UNECONOMIC),
        ({"offer": make_offer(quantity="5.00000001")}, make_terms(), Reason.DRIFTED),
        ({"offer": make_offer()}, make_terms("ETH"), Reason.NO_MARKET),  # the next dust
        ({"offer": make_offer()}, None, Reason.NO_MARKET),
    ],
)
def test_what_has_no_market_and_can_not_be_converted_says_why(
    facts: dict[str, Any], terms: Terms | None, reason: Reason
) -> None:
    verdict = way_out(make_holding(quote=None, **facts), terms=terms)
    assert verdict.reason is reason
    assert verdict.message.startswith("No market here where it could be sold.")


def test_an_offer_is_uneconomic_only_when_nothing_is_left() -> None:
    held = make_holding(quote=None, offer=make_offer(gross="0.0008", fee="0.00079999"))
    assert way_out(held, terms=make_terms()).route is Route.CONVERT


def test_an_exchange_that_does_not_say_what_it_converts_is_quoted() -> None:
    terms = make_terms(problem="The exchange does not say what it converts: no permission.")
    verdict = way_out(make_holding(min_notional="5"), terms=terms)
    assert verdict.reason is Reason.BELOW_MIN_NOTIONAL
    assert verdict.remedy.endswith("does not say what it converts: no permission.")


def test_what_is_missing_to_the_minimum_is_told_with_that_it_is_not_convertible() -> None:
    verdict = way_out(make_holding(min_notional="5"), terms=make_terms())
    assert verdict.reason is Reason.BELOW_MIN_NOTIONAL
    assert verdict.remedy == (
        "Needs $4.60 more, 2% room included. The exchange does not convert it."
    )


def test_closing_is_uneconomic_when_every_way_costs_more_than_it_returns() -> None:
    held = make_holding(taker_fee="1", offer=make_offer(fee="0.0008"))
    verdict = way_out(held, terms=make_terms())
    assert verdict.reason is Reason.UNECONOMIC
    assert verdict.sentence == (
        "Closing costs more than it returns. Leave it. Converting costs more than it returns."
    )


def test_converting_that_is_switched_off_is_no_way() -> None:
    held = make_holding(min_notional="5", offer=make_offer())
    off = way_out(held, terms=make_terms(), convert_enabled=False)
    assert off.reason is Reason.BELOW_MIN_NOTIONAL
    nowhere = make_holding(quote=None, offer=make_offer())
    assert way_out(nowhere, terms=make_terms(), convert_enabled=False).reason is Reason.ROUTE_OFF


def test_a_conversion_stays_where_only_selling_is_switched_off() -> None:
    held = make_holding(offer=make_offer())
    assert way_out(held, terms=make_terms(), sell_enabled=False).route is Route.CONVERT


# The best of several


@pytest.mark.parametrize(
    ("fee", "route"),
    [
        # A sale brings $0.4995, that is 0.0008325 BNB of the 0.00084 before the charge.
        ("0.0000074", Route.CONVERT),
        ("0.0000075", Route.SELL),  # the same: a sale waits for no window
        ("0.0000076", Route.SELL),
    ],
)
def test_the_way_with_the_best_net_is_chosen(fee: str, route: Route) -> None:
    held = make_holding(offer=make_offer(gross="0.00084", fee=fee))
    assert way_out(held, terms=make_terms()).route is route


def test_the_sentence_says_what_the_next_best_way_would_have_brought() -> None:
    sold = way_out(make_holding(offer=make_offer()), terms=make_terms())
    assert sold.message == "Market order on DOGE/USDT. It brings $0.4995, converting $0.4704."
    dear = make_holding(taker_fee="0.5", offer=make_offer())
    assert way_out(dear, terms=make_terms()).message == (
        "Converted into BNB by the exchange. It brings $0.4704, selling on DOGE/USDT $0.25."
    )


def test_a_part_that_can_be_sold_is_worth_less_than_a_conversion_of_all() -> None:
    held = make_holding(max_quantity="3", offer=make_offer())
    assert way_out(held, terms=make_terms()).route is Route.CONVERT


# Properties


@settings(deadline=None, max_examples=60)
@given(accounts(), policies(), circumstances(), thresholds())
def test_no_way_alone_would_bring_more_than_the_one_that_is_chosen(
    holdings: list[Holding], policy: Policy, now: Circumstances, threshold: Decimal
) -> None:
    landing = landing_of(holdings, policy=policy)
    classified = at_threshold(holdings, str(threshold), policy=policy, circumstances=now)
    for position in classified.positions:
        verdict, held = position.closing, position.holding
        if verdict.route is None:
            continue
        alone = [
            closing_route(one_way(held, symbol), policy=policy, landing=landing, terms=None)
            for symbol in (sale.market.symbol for sale in held.sales)
        ]
        alone.append(
            closing_route(one_way(held, ""), policy=policy, landing=landing, terms=now.terms)
        )
        nets = [way.expected_net_usd or Decimal(0) for way in alone if way.route is not None]
        assert verdict.expected_net_usd == max(nets) > 0


def one_way(holding: Holding, symbol: str) -> Holding:
    """Return the holding with no way out but a sale in this market, or none but a conversion."""
    sales = tuple(sale for sale in holding.sales if sale.market.symbol == symbol)
    return Holding(
        asset=holding.asset,
        free=holding.free,
        locked=holding.locked,
        price_usd=holding.price_usd,
        sales=sales,
        offer=holding.offer,
    )
