"""A sandbox exchange as a real process, for tests of every part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
ORDER_PATHS = {"binance": "/api/v3/order", "kraken": "/0/private/AddOrder"}


def wait_until(condition: Callable[[], Any], *, seconds: float = 60, what: str = "it") -> Any:
    """Return the condition's first true value; fail when it does not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        threading.Event().wait(0.01)


class ControlError(AssertionError):
    """The control surface refused; the message carries its sentence."""


class SandboxProcess:
    """Start `python -m sandbox` and end it with the context; port 0 chooses a free one."""

    def __init__(
        self,
        scenario: str = "seed8",
        *,
        state_file: Path | None = None,
        clock_skew_ms: int | None = None,
        port: int = 0,
    ) -> None:
        self.scenario = scenario
        self.state_file = state_file
        self.clock_skew_ms = clock_skew_ms
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Return where it listens; the same after a restart."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None, "the exchange is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it listens."""
        command = [sys.executable, "-m", "sandbox", "--scenario", self.scenario]
        command += ["--port", str(self.port)]
        if self.state_file is not None:
            command += ["--state-file", str(self.state_file)]
        if self.clock_skew_ms is not None:
            command += ["--clock-skew-ms", str(self.clock_skew_ms)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(f"sandbox {self.scenario} listening on "):
            raise AssertionError(f"the exchange said {line!r} and {self._end()[1]!r}")
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self) -> str:
        """End it with SIGTERM and return what it wrote to stderr."""
        return self._end()[1]

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def restart(self) -> None:
        """Stop it if it runs and start it on the same port and state file."""
        self.stop()
        self.start()

    def _end(self) -> tuple[int, str]:
        process, self._process = self._process, None
        if process is None:
            return 0, ""
        if process.poll() is None:
            process.terminate()
        try:
            _, errors = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return process.returncode, errors

    def request(
        self,
        method: str,
        path: str,
        body: str = "",
        headers: dict[str, str] | None = None,
        *,
        source: str = "127.0.0.1",
    ) -> tuple[int, dict[str, str], str]:
        """Send one raw request and return status, headers (lower case) and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(source, 0))
        try:
            connection.request(method, path, body=body or None, headers=headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return response.status, names, response.read().decode()
        finally:
            connection.close()

    @cached_property
    def order_path(self) -> str:
        """Return where the scenario's protocol takes orders."""
        return ORDER_PATHS[self.control("GET", "health")["protocol"]]

    def control(
        self, method: str, path: str, json_body: object = None, **query: object
    ) -> dict[str, Any]:
        """Call `/_control/<path>` and return its JSON; raise ControlError when refused."""
        target = f"/_control/{path}" + (f"?{urlencode(query)}" if query else "")
        body = "" if json_body is None else json.dumps(json_body)
        status, _, text = self.request(method, target, body)
        if status != 200:
            raise ControlError(f"{status} {text}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def credentials(self) -> dict[str, str]:
        """Return `api_key` and `api_secret` of the first account."""
        return self.control("GET", "credentials")

    def ledger(self, since: int = 0, *parts: str) -> dict[str, Any]:
        """Return everything that happened, or only some parts; requests after the id `since`."""
        chosen = {"parts": ",".join(parts)} if parts else {}
        return self.control("GET", "ledger", since=since, **chosen)

    def fault(self, kind: str, **spec: object) -> int:
        """Order a fault (by default for the next order request) and return its id."""
        fault = {"method": "POST", "path": self.order_path, **spec, "kind": kind}
        return int(self.control("POST", "faults", fault)["id"])

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.control("DELETE", "faults")

    def balance(self, asset: str, key: str | None = None) -> dict[str, str]:
        """Return free and locked of one asset, as text."""
        balances = self.ledger(0, "balances")["balances"]
        held = balances[key or self.credentials()["api_key"]]
        found: dict[str, str] = held.get(asset, {"free": "0", "locked": "0"})
        return found
