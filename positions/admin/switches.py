"""Show the kill switch where the history is read; pressing and releasing it is the panel's page."""

from dataclasses import dataclass

from positions.admin.panel import stop_page
from positions.models import ExchangeAccount, Halt
from positions.selectors.halts import halts_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """The switch of one account, or (account None) of everything, as it stands."""

    account: ExchangeAccount | None
    halt: Halt | None  # in force

    @property
    def address(self) -> str:
        """Return the page that asks before it stops, and that releases the stop."""
        return stop_page(self.account)


def switches(account: ExchangeAccount | None = None) -> list[Switch]:
    """Return the switch of everything, and that of this account or of each stopped one."""
    pressed = {halt.account: halt for halt in halts_in_force()}
    concerned = {account: None} if account else pressed
    accounts = [None, *(item for item in concerned if item is not None)]
    return [Switch(account=item, halt=pressed.get(item)) for item in accounts]
