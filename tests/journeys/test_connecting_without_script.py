"""From nothing to a connected account and a new key, on the pages alone and without script."""

import json
import re
from collections.abc import Iterator

import pytest

from positions.management import ports
from tests.exchange_process import SandboxProcess
from tests.journeys.processes import Up, eventually
from tests.journeys.test_story_without_script import Reader

pytestmark = pytest.mark.journey


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("seed8") as process:
        yield process


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess) -> Iterator[Up]:
    up = Up(
        state=tmp_path_factory.mktemp("system"),
        port=ports.free_port(),
        DUSTADMIN_EXCHANGE_BASE_URLS=json.dumps({"binance": sandbox.base_url}),
    )
    try:
        yield up.wait_until_ready()
    finally:
        up.close()


def signed_with(sandbox: SandboxProcess, api_key: str) -> int:
    """Return how many requests the exchange has got with this key."""
    return sum(request["api_key"] == api_key for request in sandbox.ledger()["requests"])


def test_an_account_is_connected_and_gets_a_new_key(system: Up, sandbox: SandboxProcess) -> None:
    found = re.search(r"with the password (\S+)", system.said())
    assert found
    reader = Reader(f"http://127.0.0.1:{system.port}")
    reader.open("/")
    reader.submit("/auth/login/", login="admin", password=found.group(1))
    assert "No account yet" in reader.text
    assert "Connect an account" in reader.text

    keys = sandbox.credentials()
    account = {"exchange": "binance", "environment": "sandbox", "slug": "bots", "quote": "USDT"}
    reader.open("/accounts/connect/")
    reader.submit("/accounts/connect/", do="test", **account, **keys)
    assert "The key works" in reader.text
    dangerous = sandbox.control(
        "POST", "accounts", {"balances": {}, "permissions": {"enableWithdrawals": True}}
    )
    reader.submit("/accounts/connect/", do="connect", status=400, **account, **dangerous)
    assert "This key may withdraw." in reader.text
    reader.submit("/accounts/connect/", do="connect", **account, **keys)
    assert "bots is connected." in reader.text
    eventually(lambda: "8 positions" in reader.open("/accounts/bots/"), seconds=60)
    assert "6 of 8" in reader.text

    new = sandbox.control("POST", "keys/replace", {})
    reader.open("/accounts/bots/key/")
    reader.submit("/accounts/bots/key/", do="replace", status=400, **dangerous)
    assert "This key may withdraw." in reader.text
    reader.submit("/accounts/bots/key/", do="replace", **new)
    assert "bots has its new key." in reader.text
    checked = signed_with(sandbox, new["api_key"])
    eventually(lambda: signed_with(sandbox, new["api_key"]) >= checked + 2, seconds=60)
    assert "8 positions" in reader.open("/accounts/bots/")
    eventually(lambda: "could not be read" not in reader.open("/accounts/bots/"), seconds=60)

    other = sandbox.control("POST", "accounts", {"balances": {"DOGE": "40"}})
    reader.open("/accounts/bots/key/")
    reader.submit("/accounts/bots/key/", do="replace", status=400, **other)
    assert "The key opens another account" in reader.text
    reader.submit("/accounts/bots/key/", do="replace", moves="on", **other)
    eventually(lambda: "1 position" in reader.open("/accounts/bots/"), seconds=60)
    assert "DOGE" in reader.text

    history = reader.open("/admin/positions/auditevent/")
    assert "admin replaced the key of bots, which opens another account now" in history
    for secret in (*keys.values(), *new.values(), *other.values(), *dangerous.values()):
        assert secret not in history
        assert all(secret not in log.read_text() for log in (system.state / "logs").glob("*.log"))
