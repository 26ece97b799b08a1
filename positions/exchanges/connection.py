"""Say how to reach one account, without its secrets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one account. It holds no secrets."""

    exchange: str
    environment: str
    base_url: str
    key_fingerprint: str
    signature_window_ms: int
    timeout_ms: int = 10_000

    @property
    def place(self) -> str:
        """Return what markets and address limits are shared by."""
        return f"{self.exchange} {self.base_url}"
