"""Say how to reach one account, without its secrets, and whether it may be reached at all."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from positions.exchanges.port import BadConfiguration


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one account. It holds no secrets."""

    exchange: str
    environment: str
    base_url: str
    key_fingerprint: str
    signature_window_ms: int
    timeout_ms: int = 10_000
    egress: str = ""  # the address that requests leave from, as the operator calls it

    @property
    def place(self) -> str:
        """Return what markets and clocks are shared by."""
        return f"{self.exchange} {self.base_url}"

    @property
    def sends_from(self) -> str:
        """Return what address limits are shared by."""
        return f"{self.place} {self.egress}"

    @property
    def key_sends_from(self) -> str:
        """Return what they are shared by where the exchange counts each key by itself."""
        return f"{self.sends_from} {self.key_fingerprint}"


def is_loopback(url: str) -> bool:
    """Tell whether the URL can only reach this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_reach(*, environment: str, base_url: str) -> None:
    """Raise `BadConfiguration` if a sandbox account could reach anything but this machine."""
    if environment == "sandbox" and not (base_url and is_loopback(base_url)):
        raise BadConfiguration(
            "A sandbox account can only reach this machine. Name a sandbox's address in "
            "DUSTADMIN_EXCHANGE_BASE_URLS, for example "
            '{"binance": "http://127.0.0.1:9001"}.'
        )
