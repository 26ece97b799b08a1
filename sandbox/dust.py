"""Binance's conversion of small balances into BNB, by its older call and by its newer one.

Facts (Binance wallet documentation): assets worth less than 0.0012 BTC each, a service charge of
2 %, everything that is free is converted, once per six hours; one asset that can't be converted
fails the whole batch. Codes are those of its "Error Code" page, whose sentence for the waiting time
still says 24 hours. All rows of one batch carry its one `tranId`, as in the documented answer.

The newer call (dust-convert) takes a client id and a target; here the only target is BNB, and both
calls share the waiting time and the history, which Binance does not say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.amounts import ZERO, cut, wire
from sandbox.call import Call
from sandbox.markets import TRADING
from sandbox.params import CLIENT_ID, MAX_INTEGER
from sandbox.refusals import Refusal
from sandbox.state import State

CHARGE = Decimal("0.02")
MAX_BTC = Decimal("0.0012")
WAIT_MS = 6 * 3600 * 1000
SHOWN_BATCHES = 100
TARGET = "BNB"
ONLY_TARGET = f"^{TARGET}$"


def _unsupported() -> Refusal:
    return Refusal(-5001, "Don't allow transfer to micro assets.")


def _not_held() -> Refusal:
    return Refusal(-5003, "You don't have this asset.")


def _too_much(asset: str) -> Refusal:
    return Refusal(
        -5004, f"The residual balances of {asset} have exceeded 0.001BTC, Please re-choose."
    )


def _too_little(asset: str) -> Refusal:
    return Refusal(-5005, f"The residual balances of {asset} is too low, Please re-choose.")


def _too_early() -> Refusal:
    return Refusal(-5006, "Only transfer once in 24 hours.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What one asset would bring."""

    asset: str
    amount: Decimal
    btc: Decimal
    gross: Decimal  # BNB

    @property
    def charge(self) -> Decimal:
        """Return the service charge in BNB."""
        return cut(self.gross * CHARGE)

    @property
    def net(self) -> Decimal:
        """Return the BNB that arrives."""
        return self.gross - self.charge


def preview(call: Call) -> object:
    """List what can be converted and what it brings (dust-btc); some of it may bring nothing."""
    found = _convertible(call.state, call.account.api_key)
    return {
        "details": [
            _named(call, each)
            | {
                "toBTC": wire(each.btc),
                "toBNB": wire(each.gross),
                "toBNBOffExchange": wire(each.net),
            }
            for each in found
        ],
        "totalTransferBtc": wire(sum((each.btc for each in found), ZERO)),
        "totalTransferBNB": wire(sum((each.gross for each in found), ZERO)),
        "dribbletPercentage": "0.02",
    }


def newer_preview(call: Call) -> object:
    """List the same for a named target (dust-convert/query-convertible-assets)."""
    call.params.required("targetAsset", ONLY_TARGET)
    found = _convertible(call.state, call.account.api_key)
    total = wire(sum((each.gross for each in found), ZERO))
    return {
        "dribbletPercentage": "0.02",
        "totalTransferQuotaAssetAmount": total,
        "totalTransferTargetAssetAmount": total,
        "dribbletBase": "10",
        "details": [
            _named(call, each)
            | {
                "toQuotaAssetAmount": wire(each.gross),
                "toTargetAssetAmount": wire(each.gross),
                "toTargetAssetOffExchange": wire(each.net),
            }
            for each in found
        ],
    }


def _named(call: Call, each: Conversion) -> dict[str, str]:
    return {
        "asset": each.asset,
        "assetFullName": call.asset_names.get(each.asset, each.asset),
        "amountFree": wire(each.amount),
        "exchange": wire(each.charge),
    }


def convert(call: Call) -> object:
    """Convert all that is free of the named assets, or refuse the whole batch (dust)."""
    return _asked(call, client_id="")


def newer_convert(call: Call) -> object:
    """Do the same under the client's own id (dust-convert/convert)."""
    call.params.text("targetAsset", ONLY_TARGET)
    return _asked(call, client_id=call.params.text("clientId", CLIENT_ID) or "")


def _asked(call: Call, *, client_id: str) -> object:
    assets, key = call.params.many("asset"), call.account.api_key
    return converted(call.state, key, assets, now_ms=call.now_ms, client_id=client_id)


def converted(
    state: State, key: str, names: Iterable[str], *, now_ms: int, client_id: str = ""
) -> object:
    """Convert all that is free of these assets of an account, and return Binance's answer."""
    assets = list(dict.fromkeys(names))
    latest = state.rows("SELECT max(at_ms) AS at_ms FROM conversions WHERE api_key = ?", key)
    if latest[0]["at_ms"] is not None and now_ms - latest[0]["at_ms"] < WAIT_MS:
        raise _too_early()
    # Before anything is converted: one asset that can't be fails the batch.
    batch = [_checked(state, key, asset) for asset in assets]
    number = state.rows("SELECT coalesce(max(batch_id), 0) + 1 AS id FROM conversions")[0]["id"]
    results = []
    for each in batch:
        state.shift(key, each.asset, free=-each.amount)
        state.shift(key, TARGET, free=each.net)
        state.add(
            "conversions",
            batch_id=number,
            api_key=key,
            from_asset=each.asset,
            amount=each.amount,
            transferred=each.net,
            service_charge=each.charge,
            at_ms=now_ms,
            client_id=client_id,
        )
        results.append(
            {
                "tranId": number,
                "fromAsset": each.asset,
                "amount": wire(each.amount),
                "operateTime": now_ms,
                "serviceChargeAmount": wire(each.charge),
                "transferedAmount": wire(each.net),  # Binance's spelling
            }
        )
    return {
        "totalServiceCharge": wire(sum((each.charge for each in batch), ZERO)),
        "totalTransfered": wire(sum((each.net for each in batch), ZERO)),
        "transferResult": results,
    }


def history(call: Call) -> object:
    """List the last hundred conversions (dribblet), the newest batch first."""
    period = call.params.period()
    sql = """SELECT * FROM conversions WHERE api_key = ? AND at_ms BETWEEN ? AND ?
        ORDER BY transfer_id"""
    since = 0 if period.start_ms is None else period.start_ms
    until = MAX_INTEGER if period.end_ms is None else period.end_ms
    batches: dict[int, list[Any]] = {}
    for row in call.state.rows(sql, call.account.api_key, since, until):
        batches.setdefault(row["batch_id"], []).append(row)
    entries = []
    for batch, rows in sorted(batches.items(), reverse=True)[:SHOWN_BATCHES]:
        charge = sum((Decimal(row["service_charge"]) for row in rows), ZERO)
        net = sum((Decimal(row["transferred"]) for row in rows), ZERO)
        entries.append(
            {
                "operateTime": rows[0]["at_ms"],
                "totalTransferedAmount": wire(net),
                "totalServiceChargeAmount": wire(charge),
                "transId": batch,
                "userAssetDribbletDetails": [
                    {
                        "transId": batch,
                        "serviceChargeAmount": wire(Decimal(row["service_charge"])),
                        "amount": wire(Decimal(row["amount"])),
                        "operateTime": row["at_ms"],
                        "transferedAmount": wire(Decimal(row["transferred"])),
                        "fromAsset": row["from_asset"],
                        "targetAsset": TARGET,
                    }
                    for row in rows
                ],
            }
        )
    return {"total": len(entries), "userAssetDribblets": entries}


def _convertible(state: State, key: str) -> list[Conversion]:
    """Return what is held below the size limit and has a price, by name."""
    found = []
    for asset, balance in state.balances(key).items():
        each = _conversion(state, asset, balance.free) if balance.free > 0 else None
        if each is not None and each.btc < MAX_BTC:
            found.append(each)
    return found


def _checked(state: State, key: str, asset: str) -> Conversion:
    """Return what a named asset brings, or refuse it."""
    free = state.balance(key, asset).free
    each = _conversion(state, asset, free)
    if each is None:
        raise _unsupported()
    if free == 0:
        raise _not_held()
    if each.btc >= MAX_BTC:
        raise _too_much(asset)
    if each.net <= 0:
        raise _too_little(asset)
    return each


def _conversion(state: State, asset: str, amount: Decimal) -> Conversion | None:
    """Return what so much of an asset would bring; None for what is never converted."""
    bnb, btc, price = (_usdt_price(state, name) for name in (TARGET, "BTC", asset))
    if asset in (TARGET, "USDT") or bnb is None or btc is None or price is None:
        return None
    value = amount * price
    return Conversion(asset=asset, amount=amount, btc=cut(value / btc), gross=cut(value / bnb))


def _usdt_price(state: State, asset: str) -> Decimal | None:
    """Return the price in markets that trade: delisted and halted assets are not converted."""
    direct, bitcoin = _last(state, f"{asset}USDT"), _last(state, "BTCUSDT")
    if direct is not None:
        return direct
    via = _last(state, f"{asset}BTC")
    return None if via is None or bitcoin is None else via * bitcoin


def _last(state: State, symbol: str) -> Decimal | None:
    market = state.markets.get(symbol)
    return market.last if market is not None and market.status == TRADING else None
