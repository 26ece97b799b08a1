"""OKX easy convert: up to five currencies worth less than $10 become one, five times in 24 hours.

No answer carries an id: a currency's row of the history counts as the request's own by its time,
its target and its currency. In the history's documented example the two currencies stand the other
way round than in the answer's, so a row is read by which of them is the target.

OKX tells what can be converted but not what it brings: that is reckoned with the bid of OKX's own
market against the target. A currency without such a market is offered for nothing, so it is left
out.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from positions.domain.amounts import ZERO
from positions.domain.conversions import Offer
from positions.exchanges.ccxt_answers import ticker_of
from positions.exchanges.conversions.calls import ConversionCalls
from positions.exchanges.port import (
    AnswerUnknown,
    ConversionOutcome,
    ConversionQuote,
    ConversionRequest,
    Converted,
)

_FILLED, _FAILED, _RUNNING = "filled", "failed", "running"


class OkxConversions:
    """OKX's calls, and what its answers mean."""

    def __init__(self, calls: ConversionCalls) -> None:
        """Send nothing yet."""
        self._calls = calls

    def quote(self, assets: Collection[str]) -> ConversionQuote:
        """Return what can be converted, reckoned with the bids of OKX's markets."""
        target = self._calls.rule.target
        rows = self._data(self._calls.quote("privateGetTradeEasyConvertCurrencyList"), "list")
        if len(rows) != 1 or not isinstance(rows[0].get("toCcy"), list):
            raise self._calls.nonsense("list")
        if target not in rows[0]["toCcy"]:
            raise self._calls.about_another()
        quantities = {
            self._calls.asset_of(row.get("fromCcy")): self._calls.amount(row, "fromAmt")
            for row in self._calls.rows(rows[0].get("fromData"), "list")
        }
        prices = self._bids() if quantities else {}
        offers = {}
        for asset, quantity in quantities.items():
            if asset == target or (assets and asset not in assets):
                continue
            gross = quantity * prices.get(f"{asset}/{target}", ZERO)
            fee = gross * self._calls.rule.charge
            offers[asset] = Offer(
                asset=asset, quantity=quantity, gross=gross, fee=fee, net=gross - fee
            )
        return ConversionQuote(target=target, offers=offers, reference="", valid_until_ms=None)

    def _bids(self) -> dict[str, Any]:
        client = self._calls.client
        answer = client.send("tickers", client.ccxt.fetch_tickers)
        if not isinstance(answer, dict) or not answer:
            raise self._calls.nonsense("prices")
        tickers = [ticker_of(symbol, item) for symbol, item in answer.items()]
        return {ticker.symbol: ticker.bid for ticker in tickers if ticker.bid is not None}

    def convert(
        self, request: ConversionRequest, *, may_leave: Callable[[], bool]
    ) -> ConversionOutcome:
        """Convert the batch; the answer mostly says that it is running."""
        params = {
            "fromCcy": [self._calls.name_of(asset) for asset in request.assets],
            "toCcy": self._calls.name_of(request.target),
        }
        answer = self._calls.convert(
            request,
            lambda: self._calls.client.ccxt.privatePostTradeEasyConvert(params),
            may_leave=may_leave,
        )
        found = self._ours(self._data(answer, "conversion"), request)
        if set(found) != set(request.assets):
            raise self._calls.about_another()
        return self._outcome(found, request)

    def find(self, request: ConversionRequest) -> ConversionOutcome | None:
        """Return the rows of the history that are the request's own."""
        rows = self._rows_since(self._calls.earliest_ms(request))
        found = self._ours(rows, request)
        if set(found) != set(request.assets) and len(rows) >= self._calls.absence.history_rows:
            raise self._calls.too_long()
        return self._outcome(found, request) if found else None

    def since(self, since_ms: int) -> Sequence[int]:
        """Return the moments of all conversions since then: the rows of one share theirs."""
        rows = self._rows_since(since_ms)
        if len(rows) >= self._calls.absence.history_rows:
            raise self._calls.too_long()
        return sorted({self._calls.moment(row, "uTime") for row in rows})

    def _rows_since(self, since_ms: int) -> list[Mapping[str, Any]]:
        params = {"before": str(since_ms - 1), "limit": str(self._calls.absence.history_rows)}
        answer = self._calls.history("privateGetTradeEasyConvertHistory", params)
        return self._data(answer, "history")

    def _data(self, answer: Any, what: str) -> list[Mapping[str, Any]]:
        return self._calls.rows(self._calls.mapping(answer, what).get("data"), what)

    def _ours(
        self, rows: list[Mapping[str, Any]], request: ConversionRequest
    ) -> dict[str, tuple[str, Converted]]:
        """Return status and amounts by asset of the rows that are the request's own."""
        found: dict[str, tuple[str, Converted]] = {}
        for row in rows:
            status, item = self._read(row, request)
            if item is None or not self._calls.may_be_its(request, item.at_ms):
                continue
            if item.asset in found:
                raise AnswerUnknown(
                    f"{self._calls.client.name} lists two conversions of {item.asset}."
                )
            found[item.asset] = status, item
        return found

    def _read(
        self, row: Mapping[str, Any], request: ConversionRequest
    ) -> tuple[str, Converted | None]:
        """Return a row's status and amounts; None for a row about anything else."""
        source = self._calls.asset_of(row.get("fromCcy"))
        target = self._calls.asset_of(row.get("toCcy"))
        sold, got = "fillFromSz", "fillToSz"
        if source == request.target:
            source, target, sold, got = target, source, got, sold
        status, moment = str(row.get("status")), self._calls.moment(row, "uTime")
        if source not in request.assets or target != request.target:
            return status, None
        if status not in (_FILLED, _FAILED, _RUNNING):
            raise self._calls.nonsense("status")
        is_filled = status == _FILLED
        return status, Converted(
            asset=source,
            quantity=self._calls.amount(row, sold) if is_filled else ZERO,
            received=self._calls.amount(row, got) if is_filled else ZERO,
            fee=ZERO,
            transfer_id=str(moment),
            at_ms=moment,
        )

    def _outcome(
        self, found: dict[str, tuple[str, Converted]], request: ConversionRequest
    ) -> ConversionOutcome:
        decided = [status for status, _ in found.values() if status != _RUNNING]
        return ConversionOutcome(
            conversion_id=str(min(item.at_ms for _, item in found.values())),
            converted={asset: item for asset, (status, item) in found.items() if status == _FILLED},
            refused={
                asset: "OKX says that its conversion failed."
                for asset, (status, _) in found.items()
                if status == _FAILED
            },
            is_final=len(decided) == len(request.assets),
        )
