"""What every first-class exchange must do on the wire: one contract, one subclass per exchange.

A subclass says in the exchange's own words what it answers, and checks the signature as the
exchange would. ccxt runs unmodified: what is asserted here is what would leave for the real hosts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from positions.domain.orders import OrderState
from positions.exchanges.ccxt_adapter import CcxtExchange
from positions.exchanges.port import (
    AnswerUnknown,
    ClockRefused,
    ExchangeError,
    KeyRefused,
    KeyRights,
    RateLimited,
    RequestRefused,
    SellRequest,
)
from tests.exchanges.responder import HTML, KEYS, Answer, OpenAt, Request, Responder
from tests.trading import new_id

Place = tuple[str, str]  # method, path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An order as it stands on the wire, whatever its fields are called there."""

    market: str
    side: str
    kind: str
    quantity: str
    client_id: str


def _names(content: Any) -> Iterator[str]:
    """Return every name in a request, however deep."""
    if isinstance(content, dict):
        yield from content
    for item in content.values() if isinstance(content, dict) else content:
        if isinstance(item, dict | list):
            yield from _names(item)


class Contract(ABC):
    """Say the exchange's words in a subclass; the sentences below hold for all of them."""

    exchange: str
    keys: Mapping[str, str] = KEYS
    symbol: str
    market: str  # as on the wire
    step: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    held: dict[str, tuple[Decimal, Decimal]]  # free, locked
    order: Place
    look_ups: tuple[Place, ...]
    looked_up_by: str = ""  # if it is not called as in the order
    account: Place
    hollow: dict[str, Any]  # no error, and nothing in it
    tickers: Place
    open_orders: Place
    bid_ask_last: tuple[Decimal, Decimal, Decimal]
    fee_currency: str  # the fee is 0.001 of it
    accepted: Any
    insufficient: Answer | dict[str, Any]
    below_minimum: Answer | dict[str, Any]
    rate_limited: Answer | dict[str, Any]
    bad_key: Answer | dict[str, Any]
    bad_clock: Answer | dict[str, Any] | None
    duplicate: Answer | dict[str, Any] | None
    rights: Place
    rights_of_a_trader: Any
    rights_of_a_withdrawer: Any

    @abstractmethod
    def register(self, responder: Responder) -> None:
        """Answer clock, markets, prices, balances and an empty list of open orders."""

    @abstractmethod
    def has_order(self, responder: Responder, client_id: str) -> None:
        """Let the exchange have the order, filled in two trades: 3 at 0.18, 2 at 0.17."""

    @abstractmethod
    def has_no_order(self, responder: Responder) -> None:
        """Let the exchange say that it has no such order."""

    @abstractmethod
    def sent(self, request: Request) -> Sent:
        """Read an order from the wire."""

    @abstractmethod
    def signature_is_right(self, request: Request) -> bool:
        """Check the signature as the exchange would."""

    @pytest.fixture
    def port(self, open_at: OpenAt, responder: Responder) -> CcxtExchange:
        """Return a port that has markets and a clock."""
        self.register(responder)
        made = open_at(self.exchange, keys=self.keys)
        made.markets()
        made.now_ms()
        return made

    def sale(self, port: CcxtExchange) -> SellRequest:
        """Return a request to sell 5, signed now."""
        return SellRequest(
            symbol=self.symbol,
            quantity=Decimal("5"),
            client_order_id=new_id(),
            signed_at_ms=port.now_ms(),
        )

    def sell(self, port: CcxtExchange) -> Any:
        """Sell 5."""
        return port.sell(self.sale(port), may_leave=lambda: True)

    # --- Reading

    def test_markets_carry_the_real_minimums(self, port: CcxtExchange) -> None:
        market = port.markets()[self.symbol]
        assert market.active
        assert market.rule.step_size == self.step
        assert market.rule.min_quantity == self.min_quantity
        assert market.rule.min_notional == self.min_notional

    def test_balances_are_exact(self, port: CcxtExchange) -> None:
        assert {item.asset: (item.free, item.locked) for item in port.balances()} == self.held

    def test_prices_are_read_for_all_and_for_named_markets(self, port: CcxtExchange) -> None:
        for tickers in (port.tickers(), port.tickers([self.symbol])):
            ticker = tickers[self.symbol]
            assert (ticker.bid, ticker.ask, ticker.last) == self.bid_ask_last

    def test_no_open_orders_are_none(self, port: CcxtExchange) -> None:
        assert port.open_order_assets() == frozenset()

    def test_what_the_key_may_do_is_read(self, port: CcxtExchange, responder: Responder) -> None:
        responder.answer(*self.rights, self.rights_of_a_trader)
        trader = KeyRights(may_read=True, may_trade=True, may_withdraw=False)
        assert port.key_rights() == trader
        responder.answer(*self.rights, self.rights_of_a_withdrawer)
        assert port.key_rights().may_withdraw is True

    @pytest.mark.parametrize("answer", [HTML, "", "{}", '{"data": ', Answer(drop=True)])
    def test_an_answer_without_sense_is_no_reading(
        self, port: CcxtExchange, responder: Responder, answer: Any
    ) -> None:
        """A page or cut JSON with status 200 would read as an empty account (ccxt 4.5.90)."""
        for place, ask in (
            (self.account, port.balances),
            (self.tickers, port.tickers),
            (self.open_orders, port.open_order_assets),
            (self.rights, port.key_rights),
        ):
            responder.answer(*place, answer)
            with pytest.raises(ExchangeError):
                ask()

    def test_an_envelope_without_balances_is_no_empty_account(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.account, self.hollow)
        with pytest.raises(AnswerUnknown):
            port.balances()

    # --- Selling

    def test_a_sale_says_base_quantity_and_our_id_and_never_a_price(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.accepted)
        request = self.sale(port)
        outcome = port.sell(request, may_leave=lambda: True)
        wire = responder.only(*self.order)
        assert self.sent(wire) == Sent(
            market=self.market,
            side="sell",
            kind="market",
            quantity="5",
            client_id=port.profile.client_id.of(request.client_order_id),
        )
        assert not {"px", "price", "quoteOrderQty", "quote_size"} & set(_names(wire.params))
        # What an answer does not carry is not made up.
        sold = Decimal(5) if port.profile.answer_carries_fills else Decimal(0)
        assert (outcome.state is OrderState.FILLED) == bool(sold)
        assert (outcome.state is OrderState.ACCEPTED) == (not sold)
        assert outcome.filled_quantity == sold

    def test_every_private_request_is_signed_as_the_exchange_wants_it(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.accepted)
        self.has_no_order(responder)
        self.sell(port)
        port.find_order([self.sale(port)])
        port.balances()
        for place in (self.order, self.account, *self.look_ups):
            for wire in responder.sent(*place):
                assert self.signature_is_right(wire), place
            assert responder.sent(*place), place

    @pytest.mark.parametrize("answer", [HTML, "", "{}", '{"result": {"tx', Answer(drop=True)])
    def test_a_lost_answer_is_unknown_and_the_look_up_finds_the_sale(
        self, port: CcxtExchange, responder: Responder, answer: Any
    ) -> None:
        request = self.sale(port)
        responder.answer(*self.order, answer)
        with pytest.raises(AnswerUnknown):
            port.sell(request, may_leave=lambda: True)
        self.has_order(responder, port.profile.client_id.of(request.client_order_id))
        found = port.find_order([request])
        assert found is not None
        assert (found.state, found.filled_quantity) == (OrderState.FILLED, Decimal(5))
        assert len(responder.sent(*self.order)) == 1

    def test_fills_and_fees_come_from_the_trades(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        request = self.sale(port)
        self.has_order(responder, port.profile.client_id.of(request.client_order_id))
        found = port.find_order([request])
        assert found is not None
        assert found.notional == Decimal("0.88")
        assert [(trade.quantity, trade.price) for trade in found.trades] == [
            (Decimal(3), Decimal("0.18")),
            (Decimal(2), Decimal("0.17")),
        ]
        assert {(trade.fee, trade.fee_currency) for trade in found.trades} == {
            (Decimal("0.001"), self.fee_currency)
        }
        assert all(trade.at_ms for trade in found.trades)

    def test_the_look_up_asks_for_our_id(self, port: CcxtExchange, responder: Responder) -> None:
        request = self.sale(port)
        ours = port.profile.client_id.of(request.client_order_id)
        self.has_no_order(responder)
        assert port.find_order([request]) is None
        if port.profile.look_up.parameter:
            for place in self.look_ups:
                asked = responder.sent(*place)[-1]
                name = self.looked_up_by or port.profile.client_id.on_the_wire
                named = asked.params.get(name)
                assert ours in (named, asked.path.rsplit("/", 1)[1])

    def test_another_order_is_not_ours(self, port: CcxtExchange, responder: Responder) -> None:
        self.has_order(responder, new_id())
        # What answers about another id than it was asked for is no evidence either.
        with suppress(AnswerUnknown):
            assert port.find_order([self.sale(port)]) is None

    @pytest.mark.parametrize("answer", [HTML, "", "{}", '{"data": ', Answer(drop=True)])
    def test_a_look_up_without_sense_is_never_not_found(
        self, port: CcxtExchange, responder: Responder, answer: Any
    ) -> None:
        self.has_no_order(responder)
        for place in self.look_ups:
            responder.answer(*place, answer)
        with pytest.raises(ExchangeError):
            port.find_order([self.sale(port)])

    # --- Refusals

    def test_more_than_is_free_is_refused(self, port: CcxtExchange, responder: Responder) -> None:
        responder.answer(*self.order, self.insufficient)
        with pytest.raises(RequestRefused):
            self.sell(port)

    def test_less_than_the_minimum_is_refused(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, self.below_minimum)
        with pytest.raises(RequestRefused):
            self.sell(port)

    def test_too_many_requests_are_a_pause(self, port: CcxtExchange, responder: Responder) -> None:
        responder.answer(*self.order, self.rate_limited)
        with pytest.raises(RateLimited):
            self.sell(port)

    def test_a_bad_key_is_refused_even_after_it_worked(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        port.balances()
        responder.answer(*self.order, self.bad_key)
        with pytest.raises(KeyRefused):
            self.sell(port)

    def test_a_request_of_the_wrong_time_was_not_placed(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        if self.bad_clock is None:
            return  # the exchange says no more than that the key is not accepted
        responder.answer(*self.order, self.bad_clock)
        with pytest.raises(ClockRefused):
            self.sell(port)

    def test_an_id_that_exists_is_unknown_and_not_refused(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        """ccxt reads it as an invalid order, but it says that an order exists: look it up."""
        if self.duplicate is None:
            return  # the exchange documents no such refusal
        responder.answer(*self.order, self.duplicate)
        with pytest.raises(AnswerUnknown):
            self.sell(port)

    def test_a_server_that_fails_may_have_taken_the_order(
        self, port: CcxtExchange, responder: Responder
    ) -> None:
        responder.answer(*self.order, Answer(status=502, body=HTML))
        with pytest.raises(AnswerUnknown):
            self.sell(port)
