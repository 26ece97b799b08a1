"""Start the exchange: `python -m sandbox --port N --scenario NAME [--state-file PATH]`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from sandbox import scenario as scenarios
from sandbox.scenario import ScenarioError
from sandbox.server import HOST, Server
from sandbox.service import Service
from sandbox.state import State, StateError

WRONG_USE = 2


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        fail(message)


def fail(message: str) -> NoReturn:
    """End with one line on stderr and exit code 2."""
    sys.stderr.write(f"sandbox: {message}\n")
    raise SystemExit(WRONG_USE)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code."""
    parser = Parser(prog="python -m sandbox", description="A stand-alone exchange on loopback.")
    parser.add_argument("--port", type=int, required=True, help="0 chooses a free one")
    named = f"{', '.join(scenarios.names())}; a crowd's may be told more: wide:positions=2000"
    parser.add_argument("--scenario", required=True, help=named)
    parser.add_argument("--state-file", type=Path, help="without it, all is forgotten at the end")
    parser.add_argument(
        "--clock-skew-ms", type=int, help="the exchange's clock minus the machine's"
    )
    options = parser.parse_args(argv)
    if not 0 <= options.port <= 65535:
        fail(f"--port {options.port} is not between 0 and 65535")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        scenario = scenarios.load(options.scenario)
        state = State(options.state_file)
        service = Service(state, scenario, skew_ms=options.clock_skew_ms)
    except (ScenarioError, StateError) as error:
        fail(str(error))
    try:
        server = Server(options.port, service)
    except OSError as error:
        state.close()
        fail(f"can't listen on {HOST}:{options.port}: {error.strerror}")
    thread = threading.Thread(target=server.run)
    thread.start()
    sys.stdout.write(f"sandbox {scenario.name} listening on {server.base_url}\n")
    sys.stdout.flush()
    stop.wait()
    service.stopping.set()
    thread.join()
    server.server_close()
    state.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
