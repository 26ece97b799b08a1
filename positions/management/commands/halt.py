"""Press the kill switch."""

from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from positions.management.command import ProductCommand, account_named, add_slug, wrong_use
from positions.management.console import Writer
from positions.services.stops import halt_everything


class Command(ProductCommand):
    """Stop one account, or all of them; releasing it is a person's, on the pages."""

    help = "Stop everything that would be sent for one account, or for all, and halt its plans."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to stop."""
        super().add_arguments(parser)
        add_slug(parser, optional=True)
        parser.add_argument("--all", action="store_true", help="stop every account")

    def handle(self, *args: Any, **options: Any) -> None:
        """Stop it and say how many plans were halted."""
        if options["all"] == bool(options["slug"]):
            wrong_use("Name one account, or give --all.")
        actor = self.actor(options)
        account = None if options["all"] else account_named(options["slug"])
        count = halt_everything(
            account, reason="Stopped by a command.", actor=actor, now=timezone.now()
        )
        Writer(self.stdout).line(
            f"{account.slug if account else 'Every account'} is stopped: nothing is sent until it "
            f"is released. {count} {'plan was' if count == 1 else 'plans were'} halted."
        )
