"""Two ways to talk to the sandbox: an unmodified ccxt client, and raw signed requests."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import ccxt
import requests
from requests.adapters import HTTPAdapter

from tests.exchange_process import SandboxProcess


class Redirect(HTTPAdapter):
    """Send every request to another scheme and host; path and query stay."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send the redirected request."""
        parts = urlsplit(request.url or "")
        query = f"?{parts.query}" if parts.query else ""
        request.url = f"{self.base_url}{parts.path}{query}"
        return super().send(request, **options)


def connect(exchange: SandboxProcess, credentials: dict[str, str] | None = None) -> ccxt.binance:
    """Return a ccxt client of the exchange; close its session when done."""
    keys = credentials or exchange.credentials()
    client = ccxt.binance(
        {
            "apiKey": keys["api_key"],
            "secret": keys["api_secret"],
            "enableRateLimit": False,
            "timeout": 5000,
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchMargins": False,
                "fetchCurrencies": False,
                "fetchOpenOrders": {"warnWithoutSymbol": False},
            },
        }
    )
    client.number = str
    client.session.trust_env = False
    client.session.mount("https://", Redirect(exchange.base_url))
    return client


class Answer:
    """The answer to a raw request."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def data(self) -> Any:
        """Return the JSON."""
        return json.loads(self.text)

    @property
    def refusal(self) -> tuple[int, int, str]:
        """Return HTTP status, code and message of an error."""
        return self.status, self.data["code"], self.data["msg"]


class Raw:
    """Signed requests, built by hand so that every part can be wrong."""

    def __init__(
        self,
        exchange: SandboxProcess,
        keys: dict[str, str] | None = None,
        *,
        source: str = "127.0.0.1",
    ) -> None:
        self.exchange = exchange
        self.keys = keys or exchange.credentials()
        self.source = source

    def call(
        self,
        method: str,
        path: str,
        *,
        timestamp: int | None = None,
        in_body: bool = False,
        signature: str | None = None,
        key: str | None = None,
        **params: object,
    ) -> Answer:
        """Sign and send; the arguments replace what an honest client would send."""
        params["timestamp"] = int(time.time() * 1000) if timestamp is None else timestamp
        payload = urlencode(params)
        secret = self.keys["api_secret"].encode()
        signed = signature or hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()
        payload += f"&signature={signed}"
        headers = {"X-MBX-APIKEY": self.keys["api_key"] if key is None else key}
        if in_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self._send(method, path, payload, headers)
        return self._send(method, f"{path}?{payload}", "", headers)

    def public(self, path: str) -> Answer:
        """Send an unsigned GET."""
        return self._send("GET", path, "", {})

    def _send(self, method: str, path: str, body: str, headers: dict[str, str]) -> Answer:
        return Answer(*self.exchange.request(method, path, body, headers, source=self.source))

    def sell(self, symbol: str, quantity: str, **params: object) -> Answer:
        """Sell at market."""
        return self.order(symbol=symbol, side="SELL", type="MARKET", quantity=quantity, **params)

    def limit(self, symbol: str, side: str, quantity: str, price: str, **params: object) -> Answer:
        """Place a limit order."""
        rest = {"timeInForce": "GTC", **params}
        return self.order(
            symbol=symbol, side=side, type="LIMIT", quantity=quantity, price=price, **rest
        )

    def order(self, **params: Any) -> Answer:
        """Place an order with exactly these parameters."""
        return self.call("POST", "/api/v3/order", **params)
