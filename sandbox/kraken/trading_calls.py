"""Placing and cancelling orders.

Taken are market and limit orders whose fee is in quote; what else Kraken knows (leverage, stops,
conditional closes, `post`, `fcib`, `viqc`) is refused as an invalid argument.
"""

from __future__ import annotations

import re

from sandbox.kraken import wire
from sandbox.kraken.call import Call
from sandbox.kraken.limits import cancellation_cost
from sandbox.kraken.refusals import DEADLINE_ELAPSED, UNKNOWN_ORDER, invalid, refusal
from sandbox.matching import Ticket
from sandbox.records import LIMIT_ORDER, Order

# Kraken: "min now() + 2 seconds, max now() + 60 seconds".
LEAST_DEADLINE_MS, MOST_DEADLINE_MS = 2_000, 60_000
_FLAGS = ("fciq", "nompp")
_NOT_TAKEN = (
    *("leverage", "reduce_only", "starttm", "expiretm", "price2", "trigger", "displayvol"),
    *("close[ordertype]", "close[price]", "close[price2]", "stptype"),
)
# A UUID with or without its hyphens, or free text: "Spot Client Order Identifiers".
_CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[\x21-\x7e]{1,18}"
)


def add_order(call: Call) -> object:
    """Place an order and answer with nothing but its id."""
    _check_deadline(call)
    ticket = _ticket(call)
    market = call.state.markets[ticket.symbol]
    limit = ticket.price if ticket.type == LIMIT_ORDER else None
    if call.arguments.boolean("validate"):
        _, quantity = call.matching.check(call.account, ticket)
        return {"descr": {"order": wire.sentence(market, ticket.side, quantity, limit)}}
    placed = call.matching.place(call.account, ticket, now_ms=call.now_ms, fraction=call.fraction)
    order = wire.sentence(market, placed.side, placed.quantity, limit)
    return {"descr": {"order": order}, "txid": [placed.txid]}


def _check_deadline(call: Call) -> None:
    """Refuse an order that comes too late, or whose deadline Kraken would not take."""
    deadline_ms = call.arguments.timestamp_ms("deadline")
    if deadline_ms is None:
        return
    if deadline_ms <= call.now_ms:
        raise refusal(DEADLINE_ELAPSED)
    if not LEAST_DEADLINE_MS <= deadline_ms - call.now_ms <= MOST_DEADLINE_MS:
        raise invalid("deadline")


def _ticket(call: Call) -> Ticket:
    arguments = call.arguments
    market = call.market(arguments.required("pair"))
    for name in _NOT_TAKEN:
        if arguments.text(name) is not None:
            raise invalid(name)
    arguments.required("type")
    side = arguments.chosen("type", "sell", "buy").upper()
    arguments.required("ordertype")
    kind = arguments.chosen("ordertype", "market", "limit").upper()
    flags = arguments.text("oflags")
    if flags is not None and not set(flags.split(",")) <= set(_FLAGS):
        raise invalid("oflags")
    client_order_id, userref = arguments.text("cl_ord_id"), arguments.integer("userref", bits=32)
    if client_order_id is not None:
        if userref is not None or not _CLIENT_ID.fullmatch(client_order_id):
            raise invalid("cl_ord_id")
        if _open_orders(call, "client_order_id = ?", client_order_id):
            raise invalid("cl_ord_id")
    # Kraken ignores the price of a market order.
    return Ticket(
        symbol=market.symbol,
        side=side,
        type=kind,
        quantity=arguments.amount("volume"),
        price=arguments.amount("price") if kind == LIMIT_ORDER else None,
        time_in_force=arguments.chosen("timeinforce", "GTC", "IOC"),
        client_order_id=client_order_id,
        userref=userref,
    )


def cancel_order(call: Call) -> object:
    """Cancel the open orders that the call names."""
    found = named_orders(call)
    if not found:
        raise refusal(UNKNOWN_ORDER)
    for order in found:
        call.matching.cancel(order, now_ms=call.now_ms)
    return {"count": len(found)}


def named_orders(call: Call) -> list[Order]:
    """Return the account's open orders of a `cl_ord_id`, or of a txid or userref in `txid`."""
    client_order_id = call.arguments.text("cl_ord_id")
    if client_order_id is not None:
        return _open_orders(call, "client_order_id = ?", client_order_id)
    txid = call.arguments.required("txid")
    if txid.removeprefix("-").isdigit():
        return _open_orders(call, "userref = ?", call.arguments.integer("txid"))
    return _open_orders(call, "txid = ?", txid)


def _open_orders(call: Call, where: str, value: object) -> list[Order]:
    return call.state.open_orders(f"api_key = ? AND {where}", call.account.api_key, value)


# What the calls cost on the counters of markets: symbol -> cost.
def order_cost(call: Call) -> dict[str, int]:
    """Return what an order costs: it is counted on arrival, even if it is refused."""
    return {call.market(call.arguments.required("pair")).symbol: 1}


def cancel_cost(call: Call) -> dict[str, int]:
    """Return what a cancellation costs: more the younger the order is."""
    costs: dict[str, int] = {}
    for order in named_orders(call):
        cost = cancellation_cost(call.now_ms - order.created_ms)
        costs[order.symbol] = costs.get(order.symbol, 0) + cost
    return costs
