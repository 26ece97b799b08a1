"""Say which rights an API key needs and must not have, in each exchange's own words.

Sources, read 2026-11: Binance, "Updates to API Key Permission Rules (2021-07-08)" and "API Key
Permission"; docs.kraken.com, "API key permissions"; bybit-exchange.github.io v5, "Get API Key
Information" and "Convert Small Balances"; kucoin.com support 360015102174, "How to Create API";
docs.cdp.coinbase.com, "API key authentication" (Coinbase App, Coinbase Business);
okx.com/docs-v5, "API key permissions" (copied in github.com/arakinyemi/exchange-api-docs), and
okx.com/help/api-faq. Whether a passphrase is needed: `requiredCredentials` of ccxt 4.5.90.

From memory, to be verified: how Binance's, Bybit's and KuCoin's own pages for keys write what
their calls name enableReading, SpotTrade or Spot.
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
        note="To convert small balances the key needs the right Convert as well.",
    ),
    "coinbase": KeyGuide(
        where="Coinbase Developer Platform, API keys",
        needed=("View", "Trade"),
        never=("Transfer",),
        note="Choose the signature ECDSA; the secret is the whole private key, all its lines.",
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
