"""Say which rights an API key needs and must not have, in each exchange's own words.

Sources, read 2026-11: Binance's "API Management" page and its announcement of 2021-07-09 on trading
rights; docs.kraken.com, "API key permissions"; bybit-exchange.github.io v5, "Create Sub UID API
Key"; kucoin.com support, "How to Create API". Whether a passphrase is needed: `requiredCredentials`
of ccxt 4.5.90. OKX's words are from its "API" page as third parties describe it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGuide:
    """What a person switches on and off when they make a key."""

    where: str  # where at the exchange keys are made
    needed: Sequence[str]
    never: Sequence[str]
    note: str = ""  # what else surprises people there
    has_passphrase: bool = False


_ANY = KeyGuide(
    where="your exchange's page for API keys",
    needed=("Read balances and orders", "Trade spot"),
    never=("Withdraw", "Transfer to other accounts"),
)

GUIDES: Mapping[str, KeyGuide] = {
    "binance": KeyGuide(
        where="Binance, API Management",
        needed=("Enable Reading", "Enable Spot & Margin Trading"),
        never=("Enable Withdrawals", "Permits Universal Transfer"),
        note="Without a list of trusted IP addresses Binance takes the right to trade away after "
        "30 days.",
    ),
    "bybit": KeyGuide(
        where="Bybit, Account Settings, API Management",
        needed=("Read-Write", "Unified Trading: SPOT Trade"),
        never=("Wallet: Withdrawal", "Wallet: Account Transfer"),
    ),
    "kraken": KeyGuide(
        where="Kraken, Settings, API",
        needed=(
            "Query Funds",
            "Query Open Orders & Trades",
            "Query Closed Orders & Trades",
            "Create & Modify Orders",
        ),
        never=("Withdraw Funds",),
        note="Make a key of its own for Dust Admin: Kraken refuses requests that overtake each "
        "other.",
    ),
    "kucoin": KeyGuide(
        where="KuCoin, API Management, API Trading",
        needed=("General", "Spot Trading"),
        never=("Withdrawal", "Transfer"),
        note="KuCoin wants the IP addresses that may use the key.",
        has_passphrase=True,
    ),
    "okx": KeyGuide(
        where="OKX, API",
        needed=("Read", "Trade"),
        never=("Withdraw",),
        has_passphrase=True,
    ),
}


def guide_of(exchange: str) -> KeyGuide:
    """Return the exchange's guide; a general one if it has none of its own."""
    return GUIDES.get(exchange, _ANY)
