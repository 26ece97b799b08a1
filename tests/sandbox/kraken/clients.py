"""Two ways to talk Kraken to the sandbox: an unmodified ccxt client, and raw signed requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import ccxt

from tests.exchange_process import SandboxProcess
from tests.sandbox.clients import Redirect

Keys = dict[str, str]


def connect(exchange: SandboxProcess, credentials: Keys | None = None) -> ccxt.kraken:
    """Return a ccxt client of the exchange; close its session when done."""
    keys = credentials or exchange.credentials()
    client = ccxt.kraken(
        {
            "apiKey": keys["api_key"],
            "secret": keys["api_secret"],
            "enableRateLimit": False,
            "timeout": 5000,
        }
    )
    client.number = str
    client.session.trust_env = False
    client.session.mount("https://", Redirect(exchange.base_url))
    return client


def next_millisecond() -> int:
    """Return the next moment once it is there: nonces of ccxt before it are lower."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass
    return now + 1


class Raw:
    """Signed requests, built by hand so that every part can be wrong."""

    def __init__(self, exchange: SandboxProcess, keys: Keys | None = None) -> None:
        self.exchange = exchange
        self.keys = keys or exchange.credentials()

    def call(
        self,
        name: str,
        *,
        nonce: object = None,
        signature: str | None = None,
        key: str | None = None,
        **params: object,
    ) -> Any:
        """Sign and send, and return the JSON; arguments replace what an honest client sends."""
        path = f"/0/private/{name}"
        number = str(next_millisecond() if nonce is None else nonce)
        body = urlencode({"nonce": number} | params)
        digest = hashlib.sha256((number + body).encode()).digest()
        secret = base64.b64decode(self.keys["api_secret"])
        signed = hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()
        headers = {
            "API-Key": self.keys["api_key"] if key is None else key,
            "API-Sign": base64.b64encode(signed).decode() if signature is None else signature,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        status, _, text = self.exchange.request("POST", path, body, headers)
        next_millisecond()
        assert status == 200, text
        return json.loads(text)

    def result(self, name: str, **params: Any) -> Any:
        """Return the result of a call that must not be refused."""
        answer = self.call(name, **params)
        assert answer["error"] == [], answer
        return answer["result"]

    def refusal(self, name: str, **params: Any) -> str:
        """Return the only error of a call that must be refused."""
        (error,) = self.call(name, **params)["error"]
        return str(error)

    def public(self, name: str, **params: object) -> Any:
        """Return the JSON of a public call."""
        query = f"?{urlencode(params)}" if params else ""
        _, _, text = self.exchange.request("GET", f"/0/public/{name}{query}")
        return json.loads(text)


def selling(pair: str, volume: str, **params: object) -> dict[str, object]:
    """Return the parameters of a market sell."""
    return {"pair": pair, "type": "sell", "ordertype": "market", "volume": volume, **params}


def limit(side: str, pair: str, volume: str, price: str, **params: object) -> dict[str, object]:
    """Return the parameters of a limit order."""
    kind = {"ordertype": "limit", "price": price}
    return {"pair": pair, "type": side, "volume": volume, **kind, **params}
