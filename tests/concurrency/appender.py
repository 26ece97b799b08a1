"""Append events to an account's chain and to the common one, as a process of its own.

    python -m tests.concurrency.appender SLUG COUNT

Says "ready" and begins when a line arrives on stdin, so that several begin together.
"""

import os
import sys

import django


def main(slug: str, count: int) -> None:
    """Append `count` events to each chain, one transaction each."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dustadmin.settings")
    django.setup()
    from django.db import transaction
    from django.utils import timezone

    from positions.models import ExchangeAccount
    from positions.services import audit
    from positions.services.actors import Actor

    chains = (ExchangeAccount.objects.get(slug=slug), None)
    actor = Actor.service(f"process {os.getpid()}")
    print("ready", flush=True)  # noqa: T201 - read by the test
    sys.stdin.readline()
    for number in range(count):
        for account in chains:
            with transaction.atomic():
                said = f"Event {number}"
                audit.record("test.appended", said, actor=actor, at=timezone.now(), account=account)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
