"""The freqtrade mixin, called as freqtrade calls it, against the served API."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import freqtrade_mixin
import pytest
from django.utils import timezone

from positions.models import Lease, LeaseEnd
from tests.bots import hire_bot, lease
from tests.examples.conftest import Desk
from tests.examples.freqtrade import Alpha, Bot, IStrategy, RunMode, Trade
from tests.examples.front import Answer
from tests.exchange_process import wait_until


class Clock:
    """The mixin's clock."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return when it is."""
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(freqtrade_mixin, "time", clock)
    return clock


@pytest.fixture
def environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    return


@pytest.fixture
def bot(desk: Desk, environment: None) -> Bot:
    return Bot(Alpha)


@pytest.mark.parametrize(
    "name",
    ["bot_start", "bot_loop_start", "confirm_trade_entry", "confirm_trade_exit", "order_filled"],
)
def test_the_callbacks_take_what_freqtrade_hands_over(name: str) -> None:
    ours = inspect.signature(getattr(freqtrade_mixin.DustAdminSlots, name)).parameters
    assert list(ours) == list(inspect.signature(getattr(IStrategy, name)).parameters)


# Entries ------------------------------------------------------------------------------------------


def test_an_entry_has_a_lease_and_the_next_one_no_slot(desk: Desk, bot: Bot) -> None:
    desk.fill(but=1)
    bot.enter("LINK/USDT")
    assert (desk.lease("LINK").bot, desk.free) == ("alpha", 0)
    assert not bot.confirm("UNI/USDT")


def test_while_slots_are_unknown_nothing_is_entered(desk: Desk, bot: Bot) -> None:
    desk.make_unknown()
    assert not bot.confirm("LINK/USDT")


def test_without_an_answer_nothing_is_entered(desk: Desk, bot: Bot) -> None:
    desk.front.close()
    assert not bot.confirm("LINK/USDT")


def test_an_answer_without_sense_is_no(desk: Desk, bot: Bot) -> None:
    desk.front.instead.extend([Answer(status=200, body=b"<html>Sign in</html>")] * 2)
    assert not bot.confirm("LINK/USDT")


def test_a_bot_that_is_not_the_tokens_enters_nothing(desk: Desk, environment: None) -> None:
    class Beta(Alpha):
        dust_admin_bot = "beta"

    assert not Bot(Beta).confirm("LINK/USDT")


def test_an_error_in_the_strategy_below_is_no(desk: Desk, environment: None) -> None:
    class Broken(IStrategy):
        def confirm_trade_entry(self, pair: str, **kwargs: Any) -> bool:  # type: ignore[override]
            raise ZeroDivisionError

    class OnBroken(freqtrade_mixin.DustAdminSlots, Broken):
        dust_admin_account = "desk-one"
        dust_admin_bot = "alpha"

    assert not Bot(OnBroken).confirm("LINK/USDT")
    assert not Lease.objects.exists()


def test_a_strategy_that_forgot_to_start_the_mixin_enters_nothing(
    desk: Desk, environment: None
) -> None:
    class Forgetful(Alpha):
        def bot_start(self, **kwargs: Any) -> None:
            """Forget `super().bot_start()`."""

    assert not Bot(Forgetful).confirm("LINK/USDT")


def test_an_entry_that_was_not_placed_is_tried_again_under_its_lease(desk: Desk, bot: Bot) -> None:
    assert bot.confirm("LINK/USDT")
    bot.loop()
    first = desk.lease()
    assert first.ended_at is None
    bot.enter("LINK/USDT")
    assert desk.lease() == first


def test_one_asset_in_two_pairs_is_one_slot(desk: Desk, bot: Bot) -> None:
    first, second = bot.enter("LINK/USDT"), bot.enter("LINK/BTC")
    bot.time_out(first)
    bot.loop()
    assert desk.lease().ended_at is None
    bot.time_out(second)
    bot.loop()
    assert desk.lease().ended_at is not None


# While a trade is open ----------------------------------------------------------------------------


def test_the_lease_is_kept_while_the_entry_order_rests(desk: Desk, bot: Bot, clock: Clock) -> None:
    bot.enter("LINK/USDT")
    short = desk.lease().expires_at
    bot.loop()
    long = desk.lease().expires_at
    assert long > short + timedelta(seconds=freqtrade_mixin.TTL / 2)
    bot.loop()
    assert desk.lease().expires_at == long  # not every few seconds
    clock.now += freqtrade_mixin.TTL / 3
    bot.loop()
    assert desk.lease().expires_at > long


def test_an_entry_that_timed_out_frees_its_slot_at_once(desk: Desk, bot: Bot) -> None:
    trade = bot.enter("LINK/USDT")
    bot.loop()
    bot.time_out(trade)
    bot.loop()
    assert (desk.lease().ended_how, desk.lease().opened) == (LeaseEnd.NOT_OPENED, False)
    assert desk.free == 6


def test_what_became_of_an_entry_says_nothing_about_the_next_one(desk: Desk, bot: Bot) -> None:
    """Its order may have been placed although freqtrade got no answer and knows of no trade."""
    first = bot.enter("LINK/USDT")
    bot.loop()
    bot.time_out(first)
    assert bot.confirm("LINK/USDT")
    bot.loop()
    assert (desk.lease().ended_at, desk.free) == (None, 5)


def test_a_closed_trade_frees_its_slot_with_the_next_snapshot(desk: Desk, bot: Bot) -> None:
    trade = bot.enter("LINK/USDT")
    bot.fill(trade)
    bot.loop()
    assert desk.lease().ended_at is None
    bot.exit(trade)
    bot.loop()
    assert (desk.lease().ended_how, desk.lease().opened) == (LeaseEnd.RELEASED, True)
    assert desk.free == 5


def test_a_trade_that_opened_and_closed_between_two_looks_was_opened(desk: Desk, bot: Bot) -> None:
    trade = bot.enter("LINK/USDT")
    bot.fill(trade)
    bot.exit(trade)
    bot.loop()
    assert desk.lease().opened is True


def test_what_was_filled_in_part_was_opened(desk: Desk, bot: Bot) -> None:
    trade = bot.enter("LINK/USDT")
    trade.orders[0].filled = 0.1
    bot.loop()
    bot.trades.clear()
    bot.loop()
    assert desk.lease().opened is True


def test_a_lease_that_ended_meanwhile_is_taken_anew(desk: Desk, bot: Bot) -> None:
    bot.enter("LINK/USDT")
    Lease.objects.update(expires_at=timezone.now())
    bot.loop()
    assert Lease.objects.filter(ended_at=None, expires_at__gt=timezone.now()).count() == 1


def test_an_open_trade_without_a_slot_goes_on_and_asks_again_later(
    desk: Desk, bot: Bot, clock: Clock
) -> None:
    bot.enter("LINK/USDT")
    Lease.objects.update(expires_at=timezone.now())
    desk.make_unknown()
    bot.loop()
    asked = len(desk.front.seen)
    bot.loop()
    assert len(desk.front.seen) == asked
    clock.now += freqtrade_mixin.PAUSE
    bot.loop()
    assert len(desk.front.seen) > asked


def test_while_nobody_answers_the_loop_waits_once_and_not_for_every_lease(
    desk: Desk, bot: Bot, clock: Clock
) -> None:
    for asset in ("LINK", "UNI"):
        bot.enter(f"{asset}/USDT")
    desk.front.losing = 2
    before = len(desk.front.seen)
    bot.loop()
    bot.loop()
    assert len(desk.front.seen) == before + 2  # one renewal, sent twice
    clock.now += freqtrade_mixin.PAUSE
    bot.loop()
    ends = Lease.objects.values_list("expires_at", flat=True)
    assert min(ends) > timezone.now() + timedelta(seconds=freqtrade_mixin.TTL / 2)


def test_an_answer_that_was_lost_is_found_and_its_slot_given_back(desk: Desk, bot: Bot) -> None:
    desk.front.losing = 2
    assert not bot.confirm("LINK/USDT")
    assert (desk.lease().ended_at, desk.free) == (None, 5)
    bot.loop()
    assert (desk.lease().ended_how, desk.free) == (LeaseEnd.NOT_OPENED, 6)


def test_a_loop_beside_a_forced_entry_leaves_its_lease_alone(desk: Desk, bot: Bot) -> None:
    desk.front.losing = 2
    assert not bot.confirm("LINK/USDT")  # so that the next loop lists all leases
    desk.front.lets_through.clear()
    forced = threading.Thread(target=bot.enter, args=("UNI/USDT",))
    forced.start()
    wait_until(lambda: Lease.objects.filter(asset="UNI").exists())
    looping = threading.Thread(target=bot.loop)
    looping.start()
    looping.join(timeout=0.1)
    desk.front.lets_through.set()
    for thread in (forced, looping):
        thread.join(timeout=60)
    assert desk.lease("LINK").ended_how == LeaseEnd.NOT_OPENED
    assert desk.lease("UNI").ended_at is None


# Exits --------------------------------------------------------------------------------------------


def test_an_exit_is_never_blocked_and_asks_nobody(desk: Desk, bot: Bot) -> None:
    trade = bot.enter("LINK/USDT")
    before = len(desk.front.seen)
    assert bot.confirm_exit(trade)
    assert len(desk.front.seen) == before
    assert desk.lease().ended_at is None  # until the trade is closed
    desk.front.close()
    assert bot.confirm_exit(trade)


# Starts -------------------------------------------------------------------------------------------


def test_a_start_keeps_the_leases_of_open_trades_and_releases_the_rest(
    desk: Desk, bot: Bot
) -> None:
    bot.enter("LINK/USDT")
    bot.confirm("UNI/USDT")
    lease(desk.account, "DOT", bot=hire_bot(desk.account, name="other", now=desk.now), now=desk.now)
    again = bot.restarted()
    assert (desk.lease("UNI").ended_how, desk.lease("UNI").opened) == (LeaseEnd.RELEASED, None)
    assert desk.lease("LINK").expires_at > timezone.now() + timedelta(
        seconds=freqtrade_mixin.TTL / 2
    )
    assert desk.lease("DOT").ended_at is None
    assert {seen.status for seen in desk.front.seen} == {200, 201}
    again.exit(again.trades[0])
    again.loop()
    assert desk.lease("LINK").opened is True


def test_a_start_without_an_answer_goes_on_and_cleans_up_later(
    desk: Desk, bot: Bot, clock: Clock
) -> None:
    bot.confirm("UNI/USDT")
    desk.front.losing = 2
    again = bot.restarted()
    assert desk.lease("UNI").ended_at is None
    clock.now += freqtrade_mixin.PAUSE
    again.loop()
    assert desk.lease("UNI").ended_at is not None


def test_what_is_not_set_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUST_ADMIN_URL", raising=False)
    monkeypatch.setenv("DUST_ADMIN_TOKEN", "t")
    with pytest.raises(KeyError, match="DUST_ADMIN_URL"):
        Bot(Alpha)


# Modes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [RunMode.BACKTEST, RunMode.HYPEROPT])
def test_backtesting_asks_nobody(
    desk: Desk, mode: RunMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUST_ADMIN_TOKEN", raising=False)
    bot = Bot(Alpha, mode=mode)
    trade = bot.enter("LINK/USDT")
    bot.loop()
    bot.exit(trade)
    assert desk.front.seen == []


def test_a_dry_run_asks_and_reserves_nothing(desk: Desk, environment: None) -> None:
    bot = Bot(Alpha, mode=RunMode.DRY_RUN)
    bot.exit(bot.enter("LINK/USDT"))
    bot.loop()
    assert [seen.path for seen in desk.front.seen] == ["/api/v1/accounts/desk-one/slots"]
    desk.fill(but=0)
    assert not bot.confirm("LINK/USDT")
    desk.make_unknown()
    assert not bot.confirm("LINK/USDT")


def test_a_pair_of_a_contract_names_its_asset() -> None:
    assert freqtrade_mixin.asset_of(Trade("BTC/USDT:USDT").pair) == "BTC"
