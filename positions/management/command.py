"""What the product's commands share: who acts, how they fail, and the exit code.

0 done, 1 not everything could be done (a planned order did not fill, a reading failed, the history
is broken), 2 wrong use or configuration, 3 refused by a guard or missing approval. Whatever ends a
command early is one line on stderr: `manage.py NAME: what happened`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NoReturn

import redis
from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.management.base import handle_default_options
from django.db import DatabaseError, connections
from kombu.exceptions import KombuError

from positions.domain.amounts import BadAmount, typed
from positions.domain.plans import IllegalPlanStep
from positions.domain.policies import GuardBroken
from positions.exchanges.port import BadConfiguration, ExchangeError, KeyRefused, PacerUnavailable
from positions.models import ExchangeAccount
from positions.services.accounts import BadAccount
from positions.services.actors import Actor
from positions.services.credentials import CredentialsUnreadable
from positions.services.permissions import NotPermitted
from positions.services.plans import PlanRefused
from positions.services.policies import BadPolicy
from positions.services.snapshots import AccountDisabled
from positions.services.transitions import LostClaim

NOT_DONE = 1
WRONG_USE = 2
REFUSED = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# The first kind that fits decides.
EXIT_CODES: Sequence[tuple[type[Exception], int]] = [
    (GuardBroken, REFUSED),
    (NotPermitted, REFUSED),
    (PlanRefused, REFUSED),
    (AccountDisabled, REFUSED),
    (IllegalPlanStep, REFUSED),
    (BadPolicy, WRONG_USE),
    (BadAccount, WRONG_USE),
    (BadAmount, WRONG_USE),
    (CredentialsUnreadable, WRONG_USE),
    (KeyRefused, WRONG_USE),
    (BadConfiguration, WRONG_USE),
    (PacerUnavailable, WRONG_USE),
    (redis.RedisError, WRONG_USE),
    (KombuError, WRONG_USE),
    (DatabaseError, WRONG_USE),
    (ExchangeError, NOT_DONE),
    (LostClaim, NOT_DONE),
]


class ProductCommand(BaseCommand):
    """A command that acts as somebody and fails in one line.

    Subclasses implement `handle`; they return to exit with 0 and raise for everything else.
    """

    requires_system_checks: list[str] = []  # `make check` runs them; a command need not

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser; what it refuses becomes a `CommandError` like any other."""
        # A shortened `--y` must not answer a question about money.
        parser = super().create_parser(prog_name, subcommand, allow_abbrev=False, **kwargs)
        parser.error = wrong_use  # type: ignore[method-assign]  # its own prints the usage as well
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who acts."""
        parser.add_argument(
            "--as",
            dest="acts_as",
            metavar="USER",
            help="act as this person, with their permissions (default: the command line)",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from a command line and end the process with the exit code."""
        self._called_from_command_line = True
        parser = self.create_parser(argv[0], argv[1])
        trace = "--traceback" in argv
        try:
            options = vars(parser.parse_args(argv[2:]))
            handle_default_options(argparse.Namespace(**options))
            self.execute(*options.pop("args", ()), **options)
            self.stdout.flush()
        except CommandError as error:
            if trace:
                raise
            self._end(parser, str(error), error.returncode)
        except KeyboardInterrupt:
            self._end(parser, "Interrupted.", INTERRUPTED)
        except BrokenPipeError:
            # The reader, such as `head`, has seen enough; nothing is left to be flushed to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(NOT_DONE)
        except Exception as error:
            if trace:
                raise
            # Whatever happens, a person at the command line gets one line.
            what = f"Unexpected {type(error).__name__}: {error} (--traceback shows where)."
            self._end(parser, what, NOT_DONE)
        finally:
            connections.close_all()

    def _end(self, parser: CommandParser, message: str, code: int) -> NoReturn:
        with suppress(BrokenPipeError):
            self.stdout.flush()
        self.stderr.write(f"{parser.prog}: {one_line(message)}", style_func=str)
        sys.exit(code)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, and give every known failure its exit code."""
        try:
            return super().execute(*args, **options)
        except tuple(kind for kind, _ in EXIT_CODES) as error:
            code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
            raise CommandError(told(error), returncode=code) from error

    def actor(self, options: dict[str, Any]) -> Actor:
        """Return who acts."""
        name = options["acts_as"]
        if name is None:
            return Actor.service("command line")
        user = User.objects.filter(username=name).first()
        if user is None:
            wrong_use(f"There is no user '{name}'.")
        if not user.is_active:
            wrong_use(f"The user '{name}' is not active.")
        return Actor.person(user)


def wrong_use(message: str) -> NoReturn:
    """Refuse how the command was used."""
    raise CommandError(message, returncode=WRONG_USE)


def not_done(message: str) -> NoReturn:
    """End a command that could not do everything."""
    raise CommandError(message, returncode=NOT_DONE)


def told(error: Exception) -> str:
    """Return an error as a sentence for the person at the command line."""
    if isinstance(error, DatabaseError):
        first = str(error).strip().split("\n")[0]
        no_table = "no such table" in first or first.startswith('relation "')
        hint = " Is it migrated (manage.py migrate)?" if no_table else ""
        return f"The database can't be used: {first}.{hint}"
    if isinstance(error, redis.RedisError | KombuError):
        # Its text may hold the URL and its password.
        return "Redis does not answer. Start it with 'manage.py up' or set REDIS_URL."
    return str(error)


def one_line(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def add_slug(parser: CommandParser, *, optional: bool = False) -> None:
    """Take the account's name."""
    parser.add_argument(
        "slug", metavar="SLUG", nargs="?" if optional else None, help="the account's name"
    )


def add_threshold(parser: CommandParser) -> None:
    """Take a dust threshold other than the policy's."""
    parser.add_argument(
        "--threshold",
        type=threshold,
        metavar="USD",
        help="below this value a position is dust (default: the policy's dust_threshold)",
    )


def threshold(text: str) -> Decimal:
    """Return the threshold somebody typed; above zero, in plain digits."""
    try:
        amount = typed(text, name="the threshold")
    except BadAmount as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if amount <= 0:
        raise argparse.ArgumentTypeError("The threshold must be above zero.")
    return amount


def account_named(slug: str) -> ExchangeAccount:
    """Return the account of this name."""
    account = ExchangeAccount.objects.filter(slug=slug).first()
    if account is None:
        known = list(ExchangeAccount.objects.values_list("slug", flat=True)[:10])
        there = f"There are: {', '.join(known)}." if known else "There is none yet: add_account."
        wrong_use(f"There is no account '{slug[:60]}'. {there}")
    return account
