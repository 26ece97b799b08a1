"""As much of freqtrade as calls a strategy: its callbacks by keyword, its trades, its run modes.

The callbacks and their arguments are those of `IStrategy` in freqtrade 2026.9.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from freqtrade_mixin import DustAdminSlots


class RunMode(StrEnum):
    """How freqtrade runs."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    BACKTEST = "backtest"
    HYPEROPT = "hyperopt"


class IStrategy:
    """What every strategy inherits."""

    dp: Any

    def bot_start(self, **kwargs: Any) -> None: ...

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None: ...

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
        return True

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
        return True

    def order_filled(
        self, pair: str, trade: Any, order: Any, current_time: datetime, **kwargs: Any
    ) -> None: ...


@dataclass
class Order:
    """An order at the exchange."""

    filled: float | None = None


@dataclass
class Trade:
    """A trade that freqtrade knows of."""

    pair: str
    orders: list[Order] = field(default_factory=lambda: [Order()])
    is_open: bool = True


class Bot:
    """One freqtrade with a strategy; started anew over the same trades with `restarted`."""

    def __init__(
        self,
        strategy: type[IStrategy],
        *,
        mode: RunMode = RunMode.LIVE,
        trades: list[Trade] | None = None,
    ) -> None:
        self.trades = [] if trades is None else trades
        self._kind, self._mode = strategy, mode
        self.strategy: Any = strategy()
        self.strategy.dust_admin_trades = self
        self.strategy.dp = SimpleNamespace(runmode=mode)
        self.strategy.bot_start()

    def restarted(self) -> Bot:
        """Return it after a start over the same trades."""
        return Bot(self._kind, mode=self._mode, trades=self.trades)

    def get_trades_proxy(self, *, is_open: bool) -> list[Trade]:
        """Return the trades."""
        return [trade for trade in self.trades if trade.is_open is is_open]

    def loop(self) -> None:
        """Begin a loop."""
        self.strategy.bot_loop_start(current_time=datetime.now(UTC))

    def confirm(self, pair: str) -> bool:
        """Ask whether to enter; an exception is a yes to freqtrade."""
        try:
            return bool(
                self.strategy.confirm_trade_entry(
                    pair=pair,
                    order_type="limit",
                    amount=1.5,
                    rate=20.0,
                    time_in_force="GTC",
                    current_time=datetime.now(UTC),
                    entry_tag=None,
                    side="long",
                )
            )
        except Exception:  # noqa: BLE001 - as freqtrade does
            return True

    def enter(self, pair: str) -> Trade:
        """Enter with an order that rests."""
        assert self.confirm(pair)
        self.trades.append(Trade(pair))
        return self.trades[-1]

    def fill(self, trade: Trade) -> None:
        """Fill the newest order of a trade."""
        trade.orders[-1].filled = 1.5
        self.strategy.order_filled(
            pair=trade.pair, trade=trade, order=trade.orders[-1], current_time=datetime.now(UTC)
        )

    def exit(self, trade: Trade) -> None:
        """Leave a trade, unless the strategy forbids it."""
        assert self.confirm_exit(trade)
        trade.orders.append(Order())
        trade.is_open = False
        self.fill(trade)

    def confirm_exit(self, trade: Trade) -> bool:
        """Ask whether to leave a trade."""
        return bool(
            self.strategy.confirm_trade_exit(
                pair=trade.pair,
                trade=trade,
                order_type="limit",
                amount=1.5,
                rate=21.0,
                time_in_force="GTC",
                exit_reason="roi",
                sell_reason="roi",
                current_time=datetime.now(UTC),
            )
        )

    def time_out(self, trade: Trade) -> None:
        """Cancel an entry of which nothing was filled: freqtrade forgets the trade."""
        self.trades.remove(trade)


class Alpha(DustAdminSlots, IStrategy):
    """A strategy with the mixin."""

    dust_admin_account = "desk-one"
    dust_admin_bot = "alpha"
