"""Everything that runs in a soak, and how each step of its script is done to it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import redis
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone
from kombu.exceptions import KombuError

from positions.domain.planning import NothingToClose
from positions.domain.plans import LIVE, IllegalPlanStep, PlanState
from positions.models import CleanupPlan, CloseOrder, ExchangeAccount
from positions.services import dispatch, drafts, snapshots, starts, stops
from positions.services.actors import Actor
from positions.services.plans import PlanRefused
from positions.services.transitions import LostClaim
from tests.exchange_process import ControlError
from tests.journeys.faults.crew import CeleryProcess
from tests.journeys.faults.house import House
from tests.journeys.faults.points import Action, Mark, Point
from tests.journeys.soak.script import (
    ACCOUNTS,
    ASSETS,
    PRICE,
    PUBLIC,
    QUANTITIES,
    WORKERS,
    Kind,
    Step,
)
from tests.trading import TEST, close_clients, connect

ORDERS_A_SECOND = 10
# The product's own refusals, which a page answers with a sentence.
REFUSALS = (PlanRefused, NothingToClose, IllegalPlanStep, LostClaim)
SCHEDULER = WORKERS  # its number among the processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """One account at the exchange and here, with the assets that nobody else has."""

    account: ExchangeAccount
    keys: dict[str, str]
    assets: tuple[str, ...]
    drafting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api_key(self) -> str:
        """Return its key."""
        return self.keys["api_key"]


@dataclass(slots=True)
class Entry:
    """What became of one step."""

    step: Step
    began: float  # seconds after the start
    result: str = ""

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.step}  -> at {self.began:.2f} s: {self.result or 'not finished'}"


@dataclass(slots=True)
class Armed:
    """A marked point where something is to happen to a worker, and since when it does."""

    mark: Mark
    action: Action
    lasts: float
    reached: float | None = None
    is_over: bool = False


class Stage:
    """The exchange, its traders, Valkey and the crew; steps are done to them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.entries: list[Entry] = []
        self.errors: list[str] = []  # what no page would have answered with a sentence
        self.kills: Counter[str] = Counter()
        self.skews: list[tuple[datetime, int]] = []  # of the exchange's clock, from when on
        self._started = time.monotonic()
        self._armed: list[Armed] = []
        self._pool = ThreadPoolExecutor(max_workers=ACCOUNTS + 4)
        self._busy: list[Future[None]] = []
        self._valkey_is_up = True
        self.approver = Actor.person(User.objects.create_superuser("approver"))
        orders = [
            {"limit": ORDERS_A_SECOND, "interval_seconds": 1},
            {"limit": 200_000, "interval_seconds": 86_400},
        ]
        house.exchange.control("POST", "limits", {"orders": orders})
        self.traders = [self._trader(number) for number in range(ACCOUNTS)]
        self._processes = [house.crew.worker() for _ in range(WORKERS)]
        self._processes.append(house.crew.scheduler())
        for process in self._processes:
            process.wait_until_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _trader(self, number: int) -> Trader:
        assets = tuple(f"F{number * ASSETS + index:03}" for index in range(ASSETS))
        held = {asset: QUANTITIES[index % len(QUANTITIES)] for index, asset in enumerate(assets)}
        keys = self.house.exchange.control(
            "POST", "accounts", {"balances": held | {"USDT": "1000"}}
        )
        account = connect(self.house.exchange, slug=f"soak-{number}", keys=keys)
        return Trader(account=account, keys=keys, assets=assets)

    # The run
    def play(self, script: list[Step]) -> None:
        """Do every step at its time, and replace what died, as `manage.py up` would."""
        self._started = time.monotonic()
        for step in script:
            while (left := step.at - self.elapsed) > 0:
                time.sleep(min(left, 0.05))
                self.tend()
            self._do(step)

    @property
    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def tend(self) -> None:
        """Replace what died, and let go on what was held or stopped for long enough."""
        for armed in self._armed:
            if armed.is_over or not armed.mark.is_reached:
                continue
            if armed.reached is None:
                armed.reached = time.monotonic()
                if armed.action in (Action.KILL, Action.STOP):
                    self.kills[f"{armed.action} {armed.mark.point}"] += 1
            if time.monotonic() - armed.reached >= armed.lasts:
                self._let_go(armed)
        for number, process in enumerate(self._processes):
            if not process.is_alive:
                self._replace(number)

    def _replace(self, number: int) -> None:
        crew = self.house.crew
        self._processes[number] = crew.scheduler() if number == SCHEDULER else crew.worker()

    def _let_go(self, armed: Armed) -> None:
        armed.is_over = True
        armed.mark.go_on()
        if armed.action is Action.STOP and armed.reached is not None:
            process = self.house.crew.with_pid(int(armed.mark.file("reached").read_text()))
            if process.is_alive:
                process.wake()

    def _do(self, step: Step) -> None:
        entry = Entry(step, began=self.elapsed)
        self.entries.append(entry)
        action: Callable[[Step], str] = getattr(self, f"_{step.kind.name.lower()}")
        if step.kind in _PEOPLE:
            self._busy.append(self._pool.submit(self._aside, action, entry))
        else:
            self._noted(action, entry)

    def _aside(self, action: Callable[[Step], str], entry: Entry) -> None:
        try:
            self._noted(action, entry)
        finally:
            close_clients()
            connections.close_all()

    def _noted(self, action: Callable[[Step], str], entry: Entry) -> None:
        try:
            entry.result = action(entry.step)
        except (*REFUSALS, ControlError) as refusal:
            entry.result = f"refused: {refusal}"
        except Exception as error:  # noqa: BLE001 - told at the end, with the script
            entry.result = f"{type(error).__name__}: {error}"
            self.errors.append(str(entry))

    def _of(self, step: Step) -> Trader:
        assert step.account is not None
        return self.traders[step.account]

    def _control(self, step: Step, path: str, body: dict[str, Any]) -> str:
        self.house.exchange.control("POST", path, body, key=self._of(step).api_key)
        return "done"

    # What people do
    def _plan(self, step: Step) -> str:
        trader = self._of(step)
        if not trader.drafting.acquire(blocking=False):
            return "the last one is still being drafted"
        try:
            threshold = step.what["threshold"]
            snapshots.take_snapshot(
                trader.account, trigger=TEST, clock=timezone.now, not_before=timezone.now()
            )
            plan = drafts.draft_plan(
                trader.account,
                threshold=None if threshold is None else Decimal(threshold),
                actor=TEST,
                now=timezone.now(),
            )
            starts.start_plan(plan, hash_seen=plan.hash, actor=TEST, now=timezone.now())
        finally:
            trader.drafting.release()
        self._wake(plan)
        return f"started {plan} with {plan.orders.count()} orders"

    def _wake(self, plan: CleanupPlan) -> None:
        for due in dispatch.due_orders(now=timezone.now(), plan=plan):
            try:
                self.house.wake(due.task, due.pk)
            except (KombuError, redis.RedisError, OSError):
                return  # Valkey is away; the scheduler finds what is due

    def _newest_live(self, step: Step) -> CleanupPlan:
        plan = self._of(step).account.plans.filter(status__in=LIVE).first()
        if plan is None:
            raise PlanRefused("no plan is live")
        return plan

    def _pause(self, step: Step) -> str:
        return f"paused {stops.pause_plan(self._newest_live(step), actor=TEST, now=timezone.now())}"

    def _resume(self, step: Step) -> str:
        plans = self._of(step).account.plans.filter(status=PlanState.PAUSED)
        return f"resumed {self._resumed(list(plans))}"

    def _resumed(self, plans: list[CleanupPlan]) -> int:
        count = 0
        for plan in plans:
            try:
                stops.resume_plan(plan, actor=TEST, now=timezone.now())
                count += 1
            except REFUSALS:
                continue  # stopped, or over by now
        return count

    def _halt(self, step: Step) -> str:
        return f"halted {stops.halt_plan(self._newest_live(step), actor=TEST, now=timezone.now())}"

    def _stop_account(self, step: Step) -> str:
        return self._stopped(self._of(step).account)

    def _stop_everything(self, step: Step) -> str:
        return self._stopped(None)

    def _stopped(self, account: ExchangeAccount | None) -> str:
        count = stops.halt_everything(account, reason="soak", actor=TEST, now=timezone.now())
        return f"halted {count} plans"

    def _release_account(self, step: Step) -> str:
        return self._released(self._of(step).account)

    def _release_everything(self, step: Step) -> str:
        return self._released(None)

    def _released(self, account: ExchangeAccount | None) -> str:
        done = stops.release_stop(account, actor=self.approver, now=timezone.now())
        return "released" if done else "nothing was stopped"

    # What happens at the exchange
    def _fault(self, step: Step) -> str:
        whose = {} if step.what["path"] in PUBLIC else {"api_key": self._of(step).api_key}
        return f"fault {self.house.exchange.control('POST', 'faults', step.what | whose)['id']}"

    def _revoke_key(self, step: Step) -> str:
        return self._control(step, "keys/revoke", {"revoked": True})

    def _return_key(self, step: Step) -> str:
        return self._control(step, "keys/revoke", {"revoked": False})

    def _clock(self, step: Step) -> str:
        skew_ms = step.what["skew_ms"]
        self.skews.append((timezone.now(), skew_ms))
        self.house.exchange.control("POST", "clock", {"skew_ms": skew_ms})
        return "done"

    def _price(self, step: Step) -> str:
        self.house.exchange.control("POST", "prices", {self._symbol(step): step.what["price"]})
        return "done"

    def _refill(self, step: Step) -> str:
        trader = self._of(step)
        held = self.house.exchange.ledger(0, "balances")["balances"][trader.api_key]
        wanted = {
            trader.assets[number]: {"free": QUANTITIES[number % len(QUANTITIES)]}
            for number in step.what["assets"]
            if Decimal(held.get(trader.assets[number], {"free": "0"})["free"]) < 1
        }
        self._control(step, "balances", wanted)
        return f"refilled {len(wanted)}"

    def _bot_trade(self, step: Step) -> str:
        return self._control(step, "trade", self._order(step))

    def _bot_order(self, step: Step) -> str:
        return self._control(step, "open-order", self._order(step))

    def _order(self, step: Step) -> dict[str, Any]:
        named = {name: value for name, value in step.what.items() if name != "asset"}
        return named | {"symbol": self._symbol(step)}

    def _symbol(self, step: Step) -> str:
        return f"{self._of(step).assets[step.what['asset']]}USDT"

    # What happens to processes
    def _point(self, step: Step) -> str:
        action, point = Action(step.what["action"]), Point(step.what["point"])
        asset = self._of(step).assets[step.what["asset"]]
        if any(not armed.is_over and armed.mark.asset == asset for armed in self._armed):
            return "something is marked there already"
        mark = self.house.points.arm(asset, point, action)
        self._armed.append(Armed(mark, action, step.what["lasts"]))
        return f"marked {asset}"

    def _kill_worker(self, step: Step) -> str:
        return self._killed(step.what["worker"], "kill worker")

    def _kill_scheduler(self, _: Step) -> str:
        return self._killed(SCHEDULER, "kill scheduler")

    def _killed(self, number: int, name: str) -> str:
        self.kills[name] += 1
        self._processes[number].kill()
        self._replace(number)
        return f"now {self._processes[number].pid}"

    def _stop_worker(self, step: Step) -> str:
        return self._stop(step.what["worker"], "stop worker")

    def _stop_scheduler(self, _: Step) -> str:
        return self._stop(SCHEDULER, "stop scheduler")

    def _stop(self, number: int, name: str) -> str:
        process = self._processes[number]
        if not process.is_alive:
            return "it is dead"
        self.kills[name] += 1
        process.stop()
        return f"stopped {process.pid}"

    def _wake_worker(self, step: Step) -> str:
        return self._woken(self._processes[step.what["worker"]])

    def _wake_scheduler(self, _: Step) -> str:
        return self._woken(self._processes[SCHEDULER])

    def _woken(self, process: CeleryProcess) -> str:
        if not process.is_alive:
            return "it is dead"
        process.wake()
        return f"woke {process.pid}"

    def _restart_valkey(self, step: Step) -> str:
        self._end_valkey(step)
        return self._start_valkey(step)

    def _end_valkey(self, step: Step) -> str:
        if not self._valkey_is_up:
            return "it is away"
        keeps = step.what["keeps"]
        self.kills[f"end valkey {'with' if keeps else 'without'} its data"] += 1
        self._valkey_is_up = False
        self.house.valkey.stop() if keeps else self.house.valkey.crash()
        return "ended"

    def _start_valkey(self, _: Step) -> str:
        if not self._valkey_is_up:
            self.house.valkey.start()
            self._valkey_is_up = True
        return "started"

    # The end
    def faults_fired(self) -> Counter[str]:
        """Return how often each kind of fault was met."""
        counted: Counter[str] = Counter()
        for fault in self.house.exchange.control("GET", "faults")["faults"]:
            if fault["fired"]:
                counted[fault["kind"]] += fault["fired"]
        return counted

    def make_whole(self) -> None:
        """End everything that disturbs, and let people take back what stops."""
        self.tend()
        for armed in self._armed:
            armed.mark.file(armed.action).unlink(missing_ok=True)
            self._let_go(armed)
        for process in self._processes:
            if process.is_alive:
                process.wake()
        if not self._valkey_is_up:
            self.house.valkey.start()
            self._valkey_is_up = True
        exchange = self.house.exchange
        exchange.clear_faults()
        self.skews.append((timezone.now(), 0))
        exchange.control("POST", "clock", {"skew_ms": 0})
        symbols = [f"{asset}USDT" for trader in self.traders for asset in trader.assets]
        exchange.control("POST", "prices", dict.fromkeys(symbols, PRICE))
        for trader in self.traders:
            exchange.control("POST", "keys/revoke", {"revoked": False}, key=trader.api_key)
        for future in self._busy:
            future.result()
        self._released(None)
        for trader in self.traders:
            self._released(trader.account)

    def settle(self, *, seconds: float) -> bool:
        """Wait until every started plan has ended and its books are closed; return whether so."""
        deadline = time.monotonic() + seconds
        while not self.is_settled():
            if time.monotonic() > deadline:
                return False
            self._resumed(list(CleanupPlan.objects.filter(status=PlanState.PAUSED)))
            self.tend()
            time.sleep(0.5)
        return True

    def leases_end(self) -> None:
        """Let the time pass for which a worker that was killed held anything."""
        orders = CloseOrder.objects.filter(plan__status__in=LIVE, closed_at=None)
        orders.update(claimed_until=None, due_at=timezone.now())
        ExchangeAccount.objects.update(snapshot_claimed_until=None)

    def is_settled(self) -> bool:
        """Tell whether nothing that was started is left in between."""
        started = CleanupPlan.objects.filter(started_at__isnull=False)
        open_orders = CloseOrder.objects.filter(plan__in=started, closed_at=None)
        waiting = started.filter(closing_snapshot=None)
        return not open_orders.exists() and not waiting.exists()


_PEOPLE = frozenset(
    {
        *(Kind.PLAN, Kind.PAUSE, Kind.RESUME, Kind.HALT, Kind.STOP_ACCOUNT),
        *(Kind.RELEASE_ACCOUNT, Kind.STOP_EVERYTHING, Kind.RELEASE_EVERYTHING),
    }
)
