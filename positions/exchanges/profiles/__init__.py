"""Facts about exchanges, as data: each with its source and date.

Sources: "ccxt 4.5.90" is that release's source code or its behaviour on the wire, read 2026-11.
An exchange's page was read in a stored copy, not live, in the month that stands with it; "copied
in" names a copy that somebody else made of it. "From memory, to be verified" is nobody's word: the
value is the more cautious one, and nothing may rely on it alone.
"""

from positions.domain.pacing import Limit
from positions.exchanges.profiles.binance import BINANCE
from positions.exchanges.profiles.bybit import BYBIT
from positions.exchanges.profiles.coinbase import COINBASE
from positions.exchanges.profiles.kraken import KRAKEN
from positions.exchanges.profiles.kucoin import KUCOIN
from positions.exchanges.profiles.okx import OKX
from positions.exchanges.profiles.profile import LookUp, Profile, Right

__all__ = ["PROFILES", "Profile", "Right", "profile_of"]

# Reading any other exchange: cautious numbers that every spot exchange in ccxt 4.5.90 allows.
GENERIC_WEIGHT = Limit(allowed=60, window=60)
GENERIC_ORDERS = (Limit(allowed=1, window=1),)

# Where `sign` uses `incrementing_nonce`: ccxt 4.5.90.
NONCE_EXCHANGES = frozenset(
    {
        *("bit2c", "bitbank", "bitfinex", "bitso", "coinmate", "coinspot", "derive", "gemini"),
        *("hibachi", "hyperliquid", "independentreserve", "mercado", "p2b", "paymium"),
        "whitebit",
    }
)

PROFILES = {item.exchange: item for item in (BINANCE, BYBIT, COINBASE, KRAKEN, KUCOIN, OKX)}


def profile_of(exchange: str) -> Profile:
    """Return the exchange's profile; a cautious generic one if it has none of its own."""
    return PROFILES.get(exchange) or Profile(
        exchange=exchange,
        weight_limit=GENERIC_WEIGHT,
        order_limits=GENERIC_ORDERS,
        increasing_nonce=exchange in NONCE_EXCHANGES,
        look_up=LookUp(prefers_their_id=True),
    )
