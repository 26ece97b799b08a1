"""Run a soak: random plans, faults, kills and stops that follow from a seed.

`python -m tests.journeys.soak --seconds 120 --seed 7`; exit 1 with the whole story if anything is
not as it must be. The same seed and seconds give the same script.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from urllib.parse import quote


def main(arguments: list[str]) -> int:
    """Set up an empty database, run, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.journeys.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one")
    parser.add_argument("--database-url", help="an empty database; default: an SQLite file")
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    with tempfile.TemporaryDirectory(prefix="dustadmin-soak-") as folder:
        os.environ["DUSTADMIN_STATE_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "dustadmin.settings"
        own = f"sqlite:///{quote(folder)}/soak.sqlite3"
        os.environ["DATABASE_URL"] = asked.database_url or own
        return _run(seed, asked.seconds)


def _run(seed: int, seconds: float) -> int:
    import django  # reads the settings, which the arguments decide on

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from tests.journeys.soak.run import soak

    if connection.introspection.table_names():
        sys.stderr.write("There is something in this database. Name an empty one.\n")
        return 2
    call_command("migrate", verbosity=0)
    sys.stdout.write(f"{'seed':<18} {seed}\n")
    sys.stdout.flush()
    done = soak(seed=seed, seconds=seconds)
    sys.stdout.write(f"{done.figures}\n")
    if done.violations:
        sys.stderr.write(f"\n{done.story()}\n")
    return 1 if done.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
