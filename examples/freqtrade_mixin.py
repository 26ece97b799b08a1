"""Let a freqtrade strategy open a trade only when Dust Admin leased a slot for it.

Copy this file and `dust_admin_client.py` beside the strategy (`user_data/strategies`), then:

    from freqtrade.persistence import Trade
    from freqtrade.strategy import IStrategy
    from freqtrade_mixin import DustAdminSlots

    class MyStrategy(DustAdminSlots, IStrategy):
        dust_admin_account = "demo"
        dust_admin_bot = "alpha"        # the name on the token; one freqtrade a name
        dust_admin_trades = Trade       # where the mixin looks which trades are open

A strategy with a `bot_start`, `bot_loop_start`, `confirm_trade_entry` or `order_filled` of its own
calls `super()`'s in it, and in `confirm_trade_entry` last.

A lease is kept as long as its trade is open, while the entry order rests included: it keeps the
slot, and Dust Admin's hands off the asset. It costs no second slot: a counted position and its
lease are one. Live trading leases; a dry run only asks, because what it opens takes no slot;
everything else (backtesting, hyperopt, plotting) asks nobody.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dust_admin_client import DustAdmin, DustAdminError, HoldOver, Lease, Refused, Unreachable

logger = logging.getLogger(__name__)

# Seconds. The first lease has to outlast the placing of an order: an entry that fails there keeps
# its slot this long. With a trade to show it is renewed for as long as Dust Admin may be away while
# an entry order rests; a freqtrade that died keeps its slots this long.
ENTRY_TTL = 120
TTL = 600
# What went wrong is tried again this much later, so that exits don't wait for it.
PAUSE = 30


@dataclass
class Held:
    """A lease of ours and what is known of its trade."""

    lease: Lease
    due_at: float  # by time.monotonic(): when an open trade's lease is renewed
    was_open: bool = False  # freqtrade had a trade for it
    was_filled: bool = False  # at least in part


class Leases:
    """The leases of one bot; one thread at a time, because a forced entry comes from another."""

    def __init__(self, desk: DustAdmin, bot: str) -> None:
        """Know nothing yet: `keep` finds out what the bot held before it was started."""
        self._desk = desk
        self._bot = bot
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._is_listed = False
        self._lost: set[str] = set()  # assets whose lease was asked for and never answered
        self._paused_until = 0.0

    def take(self, asset: str) -> None:
        """Return when the asset has a lease in force, or raise."""
        with self._lock:
            held = self._held.get(asset)
            if held is not None:
                # Its entry was not placed, or the asset is traded in another pair: one slot.
                try:
                    held.lease = self._desk.renew(
                        held.lease, ttl=TTL if held.was_open else ENTRY_TTL
                    )
                except HoldOver:
                    del self._held[asset]
                else:
                    # What became of an earlier entry says nothing about this one.
                    held.was_open = held.was_filled = False
                    return
            try:
                lease = self._desk.lease(asset, ttl=ENTRY_TTL, bot=self._bot)
            except Unreachable:
                self._lost.add(asset)
                self._is_listed = False
                raise
            self._held[asset] = Held(lease, due_at=time.monotonic())

    def filled(self, asset: str) -> None:
        """Note that something was bought or sold under the lease."""
        with self._lock:
            if held := self._held.get(asset):
                held.was_filled = True

    def keep(self, trades: list[Any]) -> None:
        """Renew what open trades need and release the rest; on trouble, try again after a pause."""
        with self._lock:
            if time.monotonic() < self._paused_until:
                return
            try:
                self._keep({asset_of(trade.pair): trade for trade in trades})
            except DustAdminError as error:
                self._paused_until = time.monotonic() + PAUSE
                logger.warning("Leases could not be kept up: %s", error)

    def _keep(self, trades: dict[str, Any]) -> None:
        if not self._is_listed:
            self._list(trades)
        for asset, held in list(self._held.items()):
            if trade := trades.get(asset):
                held.was_open = True
                held.was_filled |= any(order.filled for order in trade.orders)
                if time.monotonic() >= held.due_at:
                    self._renew(asset, held)
            elif held.was_open or held.was_filled:
                # freqtrade forgets a trade when its entry order timed out or was canceled with
                # nothing filled; `check_entry_timeout` tells of some of these only. Any other trade
                # it closes, and `filled` was told.
                self._release(asset, held, opened=held.was_filled)
            # Else its entry is being placed at this moment, or failed: then it ends by itself.

    def _list(self, trades: dict[str, Any]) -> None:
        """Take over what is in force already: after a start, and after an answer was lost."""
        for lease in self._desk.leases():
            asset = lease.asset
            if lease.bot != self._bot or asset in self._held:
                continue
            held = self._held[asset] = Held(lease, due_at=time.monotonic())
            if asset not in trades:
                # An entry whose lease got no answer was refused, so nothing was opened. Before
                # the start anything may have happened.
                self._release(asset, held, opened=False if asset in self._lost else None)
        self._lost.clear()
        self._is_listed = True

    def _renew(self, asset: str, held: Held) -> None:
        try:
            try:
                held.lease = self._desk.renew(held.lease, ttl=TTL)
            except HoldOver:
                # Dust Admin was away for longer than a lease lasts.
                held.lease = self._desk.lease(asset, ttl=TTL, bot=self._bot)
            held.due_at = time.monotonic() + TTL / 3
        except Refused as error:
            # The trade is open all the same; its position counts by itself.
            held.due_at = time.monotonic() + PAUSE
            logger.warning("%s is open without a lease: %s", asset, error)

    def _release(self, asset: str, held: Held, *, opened: bool | None) -> None:
        try:
            self._desk.release(held.lease, opened=opened)
        except Refused as error:
            logger.warning("The lease of %s ends by itself: %s", asset, error)
        del self._held[asset]


class DustAdminSlots:
    """Mix it in before `IStrategy`. It never blocks an exit, and takes trouble for a no."""

    dust_admin_account: str
    dust_admin_bot: str
    dust_admin_trades: Any

    _desk: DustAdmin | None = None
    _leases: Leases | None = None

    def bot_start(self, **kwargs: Any) -> None:
        """Stop the start if something is not set; release what an earlier run left behind."""
        super().bot_start(**kwargs)
        if not self._is_trading():
            return
        desk = DustAdmin(self.dust_admin_account, timeout=3.0, attempts=2)
        if self.dp.runmode.value == "live":
            self._leases = Leases(desk, self.dust_admin_bot)
            self._leases.keep(self._open_trades())
        self._desk = desk

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Keep the leases of open trades, and let go of the others."""
        super().bot_loop_start(current_time=current_time, **kwargs)
        if self._leases is not None:
            self._leases.keep(self._open_trades())

    def confirm_trade_entry(
        self,
        pair: str,
        order_type: str,
        amount: float,
        rate: float,
        time_in_force: str,
        current_time: datetime,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> bool:
        """Return whether a slot is ours; freqtrade would take an exception for a yes."""
        try:
            confirmed = super().confirm_trade_entry(
                pair=pair,
                order_type=order_type,
                amount=amount,
                rate=rate,
                time_in_force=time_in_force,
                current_time=current_time,
                entry_tag=entry_tag,
                side=side,
                **kwargs,
            )
            return bool(confirmed) and (not self._is_trading() or self._has_slot(asset_of(pair)))
        except DustAdminError as error:
            logger.info("No entry into %s: %s", pair, error)
        except Exception:
            logger.exception("No entry into %s", pair)
        return False

    def confirm_trade_exit(
        self,
        pair: str,
        trade: Any,
        order_type: str,
        amount: float,
        rate: float,
        time_in_force: str,
        exit_reason: str,
        current_time: datetime,
        **kwargs: Any,
    ) -> bool:
        """Return True and ask nobody: an exit is never blocked, nor does it wait.

        The lease is released once the trade is closed. Until then the exit order may rest or time
        out, and Dust Admin must not sell as well.
        """
        return True

    def order_filled(
        self, pair: str, trade: Any, order: Any, current_time: datetime, **kwargs: Any
    ) -> None:
        """Note that the trade was opened."""
        super().order_filled(
            pair=pair, trade=trade, order=order, current_time=current_time, **kwargs
        )
        if self._leases is not None:
            self._leases.filled(asset_of(pair))

    def _is_trading(self) -> bool:
        """Tell whether freqtrade trades, if only dry; otherwise nothing goes over the network."""
        return self.dp.runmode.value in {"live", "dry_run"}

    def _has_slot(self, asset: str) -> bool:
        if self._desk is None:
            raise RuntimeError("bot_start was not called: call super().bot_start() in yours.")
        if self._leases is None:
            return self._desk.slots().available > 0
        self._leases.take(asset)
        return True

    def _open_trades(self) -> list[Any]:
        return list(self.dust_admin_trades.get_trades_proxy(is_open=True))


def asset_of(pair: str) -> str:
    """Return what a pair buys: BTC of BTC/USDT."""
    return pair.partition("/")[0]
