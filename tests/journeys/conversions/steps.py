"""What the tests of conversions share: what goes wrong there, and what came of it."""

from __future__ import annotations

from typing import Any

from positions.domain.verdicts import Reason
from positions.models import CleanupPlan, CloseOrder
from positions.selectors.analysis import analyse
from positions.services import results
from tests.journeys.oracle import assert_books
from tests.trading import World, fresh

PATH = "/sapi/v1/asset/dust"
CONVERT = {"method": "POST", "path": PATH}
# Only SHIB, PEPE and BTTC are dust below it: few enough to read a failure.
LITTLE = "0.13"


def sent(world: World) -> int:
    """Return how many conversions of ours reached the exchange."""
    requests = world.exchange.ledger()["requests"]
    return [(item["method"], item["path"]) for item in requests].count(("POST", PATH))


def made(world: World) -> set[str]:
    """Return what the exchange converted."""
    return {item["from_asset"] for item in world.exchange.ledger()["conversions"]}


def change(path: str, body: Any) -> dict[str, Any]:
    """Return a change that the exchange makes at the very request."""
    return {"path": path, "body": body}


def opens_again(world: World, asset: str) -> bool:
    """Tell whether the asset's verdict is that it waits for the next window, with its time."""
    world.later(1)
    world.snapshot()
    found = {
        item.asset: item.verdict for item in analyse(fresh(world.account), now=world.now).positions
    }
    verdict = found[asset]
    return verdict.reason is Reason.CONVERT_WINDOW_CLOSED and "opens at" in verdict.remedy


def states(plan: CleanupPlan) -> set[str]:
    """Return the states that its orders have."""
    return set(plan.orders.values_list("status", flat=True))


def books_close(world: World, plan: CleanupPlan) -> None:
    """Close the plan's books and find every change explained."""
    world.later(1)
    results.attach_closing_snapshots(world.snapshot(), now=world.now)
    assert_books(fresh(plan))


def converts_elsewhere(world: World, *assets: str) -> None:
    """Let somebody convert on the exchange's own pages."""
    world.exchange.control("POST", "convert", {"assets": list(assets)})


def holds(world: World, asset: str, free: str, *, locked: str = "0") -> None:
    """Let the balance of an asset change from outside."""
    world.exchange.control("POST", "balances", {asset: {"free": free, "locked": locked}})


class Vanished(Exception):
    """The worker ended here, as SIGKILL would end it."""


def vanish(*_: Any, **__: Any) -> None:
    """End the worker here."""
    raise Vanished


def leases_end(*plans: CleanupPlan) -> None:
    """Let the time pass for which somebody holds the orders of these plans."""
    CloseOrder.objects.filter(plan__in=plans).update(claimed_until=None)
