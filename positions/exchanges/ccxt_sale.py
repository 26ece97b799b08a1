"""Sell at the market by base quantity, and believe of the answer what the exchange documents."""

from collections.abc import Callable
from typing import Any

from positions.domain.amounts import canonical
from positions.domain.orders import Outcome
from positions.exchanges.ccxt_answers import accepted, as_asked
from positions.exchanges.ccxt_client import PacedClient
from positions.exchanges.ccxt_search import checked
from positions.exchanges.port import SellRequest
from positions.exchanges.profiles import Profile


class Seller:
    """Place one account's orders."""

    def __init__(self, client: PacedClient, profile: Profile, *, window_ms: int) -> None:
        """Send nothing yet; `window_ms` is how long an order may be accepted after its signing."""
        self._client = client
        self._profile = profile
        self._window_ms = window_ms

    def sell(self, request: SellRequest, *, may_leave: Callable[[], bool]) -> Outcome:
        """Place the order; the markets are loaded, and its moment has come."""
        answer = self._client.send_signed(
            "order",
            lambda: self._client.ccxt.create_order(
                request.symbol,
                "market",
                "sell",
                canonical(request.quantity),
                None,  # never a price: five exchanges would take it for a quote amount
                self._params(request),
            ),
            signed_at_ms=request.signed_at_ms,
            headers=self._headers(request),
            may_leave=may_leave,
            has_slot=True,
        )
        if not self._profile.answer_carries_fills:
            return self._accepted(answer, request)
        outcome = checked(answer, request, client=self._client, profile=self._profile)
        if not as_asked(answer, request):
            raise self._client.about_another_order()
        if not outcome.trades_are_complete:
            raise self._client.nonsense("fills")
        return outcome

    def _params(self, request: SellRequest) -> dict[str, str]:
        client_id = self._profile.client_id
        params = {client_id.parameter: client_id.of(request.client_order_id)}
        if parameter := self._profile.deadline_parameter:
            params[parameter] = str(self._client.ccxt.iso8601(self._valid_until_ms(request)))
        return params

    def _headers(self, request: SellRequest) -> dict[str, str]:
        header = self._profile.deadline_header
        return {header: str(self._valid_until_ms(request))} if header else {}

    def _valid_until_ms(self, request: SellRequest) -> int:
        return request.signed_at_ms + self._window_ms

    def _accepted(self, answer: Any, request: SellRequest) -> Outcome:
        """Return that the order was accepted, as an answer says that has little but its id."""
        outcome = accepted(answer)
        if outcome is None:
            raise self._client.nonsense("order")
        told = {"clientOrderId": self._profile.client_id.of(request.client_order_id)}
        told |= {"symbol": request.symbol, "side": "sell", "type": "market"}
        if any(answer.get(name) not in (None, value) for name, value in told.items()):
            raise self._client.about_another_order()
        return outcome
