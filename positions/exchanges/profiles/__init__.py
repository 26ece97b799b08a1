"""Facts about exchanges, as data: each with its source and date.

Sources: "ccxt 4.5.90" is that release's source code or its behaviour on the wire, read 2026-11;
"Binance rest-api.md" is the exchange's published spot API documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from positions.domain.absence import AbsenceRule
from positions.domain.pacing import Kind, Limit
from positions.exchanges.profiles import absence


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What must be known of an exchange beyond ccxt's common interface."""

    exchange: str
    # Whether orders, their look-up by client id and the proof of their absence were verified on
    # the wire. Without that nothing is sent: a look-up that can't find would end in a second sale.
    orders_verified: bool = False
    # When "not found" proves that an order is absent; None: nothing does, and a person decides.
    absence: AbsenceRule | None = None
    # Request weight per call; calls not named cost 1.
    weights: Mapping[str, int] = field(default_factory=dict)
    weight_limit: Limit
    order_limits: tuple[Limit, ...]
    # Headers that tell what the exchange counts: the name up to the window, such as "10s".
    usage_headers: Mapping[str, Kind] = field(default_factory=dict)
    # Codes of "too many orders": the key has to wait, others at the same address need not.
    order_limit_codes: frozenset[str] = frozenset()
    # Whether each signed request of a key needs a greater nonce than the one before, so that only
    # one may be on its way.
    increasing_nonce: bool = False
    # Balances with these prefixes are in an earn product, not spot.
    earn_prefixes: tuple[str, ...] = ()
    # Asking for few tickers by name costs less: (most symbols, call) by growing number.
    named_tickers: tuple[tuple[int, str], ...] = ()
    # Where the raw answer lists the balances; empty: unknown, then only an empty answer is refused.
    balances_field: str = ""
    # Where the raw balances say whose account it is; empty: unknown.
    owner_field: str = ""
    # Where the raw answer says what was sold: ccxt reads a missing quantity of an ended order as 0.
    filled_field: str = ""
    # Whether the answer to a market order carries its trades (newOrderRespType FULL).
    answer_carries_fills: bool = False
    # ccxt's implicit method that tells what the key may do; empty: none is known.
    key_rights_method: str = ""
    # Codes that mean "refused before processing" whatever class ccxt gives them.
    clock_codes: frozenset[str] = frozenset()
    key_codes: frozenset[str] = frozenset()
    # An order with this client id exists already: look it up.
    duplicate_messages: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return all limits that are known of the exchange."""
        return (replace(self.weight_limit, kind=Kind.WEIGHT), *self.order_limits)

    def tickers_call(self, symbols: int) -> str:
        """Return which call asks for this many symbols; "tickers" asks for all."""
        if symbols:
            for most, call in self.named_tickers:
                if symbols <= most:
                    return call
        return "tickers"


BINANCE = Profile(
    exchange="binance",
    orders_verified=True,
    absence=absence.BINANCE,
    # Binance rest-api.md, "Weight" of each endpoint for all symbols; 2026-11.
    weights={
        "exchange_info": 20,
        "account": 20,
        "tickers": 80,
        "tickers_of_20": 2,
        "tickers_of_100": 40,
        "open_orders": 80,
        "order": 1,
        "query_order": 4,
        "my_trades": 20,
        "all_orders": 20,
        "time": 1,
        "key_rights": 1,
    },
    # Published in exchangeInfo; these are the values when it does not say. 2026-11.
    weight_limit=Limit(allowed=6000, window=60),
    order_limits=(Limit(allowed=100, window=10), Limit(allowed=200_000, window=86_400)),
    # Binance rest-api.md, "General Info on Limits"; 2026-11.
    usage_headers={"x-mbx-used-weight-": Kind.WEIGHT, "x-mbx-order-count-": Kind.ORDERS},
    order_limit_codes=frozenset({"-1015"}),
    balances_field="balances",
    owner_field="uid",  # Binance rest-api.md, "Account information"; 2026-11
    filled_field="executedQty",
    answer_carries_fills=True,
    key_rights_method="sapiGetAccountApiRestrictions",
    earn_prefixes=("LD",),  # Simple Earn balances in GET /api/v3/account, Binance support pages
    named_tickers=((20, "tickers_of_20"), (100, "tickers_of_100")),
    clock_codes=frozenset({"-1021"}),
    # -2015 surfaces as DDoSProtection once that client made a private call; ccxt 4.5.90.
    key_codes=frozenset({"-2014", "-2015", "-1022", "-2008"}),
    duplicate_messages=("Duplicate order sent.",),
    options={"fetchOpenOrders": {"warnWithoutSymbol": False}},
)

# Reading any other exchange: cautious numbers that every spot exchange in ccxt 4.5.90 allows.
GENERIC_WEIGHT = Limit(allowed=60, window=60)
GENERIC_ORDERS = (Limit(allowed=1, window=1),)

# Where `sign` uses `incrementing_nonce`: ccxt 4.5.90.
NONCE_EXCHANGES = frozenset(
    {
        *("bit2c", "bitbank", "bitfinex", "bitso", "coinmate", "coinspot", "derive", "gemini"),
        *("hibachi", "hyperliquid", "independentreserve", "kraken", "mercado", "p2b", "paymium"),
        "whitebit",
    }
)

PROFILES = {BINANCE.exchange: BINANCE}


def profile_of(exchange: str) -> Profile:
    """Return the exchange's profile; a cautious generic one if it has none of its own."""
    return PROFILES.get(exchange) or Profile(
        exchange=exchange,
        weight_limit=GENERIC_WEIGHT,
        order_limits=GENERIC_ORDERS,
        increasing_nonce=exchange in NONCE_EXCHANGES,
    )
