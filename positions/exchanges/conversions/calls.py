"""Share what all exchanges' conversion calls need: sending, names, refusals, and whose batch it is.

Implicit calls of ccxt hand on the raw JSON with its numbers as text (`quoteJsonNumbers`, ccxt
4.5.90); a page or cut JSON comes back as text, so every container is checked here.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from positions.domain.absence import AbsenceRule
from positions.domain.amounts import BadAmount, exact
from positions.domain.conversions import ConversionRule
from positions.exchanges.ccxt_client import PacedClient
from positions.exchanges.outcomes import sentence_in
from positions.exchanges.port import (
    AnswerUnknown,
    ConversionRequest,
    ExchangeError,
    RequestRefused,
    WindowClosed,
)

_MILLISECOND = timedelta(milliseconds=1)


class ConversionCalls:
    """The conversion calls of one account, as far as they are the same everywhere."""

    def __init__(
        self, client: PacedClient, rule: ConversionRule, *, signature_window_ms: int
    ) -> None:
        """Send nothing yet."""
        self.client = client
        self.rule = rule
        self._signature_window_ms = signature_window_ms

    # --- Sending ------------------------------------------------------------------------------

    def quote(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Ask for a preview by ccxt's implicit method; nothing is converted by it."""
        return self._asked("conversion_quote", method, params)

    def history(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask for conversions that were made."""
        return self._asked("conversion_history", method, params)

    def _asked(self, call: str, method: str, params: Mapping[str, Any] | None) -> Any:
        ask = getattr(self.client.ccxt, method)
        return self.client.send_signed(call, lambda: ask(dict(params or {})))

    def convert(
        self,
        request: ConversionRequest,
        send: Callable[[], Any],
        *,
        may_leave: Callable[[], bool],
    ) -> Any:
        """Send the conversion, signed with its stored moment; say what a refusal means."""
        try:
            return self.client.send_signed(
                "conversion", send, signed_at_ms=request.signed_at_ms, may_leave=may_leave
            )
        except (AnswerUnknown, RequestRefused) as error:
            raise self._understood(error) from None

    def _understood(self, error: ExchangeError) -> ExchangeError:
        """Return what a refusal means by its code, which ccxt need not know."""
        said = {"answer_code": error.answer_code, "answer": error.answer}
        name = self.client.name
        if error.answer_code in self.rule.window_codes:
            return WindowClosed(f"{name} does not convert again yet.", **said)
        if error.answer_code in self.rule.refusal_codes and not isinstance(error, RequestRefused):
            words = sentence_in(error.answer) or "no reason given"
            return RequestRefused(f"{name} refused: {words}", **said)
        return error

    # --- Names --------------------------------------------------------------------------------

    def name_of(self, asset: str) -> str:
        """Return what the exchange calls an asset."""
        return str(self.client.ccxt.currency_id(asset))

    def asset_of(self, name: Any) -> str:
        """Return the asset that the exchange calls so."""
        if not isinstance(name, str) or not name:
            raise self.nonsense("asset")
        return str(self.client.ccxt.safe_currency_code(name))

    # --- Answers ------------------------------------------------------------------------------

    def nonsense(self, what: str) -> AnswerUnknown:
        """Return the error for an answer that lacks what was asked for."""
        return self.client.nonsense(what)

    def about_another(self) -> AnswerUnknown:
        """Return the error for an answer that is not about our conversion."""
        return AnswerUnknown(
            f"{self.client.name} answered about another conversion.",
            answer=self.client.last_answer,
        )

    def mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        """Return an object of the answer; raise `AnswerUnknown` if it is none."""
        if not isinstance(value, dict):
            raise self.nonsense(what)
        return value

    def rows(self, value: Any, what: str) -> list[Mapping[str, Any]]:
        """Return a list of objects of the answer; raise `AnswerUnknown` if it is none."""
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise self.nonsense(what)
        return value

    def amount(self, row: Mapping[str, Any], name: str) -> Decimal:
        """Return an amount of the answer, not below zero; raise `AnswerUnknown` without one."""
        try:
            found = exact(row.get(name, ""))
        except BadAmount:
            raise self.nonsense(name) from None
        if found < 0:
            raise self.nonsense(name)
        return found

    def moment(self, row: Mapping[str, Any], name: str) -> int:
        """Return a time of the answer, milliseconds; raise `AnswerUnknown` without one."""
        text = str(row.get(name, ""))
        if not text.isascii() or not text.isdigit():
            raise self.nonsense(name)
        return int(text)

    # --- Evidence -----------------------------------------------------------------------------

    @property
    def absence(self) -> AbsenceRule:
        """Return how the history proves anything; raise `AnswerUnknown` if it does not."""
        if self.rule.absence is None:
            raise AnswerUnknown(f"{self.client.name}'s history of conversions proves nothing.")
        return self.rule.absence

    def earliest_ms(self, request: ConversionRequest) -> int:
        """Return the moment after which the history dates what the request became."""
        return request.signed_at_ms - self.absence.ahead_ms

    def may_be_its(self, request: ConversionRequest, at_ms: int) -> bool:
        """Tell whether a conversion of that moment can come from the request.

        The exchange refuses what is signed later than its validity allows, so a later one is
        somebody else's.
        """
        took = self.absence.margin_ms + self.rule.waits // _MILLISECOND
        latest = request.signed_at_ms + self._signature_window_ms + took
        return (
            self.absence.may_be_its_order(placed_at_ms=at_ms, signed_at_ms=request.signed_at_ms)
            and at_ms <= latest
        )

    def too_long(self) -> AnswerUnknown:
        """Return the error for a history that may have been cut off."""
        return AnswerUnknown(f"{self.client.name} lists too many conversions to be sure.")
