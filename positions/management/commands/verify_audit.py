"""Walk the history's hash chains."""

from typing import Any

from positions.management.command import ProductCommand, not_done
from positions.management.console import Writer
from positions.management.reports import counted
from positions.models import AuditChain, AuditEvent
from positions.services import audit
from positions.services.permissions import Permission, require


class Command(ProductCommand):
    """Check that nobody changed, removed or cut off any event; exits with 1 if somebody did."""

    help = "Check that the history is what was written."

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk every chain and say what was found."""
        require(self.actor(options), Permission.VIEW)
        writer = Writer(self.stdout)
        breaks = audit.verify_all()
        for item in breaks:
            writer.line(f"{item.chain}, event {item.sequence}: {item.problem}")
        if breaks:
            not_done(
                f"The history is broken at {len(breaks)} "
                f"{'place' if len(breaks) == 1 else 'places'}."
            )
        events, chains = AuditEvent.objects.count(), AuditChain.objects.count()
        writer.line(f"{counted(events, 'event')} in {counted(chains, 'chain')}, intact")
