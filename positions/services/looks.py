"""Read once, shortly before sending, what every order of an account needs to be checked.

All workers share one look per account through Redis, so that two hundred orders don't cost six
hundred requests. It holds exact texts, and is thrown away when it is too old.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import redis

from positions.domain.amounts import ZERO, canonical, exact
from positions.domain.checks import Look
from positions.domain.markets import Ticker
from positions.domain.orders import OrderState
from positions.domain.plans import PlanState
from positions.domain.policies import Policy
from positions.domain.valuation import PriceList
from positions.exchanges.port import AnswerUnknown, ExchangePort, PacerUnavailable
from positions.models import CloseOrder, ExchangeAccount, Snapshot
from positions.services.connections import redis_client
from positions.services.snapshots import Clock

_LOCK_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLook:
    """What the account held and what its markets said at one moment."""

    asked_at: datetime
    balances: dict[str, tuple[Decimal, Decimal]]  # free, locked
    open_order_assets: frozenset[str]
    asked_symbols: frozenset[str]
    tickers: dict[str, Ticker]
    prices_usd: dict[str, Decimal]

    def of(self, asset: str, *, quote: str, exchange: ExchangePort) -> Look:
        """Return what concerns one asset."""
        free, locked = self.balances.get(asset, (ZERO, ZERO))
        symbol = f"{asset}/{quote}"
        return Look(
            free=free,
            total=free + locked,
            has_open_order=asset in self.open_order_assets,
            market=exchange.markets().get(symbol),
            ticker=self.tickers.get(symbol),
            quote_price_usd=self.prices_usd.get(quote),
        )


def recent_look(
    account: ExchangeAccount,
    exchange: ExchangePort,
    *,
    policy: Policy,
    symbol: str,
    max_age: timedelta,
    clock: Clock,
) -> AccountLook:
    """Return a look at this market no older than `max_age`: another worker's, or one taken now."""
    client = redis_client()
    key = f"dustadmin:look:{account.pk}:{account.key_fingerprint[:16]}"
    try:
        found = _young(client.get(key), max_age=max_age, symbol=symbol, now=clock())
        if found is not None:
            return found
        with client.lock(f"{key}:lock", timeout=_LOCK_SECONDS, blocking_timeout=_LOCK_SECONDS):
            found = _young(client.get(key), max_age=max_age, symbol=symbol, now=clock())
            if found is not None:
                return found
            look = _taken(account, exchange, policy=policy, symbol=symbol, clock=clock)
            if clock() - look.asked_at > max_age:
                raise AnswerUnknown(
                    f"{account.exchange_name} answered too slowly: what it said is too old to rely "
                    "on. Nothing was sent."
                )
            client.set(key, _packed(look), px=max(1, int(max_age.total_seconds() * 1000)))
            return look
    except redis.RedisError:
        raise PacerUnavailable("Redis does not answer. Nothing was sent.") from None


def _taken(
    account: ExchangeAccount, exchange: ExchangePort, *, policy: Policy, symbol: str, clock: Clock
) -> AccountLook:
    markets = exchange.markets()
    asked_at = clock()
    balances = exchange.balances()
    busy = exchange.open_order_assets()
    symbols = _symbols_to_sell(account) | {symbol}
    tickers = exchange.tickers(symbols)
    prices = PriceList(
        anchor=account.quote, cash_assets=policy.cash_assets, markets=markets, tickers=tickers
    )
    quote_price = prices.price(account.quote).usd
    return AccountLook(
        asked_at=asked_at,
        balances={item.asset: (item.free, item.locked) for item in balances if not item.earn},
        open_order_assets=busy,
        asked_symbols=frozenset(symbols),
        tickers={symbol: tickers[symbol] for symbol in symbols if symbol in tickers},
        prices_usd={account.quote: quote_price} if quote_price is not None else {},
    )


def _symbols_to_sell(account: ExchangeAccount) -> set[str]:
    """Return the markets of every order that is still to be sent on the account."""
    return set(
        CloseOrder.objects.filter(
            account=account, status=OrderState.PLANNED, plan__status=PlanState.RUNNING
        ).values_list("symbol", flat=True)
    )


def _packed(look: AccountLook) -> str:
    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else canonical(amount)

    return json.dumps(
        {
            "asked_at": look.asked_at.isoformat(),
            "balances": {
                asset: [text(free), text(locked)] for asset, (free, locked) in look.balances.items()
            },
            "open": sorted(look.open_order_assets),
            "asked": sorted(look.asked_symbols),
            "tickers": {
                symbol: [text(item.bid), text(item.ask), text(item.last)]
                for symbol, item in look.tickers.items()
            },
            "prices": {asset: text(price) for asset, price in look.prices_usd.items()},
        }
    )


def _young(packed: Any, *, max_age: timedelta, symbol: str, now: datetime) -> AccountLook | None:
    if packed is None:
        return None
    content = json.loads(packed)
    asked_at = datetime.fromisoformat(content["asked_at"])
    # One that did not ask for this market says nothing about it, not that it has no price.
    if now - asked_at > max_age or symbol not in content["asked"]:
        return None

    def amount(text: str | None) -> Decimal | None:
        return None if text is None else exact(text)

    return AccountLook(
        asked_at=asked_at,
        balances={
            asset: (exact(free), exact(locked))
            for asset, (free, locked) in content["balances"].items()
        },
        open_order_assets=frozenset(content["open"]),
        asked_symbols=frozenset(content["asked"]),
        tickers={
            symbol: Ticker(symbol=symbol, bid=amount(bid), ask=amount(ask), last=amount(last))
            for symbol, (bid, ask, last) in content["tickers"].items()
        },
        prices_usd={asset: exact(price) for asset, price in content["prices"].items()},
    )


def last_known_prices(snapshot: Snapshot) -> dict[str, Decimal]:
    """Return the snapshot's USD prices by asset: what fees in any currency are valued with."""
    prices: dict[str, Decimal] = {}
    for row in snapshot.positions.all():
        if row.quote_price_usd is not None:
            # The quote's price is with each row: the account need not hold any of it.
            prices.setdefault(snapshot.account.quote, row.quote_price_usd)
        if row.price_usd is not None:
            prices[row.asset] = row.price_usd
    return prices
