"""Hold one ccxt client: reached, paced and dated as we want, its exceptions translated.

Facts relied on (ccxt 4.5.90, read or run on the wire 2026-11): `number=str` keeps the exchange's
digits; ccxt changes the thread's Decimal context, so its calls run in one of their own; `nonce`
dates every signed request; what an earlier request left in `last_http_response` stays there.
"""

import decimal
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from typing import Any, TypeVar

import ccxt

from positions.exchanges.ccxt_answers import at_path, counts_in
from positions.exchanges.clocks import CLOCKS
from positions.exchanges.connection import Connection, check_reach
from positions.exchanges.nonces import Nonces
from positions.exchanges.outcomes import meaning, retry_after_told, scrubbed
from positions.exchanges.pacing import Pacer
from positions.exchanges.port import (
    AnswerUnknown,
    BadConfiguration,
    ClockRefused,
    ExchangeError,
    NoLeave,
    PacerUnavailable,
    RateLimited,
)
from positions.exchanges.profiles import Profile
from positions.exchanges.transport import RedirectAdapter
from positions.exchanges.wire import WatchedSession, told

T = TypeVar("T")
log = logging.getLogger(__name__)


class Absent(Exception):
    """The exchange says that there is no such order."""


def bare_client(connection: Connection, profile: Profile) -> Any:
    """Return a ccxt client without credentials that sends nothing by itself."""
    return getattr(ccxt, connection.exchange)(
        {
            "number": str,  # exact digits; `Decimal` would switch off ccxt's truncation
            "enableRateLimit": False,  # per process and blind to others; the pacer decides
            "timeout": connection.timeout_ms,
            **({} if profile.loads_currencies else {"has": {"fetchCurrencies": False}}),
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchMargins": False,
                "fetchCurrencies": False,
                "recvWindow": connection.signature_window_ms,
                "maxRetriesOnFailure": 0,  # it would send an order again
                **profile.options,
            },
        }
    )


def _signing_client(connection: Connection, profile: Profile, keys: Mapping[str, str]) -> Any:
    client = bare_client(connection, profile)
    client.session = WatchedSession()
    # `requests` would follow a redirect and send the order again.
    client.session.max_redirects = 0
    client.apiKey = keys["api_key"]
    client.secret = keys["api_secret"]
    client.password = keys.get("passphrase") or None
    if connection.base_url:
        adapter = RedirectAdapter(connection.base_url)
        client.session.mount("https://", adapter)
        client.session.mount("http://", adapter)
    elif connection.environment == "testnet":
        try:
            client.set_sandbox_mode(True)
        except (TypeError, ccxt.NotSupported):
            raise BadConfiguration(f"{client.name} has no test network.") from None
    return client


@contextmanager
def _never_hiding_the_answer() -> Iterator[None]:
    """Let a pacer that went away after the request was sent not pass for its answer.

    It would read as "not placed", and what was placed would be sent again.
    """
    try:
        yield
    except PacerUnavailable:
        log.warning("Redis does not answer; what the exchange said about its limits is lost")


class PacedClient:
    """Send one ccxt call at a time: in its turn, dated, and understood when it fails."""

    def __init__(
        self,
        connection: Connection,
        profile: Profile,
        *,
        keys: Mapping[str, str],
        pacer: Pacer,
        nonces: Nonces,
    ) -> None:
        """Check that the address may be reached; send nothing yet."""
        if connection.exchange not in ccxt.exchanges:
            raise BadConfiguration(
                f"There is no exchange '{connection.exchange[:40]}'; use its ccxt id."
            )
        check_reach(environment=connection.environment, base_url=connection.base_url)
        self.ccxt = _signing_client(connection, profile, keys)
        self.pacer = pacer
        self.requests = 0
        self.last_answer = ""  # without secrets
        self._profile = profile
        self._secrets = [value for value in keys.values() if value]
        self._place = connection.place
        self._is_paid = False
        self._nonces = nonces if profile.increasing_nonce else None

    @property
    def name(self) -> str:
        """Return the exchange's name as people write it."""
        return str(self.ccxt.name)

    @property
    def last_wire(self) -> dict[str, Any]:
        """Return how the last request went over the wire and was answered, without secrets."""
        return told(self.ccxt.session, self.ccxt.last_response_headers, secrets=self._secrets)

    @contextmanager
    def paid(self) -> Iterator[None]:
        """Let requests leave whose weight was taken before."""
        self._is_paid = True
        try:
            yield
        finally:
            self._is_paid = False

    def answered_rows(self, call: str) -> int | None:
        """Return how many rows the call's answer lists; None if no list came (cut JSON)."""
        answer = self.ccxt.parse_json(str(self.ccxt.last_http_response or ""))
        where = self._profile.lists.get(call)
        if where is None:  # not known: anything but nothing
            is_told = isinstance(answer, list) or (isinstance(answer, dict) and bool(answer))
            return len(answer) if is_told else None
        rows = at_path(answer, where) if where else answer
        return len(rows) if isinstance(rows, list) or (where and isinstance(rows, dict)) else None

    def nonsense(self, what: str) -> AnswerUnknown:
        """Return the error for an answer that lacks what was asked for."""
        return AnswerUnknown(
            f"{self.name} answered without a usable {what} part.", answer=self.last_answer
        )

    def about_another_order(self) -> AnswerUnknown:
        """Return the error for an answer that is not about our order."""
        return AnswerUnknown(f"{self.name} answered about another order.", answer=self.last_answer)

    def send(
        self,
        call: str,
        request: Callable[[], T],
        *,
        may_leave: Callable[[], bool] | None = None,
        has_slot: bool = False,
        signed: bool = False,
    ) -> T:
        """Wait for the request's turn, send it, and raise the port's error tree if it fails.

        `may_leave` is asked last, after every wait; `NoLeave` is raised if it says no. With
        `has_slot` the turn was reserved before and has come.
        """
        if has_slot or self._is_paid:
            self.pacer.wait_until_open()
        else:
            self.pacer.take_weight(self._profile.weights.get(call, 1))
        with self._nonces.turn(self.ccxt) if signed and self._nonces else nullcontext():
            return self._sent(call, request, may_leave=may_leave)

    def _sent(
        self, call: str, request: Callable[[], T], *, may_leave: Callable[[], bool] | None
    ) -> T:
        if may_leave is not None and not may_leave():
            raise NoLeave("It may not be sent any more. Nothing was sent.")
        # What an earlier request left would be read as this one's answer.
        self.ccxt.last_http_response = None
        self.ccxt.last_response_headers = None
        self.ccxt.session.forget()
        self.requests += 1
        began = time.monotonic()
        try:
            with decimal.localcontext():
                return request()
        except Exception as error:  # noqa: BLE001 - translated: its default meaning is "unknown"
            if call == "query_order" and isinstance(error, ccxt.OrderNotFound):
                raise Absent from None
            raise self._translated(error) from None
        finally:
            self.last_answer = self._words()
            self._note_counts(took=time.monotonic() - began)

    def send_signed(
        self,
        call: str,
        request: Callable[[], T],
        *,
        signed_at_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
        may_leave: Callable[[], bool] | None = None,
        has_slot: bool = False,
    ) -> T:
        """Send a signed request, dated now on the exchange's clock or at a stored moment."""
        if self._nonces is None:
            moment = self.now_ms() if signed_at_ms is None else signed_at_ms
            # While waiting for its turn a request dated now would grow old: its date is read late.
            self.ccxt.nonce = self.now_ms if signed_at_ms is None else lambda: moment
            if self._profile.dated_in_seconds:
                self.ccxt.seconds = lambda: self.ccxt.nonce() // 1000
        self.ccxt.headers = dict(headers or {})
        try:
            return self.send(call, request, may_leave=may_leave, has_slot=has_slot, signed=True)
        finally:
            self.ccxt.headers = {}

    def compare_clocks(self) -> int:
        """Ask for the exchange's clock and return it, milliseconds since the epoch."""

        def ask() -> tuple[Any, int]:
            # Here, because the request may wait long for its turn.
            asked_at = self.ccxt.milliseconds()
            answer = self.ccxt.fetch_time()
            # It was read half-way between question and answer, as far as anybody knows.
            return answer, (asked_at + self.ccxt.milliseconds()) // 2

        answer, read_at = self.send("time", ask)
        if not isinstance(answer, int):
            raise ExchangeError(f"{self.name} did not tell its time.", answer=self.last_answer)
        CLOCKS.know(self._place, answer - read_at)
        return answer

    def now_ms(self) -> int:
        """Return the exchange's clock as last compared; compare it now if it never was."""
        offset = CLOCKS.offset_ms(self._place, compare=self.compare_clocks)
        return int(self.ccxt.milliseconds() + offset)

    @property
    def clock_offset_ms(self) -> int:
        """Return how far the exchange's clock is ahead of ours, as last compared."""
        return CLOCKS.offset_ms(self._place, compare=self.compare_clocks)

    def forget_clock(self) -> None:
        """Compare clocks anew before the next signed request."""
        CLOCKS.forget(self._place)

    def _translated(self, error: Exception) -> ExchangeError:
        if isinstance(error, ExchangeError):
            return error
        translated = meaning(
            error,
            profile=self._profile,
            exchange=self.name,
            headers=self.ccxt.last_response_headers,
            body=str(self.ccxt.last_http_response or ""),
            secrets=self._secrets,
        )
        if isinstance(translated, ClockRefused):
            self.forget_clock()
        if isinstance(translated, RateLimited):
            self._pause(translated)
        return translated

    def _pause(self, limited: RateLimited) -> None:
        """Let everybody pause as the exchange asks."""
        key_only = limited.answer_code in self._profile.order_limit_codes
        if key_only and not retry_after_told(self.ccxt.last_response_headers):
            # Binance tells no time for too many orders, but what it counts.
            limited.retry_after = self.pacer.window_of(self._counts())
        with _never_hiding_the_answer():
            self.pacer.block(limited.retry_after, key_only=key_only)

    def _words(self) -> str:
        """Return the exchange's last answer as it may be kept and shown."""
        return scrubbed(str(self.ccxt.last_http_response or ""), secrets=self._secrets)

    def _counts(self) -> dict[str, int]:
        """Return what the exchange counts, as the last answer's headers say."""
        headers = self.ccxt.last_response_headers
        return counts_in(headers, self._profile.usage_headers) if headers else {}

    def _note_counts(self, *, took: float) -> None:
        counts = self._counts()
        if counts:
            with _never_hiding_the_answer():
                self.pacer.note_counts(counts, took=Decimal(took))
