"""Read one account now."""

from typing import Any

from django.core.management import CommandParser

from positions.management.command import ProductCommand, account_named, add_slug
from positions.management.console import Writer
from positions.management.readings import read_now
from positions.templatetags.formats import utc_time


class Command(ProductCommand):
    """Take one snapshot; a failed reading exits with 1, or 2 if a person has to change something.

    One that somebody else took in the last five seconds will do.
    """

    help = "Read what an account holds now and keep it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the account."""
        super().add_arguments(parser)
        add_slug(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read it and say what was found."""
        actor, account = self.actor(options), account_named(options["slug"])
        snapshot = read_now(account, actor=actor)
        count = snapshot.positions.count()
        Writer(self.stdout).line(
            f"{account.slug} was read at {utc_time(snapshot.taken_at)}: "
            f"{count} {'holding' if count == 1 else 'holdings'}, snapshot {snapshot.pk}."
        )
