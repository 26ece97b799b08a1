"""Read once, shortly before sending, what every order of an account needs to be checked.

All workers share one look per account through Redis, so that two hundred orders don't cost six
hundred requests. It holds exact texts, and is thrown away when it is too old. Before that happens
one worker takes the next one while the others go on with this one: nobody stands in line for it.
"""

import json
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import redis

from positions.domain.amounts import ZERO, canonical, exact
from positions.domain.balances import Kind
from positions.domain.checks import Look
from positions.domain.markets import Market, Ticker
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.policies import Policy
from positions.domain.valuation import PriceList, anchor_of
from positions.domain.verdicts import Route
from positions.exchanges.port import AnswerUnknown, ExchangeError, ExchangePort, PacerUnavailable
from positions.models import CloseOrder, ExchangeAccount, Position, Snapshot
from positions.services.connections import redis_client
from positions.services.readings import Clock

log = logging.getLogger(__name__)

_LOCK_SECONDS = 45  # longer than a look may wait and take
# The next look is begun this long, and twice what the last one took, before the old one ends.
_AHEAD = timedelta(seconds=0.3)
# Asking for more than this by name is dearer than asking for all.
_MOST_BY_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLook:
    """What the account held and what its markets said at one moment."""

    asked_at: datetime
    took: timedelta
    balances: dict[str, tuple[Decimal, Decimal]]  # free, locked
    open_order_assets: frozenset[str]
    asked_symbols: tuple[str, ...]  # in the order in which they are sold
    are_all: bool  # whether nothing else was to be sold
    tickers: dict[str, Ticker]
    prices_usd: dict[str, Decimal]

    def of(self, asset: str, *, symbol: str, quote: str, exchange: ExchangePort) -> Look:
        """Return what concerns one asset and the market where it is to be sold."""
        free, locked = self.balances.get(asset, (ZERO, ZERO))
        return Look(
            free=free,
            total=free + locked,
            has_open_order=asset in self.open_order_assets,
            market=exchange.markets().get(symbol),
            ticker=self.tickers.get(symbol),
            quote_price_usd=self.prices_usd.get(quote),
            quote_total=sum(self.balances.get(quote, ()), ZERO),
        )

    def serves(self, symbol: str, *, until: timedelta, now: datetime) -> bool:
        """Tell whether it is young enough and asked for this market."""
        # One that did not ask for this market says nothing about it, not that it has no price.
        return now - self.asked_at <= until and symbol in self.asked_symbols

    def ends_soon(self, symbol: str, *, until: timedelta, now: datetime) -> bool:
        """Tell whether it is time to take the next one: it grows old, or its markets are sold."""
        used = (self.asked_symbols.index(symbol) + 1) / len(self.asked_symbols)
        return (
            used > 0.6 and not self.are_all
        ) or now - self.asked_at > until - 2 * self.took - _AHEAD


def recent_look(
    account: ExchangeAccount,
    exchange: ExchangePort,
    *,
    policy: Policy,
    symbol: str,
    max_age: timedelta,
    not_before: datetime,
    clock: Clock,
) -> AccountLook:
    """Return a look at this market no older than `max_age`: another worker's, or one taken now.

    Never one from before `not_before`, when the plan was started or the order came back to it: it
    would say what was held before another plan sold it.
    """
    client = redis_client()
    key = f"dustadmin:look:{account.pk}:{account.key_fingerprint[:16]}"
    lock = client.lock(f"{key}:lock", timeout=_LOCK_SECONDS, blocking_timeout=_LOCK_SECONDS)

    def known() -> AccountLook | None:
        look = _unpacked(client.get(key))
        if look is None or look.asked_at < not_before:
            return None
        return look if look.serves(symbol, until=max_age, now=clock()) else None

    def taken() -> AccountLook:
        look = _taken(account, exchange, policy=policy, symbol=symbol, max_age=max_age, clock=clock)
        client.set(key, _packed(look), px=max(1, int(max_age.total_seconds() * 1000)))
        return look

    try:
        if (found := known()) is None:
            with lock:
                return known() or taken()
        if found.ends_soon(symbol, until=max_age, now=clock()) and lock.acquire(blocking=False):
            try:
                return taken()
            except ExchangeError as error:
                log.info("the next look at %s failed, this one still serves: %s", account, error)
            finally:
                lock.release()
        return found
    except redis.RedisError:
        raise PacerUnavailable("Redis does not answer. Nothing was sent.") from None


def _taken(
    account: ExchangeAccount,
    exchange: ExchangePort,
    *,
    policy: Policy,
    symbol: str,
    max_age: timedelta,
    clock: Clock,
) -> AccountLook:
    markets = exchange.markets()
    exchange.now_ms()  # the clock comparison, if there was none yet, is not part of the look
    symbols, are_all = _next_to_sell(account, exchange, first=symbol, max_age=max_age)
    anchor = anchor_of(markets, quote=account.quote)
    quotes = {market.quote for name in symbols if (market := markets.get(name)) is not None}
    named = {*symbols, *_that_price(quotes, account.quote, anchor, markets=markets)}
    with exchange.look(symbols=len(named), orders=len(symbols)):
        asked_at, began = clock(), time.monotonic()
        balances = exchange.balances()
        busy = exchange.open_order_assets()
        tickers = exchange.tickers(named)
    if clock() - asked_at > max_age:
        raise AnswerUnknown(
            f"{account.exchange_name} answered too slowly: what it said is too old to rely on. "
            "Nothing was sent."
        )
    prices = PriceList(anchor=anchor, markets=markets, tickers=tickers, now_ms=exchange.now_ms())
    return AccountLook(
        asked_at=asked_at,
        took=timedelta(seconds=time.monotonic() - began),
        balances={
            item.asset: (item.free, item.locked)
            for item in balances
            if item.kind is Kind.SPOT and not item.debt
        },
        open_order_assets=busy,
        asked_symbols=symbols,
        are_all=are_all,
        tickers={symbol: tickers[symbol] for symbol in symbols if symbol in tickers},
        prices_usd={
            quote: price for quote in quotes if (price := prices.price(quote).usd) is not None
        },
    )


def _that_price(
    quotes: Collection[str], account_quote: str, anchor: str, *, markets: Mapping[str, Market]
) -> set[str]:
    """Return the markets that say what the quotes are worth: directly, or by the account's own."""
    pairs = [(quote, anchor) for quote in quotes]
    pairs += [(anchor, quote) for quote in quotes]
    pairs += [(quote, account_quote) for quote in quotes] + [(account_quote, anchor)]
    return {symbol for base, quote in pairs if (symbol := f"{base}/{quote}") in markets}


def _next_to_sell(
    account: ExchangeAccount, exchange: ExchangePort, *, first: str, max_age: timedelta
) -> tuple[tuple[str, ...], bool]:
    """Return the markets of the orders that may be sent while the look is young, and if it's all.

    One spare, because asking by name is cheapest for few: at Binance for up to 20.
    """
    soon = exchange.pacer.orders_within(Decimal(max_age.total_seconds())) + 1
    most = min(soon, _MOST_BY_NAME)
    planned = CloseOrder.objects.filter(
        account=account,
        route=Route.SELL,
        status=OrderState.PLANNED,
        plan__status=PlanState.RUNNING,
    ).order_by("pk")
    symbols = dict.fromkeys([first, *planned.values_list("symbol", flat=True)[: most + 1]])
    return tuple(symbols)[:most], len(symbols) <= most


def _packed(look: AccountLook) -> str:
    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else canonical(amount)

    return json.dumps(
        {
            "asked_at": look.asked_at.isoformat(),
            "took": look.took.total_seconds(),
            "balances": {
                asset: [text(free), text(locked)] for asset, (free, locked) in look.balances.items()
            },
            "open": sorted(look.open_order_assets),
            "asked": look.asked_symbols,
            "all": look.are_all,
            "tickers": {
                symbol: [text(item.bid), text(item.ask), text(item.last), text(item.bid_quantity)]
                for symbol, item in look.tickers.items()
            },
            "prices": {asset: text(price) for asset, price in look.prices_usd.items()},
        }
    )


@lru_cache(maxsize=32)
def _unpacked(packed: bytes | None) -> AccountLook | None:
    """Return the look that another worker has packed; read once for all orders that it serves."""
    if packed is None:
        return None
    content = json.loads(packed)

    def amount(text: str | None) -> Decimal | None:
        return None if text is None else exact(text)

    return AccountLook(
        asked_at=datetime.fromisoformat(content["asked_at"]),
        took=timedelta(seconds=content["took"]),
        balances={
            asset: (exact(free), exact(locked))
            for asset, (free, locked) in content["balances"].items()
        },
        open_order_assets=frozenset(content["open"]),
        asked_symbols=tuple(content["asked"]),
        are_all=content["all"],
        tickers={
            symbol: Ticker(
                symbol=symbol,
                bid=amount(bid),
                ask=amount(ask),
                last=amount(last),
                bid_quantity=amount(bid_quantity),
            )
            for symbol, (bid, ask, last, bid_quantity) in content["tickers"].items()
        },
        prices_usd={asset: exact(price) for asset, price in content["prices"].items()},
    )


def last_known_prices(order: CloseOrder, *, currencies: Collection[str]) -> dict[str, Decimal]:
    """Return the USD prices of the order's quote and of its fees' currencies in its snapshot."""
    snapshot = Snapshot.objects.only("prices").get(pk=order.plan.snapshot_id)
    prices = {asset: Decimal(text) for asset, text in snapshot.prices.items()}
    held = Position.objects.filter(snapshot=snapshot, asset__in=set(currencies) - set(prices))
    for asset, price in held.values_list("asset", "price_usd"):
        if price is not None:
            prices[asset] = price
    return prices
