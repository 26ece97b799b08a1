"""Turn ccxt's answers into the product's values: exact amounts, checked shapes."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

from positions.domain.amounts import ZERO, BadAmount, exact
from positions.domain.balances import Balance
from positions.domain.balances import Kind as BalanceKind
from positions.domain.markets import Market, Ticker, TradingRule
from positions.domain.orders import OrderState, Outcome, Trade
from positions.domain.pacing import Kind, Limit
from positions.exchanges.port import AnswerUnknown, SellRequest
from positions.exchanges.profiles import Right

_STATES = {
    "open": OrderState.ACCEPTED,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}
_INTERVAL_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTER_SECONDS = {name[0].lower(): seconds for name, seconds in _INTERVAL_SECONDS.items()}
_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WINDOW = re.compile(r"(?P<number>\d+)(?P<letter>[smhd])")


def amount_of(value: Any) -> Decimal:
    """Return ccxt's number; nothing said is zero. Its constants (default fees) are short floats.

    Raise `AnswerUnknown` if it is none: an answer with it is no answer.
    """
    try:
        return ZERO if value in (None, "") else exact(str(value))
    except BadAmount as error:
        raise AnswerUnknown(f"The exchange answered without a usable amount: {error}") from None


def at_path(answer: Any, path: str) -> Any:
    """Return what stands in a raw answer at a path such as "data.0.details"; None: nothing."""
    for name in path.split("."):
        if isinstance(answer, list) and name.isdigit() and int(name) < len(answer):
            answer = answer[int(name)]
        elif isinstance(answer, dict):
            answer = answer.get(name)
        else:
            return None
    return answer


def granted(answer: Any, right: Right) -> bool:
    """Tell whether a raw answer grants the right."""
    value = at_path(answer, right.at)
    if not right.word:
        return value is True or str(value).lower() == "true"
    words = value if isinstance(value, list) else str(value or "").split(",")
    return right.word in [str(word).strip() for word in words]


def balance_of(asset: str, row: Mapping[str, Any], *, kind: BalanceKind) -> Balance:
    """Return one balance; where nobody says what is free, nothing of it can be sold."""
    told = {name: row.get(name) for name in ("free", "used", "total")}
    free = amount_of(told["free"])
    locked = amount_of(told["used"])
    if told["free"] is None or told["used"] is None:
        locked = max(amount_of(told["total"]) - free, locked)
    debt = amount_of(row.get("debt"))
    return Balance(asset=asset, free=free, locked=locked, kind=kind, debt=debt)


def _price_of(value: Any) -> Decimal | None:
    price = amount_of(value)
    return price if price > 0 else None


def ticker_of(symbol: str, item: Mapping[str, Any]) -> Ticker:
    """Return one ticker; a price of zero means that there is none."""
    return Ticker(
        symbol=symbol,
        bid=_price_of(item.get("bid")),
        ask=_price_of(item.get("ask")),
        last=_price_of(item.get("last")),
        bid_quantity=_price_of(item.get("bidVolume")),
        volume=_volume_of(item),
        at_ms=item.get("timestamp"),
    )


def _volume_of(item: Mapping[str, Any]) -> Decimal | None:
    """Return the day's volume; None where the exchange does not tell."""
    told = next((item[name] for name in ("quoteVolume", "baseVolume") if item.get(name)), None)
    if told is None and all(item.get(name) is None for name in ("quoteVolume", "baseVolume")):
        return None
    return amount_of(told)


def average_bid(book: Mapping[str, Any], quantity: Decimal) -> Decimal:
    """Return what each unit would bring, in quote; zero where the book does not cover it."""
    left, notional = quantity, ZERO
    for row in book["bids"]:
        price, there = amount_of(row[0]), amount_of(row[1])
        taken = min(left, there)
        notional, left = notional + taken * price, left - taken
        if left == 0:
            return notional / quantity
    return ZERO


def market_of(item: Mapping[str, Any]) -> Market | None:
    """Return one of ccxt's spot markets, as `kept_market` has it, as ours.

    None if its rules can't be read.
    """
    if not item.get("spot"):
        return None
    try:
        return _market_with_rules(item)
    except AnswerUnknown:
        return None


def _market_with_rules(item: Mapping[str, Any]) -> Market | None:
    limits = item.get("limits") or {}
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    largest = (limits.get("market") or {}).get("max") or amount.get("max")
    step = amount_of((item.get("precision") or {}).get("amount"))
    if step <= 0:
        return None
    return Market(
        symbol=item["symbol"],
        base=item["base"],
        quote=item["quote"],
        active=bool(item.get("active")),
        delisted=item["info"]["delisted"],
        taker_fee=amount_of(item.get("taker")),
        rule=TradingRule(
            step_size=step,
            min_quantity=amount_of(amount.get("min")),
            max_quantity=amount_of(largest) or None,
            min_notional=amount_of(cost.get("min")),
        ),
    )


def kept_market(item: Mapping[str, Any], *, delisted: AbstractSet[str]) -> dict[str, Any]:
    """Return a market as it is cached: of its raw text, what ccxt reads again, and its end.

    binance's `create_order` reads `info.orderTypes` (ccxt 4.5.90). `delisted` holds the states that
    mean that it was delisted.
    """
    info = item.get("info")
    raw = info if isinstance(info, dict) else {}
    ended = not item.get("active") and str(raw.get("status")) in delisted
    return {**item, "info": {"orderTypes": list(raw.get("orderTypes") or []), "delisted": ended}}


def trade_of(
    item: Mapping[str, Any], *, placed_at_ms: int | None = None, fee_currency: str = ""
) -> Trade:
    """Return one fill; fills inside an order's answer have no time but the order's own.

    `fee_currency` is what the raw trade says, where ccxt does not listen.
    """
    fees = [found for found in item.get("fees") or [] if found.get("cost") is not None]
    fee = item.get("fee") or (fees[0] if len(fees) == 1 else {})
    return Trade(
        trade_id=str(item["id"]),
        price=amount_of(item.get("price")),
        quantity=amount_of(item.get("amount")),
        fee=amount_of(fee.get("cost")),
        fee_currency=fee_currency or str(fee.get("currency") or ""),
        at_ms=int(item.get("timestamp") or placed_at_ms or 0),
    )


def order_id_of(answer: Any) -> str:
    """Return the order's id; empty if the answer has none that can be one (ccxt 4.5.90: HTML)."""
    found = str(answer.get("id") or "") if isinstance(answer, dict) else ""
    return found if _ORDER_ID.fullmatch(found) else ""


def accepted(answer: Any) -> Outcome | None:
    """Return the outcome of an answer that says no more than the order's id."""
    order_id = order_id_of(answer)
    if not order_id:
        return None
    return Outcome(
        state=OrderState.ACCEPTED,
        exchange_order_id=order_id,
        filled_quantity=ZERO,
        notional=ZERO,
        trades=[],
    )


def outcome_of(answer: Any) -> Outcome | None:
    """Return what an answer says about an order; None if it is no order's answer.

    HTTP 200 with HTML or cut JSON makes ccxt return an order without an id (ccxt 4.5.90).
    """
    order_id = order_id_of(answer)
    state = _STATES.get(str(answer.get("status"))) if order_id else None
    if state is None:
        return None
    if answer.get("filled") is None:
        return None  # nothing said about what was sold is not "nothing was sold"
    filled, notional = amount_of(answer["filled"]), amount_of(answer.get("cost"))
    if (state is OrderState.FILLED or notional > 0) and filled == 0:
        return None
    if filled > 0 and notional <= 0:
        return None
    placed_at_ms = answer.get("timestamp")
    if state is OrderState.ACCEPTED and filled > 0:
        state = OrderState.PARTIALLY_FILLED
    return Outcome(
        state=state,
        exchange_order_id=order_id,
        filled_quantity=filled,
        notional=notional,
        trades=[trade_of(item, placed_at_ms=placed_at_ms) for item in answer.get("trades") or []],
        placed_at_ms=placed_at_ms,
    )


def as_asked(answer: Mapping[str, Any], request: SellRequest) -> bool:
    """Tell whether an order is the market sell of exactly this quantity that was asked for."""
    quantity = answer.get("amount")
    return (answer.get("side"), answer.get("type")) == ("sell", "market") and (
        quantity is not None and amount_of(quantity) == request.quantity
    )


def published_limits(published: Mapping[str, Any]) -> list[Limit]:
    """Return the limits that an exchange publishes as Binance does: of every kind and window."""
    return [
        Limit(
            kind=Kind(item["rateLimitType"]),
            allowed=int(item["limit"]),
            window=_INTERVAL_SECONDS[item["interval"]] * int(item.get("intervalNum", 1)),
        )
        for item in published.get("rateLimits", [])
        if item.get("rateLimitType") in set(Kind) and item.get("interval") in _INTERVAL_SECONDS
    ]


def counts_in(headers: Mapping[str, str], kinds: Mapping[str, Kind]) -> dict[str, int]:
    """Return what an answer's headers say is counted, by the limit's name."""
    found = {}
    for name, value in headers.items():
        for prefix, kind in kinds.items():
            window = _WINDOW.fullmatch(name.lower().removeprefix(prefix))
            if name.lower().startswith(prefix) and window and value.isascii() and value.isdigit():
                seconds = int(window["number"]) * _LETTER_SECONDS[window["letter"]]
                found[Limit(kind=kind, allowed=1, window=seconds).name] = int(value)
    return found
