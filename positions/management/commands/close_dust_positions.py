"""Close an account's dust: plan, preview, confirm, execute, report."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandError, CommandParser
from django.utils import timezone

from positions.domain.planning import NothingToClose
from positions.domain.plans import PlanState
from positions.domain.policies import GuardBroken
from positions.management import refusals, runs
from positions.management.command import (
    INTERRUPTED,
    ProductCommand,
    account_named,
    add_slug,
    add_threshold,
    not_done,
    wrong_use,
)
from positions.management.console import Writer
from positions.management.readings import read_now
from positions.management.reports import (
    counted,
    order_line,
    write_preview,
    write_result,
    write_skipped,
)
from positions.models import CleanupPlan, CloseOrder
from positions.selectors.analysis import analyse
from positions.selectors.plans import PlanView, as_json, plan_view
from positions.services import drafts, starts
from positions.services.actors import Actor
from positions.services.permissions import Permission, require
from positions.services.plans import NeedsApproval, PlanRefused
from positions.templatetags.formats import usd


class Command(ProductCommand):
    """Sell what is worth less than the threshold, exactly as previewed.

    Exits with 0 if every planned order filled (or there is nothing to close), 1 if some did not,
    3 if a guard refused or the plan waits for an approval. Interrupted, it says where the plan
    stands: what was started goes on through the workers.
    """

    help = "Plan, preview, confirm and close an account's dust positions."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the account, another threshold, and how to run."""
        super().add_arguments(parser)
        add_slug(parser)
        add_threshold(parser)
        parser.add_argument("--dry-run", action="store_true", help="stop after the preview")
        parser.add_argument("--yes", action="store_true", help="answer the question with yes")
        parser.add_argument(
            "--inline", action="store_true", help="work in this process, without a worker"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take it step by step; whatever ends it early leaves nothing half told."""
        actor, account = self.actor(options), account_named(options["slug"])
        _check_confirmable(options)
        require(actor, Permission.DRAFT)
        if not options["dry_run"]:
            require(actor, Permission.START)
            runs.require_redis() if options["inline"] else runs.require_worker()
        writer = Writer(self.stdout)
        read_now(account, actor=actor)
        try:
            plan = drafts.draft_plan(
                account, threshold=options["threshold"], actor=actor, now=timezone.now()
            )
        except NothingToClose as nothing:
            analysis = analyse(account, now=timezone.now(), threshold=options["threshold"])
            document = refusals.nothing_to_close(analysis, dry_run=options["dry_run"])
            if options["json"]:
                writer.document(document)
            else:
                writer.line(str(nothing))
                write_skipped(writer, document["skipped"])
            return
        except GuardBroken as error:
            if options["json"]:
                analysis = analyse(account, now=timezone.now())
                writer.document(
                    refusals.guard_broken(
                        analysis, error, asked=options["threshold"], dry_run=options["dry_run"]
                    )
                )
            raise
        view = plan_view(plan, now=timezone.now())
        if not options["json"]:
            write_preview(writer, view)
        if options["dry_run"]:
            if options["json"]:
                writer.document(as_json(view, dry_run=True))
            else:
                writer.line("Dry run: nothing was sent.")
            return
        if not options["yes"]:
            _confirm(view)
        self._start(plan, writer=writer, actor=actor, options=options)
        with _interruptible(plan):
            self._run(plan, writer=writer, actor=actor, options=options)

    def _start(
        self, plan: CleanupPlan, *, writer: Writer, actor: Actor, options: dict[str, Any]
    ) -> None:
        try:
            starts.start_plan(plan, hash_seen=plan.hash, actor=actor, now=timezone.now())
        except PlanRefused as error:
            if options["json"]:
                document = as_json(plan_view(plan, now=timezone.now()), dry_run=False)
                code = "NEEDS_APPROVAL" if isinstance(error, NeedsApproval) else "PLAN_REFUSED"
                document["skipped"].insert(0, refusals.of_everything(code, str(error)))
                writer.document(document)
            raise

    def _run(
        self, plan: CleanupPlan, *, writer: Writer, actor: Actor, options: dict[str, Any]
    ) -> None:
        do = runs.in_this_process if options["inline"] else runs.by_the_workers
        ended_early = ""
        with _told_as_it_goes(plan, writer=writer, quiet=options["json"]) as tell:
            try:
                runs.follow(plan, do=do, tell=tell)
            except runs.RunEnded as error:
                ended_early = str(error)
        if options["inline"]:
            runs.close_books_here(plan, actor=actor)
        else:
            runs.wait_for_books(plan)
        view = plan_view(plan, now=timezone.now())
        if options["json"]:
            writer.document(as_json(view, dry_run=False))
        else:
            write_result(writer, view)
        _end(view, ended_early)


def _check_confirmable(options: dict[str, Any]) -> None:
    """Refuse what could not be confirmed later, before anything is read or written."""
    if options["yes"] or options["dry_run"]:
        return
    if options["json"]:
        wrong_use("--json asks nothing: give --yes, or --dry-run to only look.")
    if not sys.stdin.isatty():
        wrong_use("There is no terminal to confirm on: give --yes, or --dry-run to only look.")


def _confirm(view: PlanView) -> None:
    question = (
        f"Close {counted(len(view.orders), 'position')} worth {usd(view.plan.value_usd)}? [y/N] "
    )
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        not_done(f"Not confirmed. {view.plan} was not started; nothing was sent.")


@contextmanager
def _told_as_it_goes(plan: CleanupPlan, *, writer: Writer, quiet: bool) -> Iterator[runs.Tell]:
    """Give what tells of progress: a bar on a terminal, a line for each change in a pipe."""
    if writer.is_terminal and not quiet:
        with runs.progress_bar(plan, orders=plan.orders.count()) as tell:
            yield tell
        return

    def tell_lines(view: PlanView, changed: list[CloseOrder]) -> None:
        if not quiet:
            for order in changed:
                writer.line(order_line(order))

    yield tell_lines


@contextmanager
def _interruptible(plan: CleanupPlan) -> Iterator[None]:
    """Turn Ctrl-C into one line that says where the plan stands."""
    try:
        yield
    except KeyboardInterrupt:
        view = plan_view(plan, now=timezone.now())
        raise CommandError(
            f"Interrupted. {_where_it_stands(view)}", returncode=INTERRUPTED
        ) from None


def _where_it_stands(view: PlanView) -> str:
    plan = view.plan
    said = (
        f"{plan} is {plan.get_status_display().lower()}: {view.filled} of "
        f"{counted(len(view.orders), 'order')} filled, {view.to_send} not sent yet, "
        f"{view.at_the_exchange + len(view.unknown)} at the exchange."
    )
    stop = f"'manage.py halt {plan.account.slug}' stops it"
    if plan.state is PlanState.PAUSED:
        return f"{said} A person can resume it; {stop}."
    if plan.state is PlanState.RUNNING:
        return f"{said} A worker goes on with it as soon as one runs; {stop}."
    return said


def _end(view: PlanView, ended_early: str) -> None:
    """End with 0 only if every planned order was filled."""
    if ended_early:
        not_done(f"{ended_early} {_where_it_stands(view)}")
    missing = len(view.orders) - view.filled
    if not missing:
        return
    unknown = len(view.unknown)
    waits = f" {counted(unknown, 'order')} unknown: a person has to look." if unknown else ""
    if view.resolved:
        waits += f" {counted(len(view.resolved), 'order')} closed by a person, without proof."
    not_done(f"{missing} of {counted(len(view.orders), 'planned order')} did not fill.{waits}")
