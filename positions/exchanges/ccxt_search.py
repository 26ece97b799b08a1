"""Look for an order that may have been placed, and believe only what is certainly ours.

The same client id is no proof: Binance accepts it again once the first order is filled. What is
found counts if it is the sale that was asked for, in the same market and of the same quantity, and
not older than its request. Our ids are random: any other order that carries one is a riddle for a
person, and never as good as none.
"""

from collections.abc import Sequence
from typing import Any

from positions.domain.orders import Outcome
from positions.exchanges.ccxt_answers import as_asked, outcome_of, trade_of
from positions.exchanges.ccxt_client import Absent, PacedClient
from positions.exchanges.port import AnswerUnknown, SellRequest
from positions.exchanges.profiles import Profile


class OrderSearch:
    """Find the order of a sale by its client id, or in the list of all orders."""

    def __init__(self, client: PacedClient, profile: Profile) -> None:
        """Send nothing yet."""
        self._client = client
        self._profile = profile

    def by_id(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the order that one of these requests placed, with its trades; None: not found."""
        symbol, params = requests[0].symbol, {"clientOrderId": requests[0].client_order_id}
        try:
            answer = self._client.send_signed(
                "query_order", lambda: self._client.ccxt.fetch_order(None, symbol, params)
            )
        except Absent:
            return None
        return self._evidence(answer, requests)

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
        if not isinstance(answer, list) or len(answer) != self._client.answered_rows():
            raise self._client.nonsense("orders")
        for item in answer:
            if item.get("clientOrderId") == requests[0].client_order_id:
                return self._evidence(item, requests)
        if len(answer) >= rule.history_rows:
            raise AnswerUnknown(f"{self._client.name} lists too many orders to be sure.")
        return None

    def _evidence(self, answer: Any, requests: Sequence[SellRequest]) -> Outcome:
        """Return what an answer says about the order that one of the requests placed."""
        found = self.checked(answer, requests[0])
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
        return found if found.trades_are_complete else self._with_trades(found, requests[0].symbol)

    def checked(self, answer: Any, request: SellRequest) -> Outcome:
        """Return what an answer says about an order with this id; `AnswerUnknown`: nothing."""
        try:
            outcome = outcome_of(answer)
        except AnswerUnknown:
            raise self._client.nonsense("order") from None
        field = self._profile.filled_field
        if outcome is None or (field and not (answer.get("info") or {}).get(field)):
            raise self._client.nonsense("order")
        if (answer.get("clientOrderId"), answer.get("symbol")) != (
            request.client_order_id,
            request.symbol,
        ):
            raise self._client.about_another_order()
        return outcome

    def _with_trades(self, outcome: Outcome, symbol: str) -> Outcome:
        """Return the outcome with all its trades; raise `AnswerUnknown` while some are missing."""
        params = {"orderId": outcome.exchange_order_id}
        answer = self._client.send_signed(
            "my_trades",
            lambda: self._client.ccxt.fetch_my_trades(symbol, None, None, params),
        )
        if not isinstance(answer, list) or self._client.answered_rows() is None:
            raise self._client.nonsense("trades")
        trades = [
            trade_of(item) for item in answer if str(item.get("order")) == outcome.exchange_order_id
        ]
        complete = Outcome(
            state=outcome.state,
            exchange_order_id=outcome.exchange_order_id,
            filled_quantity=outcome.filled_quantity,
            # The exchange's own sum, as it credits it.
            notional=outcome.notional,
            trades=trades,
            placed_at_ms=outcome.placed_at_ms,
        )
        if not complete.trades_are_complete:
            raise AnswerUnknown(f"{self._client.name} has not listed all trades of the order yet.")
        return complete
