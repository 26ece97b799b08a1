"""Run pytest on a PostgreSQL that lives as long as the run.

    python -m tests.on_postgres tests/services -x

Takes pytest's arguments and ends with its exit code.
"""

import os
import signal
import subprocess
import sys

from tests.postgres_process import PostgresProcess


def main(arguments: list[str]) -> int:
    """Run pytest with `DATABASE_URL` set; Ctrl-C is pytest's, which then reports and ends."""
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with PostgresProcess() as server:
        return subprocess.call(
            [sys.executable, "-m", "pytest", *arguments],
            env={**os.environ, "DATABASE_URL": server.url},
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
