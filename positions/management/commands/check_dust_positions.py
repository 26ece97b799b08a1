"""Say what an account holds, what of it is dust, and what can be done about it."""

from typing import Any

from django.core.management import CommandError, CommandParser
from django.utils import timezone

from positions.domain.policies import GuardBroken, check_threshold
from positions.management.command import (
    REFUSED,
    ProductCommand,
    account_named,
    add_slug,
    add_threshold,
)
from positions.management.console import Writer
from positions.management.readings import read_if_old
from positions.management.reports import write_analysis
from positions.selectors.analysis import analyse
from positions.selectors.analysis_json import as_json
from positions.services.permissions import Permission, require


class Command(ProductCommand):
    """Show the analysis, largest value first.

    Takes a snapshot when there is none or it is too old. When the reading fails there is no
    analysis: stale numbers are never passed off as the present.
    """

    help = "Show an account's positions, its dust, its slots and what can be closed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the account and another threshold."""
        super().add_arguments(parser)
        add_slug(parser)
        add_threshold(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read the account if that is needed, and show it."""
        actor, account = self.actor(options), account_named(options["slug"])
        require(actor, Permission.VIEW)
        read_if_old(account, actor=actor)
        now, writer = timezone.now(), Writer(self.stdout)
        analysis = analyse(account, now=now, threshold=options["threshold"])
        try:
            check_threshold(analysis.threshold, analysis.policy)
        except GuardBroken as error:
            if options["json"]:
                # The account as it is under its own policy, and why the question was refused.
                document = as_json(analyse(account, now=now))
                refusal = {"code": error.field_name.upper(), "message": str(error)}
                document["recommendations"].insert(0, refusal)
                writer.document(document)
            raise CommandError(str(error), returncode=REFUSED) from None
        if options["json"]:
            writer.document(as_json(analysis))
        else:
            write_analysis(writer, analysis)
