"""Run the demo's sandbox exchanges and connect their accounts."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests

from positions.management.ports import free_port
from positions.management.supervision import Child, module
from positions.models import Environment, ExchangeAccount
from positions.services.accounts import NewAccount, connect_account
from positions.services.actors import Actor
from positions.services.credentials import Credentials

SCENARIOS = {"demo": "seed8", "demo-minimums": "minimums", "demo-crowded": "crowded"}
_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoExchange:
    """One sandbox exchange of the demo, known by the slug of its account."""

    slug: str
    port: int

    @property
    def base_url(self) -> str:
        """Return where the sandbox serves."""
        return f"http://127.0.0.1:{self.port}"

    def child(self, *, stage: int, folder: Path) -> Child:
        """Return the process that serves it and keeps its state in `folder`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        arguments = ["--port", str(self.port), "--scenario", SCENARIOS[self.slug]]
        state = ["--state-file", str(folder / f"{self.slug}.state")]
        return Child(
            name=f"sandbox-{self.slug}",
            command=module("sandbox", *arguments, *state),
            stage=stage,
            essential=True,
        )

    def answers(self) -> bool:
        """Return whether the sandbox is up."""
        try:
            return _get(f"{self.base_url}/_control/health").ok
        except requests.RequestException:
            return False

    def connect(self, *, now: datetime) -> None:
        """Make the account, unless an earlier start did."""
        if ExchangeAccount.objects.filter(slug=self.slug).exists():
            return
        reply = _get(f"{self.base_url}/_control/credentials")
        reply.raise_for_status()
        credentials = reply.json()
        connect_account(
            NewAccount(slug=self.slug, exchange="binance", base_url=self.base_url),
            credentials=Credentials(
                api_key=credentials["api_key"], api_secret=credentials["api_secret"]
            ),
            actor=Actor.service("up"),
            now=now,
        )


def exchanges(*, folder: Path, create: bool) -> list[DemoExchange]:
    """Return the demo's sandboxes to run, each on the port its account was connected to.

    `create` makes all of them if there is no account at all. A first start that was interrupted
    is completed by the next one: the ports are remembered before any account is connected.
    """
    memory = folder / "ports.json"
    remembered: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    connected = {
        account.slug: urlsplit(account.base_url).port
        for account in ExchangeAccount.objects.filter(
            slug__in=SCENARIOS, environment=Environment.SANDBOX
        )
    }
    create = create and (bool(remembered) or not ExchangeAccount.objects.exists())
    ports: dict[str, int] = {}
    for slug in SCENARIOS:
        port = connected.get(slug) or (remembered.get(slug) if create else None)
        if port is None and create:
            port = free_port()
        if port is not None:
            ports[slug] = port
    if ports != remembered and ports:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = memory.with_suffix(".draft")
        draft.write_text(json.dumps(ports, indent=2) + "\n")
        draft.replace(memory)
    return [DemoExchange(slug=slug, port=port) for slug, port in ports.items()]


def _get(url: str) -> requests.Response:
    with requests.Session() as session:
        # Loopback never goes through the proxy that the environment may name.
        session.trust_env = False
        return session.get(url, timeout=_ANSWER_SECONDS)
