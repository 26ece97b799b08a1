"""Speak to an exchange through ccxt: each call of the port is one paced request.

HTTP 200 with HTML or cut JSON raises nothing in ccxt 4.5.90, so containers and ids are checked
here: an answer that makes no sense is `AnswerUnknown`, never an empty account.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import redis

from positions.domain.absence import AbsenceRule
from positions.domain.balances import Balance, Kind
from positions.domain.conversions import ConversionRule
from positions.domain.markets import Market, Ticker
from positions.domain.orders import Outcome
from positions.domain.pacing import in_force
from positions.exchanges.ccxt_answers import (
    at_path,
    average_bid,
    balance_of,
    granted,
    kept_market,
    published_limits,
    ticker_of,
)
from positions.exchanges.ccxt_client import PacedClient, bare_client
from positions.exchanges.ccxt_sale import Seller
from positions.exchanges.ccxt_search import OrderSearch
from positions.exchanges.connection import Connection
from positions.exchanges.conversions import Conversions, conversions_of
from positions.exchanges.market_cache import MARKETS, Loaded
from positions.exchanges.nonces import Nonces
from positions.exchanges.pacing import Pacer
from positions.exchanges.port import (
    ConversionOutcome,
    ConversionQuote,
    ConversionRequest,
    KeyRights,
    RequestRefused,
    SellRequest,
)
from positions.exchanges.profiles import profile_of

# A look may wait longer than a page: many accounts may stand in line at one address.
LONGEST_WAIT_TO_LOOK = Decimal(30)
BOOK_LEVELS = 100  # more than dust can eat through


class CcxtExchange:
    """One account at one exchange, for one thread: a ccxt client keeps state between requests."""

    def __init__(
        self,
        connection: Connection,
        *,
        keys: Mapping[str, str],
        client: redis.Redis,
        share: Decimal,
    ) -> None:
        """Check that the address may be reached; send nothing yet."""
        self.profile = profile_of(connection.exchange)
        self.signature_window_ms = self.profile.lifetime_ms or connection.signature_window_ms
        self.pacer = Pacer(
            client,
            place=connection.key_sends_from
            if self.profile.weight_by_key
            else connection.sends_from,
            key_fingerprint=connection.key_fingerprint,
            share=share,
            limits=self.profile.limits,
        )
        self._connection = connection
        self._redis = client
        self._client = PacedClient(
            connection,
            self.profile,
            keys=keys,
            pacer=self.pacer,
            nonces=Nonces(
                client,
                key_fingerprint=connection.key_fingerprint,
                timeout=connection.timeout_ms / 1000,
            ),
        )
        self._search = OrderSearch(self._client, self.profile)
        self._seller = Seller(self._client, self.profile, window_ms=self.signature_window_ms)
        # Test networks don't have the calls (binance: no sapi there, ccxt 4.5.90).
        self._conversions = (
            None
            if connection.environment == "testnet"
            else conversions_of(
                self._client,
                self.profile,
                signature_window_ms=connection.signature_window_ms,
            )
        )
        self._loaded: Loaded | None = None
        self._owner = ""

    @property
    def absence(self) -> AbsenceRule | None:
        """Return when "not found" proves an order's absence here; None if nothing does."""
        return self.profile.absence

    @property
    def requests(self) -> int:
        """Return how many requests were sent."""
        return self._client.requests

    @property
    def last_answer(self) -> str:
        """Return the exchange's last words, without secrets and shortened."""
        return self._client.last_answer

    @property
    def last_wire(self) -> dict[str, Any]:
        """Return how the last request went over the wire and was answered, without secrets."""
        return self._client.last_wire

    def close(self) -> None:
        """Close the connections to the exchange."""
        self._client.ccxt.session.close()

    # --- Reading ------------------------------------------------------------------------------

    def markets(self) -> Mapping[str, Market]:
        """Return the spot markets by symbol, from a cache shared by all processes."""
        loaded = MARKETS.get(
            self._redis,
            place=self._connection.place,
            new_client=lambda: bare_client(self._connection, self.profile),
            load=self._load_markets,
            indexes=self.profile.market_indexes,
        )
        if loaded is not self._loaded:
            self._client.ccxt.set_markets_from_exchange(loaded.client)
            self._loaded = loaded
            self.pacer.limits = in_force(published_limits(loaded.published), self.profile.limits)
        return loaded.markets

    def _load_markets(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the exchange for its markets and the limits it publishes."""
        raw = self._client.ccxt
        markets = self._client.send(
            "exchange_info", lambda: raw.load_markets(True, self.profile.market_params)
        )
        if not isinstance(markets, dict) or not markets:
            raise self._client.nonsense("markets")
        info = raw.parse_json(raw.last_http_response or "")
        limits = info.get("rateLimits", []) if isinstance(info, dict) else []
        raw.last_http_response = None  # megabytes that nobody needs again
        ended = self.profile.delisted_states
        kept = {
            symbol: kept_market(item, delisted=ended)
            for symbol, item in markets.items()
            if item.get("spot")
        }
        return kept, {"rateLimits": limits}

    @contextmanager
    def look(self, *, symbols: int, orders: int) -> Iterator[None]:
        """Wait until a look may be taken and so many orders may follow; inside, nothing waits.

        Together, because a look whose parts wait for each other is old before it is complete, and
        one that leaves no weight for its orders was taken in vain.
        """
        self.markets()
        weights = self.profile.weights
        calls = ("account", "open_orders", self.profile.tickers_call(symbols))
        weight = sum(weights.get(call, 1) for call in calls) + orders * weights.get("order", 1)
        self.pacer.take_weight(weight, requests=len(calls) + orders, latest=LONGEST_WAIT_TO_LOOK)
        with self._client.paid():
            yield

    def balances(self) -> Sequence[Balance]:
        """Return every non-zero balance, earn products marked."""
        self.markets()
        raw = self._client.ccxt
        answer = self._client.send_signed("account", raw.fetch_balance)
        if not isinstance(answer, dict) or not self._answered_balances(answer.get("info")):
            raise self._client.nonsense("balances")
        if field := self.profile.owner_field:
            self._owner = str(answer["info"].get(field) or "")
        found = []
        for asset in answer.get("total") or {}:
            kind = self.profile.kind_of(asset)
            if kind is Kind.EARN and asset in raw.currencies:
                kind = Kind.SPOT  # a coin of that name is traded here
            balance = balance_of(asset, answer[asset], kind=kind)
            if balance.total != 0:
                found.append(balance)
        return found

    def _answered_balances(self, info: Any) -> bool:
        """Tell whether the raw answer has balances: nonsense reads as an empty account."""
        field = self.profile.balances_field
        if field:
            return isinstance(at_path(info, field), dict | list)
        return isinstance(info, dict | list) and bool(info)

    def tickers(self, symbols: Collection[str] = ()) -> Mapping[str, Ticker]:
        """Return bid, ask and last price of these markets (none named: all), in one request.

        Few symbols cost less of the request limit; a symbol that is gone costs the whole answer,
        so then all markets are asked for.
        """
        self.markets()
        call = self.profile.tickers_call(len(symbols))
        named = sorted(symbols) if call != "tickers" else None
        try:
            answer = self._client.send(call, lambda: self._client.ccxt.fetch_tickers(named))
        except RequestRefused:
            if named is None:
                raise
            return self.tickers()
        if not isinstance(answer, dict) or not answer:
            raise self._client.nonsense("prices")
        if self.profile.quotes_call:
            answer = self._with_quotes(answer, named)
        return {symbol: ticker_of(symbol, item) for symbol, item in answer.items()}

    def bid_for(self, symbol: str, *, quantity: Decimal) -> Decimal:
        """Return what each unit of so much base would bring now, in quote; zero: too few buyers."""
        self.markets()
        book = self._client.send(
            "depth", lambda: self._client.ccxt.fetch_order_book(symbol, BOOK_LEVELS)
        )
        if not isinstance(book, dict) or not isinstance(book.get("bids"), list):
            raise self._client.nonsense("order book")
        return average_bid(book, quantity)

    def _with_quotes(
        self, prices: Mapping[str, Any], named: Sequence[str] | None
    ) -> dict[str, Any]:
        """Return the prices with bid and ask, which come from a request of their own."""
        ask = getattr(self._client.ccxt, self.profile.quotes_call)
        quotes = self._client.send_signed("quotes", lambda: ask(named))
        if not isinstance(quotes, dict) or not quotes:
            raise self._client.nonsense("prices")
        told = ("bid", "ask", "bidVolume", "askVolume", "timestamp")
        return {
            symbol: {**item, **{name: quotes.get(symbol, {}).get(name) for name in told}}
            for symbol, item in prices.items()
        }

    def open_order_assets(self) -> frozenset[str]:
        """Return the base assets on which any order is open, ours or anybody's."""
        self.markets()
        answer = self._client.send_signed("open_orders", self._client.ccxt.fetch_open_orders)
        if not isinstance(answer, list) or self._client.answered_rows("open_orders") is None:
            raise self._client.nonsense("open orders")
        return frozenset(str(item["symbol"]).split("/")[0] for item in answer)

    @property
    def owner(self) -> str:
        """Return the exchange's own id of the account, as told with the balances, or nothing."""
        return self._owner

    def server_time_ms(self) -> int:
        """Return the exchange's clock, milliseconds since the epoch."""
        return self._client.compare_clocks()

    @property
    def clock_offset_ms(self) -> int:
        """Return how far the exchange's clock is ahead of ours, as last compared."""
        return self._client.clock_offset_ms

    def now_ms(self) -> int:
        """Return the exchange's clock as last compared; compare it now if it never was."""
        return self._client.now_ms()

    def key_rights(self) -> KeyRights:
        """Return what the key may do; all None where no call for it is known."""
        call = self.profile.key_rights
        if call is None or self._connection.environment == "testnet":
            # Test networks don't have the call (binance: no sapi there, ccxt 4.5.90).
            return KeyRights(may_read=None, may_trade=None, may_withdraw=None)
        self.markets()
        answer = self._client.send_signed("key_rights", getattr(self._client.ccxt, call.method))
        if at_path(answer, call.answers) is None:
            raise self._client.nonsense("key's rights")
        changes = not call.read_only_at or str(at_path(answer, call.read_only_at)) != "1"
        return KeyRights(
            may_read=call.reads is None or granted(answer, call.reads),
            may_trade=changes and granted(answer, call.trades),
            may_withdraw=changes and any(granted(answer, right) for right in call.withdraws),
        )

    # --- Trading ------------------------------------------------------------------------------

    def sell(self, request: SellRequest, *, may_leave: Callable[[], bool]) -> Outcome:
        """Place the order, signed with its stored moment; raise the error tree otherwise.

        `may_leave` is asked right before the request, after every wait; no means `NoLeave`.

        The order's slot was reserved by the caller and has come.
        """
        self.markets()
        return self._seller.sell(request, may_leave=may_leave)

    def find_order(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the order that one of these requests placed, with its trades; None: not found."""
        self.markets()
        return self._search.by_id(requests)

    def find_in_history(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the same from the list of all orders since the first request was signed."""
        self.markets()
        return self._search.in_history(requests)

    # --- Converting ---------------------------------------------------------------------------

    @property
    def conversion_rule(self) -> ConversionRule | None:
        """Return how small balances are converted here; None: not known, nothing is converted."""
        return self.profile.conversion if self._conversions else None

    def quote_conversion(self, assets: Collection[str]) -> ConversionQuote:
        """Return what these assets (none named: all that can be converted) would bring now."""
        return self._converting().quote(assets)

    def convert(
        self, request: ConversionRequest, *, may_leave: Callable[[], bool]
    ) -> ConversionOutcome:
        """Convert the batch, signed with its stored moment; raise the error tree otherwise."""
        return self._converting().convert(request, may_leave=may_leave)

    def find_conversion(self, request: ConversionRequest) -> ConversionOutcome | None:
        """Return what the request became, from the history since it was signed; None: not there."""
        return self._converting().find(request)

    def conversions_since(self, since_ms: int) -> Sequence[int]:
        """Return when the account converted since then, whoever did it: ms, the latest last."""
        return self._converting().since(since_ms)

    def _converting(self) -> Conversions:
        if self._conversions is None:
            raise RequestRefused(f"How {self._client.name} converts small balances is not known.")
        self.markets()  # with them come the exchange's names of assets
        return self._conversions


_CLIENTS = threading.local()


def exchange_for(
    connection: Connection,
    *,
    keys: Callable[[], Mapping[str, str]],
    client: redis.Redis,
    share: Decimal,
) -> CcxtExchange:
    """Return this thread's client for the account; its connection stays open between requests."""
    known: dict[tuple[Connection, str], CcxtExchange] = _CLIENTS.__dict__.setdefault("known", {})
    credentials = keys()
    # The secret too: one that was mistyped must not live on under the right key.
    digest = hashlib.sha256(repr(sorted(credentials.items())).encode()).hexdigest()
    found = known.get((connection, digest))
    if found is None:
        found = CcxtExchange(connection, keys=credentials, client=client, share=share)
        known[connection, digest] = found
    found.pacer.share = share
    return found
