"""Bybit: a quote names up to 20 coins and soon lapses; to execute it is asynchronous.

What is executed is the quote, not a list of coins, so a request must name exactly the assets that
were quoted. The quote's id finds what became of it. The key needs the right "Convert".

Quoting all assets lists them at Bybit's own value in USDT, without a quote: nothing can be
executed from that.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from positions.domain.amounts import ZERO
from positions.domain.conversions import Offer
from positions.exchanges.conversions.calls import ConversionCalls
from positions.exchanges.port import (
    ConversionOutcome,
    ConversionQuote,
    ConversionRequest,
    Converted,
    NoLeave,
)

_ACCOUNT = {"accountType": "eb_convert_uta"}  # the unified account, the only one
_SUPPORTED = "1"
_SUCCESS, _FAILURE, _PARTIAL = "success", "failure", "partial_fulfillment"
_ENDED = frozenset({_SUCCESS, _FAILURE, _PARTIAL})
_KNOWN = _ENDED | {"init", "processing"}


class BybitConversions:
    """Bybit's calls, and what its answers mean."""

    def __init__(self, calls: ConversionCalls) -> None:
        """Send nothing yet."""
        self._calls = calls
        self._quoted: tuple[str, frozenset[str]] = ("", frozenset())

    def quote(self, assets: Collection[str]) -> ConversionQuote:
        """Return a quote for these assets, or without any the list of what can be converted."""
        return self._quoted_now(assets) if assets else self._listed()

    def _listed(self) -> ConversionQuote:
        rule = self._calls.rule
        answer = self._calls.quote("privateGetV5AssetCovertSmallBalanceList", _ACCOUNT)
        result = self._result(answer, "list")
        targets = result.get("supportToCoins")
        if not isinstance(targets, list):
            raise self._calls.nonsense("list")
        if rule.target not in targets:
            raise self._calls.about_another()
        offers = {}
        for row in self._calls.rows(result.get("smallAssetCoins"), "list"):
            asset, gross = self._asset_and_value(row)
            if asset != rule.target and self._is_supported(row):
                fee = gross * rule.charge
                quantity = self._calls.amount(row, "availableBalance")
                offers[asset] = Offer(
                    asset=asset, quantity=quantity, gross=gross, fee=fee, net=gross - fee
                )
        return ConversionQuote(target=rule.target, offers=offers, reference="", valid_until_ms=None)

    def _asset_and_value(self, row: Mapping[str, Any]) -> tuple[str, Decimal]:
        return self._calls.asset_of(row.get("fromCoin")), self._calls.amount(row, "baseValue")

    def _quoted_now(self, assets: Collection[str]) -> ConversionQuote:
        target = self._calls.rule.target
        params = _ACCOUNT | {
            "fromCoinList": [self._calls.name_of(asset) for asset in assets],
            "toCoin": self._calls.name_of(target),
        }
        result = self._result(
            self._calls.quote("privatePostV5AssetCovertGetQuote", params), "quote"
        )
        reference = str(result.get("quoteId") or "")
        details = self._calls.mapping(result.get("result"), "quote")
        if not reference:
            raise self._calls.nonsense("quote")
        offers, named = {}, set()
        for row in self._calls.rows(details.get("exchangeCoins"), "quote"):
            asset = self._calls.asset_of(row.get("fromCoin"))
            named.add(asset)
            if self._is_supported(row):
                offers[asset] = self._offer(row, asset)
        if not named <= set(assets):
            raise self._calls.about_another()
        self._quoted = reference, frozenset(assets)
        return ConversionQuote(
            target=target,
            offers=offers,
            reference=reference,
            valid_until_ms=self._calls.moment(details, "quoteExpireTime"),
        )

    def _offer(self, row: Mapping[str, Any], asset: str) -> Offer:
        # `toAmount` is what arrives: in the documented answer it and the fee make the gross.
        self._in_target(row.get("toCoin"))
        net = self._calls.amount(row, "toAmount")
        fee = self._charged(row.get("feeInfo"), "amount")
        fee += self._charged(row.get("taxFeeInfo"), "totalAmount")
        return Offer(
            asset=asset,
            quantity=self._calls.amount(row, "availableBalance"),
            gross=net + fee,
            fee=fee,
            net=net,
        )

    def _is_supported(self, row: Mapping[str, Any]) -> bool:
        return str(row.get("supportConvert")) == _SUPPORTED

    def _in_target(self, coin: Any) -> None:
        if self._calls.asset_of(coin) != self._calls.rule.target:
            raise self._calls.about_another()

    def _charged(self, info: Any, name: str) -> Decimal:
        """Return a fee, which must be in the target; an object without an amount is none."""
        if info is None:
            return ZERO
        fee = self._calls.amount(self._calls.mapping(info, "fee"), name)
        if fee:
            self._in_target(info.get("feeCoin"))
        return fee

    def convert(
        self, request: ConversionRequest, *, may_leave: Callable[[], bool]
    ) -> ConversionOutcome:
        """Execute the quote; only the history tells what became of it."""
        if self._quoted != (request.reference, frozenset(request.assets)):
            raise NoLeave("The quote is not of exactly these assets. Nothing was sent.")
        params = {"quoteId": request.reference}
        answer = self._calls.convert(
            request,
            lambda: self._calls.client.ccxt.privatePostV5AssetCovertSmallBalanceExecute(params),
            may_leave=may_leave,
        )
        result = self._result(answer, "conversion")
        if result.get("quoteId") != request.reference:
            raise self._calls.about_another()
        if result.get("status") not in _KNOWN:
            raise self._calls.nonsense("status")
        return ConversionOutcome(
            conversion_id=request.reference, converted={}, refused={}, is_final=False
        )

    def find(self, request: ConversionRequest) -> ConversionOutcome | None:
        """Return what became of the quote; None: it was not executed."""
        records = [
            record
            for record in self._records({"quoteId": request.reference})
            if record.get("exchangeTxId") == request.reference
        ]
        if len(records) != 1:
            if records:
                raise self._calls.nonsense("history")
            return None
        record = records[0]
        self._in_target(record.get("toCoin"))
        converted: dict[str, Converted] = {}
        refused: dict[str, str] = {}
        running = set()
        for row in self._calls.rows(record.get("subRecords"), "history"):
            asset = self._calls.asset_of(row.get("fromCoin"))
            status = self._status(row)
            if asset not in request.assets or asset in converted or asset in refused:
                raise self._calls.about_another()
            if status == _FAILURE:
                refused[asset] = "Bybit says that its conversion failed."
            elif status in _ENDED:
                converted[asset] = self._converted(row, asset, record)
            else:
                running.add(asset)
        has_ended = self._status(record) in _ENDED
        if has_ended:
            missing = set(request.assets) - set(converted) - set(refused) - running
            refused |= dict.fromkeys(missing, "Bybit ended the conversion without it.")
        return ConversionOutcome(
            conversion_id=request.reference,
            converted=converted,
            refused=refused,
            is_final=has_ended and not running,
        )

    def _converted(
        self, row: Mapping[str, Any], asset: str, record: Mapping[str, Any]
    ) -> Converted:
        self._in_target(row.get("toCoin"))
        fee = self._calls.amount(row, "feeAmount")
        if fee:
            self._in_target(row.get("feeCoin"))
        return Converted(
            asset=asset,
            quantity=self._calls.amount(row, "fromAmount"),
            received=self._calls.amount(row, "toAmount"),
            fee=fee + self._charged(row.get("taxFeeInfo"), "totalAmount"),
            transfer_id=str(record["exchangeTxId"]),
            at_ms=self._calls.moment(record, "createdAt"),
        )

    def _status(self, row: Mapping[str, Any]) -> str:
        status = str(row.get("status"))
        if status not in _KNOWN:
            raise self._calls.nonsense("status")
        return status

    def since(self, since_ms: int) -> Sequence[int]:
        """Return the moments of all conversions since then, made by API or on the site."""
        records = self._records({"startTime": str(since_ms)})
        return sorted(self._calls.moment(record, "createdAt") for record in records)

    def _records(self, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        size = {"size": str(self._calls.absence.history_rows)}
        answer = self._calls.history(
            "privateGetV5AssetCovertSmallBalanceHistory", {**params, **size}
        )
        result = self._result(answer, "history")
        records = self._calls.rows(result.get("records"), "history")
        if self._calls.moment(result, "totalCount") > len(records):
            raise self._calls.too_long()
        return records

    def _result(self, answer: Any, what: str) -> Mapping[str, Any]:
        return self._calls.mapping(self._calls.mapping(answer, what).get("result"), what)
