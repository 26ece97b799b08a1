"""Binance's conversion of small balances into BNB.

Facts (Binance wallet documentation): assets worth less than 0.0012 BTC each, a service charge of
2 %, everything that is free is converted, once per six hours. Binance states no error code for
the waiting time; 32110 and its sentence are what its interface shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.amounts import ZERO, cut, wire
from sandbox.call import Call
from sandbox.params import MAX_INTEGER
from sandbox.refusals import Refusal

CHARGE = Decimal("0.02")
MAX_BTC = Decimal("0.0012")
WAIT_MS = 6 * 3600 * 1000
SHOWN_BATCHES = 100
TARGET = "BNB"


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
    """List what can be converted and what it brings (dust-btc)."""
    found = _convertible(call)
    return {
        "details": [
            {
                "asset": each.asset,
                "assetFullName": call.asset_names.get(each.asset, each.asset),
                "amountFree": wire(each.amount),
                "toBTC": wire(each.btc),
                "toBNB": wire(each.gross),
                "toBNBOffExchange": wire(each.net),
                "exchange": wire(each.charge),
            }
            for each in found.values()
        ],
        "totalTransferBtc": wire(sum((each.btc for each in found.values()), ZERO)),
        "totalTransferBNB": wire(sum((each.gross for each in found.values()), ZERO)),
        "dribbletPercentage": "0.02",
    }


def convert(call: Call) -> object:
    """Convert all that is free of the named assets, or refuse the whole batch."""
    assets = list(dict.fromkeys(call.params.many("asset")))
    key, state = call.account.api_key, call.state
    latest = state.rows("SELECT max(at_ms) AS at_ms FROM conversions WHERE api_key = ?", key)
    if latest[0]["at_ms"] is not None and call.now_ms - latest[0]["at_ms"] < WAIT_MS:
        raise Refusal(32110, "You can only convert small balances once within 6 hours.")
    found = _convertible(call)
    for asset in assets:
        if asset not in found:
            # One asset that can't be converted fails the batch.
            raise Refusal(32103, f"Asset {asset} cannot be converted to BNB.")
    batch = state.rows("SELECT coalesce(max(batch_id), 0) + 1 AS id FROM conversions")[0]["id"]
    results = []
    for each in (found[asset] for asset in assets):
        state.shift(key, each.asset, free=-each.amount)
        state.shift(key, TARGET, free=each.net)
        transfer = state.add(
            "conversions",
            batch_id=batch,
            api_key=key,
            from_asset=each.asset,
            amount=each.amount,
            transferred=each.net,
            service_charge=each.charge,
            at_ms=call.now_ms,
        )
        results.append(
            {
                "tranId": transfer,
                "fromAsset": each.asset,
                "amount": wire(each.amount),
                "operateTime": call.now_ms,
                "serviceChargeAmount": wire(each.charge),
                "transferedAmount": wire(each.net),  # Binance's spelling
            }
        )
    return {
        "totalServiceCharge": wire(sum((found[asset].charge for asset in assets), ZERO)),
        "totalTransfered": wire(sum((found[asset].net for asset in assets), ZERO)),
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
                        "transId": row["transfer_id"],
                        "serviceChargeAmount": wire(Decimal(row["service_charge"])),
                        "amount": wire(Decimal(row["amount"])),
                        "operateTime": row["at_ms"],
                        "transferedAmount": wire(Decimal(row["transferred"])),
                        "fromAsset": row["from_asset"],
                    }
                    for row in rows
                ],
            }
        )
    return {"total": len(entries), "userAssetDribblets": entries}


def _convertible(call: Call) -> dict[str, Conversion]:
    """Return the assets below the size limit that have a price, by name."""
    bnb, btc = _usdt_price(call, TARGET), _usdt_price(call, "BTC")
    if bnb is None or btc is None:
        return {}
    found = {}
    for asset, balance in call.state.balances(call.account.api_key).items():
        price = _usdt_price(call, asset)
        if asset in (TARGET, "USDT") or price is None or balance.free <= 0:
            continue
        in_btc, gross = cut(balance.free * price / btc), cut(balance.free * price / bnb)
        if in_btc < MAX_BTC and gross > 0:
            found[asset] = Conversion(asset=asset, amount=balance.free, btc=in_btc, gross=gross)
    return found


def _usdt_price(call: Call, asset: str) -> Decimal | None:
    direct = call.state.markets.get(f"{asset}USDT")
    if direct is not None:
        return direct.last
    via, bitcoin = call.state.markets.get(f"{asset}BTC"), call.state.markets.get("BTCUSDT")
    if via is None or bitcoin is None or via.last is None or bitcoin.last is None:
        return None
    return via.last * bitcoin.last
