"""Change an account's policy."""

from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from positions.management.command import ProductCommand, account_named, add_slug, wrong_use
from positions.management.console import Writer
from positions.services import policies
from positions.services.policies import BadPolicy


class Command(ProductCommand):
    """Write a new version of a policy; everything that is wrong is told at once."""

    help = "Change fields of an account's policy, as a new version."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the account and the changes."""
        super().add_arguments(parser)
        add_slug(parser)
        parser.add_argument(
            "changes",
            nargs="+",
            metavar="FIELD=VALUE",
            help="for example dust_threshold=0.50 or protected_assets=BTC,ETH",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Change the policy and say which version is in force."""
        actor, account = self.actor(options), account_named(options["slug"])
        changes = _parsed(options["changes"])
        before = policies.in_force(account).version
        row = policies.change(account, changes, actor=actor, now=timezone.now())
        if row.version == before:
            said = f"Nothing changes: policy v{before} of {account.slug} stays in force."
        else:
            said = f"Policy v{row.version} of {account.slug} is in force: {', '.join(changes)}."
        Writer(self.stdout).line(said)


def _parsed(texts: list[str]) -> dict[str, Any]:
    """Return the values by field; end the command with every problem there is."""
    changes: dict[str, Any] = {}
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            wrong_use(f"Write FIELD=VALUE, for example dust_threshold=0.50, not '{text[:60]}'.")
        if name in changes or name in found:
            wrong_use(f"{name} is given twice.")
        try:
            changes[name] = policies.parse(name, value)
        except BadPolicy as error:
            found |= error.problems
    if found:
        raise BadPolicy(found)
    return changes
