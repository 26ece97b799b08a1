"""Changes of the whole exchange: its markets, its clock, its limits and how fast it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandbox import door, fields
from sandbox.amounts import BadValue, parse_amount, plain
from sandbox.fields import Data
from sandbox.markets import changed, listed, priced

if TYPE_CHECKING:
    from sandbox.service import Service


def set_prices(service: Service, key: str | None, data: Data) -> object:
    """Quote markets anew; resting orders that the price reaches are filled."""
    for symbol, spec in data.items():
        market = service.state.markets.get(symbol)
        if market is None:
            raise BadValue(f"unknown symbol {symbol!r}")
        market = priced(market, spec)
        service.state.put_market(market)
        service.matching.match_resting(market, now_ms=service.now_ms())
    return {}


def set_markets(service: Service, key: str | None, data: Data) -> object:
    """Change the rules of markets; a new symbol with base and quote is listed."""
    for symbol, changes in data.items():
        if not isinstance(changes, dict):
            raise BadValue(f"the changes of {symbol} must be an object")
        market = service.state.markets.get(symbol)
        service.state.put_market(changed(market, changes) if market else listed(symbol, changes))
    return {}


def set_clock(service: Service, key: str | None, data: Data) -> object:
    """Set the difference between the exchange's clock and the machine's."""
    fields.only(data, "skew_ms")
    skew_ms = fields.integer(data, "skew_ms")
    service.state.set_meta("skew_ms", str(skew_ms))
    service.skew_ms = skew_ms
    return {"now_ms": service.now_ms()}


def set_latency(service: Service, key: str | None, data: Data) -> object:
    """Set how long every request but control's takes at least."""
    fields.only(data, "seconds")
    service.latency = parse_amount(data.get("seconds"))
    service.state.set_meta("latency", plain(service.latency))
    return {"seconds": plain(service.latency)}


def set_limits(service: Service, key: str | None, data: Data) -> object:
    """Change the rate limits; counting starts anew and bans end."""
    limits = service.dialect.limits(json.loads(service.state.meta("limits") or "{}"), data)
    service.state.set_meta("limits", json.dumps(limits))
    service.desk.change_limits(limits)
    return limits


def stop_listening(service: Service, key: str | None, data: Data) -> object:
    """Refuse new connections for a while, or leave them without an answer, and close the rest."""
    fields.only(data, "seconds", "kind")
    kind = fields.text(data, "kind", door.REFUSED)
    if kind not in door.KINDS:
        raise BadValue(f"kind must be one of {', '.join(door.KINDS)}")
    service.close_door(kind, parse_amount(data.get("seconds")))
    return {}
