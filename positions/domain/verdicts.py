"""Name what can be done with a position, and say it in sentences a person understands."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Category(StrEnum):
    """A position's place by value."""

    WINNING = "WINNING"
    SMALL = "SMALL"
    DUST = "DUST"
    UNPRICED = "UNPRICED"


class Route(StrEnum):
    """A way to close a position."""

    SELL = "SELL"
    CONVERT = "CONVERT"


class Reason(StrEnum):
    """Why a position stays, or why an order was not sent."""

    BELOW_MIN_NOTIONAL = "BELOW_MIN_NOTIONAL"
    BELOW_MIN_QUANTITY = "BELOW_MIN_QUANTITY"
    NO_MARKET = "NO_MARKET"
    MARKET_HALTED = "MARKET_HALTED"
    UNPRICED = "UNPRICED"
    STALE_PRICE = "STALE_PRICE"
    LOCKED = "LOCKED"
    OPEN_ORDER = "OPEN_ORDER"
    STAKED = "STAKED"
    LEVERAGED = "LEVERAGED"
    MARGIN_DEBT = "MARGIN_DEBT"
    PROTECTED = "PROTECTED"
    IGNORED = "IGNORED"
    LEASED = "LEASED"
    CLAIMED_BY_BOT = "CLAIMED_BY_BOT"
    FEE_ASSET = "FEE_ASSET"
    UNECONOMIC = "UNECONOMIC"
    ILLIQUID = "ILLIQUID"
    ORDER_IN_FLIGHT = "ORDER_IN_FLIGHT"
    CONVERT_WINDOW_CLOSED = "CONVERT_WINDOW_CLOSED"
    NOT_CONVERTIBLE = "NOT_CONVERTIBLE"
    PLAN_HALTED = "PLAN_HALTED"
    PLAN_EXPIRED = "PLAN_EXPIRED"
    NO_LONGER_DUST = "NO_LONGER_DUST"
    DRIFTED = "DRIFTED"
    NOT_DUST = "NOT_DUST"
    ROUTE_OFF = "ROUTE_OFF"
    OVER_ORDER_LIMIT = "OVER_ORDER_LIMIT"
    FREES_NO_SLOT = "FREES_NO_SLOT"
    NOT_COUNTED = "NOT_COUNTED"
    WITHIN_CAP = "WITHIN_CAP"
    NOT_HELD = "NOT_HELD"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What can be done with one position now: a route with its expected net, or a reason."""

    route: Route | None = None
    reason: Reason | None = None
    message: str
    remedy: str = ""  # what would change it
    symbol: str = ""  # the market of a sale
    into: str = ""  # the asset that comes back
    price: Decimal | None = None  # of `into` for one unit, before the fee
    quantity: Decimal | None = None  # base; what the route would close
    expected_fee_usd: Decimal | None = None
    expected_slippage_usd: Decimal | None = None
    expected_net_usd: Decimal | None = None

    @property
    def sentence(self) -> str:
        """Return the message with what would change it."""
        return f"{self.message} {self.remedy}".strip()


def keep(reason: Reason, message: str, remedy: str = "") -> Verdict:
    """Return the verdict that leaves a position where it is."""
    return Verdict(reason=reason, message=message, remedy=remedy)
