"""Binance: small balances become BNB, all named assets in one batch or none.

The rule is `asset/dust`: what it did is proved by its documented history (`asset/dribblet`), which
can't be asked by an id of ours, so a batch counts as the request's own by its time, its target and
its assets. Within the six hours between two conversions there is room for no other.

`dust-convert` takes a `clientId`, but no call of Binance finds a conversion by it, and that the
history lists its conversions is said nowhere (since 2026-07 it names a target, which suggests it).
So it proves less, and is used only where Binance answers 404 to the older call's preview: the
quote's `reference` says so, and the conversion follows it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from positions.domain.conversions import Offer
from positions.exchanges.conversions.calls import ConversionCalls
from positions.exchanges.port import (
    AnswerUnknown,
    ConversionOutcome,
    ConversionQuote,
    ConversionRequest,
    Converted,
)

NEWER = "dust-convert"  # not defined in ccxt 4.5.90
_NOT_FOUND = 404


class BinanceConversions:
    """Binance's calls, and what its answers mean."""

    def __init__(self, calls: ConversionCalls) -> None:
        """Send nothing yet."""
        self._calls = calls

    def quote(self, assets: Collection[str]) -> ConversionQuote:
        """Return Binance's own preview; it lists all assets, whichever are named."""
        target, reference = self._calls.rule.target, ""
        gross, net = f"to{target}", f"to{target}OffExchange"
        try:
            answer = self._calls.quote("sapiPostAssetDustBtc")
        except AnswerUnknown:
            if self._calls.client.last_wire.get("status") != _NOT_FOUND:
                raise
            reference, gross, net = NEWER, "toTargetAssetAmount", "toTargetAssetOffExchange"
            answer = self._calls.client.send_signed(
                "conversion_quote",
                lambda: self._newer_call("query-convertible-assets", {"targetAsset": target}),
            )
        details = self._calls.mapping(answer, "preview").get("details")
        offers = {}
        for row in self._calls.rows(details, "preview"):
            asset = self._calls.asset_of(row.get("asset"))
            if asset != target and (not assets or asset in assets):
                offers[asset] = Offer(
                    asset=asset,
                    quantity=self._calls.amount(row, "amountFree"),
                    gross=self._calls.amount(row, gross),
                    fee=self._calls.amount(row, "exchange"),
                    net=self._calls.amount(row, net),
                )
        return ConversionQuote(
            target=target, offers=offers, reference=reference, valid_until_ms=None
        )

    def _newer_call(self, name: str, params: dict[str, str]) -> Any:
        return self._calls.client.ccxt.request(f"asset/{NEWER}/{name}", ["sapi"], "POST", params)

    def convert(
        self, request: ConversionRequest, *, may_leave: Callable[[], bool]
    ) -> ConversionOutcome:
        """Convert the batch by the call that its quote was made with."""
        names = ",".join(self._calls.name_of(asset) for asset in request.assets)

        def send() -> Any:
            if request.reference != NEWER:
                return self._calls.client.ccxt.sapiPostAssetDust({"asset": names})
            params = {
                "asset": names,
                "targetAsset": request.target,
                "clientId": request.client_id,
            }
            return self._newer_call("convert", params)

        answer = self._calls.convert(request, send, may_leave=may_leave)
        results = self._calls.mapping(answer, "conversion").get("transferResult")
        found = self._converted(self._calls.rows(results, "conversion"), transfer="tranId")
        if set(found) != set(request.assets) or not all(
            self._calls.may_be_its(request, item.at_ms) for item in found.values()
        ):
            # An empty list with status 200 was seen (binance-us-api-docs#24): the history decides.
            raise self._calls.about_another()
        return self._outcome(found, request)

    def find(self, request: ConversionRequest) -> ConversionOutcome | None:
        """Return the batch of the history that is the request's own.

        A part of the assets is the request's too: what is missing was not converted.
        """
        batches = self._batches(self._calls.earliest_ms(request))
        found = []
        for batch in batches:
            converted = self._converted(self._details(batch), transfer="transId")
            if not (
                self._calls.may_be_its(request, self._calls.moment(batch, "operateTime"))
                and self._becomes(request.target, batch)
            ):
                continue
            if set(converted) <= set(request.assets):
                found.append(converted)
            elif set(converted) & set(request.assets):
                raise AnswerUnknown(
                    f"{self._calls.client.name} lists these assets in a conversion of more."
                )
        if len(found) > 1:
            raise AnswerUnknown(f"{self._calls.client.name} lists two conversions of these assets.")
        if not found or set(found[0]) != set(request.assets):
            listed = sum(len(self._details(batch)) for batch in batches)
            # Which of the two is cut off at a hundred is not said.
            if max(listed, len(batches)) >= self._calls.absence.history_rows:
                raise self._calls.too_long()
        if not found and request.reference == NEWER:
            raise AnswerUnknown(
                f"{self._calls.client.name} does not say whether its history lists this call."
            )
        return self._outcome(found[0], request) if found else None

    def since(self, since_ms: int) -> Sequence[int]:
        """Return the moments of all batches since then."""
        return sorted(self._calls.moment(batch, "operateTime") for batch in self._batches(since_ms))

    def _batches(self, since_ms: int) -> list[Mapping[str, Any]]:
        answer = self._calls.history("sapiGetAssetDribblet", {"startTime": since_ms})
        listed = self._calls.mapping(answer, "history").get("userAssetDribblets")
        return self._calls.rows(listed, "history")

    def _details(self, batch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return self._calls.rows(batch.get("userAssetDribbletDetails"), "history")

    def _becomes(self, target: str, batch: Mapping[str, Any]) -> bool:
        """Tell whether a batch became the target; an older answer names none, for it was BNB."""
        return all(row.get("targetAsset") in (None, target) for row in self._details(batch))

    def _converted(self, rows: list[Mapping[str, Any]], *, transfer: str) -> dict[str, Converted]:
        found = {}
        for row in rows:
            asset = self._calls.asset_of(row.get("fromAsset"))
            if asset in found:
                raise self._calls.nonsense("conversion")
            found[asset] = Converted(
                asset=asset,
                quantity=self._calls.amount(row, "amount"),
                received=self._calls.amount(row, "transferedAmount"),  # Binance's spelling; net
                fee=self._calls.amount(row, "serviceChargeAmount"),
                transfer_id=str(row.get(transfer, "")),
                at_ms=self._calls.moment(row, "operateTime"),
            )
        if not found:
            raise self._calls.nonsense("conversion")
        return found

    def _outcome(
        self, converted: dict[str, Converted], request: ConversionRequest
    ) -> ConversionOutcome:
        return ConversionOutcome(
            conversion_id=next(iter(converted.values())).transfer_id,
            converted=converted,
            refused={
                asset: "Binance converted the batch without it."
                for asset in request.assets
                if asset not in converted
            },
            is_final=True,
        )
