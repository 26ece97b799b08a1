"""Connect an exchange account."""

import os
import sys
from getpass import getpass
from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from positions.management.command import ProductCommand, wrong_use
from positions.management.console import Writer
from positions.models import Environment
from positions.services.accounts import NewAccount, base_url_of, connect_account
from positions.services.credentials import Credentials
from positions.services.permissions import Permission, require

_ASKED = {
    "DUSTADMIN_API_KEY": "API key: ",
    "DUSTADMIN_API_SECRET": "API secret: ",
}
# Only some exchanges have one, so it is asked for together with the others only.
_PASSPHRASE = "DUSTADMIN_API_PASSPHRASE"  # noqa: S105 - the name of a variable


class Command(ProductCommand):
    """Check an API key and keep it. Credentials never come from the command line's arguments."""

    help = (
        "Connect an exchange account. The credentials come from DUSTADMIN_API_KEY, "
        "DUSTADMIN_API_SECRET and DUSTADMIN_API_PASSPHRASE, or are asked for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything but the credentials."""
        super().add_arguments(parser)
        parser.add_argument("slug", metavar="SLUG", help="the new account's name")
        parser.add_argument("--exchange", required=True, metavar="ID", help="its ccxt id")
        parser.add_argument(
            "--environment",
            choices=Environment.values,
            default=Environment.SANDBOX.value,
            help="what kind of money it holds (default: sandbox)",
        )
        parser.add_argument("--quote", default="USDT", help="what dust is sold for (default: USDT)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the key and keep the account."""
        actor = self.actor(options)
        require(actor, Permission.CONNECT)  # before anybody types a secret in vain
        account = connect_account(
            NewAccount(
                slug=options["slug"],
                exchange=options["exchange"],
                environment=options["environment"],
                quote=options["quote"].upper(),
                base_url=base_url_of(options["exchange"]),
            ),
            credentials=_credentials(),
            actor=actor,
            now=timezone.now(),
        )
        Writer(self.stdout).line(
            f"{account.slug} is connected: {account.exchange}, {account.environment}, "
            f"quote {account.quote}."
        )


def _credentials() -> Credentials:
    """Return the credentials from the environment, or ask for them on a terminal."""
    missing = [name for name in _ASKED if not os.environ.get(name)]
    if not missing:
        return Credentials(
            api_key=os.environ["DUSTADMIN_API_KEY"].strip(),
            api_secret=os.environ["DUSTADMIN_API_SECRET"].strip(),
            passphrase=os.environ.get(_PASSPHRASE, "").strip(),
        )
    if not sys.stdin.isatty():
        wrong_use(f"Set {' and '.join(missing)}, or run it on a terminal to be asked.")
    given = {name: os.environ.get(name) or getpass(_ASKED[name]) for name in _ASKED}
    passphrase = os.environ.get(_PASSPHRASE)
    if passphrase is None:
        passphrase = getpass("Passphrase (empty if the exchange has none): ")
    return Credentials(
        api_key=given["DUSTADMIN_API_KEY"].strip(),
        api_secret=given["DUSTADMIN_API_SECRET"].strip(),
        passphrase=passphrase.strip(),
    )
