"""Look for an order that may have been placed, and believe only what is certainly ours.

The same client id is no proof: Binance accepts it again once the first order is filled. What is
found counts if it is the sale that was asked for, in the same market and of the same quantity, and
not older than its request. Our ids are random: any other order that carries one is a riddle for a
person, and never as good as none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from positions.domain.amounts import ZERO
from positions.domain.orders import Outcome
from positions.exchanges.ccxt_answers import amount_of, as_asked, outcome_of, trade_of
from positions.exchanges.ccxt_client import Absent, PacedClient
from positions.exchanges.port import AnswerUnknown, SellRequest
from positions.exchanges.profiles import Profile


def checked(answer: Any, request: SellRequest, *, client: PacedClient, profile: Profile) -> Outcome:
    """Return what an answer says about an order with this id; `AnswerUnknown`: nothing."""
    try:
        outcome = outcome_of(answer)
    except AnswerUnknown:
        raise client.nonsense("order") from None
    field = profile.filled_field
    if outcome is None or (field and not (answer.get("info") or {}).get(field)):
        raise client.nonsense("order")
    # Where it was asked for by the exchange's own id, the answer need not repeat ours.
    by_theirs = profile.look_up.prefers_their_id and (
        outcome.exchange_order_id == request.exchange_order_id
    )
    ours = {profile.client_id.of(request.client_order_id), *([None] if by_theirs else [])}
    if answer.get("clientOrderId") not in ours or answer.get("symbol") != request.symbol:
        raise client.about_another_order()
    return outcome


class OrderSearch:
    """Find the order of a sale by its client id, or in the list of all orders."""

    def __init__(self, client: PacedClient, profile: Profile) -> None:
        """Send nothing yet."""
        self._client = client
        self._profile = profile

    def by_id(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the order that one of these requests placed, with its trades; None: not found."""
        way, symbol, ours = self._profile.look_up, requests[0].symbol, self._ours(requests[0])
        params = {**way.extra, **({way.parameter: ours} if way.parameter else {})}
        theirs = requests[-1].exchange_order_id if way.prefers_their_id else ""
        if theirs:
            params = {}
        for call in way.calls:
            ask = getattr(self._client.ccxt, call)
            arguments = (theirs or None, symbol) if call == "fetch_order" else (symbol, None, None)
            try:
                answer = self._client.send_signed("query_order", partial(ask, *arguments, params))
            except Absent:
                continue
            if call == "fetch_order":
                return self._evidence(answer, requests)
            rows = self._client.answered_rows(call)
            if not isinstance(answer, list) or rows is None:
                raise self._client.nonsense("orders")
            for item in answer:
                if item.get("clientOrderId") == ours:
                    return self._evidence(item, requests)
            # ccxt leaves out what it can't read. A list with gaps, or a full one, proves nothing.
            if len(answer) != rows or (way.most_rows and rows >= way.most_rows):
                raise self._client.nonsense("orders")
        return None

    def _ours(self, request: SellRequest) -> str:
        return self._profile.client_id.of(request.client_order_id)

    def in_history(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the same from the list of all orders since the first request was signed."""
        rule = self._profile.absence
        if rule is None:
            raise AnswerUnknown(f"{self._client.name}'s list of orders proves nothing.")
        symbol = requests[0].symbol
        since_ms = min(request.signed_at_ms for request in requests) - rule.ahead_ms
        answer = self._client.send_signed(
            "all_orders",
            lambda: self._client.ccxt.fetch_orders(symbol, since_ms, rule.history_rows),
        )
        # ccxt leaves out what it can't date; a list with gaps proves nothing.
        if not isinstance(answer, list) or len(answer) != self._client.answered_rows("all_orders"):
            raise self._client.nonsense("orders")
        for item in answer:
            if item.get("clientOrderId") == self._ours(requests[0]):
                return self._evidence(item, requests)
        if len(answer) >= rule.history_rows:
            raise AnswerUnknown(f"{self._client.name} lists too many orders to be sure.")
        return None

    def _evidence(self, answer: Any, requests: Sequence[SellRequest]) -> Outcome:
        """Return what an answer says about the order that one of the requests placed."""
        found = checked(answer, requests[-1], client=self._client, profile=self._profile)
        rule, placed_at_ms = self._profile.absence, found.placed_at_ms
        if placed_at_ms is None:
            raise self._client.nonsense("time")
        candidates = [
            request
            for request in requests
            if rule is None
            or rule.may_be_its_order(placed_at_ms=placed_at_ms, signed_at_ms=request.signed_at_ms)
        ]
        if not any(as_asked(answer, request) for request in candidates):
            raise self._client.about_another_order()
        return found if found.trades_are_complete else self._with_trades(found, answer)

    def _with_trades(self, outcome: Outcome, order: Mapping[str, Any]) -> Outcome:
        """Return the outcome with all its trades; raise `AnswerUnknown` while some are missing."""
        raw, symbol, profile = self._client.ccxt, order["symbol"], self._profile
        params: dict[str, Any] = {}
        if profile.trades_by_their_ids:
            ids = [item["id"] for item in order.get("trades") or []]
            if not ids:
                raise self._not_all_trades()
            answer = self._client.send_signed(
                "my_trades",
                lambda: raw.fetch_order_trades(
                    outcome.exchange_order_id, symbol, None, None, {"trades": ids}
                ),
            )
        else:
            if profile.trades_parameter:
                params[profile.trades_parameter] = outcome.exchange_order_id
            since = None if params else outcome.placed_at_ms
            answer = self._client.send_signed(
                "my_trades", lambda: raw.fetch_my_trades(symbol, since, None, params)
            )
        if not isinstance(answer, list) or self._client.answered_rows("my_trades") is None:
            raise self._client.nonsense("trades")
        ours = [item for item in answer if str(item.get("order")) == outcome.exchange_order_id]
        trades = [trade_of(item, fee_currency=self._fee_currency(item)) for item in ours]
        # Each trade's own proceeds: an exchange that rounds them credits that, not the product.
        summed = sum((amount_of(item.get("cost")) for item in ours), ZERO)
        # The exchange's own exact sum, as it credits it; not every exchange tells it.
        told = amount_of((order.get("info") or {}).get(profile.notional_field))
        complete = replace(outcome, notional=told or summed, trades=trades)
        if not complete.trades_are_complete:
            raise self._not_all_trades()
        return complete

    def _fee_currency(self, trade: Mapping[str, Any]) -> str:
        field = self._profile.fee_currency_field
        return str((trade.get("info") or {}).get(field) or "") if field else ""

    def _not_all_trades(self) -> AnswerUnknown:
        return AnswerUnknown(f"{self._client.name} has not listed all trades of the order yet.")
