"""What a balance is, told by its name as each exchange writes it."""

import pytest

from positions.domain.balances import Kind
from positions.exchanges.profiles import profile_of


@pytest.mark.parametrize(
    ("exchange", "asset", "kind"),
    [
        ("binance", "LDUSDT", Kind.EARN),
        ("binance", "LD", Kind.SPOT),
        ("binance", "BTCUP", Kind.LEVERAGED),
        ("binance", "JUP", Kind.SPOT),
        ("binance", "SYRUP", Kind.SPOT),
        ("kraken", "DOT.S", Kind.EARN),
        ("kraken", "ETH.F", Kind.EARN),
        ("kraken", "BTC", Kind.SPOT),
        ("kucoin", "BTC3L", Kind.LEVERAGED),
        ("okx", "ETH5S", Kind.LEVERAGED),
        ("bybit", "BTC3S", Kind.LEVERAGED),
        ("bybit", "1000SATS", Kind.SPOT),
        ("gate", "BTC3L", Kind.SPOT),
        ("binance", "VISIT-GIFTS.COM", Kind.AIRDROP),
        ("okx", "https://gifts.xyz", Kind.AIRDROP),
        ("kucoin", "CLAIM UNI", Kind.AIRDROP),
        ("coinbase", "1inch", Kind.SPOT),
        ("coinbase", "CLAIM", Kind.SPOT),
        ("mexc", "COMP", Kind.SPOT),
        ("mexc", "yfi", Kind.SPOT),
    ],
)
def test_a_name_tells_what_a_balance_is(exchange: str, asset: str, kind: Kind) -> None:
    assert profile_of(exchange).kind_of(asset) is kind
