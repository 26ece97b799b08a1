"""What the exchange refuses, with Binance's codes, messages and HTTP statuses.

Refusal      the caller gets `{"code": …, "msg": …}`; nothing was changed

Source of codes and messages: Binance's spot `errors.md` and the answers quoted in ccxt's table.
"""

from __future__ import annotations


class Refusal(Exception):
    """Answer with an error body; nothing was changed by the request."""

    def __init__(
        self, code: int | str, message: str, status: int = 400, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after


# Keys and signatures
def bad_key_format() -> Refusal:
    """Refuse a missing or malformed API key."""
    return Refusal(-2014, "API-key format invalid.", 401)


def unknown_key() -> Refusal:
    """Refuse a well-formed key that was never issued."""
    return Refusal(-2008, "Invalid Api-Key ID.", 401)


def no_permission() -> Refusal:
    """Refuse a revoked key, or one without the right for this call."""
    return Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_signature() -> Refusal:
    """Refuse a request whose signature does not fit its bytes."""
    return Refusal(-1022, "Signature for this request is not valid.")


def outside_window() -> Refusal:
    """Refuse a request that is older than its recvWindow."""
    return Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def ahead_of_time() -> Refusal:
    """Refuse a request signed for the future."""
    return Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def window_too_wide() -> Refusal:
    """Refuse a recvWindow above a minute."""
    return Refusal(-1131, "recvWindow must be less than 60000")


# Parameters
def missing(name: str) -> Refusal:
    """Refuse a request without a mandatory parameter."""
    return Refusal(
        -1102,
        f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    )


def empty(name: str) -> Refusal:
    """Refuse a parameter sent without a value."""
    return Refusal(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> Refusal:
    """Refuse a parameter that does not belong to this kind of request."""
    return Refusal(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, pattern: str) -> Refusal:
    """Refuse a parameter with characters outside its pattern."""
    return Refusal(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
    )


def duplicated(name: str) -> Refusal:
    """Refuse a parameter that was sent twice."""
    return Refusal(-1101, f"Duplicate values for parameter '{name}' detected.")


def overflowed(name: str) -> Refusal:
    """Refuse a number that is too large."""
    return Refusal(-1108, f"Parameter '{name}' overflowed.")


def too_precise(name: str) -> Refusal:
    """Refuse more decimals than the asset has."""
    return Refusal(-1111, f"Parameter '{name}' has too much precision.")


def bad_combination(message: str) -> Refusal:
    """Refuse optional parameters that exclude each other."""
    return Refusal(-1128, message)


def period_too_long() -> Refusal:
    """Refuse to list more than a day at once."""
    return Refusal(-1127, "More than 24 hours between startTime and endTime.")


def bad_time_in_force() -> Refusal:
    """Refuse an unknown timeInForce."""
    return Refusal(-1115, "Invalid timeInForce.")


def bad_order_type() -> Refusal:
    """Refuse an order type this exchange does not take."""
    return Refusal(-1116, "Invalid orderType.")


def bad_side() -> Refusal:
    """Refuse a side other than BUY and SELL."""
    return Refusal(-1117, "Invalid side.")


def bad_symbol() -> Refusal:
    """Refuse a symbol that is not listed."""
    return Refusal(-1121, "Invalid symbol.")


# Orders
def filter_failure(name: str) -> Refusal:
    """Refuse an order that breaks one of its market's filters."""
    return Refusal(-1013, f"Filter failure: {name}")


def insufficient_balance() -> Refusal:
    """Refuse an order the free balance does not cover."""
    return Refusal(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> Refusal:
    """Refuse a client order id that an open order still carries."""
    return Refusal(-2010, "Duplicate order sent.")


def market_closed() -> Refusal:
    """Refuse an order for a market that does not trade."""
    return Refusal(-2010, "Market is closed.")


def no_such_order() -> Refusal:
    """Refuse a look-up of an order the account never had in this market."""
    return Refusal(-2013, "Order does not exist.")


def unknown_order() -> Refusal:
    """Refuse to cancel an order that is not open."""
    return Refusal(-2011, "Unknown order sent.")


# Limits
def too_many_requests(limit: int, interval: str, retry_after: int) -> Refusal:
    """Refuse because the address used up its request weight."""
    return Refusal(
        -1003,
        f"Too much request weight used; current limit is {limit} request weight per {interval}. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
        429,
        retry_after,
    )


def too_many_orders(limit: int, interval: str) -> Refusal:
    """Refuse because the account placed too many orders; Binance sends no Retry-After here."""
    return Refusal(
        -1015, f"Too many new orders; current limit is {limit} orders per {interval}.", 429
    )


def banned(until_ms: int, retry_after: int) -> Refusal:
    """Refuse everything: the address went on after it was told to wait."""
    return Refusal(
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        418,
        retry_after,
    )
