"""One account with assets that nobody else has, its plan, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from positions.domain.orders import OrderState
from positions.models import CleanupPlan, CloseOrder, ExchangeAccount
from positions.services import dispatch, drafts, snapshots, starts
from tests.journeys import oracle
from tests.journeys.faults.points import Action, Mark, Point
from tests.journeys.faults.waiting import wait_for
from tests.trading import TEST, fresh, told

if TYPE_CHECKING:
    from tests.journeys.faults.house import House

HELD = Decimal(5)  # of each asset, at 0.1 USDT: worth $0.50


@dataclass
class Case:
    """One account with its assets, its plan and what came of it."""

    house: House
    assets: tuple[str, ...]
    keys: dict[str, str]
    account: ExchangeAccount
    since: int  # the last request before it in the exchange's ledger
    plan: CleanupPlan | Any = None

    # What happens
    def draft(self, *, threshold: str | None = None) -> CleanupPlan:
        """Read the account and draft a plan, at the policy's threshold if none is named."""
        snapshots.take_snapshot(
            self.account, trigger=TEST, clock=timezone.now, not_before=timezone.now()
        )
        self.plan = drafts.draft_plan(
            self.account,
            threshold=None if threshold is None else Decimal(threshold),
            actor=TEST,
            now=timezone.now(),
        )
        return self.plan

    def start(self, *, wake: bool = True) -> Case:
        """Start the plan (a new one if there is none) and wake the workers, as a page does."""
        plan = self.plan or self.draft()
        self.plan = starts.start_plan(plan, hash_seen=plan.hash, actor=TEST, now=timezone.now())
        if wake:
            self.wake()
        return self

    def wake(self) -> None:
        """Wake the workers for what is due."""
        for due in dispatch.due_orders(now=timezone.now(), plan=self.plan):
            self.house.wake(due.task, due.pk)

    def fault(self, kind: str, **spec: Any) -> Case:
        """Let something go wrong with this account's next order request, or what `spec` says."""
        self.house.exchange.fault(kind, api_key=self.keys["api_key"], **spec)
        return self

    def arm(self, point: Point, action: Action, *, asset: str | None = None) -> Mark:
        """Let something happen to the worker that gets to the point with the (first) asset."""
        return self.house.points.arm(asset or self.assets[0], point, action)

    def bot(self, how: str, **order: str) -> dict[str, Any]:
        """Let a bot place an order on the account; how is `trade` or `open-order`."""
        return self.house.exchange.control("POST", how, self._on_market(order), **self._key)

    def holds(self, quantity: str, *, locked: str = "0") -> None:
        """Let the balance of the (first) asset change from outside."""
        wanted = {self.assets[0]: {"free": quantity, "locked": locked}}
        self.house.exchange.control("POST", "balances", wanted, **self._key)

    def revoke_key(self, revoked: bool) -> None:
        """Take the account's key away, or give it back."""
        self.house.exchange.control("POST", "keys/revoke", {"revoked": revoked}, **self._key)

    def market(self, **changes: Any) -> None:
        """Change the rules of the (first) asset's market."""
        self.house.exchange.control("POST", "markets", {self.symbol: changes})

    def price(self, price: Any) -> None:
        """Quote the (first) asset anew."""
        self.house.exchange.control("POST", "prices", {self.symbol: price})

    # What came of it
    @property
    def symbol(self) -> str:
        """Return the (first) market as the exchange writes it."""
        return f"{self.assets[0]}{self.house.ground.quote}"

    @property
    def order(self) -> CloseOrder:
        """Return the (first) asset's order as it is now."""
        return self.plan.orders.get(asset=self.assets[0])

    @property
    def orders(self) -> list[CloseOrder]:
        """Return all orders of the plan as they are now."""
        return list(self.plan.orders.order_by("number"))

    @property
    def state(self) -> OrderState:
        """Return where the (first) order is."""
        return self.order.state

    @property
    def told(self) -> str:
        """Return the plan's story, for a failing test."""
        return told(self.plan)

    def answers(self) -> list[str]:
        """Return what the answers to the requests of the (first) order meant.

        Without those that a slow machine sent too late, which the exchange refused for that.
        """
        left = self.order.attempts.filter(sent_at__isnull=False).order_by("number")
        return [str(item.answer) for item in left.exclude(answer_code="-1021")]

    def sent(self) -> list[dict[str, Any]]:
        """Return the order requests of this account that reached the exchange."""
        return [
            request
            for request in self.house.exchange.ledger(since=self.since)["requests"]
            if (request["method"], request["path"]) == ("POST", self.house.exchange.order_path)
            and request["api_key"] == self.keys["api_key"]
        ]

    def in_time(self) -> list[dict[str, Any]]:
        """Return those of them that the exchange did not refuse for having come too late."""
        return [request for request in self.sent() if request["code"] != -1021]

    def placed(self) -> list[dict[str, Any]]:
        """Return the orders that the exchange has from this account."""
        orders = self.house.exchange.ledger(since=2**62)["orders"]
        return [
            order
            for order in orders
            if (order["api_key"], order["origin"]) == (self.keys["api_key"], "api")
        ]

    def by_others(self) -> dict[str, Decimal]:
        """Return what bots and outside changes did to the plan's assets and its quote."""
        ledger, quote = self.house.exchange.ledger(since=2**62), self.house.ground.quote
        changes: defaultdict[str, Decimal] = defaultdict(Decimal)
        bots = {row["order_id"] for row in ledger["orders"] if row["origin"] == "bot"}
        for fill in ledger["fills"]:
            if fill["api_key"] != self.keys["api_key"] or fill["order_id"] not in bots:
                continue
            sign = 1 if fill["side"] == "BUY" else -1
            changes[fill["symbol"].removesuffix(quote)] += sign * Decimal(fill["quantity"])
            changes[quote] -= sign * Decimal(fill["quote_quantity"])
            changes[fill["commission_asset"]] -= Decimal(fill["commission"])
        for row in ledger["external_changes"]:
            if row["api_key"] == self.keys["api_key"]:
                changes[row["asset"]] += Decimal(row["free_change"]) + Decimal(row["locked_change"])
        return {asset: change for asset, change in changes.items() if change}

    def is_settled(self) -> bool:
        """Tell whether every order is closed and the books are."""
        plan = fresh(self.plan)
        return plan.is_ended and plan.closing_snapshot_id is not None

    def settled(self) -> Case:
        """Wait until every order is closed and the closing snapshot is there."""
        try:
            patience = self.house.ground.patience
            wait_for(self.is_settled, what="the end of the plan", patience=patience)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.told}") from None
        self.plan = fresh(self.plan)
        return self

    def is_true(self, *, books: bool = True) -> None:
        """Ask the oracle about everything that concerns this account, and about its books."""
        oracle.assert_all_true(
            self.house.exchange, account=self.account, api_key=self.keys["api_key"]
        )
        if books:
            oracle.assert_books(fresh(self.plan), others=self.by_others())

    @property
    def _key(self) -> dict[str, str]:
        return {"key": self.keys["api_key"]}

    def _on_market(self, order: dict[str, str]) -> dict[str, str]:
        return {"symbol": self.symbol, "quantity": str(HELD)} | order
