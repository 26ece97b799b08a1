"""What the product needs of an exchange, in its own words.

ExchangeError            nothing below was understood further
├── Unreachable          no connection was made: nothing was processed
├── RateLimited          refused before processing; try again after `retry_after` seconds
├── ClockRefused         refused before processing: our clock or a late request
├── KeyRefused           the exchange does not accept the key, or the key lacks a right
├── RequestRefused       the exchange understood and said no
│   └── WindowClosed     it converts small balances only so often: try again later
├── PacerUnavailable     the shared rate limiter does not answer: nothing is sent without it
├── NoLeave              our own last check said no; nothing was sent
├── BadConfiguration     the account can't be used as it is configured
└── AnswerUnknown        sent, and nobody knows what became of it

For an order, the first three mean *not placed*, the next two *rejected*, the last *unknown*.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from positions.domain.absence import AbsenceRule
from positions.domain.balances import Balance
from positions.domain.conversions import ConversionRule, Offer
from positions.domain.markets import Market, Ticker
from positions.domain.orders import Outcome


class ExchangeError(Exception):
    """Something went wrong between us and the exchange; `code` is for machines."""

    code = "EXCHANGE_ERROR"

    def __init__(self, sentence: str, *, answer_code: str = "", answer: str = "") -> None:
        """Keep a sentence for people and the exchange's own words, without secrets."""
        super().__init__(sentence)
        self.answer_code = answer_code
        self.answer = answer


class Unreachable(ExchangeError):
    """No connection was made; nothing was processed. Try again later."""

    code = "UNREACHABLE"


class RateLimited(ExchangeError):
    """Nothing was processed; try again after `retry_after` seconds."""

    code = "RATE_LIMITED"

    def __init__(
        self, sentence: str, *, retry_after: Decimal, answer_code: str = "", answer: str = ""
    ) -> None:
        """Keep how long to wait, seconds."""
        super().__init__(sentence, answer_code=answer_code, answer=answer)
        self.retry_after = retry_after


class ClockRefused(ExchangeError):
    """The request was too late or from the future; nothing was processed. Sign anew."""

    code = "CLOCK"


class KeyRefused(ExchangeError):
    """The key is wrong, revoked or lacks a right. A person must look at it."""

    code = "KEY_REFUSED"


class RequestRefused(ExchangeError):
    """The exchange understood the request and said no. Asking again changes nothing."""

    code = "REFUSED"


class WindowClosed(RequestRefused):
    """The exchange converts small balances only so often, and not yet again."""

    code = "CONVERT_WINDOW_CLOSED"


class PacerUnavailable(ExchangeError):
    """The shared rate limiter does not answer. Nothing is sent until it does."""

    code = "PACER_UNAVAILABLE"


class BadConfiguration(ExchangeError):
    """The account can't be used as it is configured. A person must change it."""

    code = "CONFIGURATION"


class NoLeave(ExchangeError):
    """Our own last check said no; nothing was sent."""

    code = "NO_LEAVE"


class AnswerUnknown(ExchangeError):
    """The request was sent and no answer makes sense. Look it up; never send it again."""

    code = "ANSWER_UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What an API key may do; None where the exchange does not tell."""

    may_read: bool | None
    may_trade: bool | None
    may_withdraw: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SellRequest:
    """One market sell by base quantity. Never with a price: five exchanges take it for quote."""

    symbol: str
    quantity: Decimal  # base, a multiple of the market's step
    client_order_id: str
    signed_at_ms: int  # on the exchange's clock; the request is signed with exactly this moment
    exchange_order_id: str = ""  # as an answer told it, if one came


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionQuote:
    """What can be converted now; nothing was converted by asking."""

    target: str
    offers: Mapping[str, Offer]
    reference: str  # the exchange's id of the quote, which the request must name; or nothing
    valid_until_ms: int | None  # on the exchange's clock; None: it binds nobody, or for no time


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRequest:
    """One batch: each asset is converted with all that is free of it when it is processed."""

    assets: tuple[str, ...]
    target: str
    client_id: str  # sent where the rule says that the exchange takes one
    reference: str  # of the quote
    signed_at_ms: int  # on the exchange's clock; the request is signed with exactly this moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of one asset, in the exchange's own words."""

    asset: str
    quantity: Decimal  # in the asset
    received: Decimal  # net, in the target
    fee: Decimal  # in the target
    transfer_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionOutcome:
    """What the exchange says about one batch, at one moment.

    An asset of the request that is in neither mapping is not decided yet; in a final outcome
    there is none.
    """

    conversion_id: str
    converted: Mapping[str, Converted]
    refused: Mapping[str, str]  # by asset, the exchange's words
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A moment in the pace, reserved for one order or too late to be reserved."""

    at: int  # microseconds on the limiter's clock
    number: int  # counts the moments that were reserved
    wait: Decimal  # seconds from when it was asked for
    is_reserved: bool


SentWithin = Callable[[int], int]  # how many orders our own records have in the last seconds


class Pace(Protocol):
    """When the next order of an API key may leave, whoever sends it."""

    @property
    def tolerance(self) -> Decimal | None:
        """Return how many seconds after its moment an order may still leave; None: any."""

    def orders_within(self, seconds: Decimal) -> int:
        """Return how many orders may leave within so many seconds."""

    def take_order(self, *, lead: Decimal, latest: Decimal, sent: SentWithin | None = None) -> Slot:
        """Reserve the next order's moment, unless it is more than `latest` seconds away."""

    def delay(self, slot: Slot) -> bool:
        """Let an order leave now that missed its moment, and the next ones later; False if not."""

    def give_back(self, slot: Slot) -> None:
        """Leave a reserved moment that is not used to the next order."""

    def prime(self) -> None:
        """Start the count of a lost window now, so that it is over when an order comes."""


class ExchangePort(Protocol):
    """One account at one exchange. Every call is one request, paced, and may raise the tree."""

    @property
    def signature_window_ms(self) -> int:
        """Return how long the exchange may accept a request after it was signed."""

    @property
    def absence(self) -> AbsenceRule | None:
        """Return when "not found" proves an order's absence here; None if nothing does."""

    @property
    def pacer(self) -> Pace:
        """Return the limiter that all workers share."""

    @property
    def requests(self) -> int:
        """Return how many requests were sent."""

    @property
    def last_answer(self) -> str:
        """Return the exchange's last words, without secrets and shortened."""

    @property
    def last_wire(self) -> dict[str, Any]:
        """Return method, path, parameters, HTTP status and telling headers of the last request."""

    def now_ms(self) -> int:
        """Return the exchange's clock as last compared; compare it now if it never was."""

    def markets(self) -> Mapping[str, Market]:
        """Return the spot markets by symbol, from a cache shared by all processes."""

    def look(self, *, symbols: int, orders: int) -> AbstractContextManager[None]:
        """Wait until balances, open orders, so many tickers and orders after them may be sent.

        Inside, none of the three waits for its turn.
        """

    def balances(self) -> Sequence[Balance]:
        """Return every non-zero balance."""

    def tickers(self, symbols: Collection[str] = ()) -> Mapping[str, Ticker]:
        """Return bid, ask and last price of these markets; none named: of all."""

    def bid_for(self, symbol: str, *, quantity: Decimal) -> Decimal:
        """Return what each unit of so much base would bring now, in quote; zero: too few buyers."""

    def open_order_assets(self) -> frozenset[str]:
        """Return the base assets on which any order is open."""

    @property
    def owner(self) -> str:
        """Return the exchange's own id of the account, as told with the balances, or nothing."""

    def server_time_ms(self) -> int:
        """Return the exchange's clock, milliseconds since the epoch."""

    @property
    def clock_offset_ms(self) -> int:
        """Return how far the exchange's clock is ahead of ours, as last compared."""

    def key_rights(self) -> KeyRights:
        """Return what the key may do."""

    def sell(self, request: SellRequest, *, may_leave: Callable[[], bool]) -> Outcome:
        """Place the order and return what the exchange says became of it.

        `may_leave` is asked right before the request leaves; `NoLeave` is raised if it says no.
        """

    def find_order(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the order that one of these requests placed, with its trades; None: not found.

        All carry the same client id. Only an order that is as it was asked for and not older than
        its request counts; any other one with the id raises `AnswerUnknown`.
        """

    def find_in_history(self, requests: Sequence[SellRequest]) -> Outcome | None:
        """Return the same from the list of all orders since the first request was signed."""

    @property
    def conversion_rule(self) -> ConversionRule | None:
        """Return how small balances are converted here; None: not known, nothing is converted."""

    def quote_conversion(self, assets: Collection[str]) -> ConversionQuote:
        """Return what these assets (none named: all that can be converted) would bring now.

        An asset that is not offered can't be converted. Asking converts nothing. Where the quote
        has a reference it is the quote that is converted: ask once more for exactly the assets
        that are meant, for `convert` refuses others with `NoLeave`.
        """

    def convert(
        self, request: ConversionRequest, *, may_leave: Callable[[], bool]
    ) -> ConversionOutcome:
        """Convert the batch and return what the exchange says became of it.

        `may_leave` is asked right before the request leaves; `NoLeave` is raised if it says no.
        `WindowClosed` if it is too early for another conversion; another `RequestRefused` refuses
        the whole batch.
        """

    def find_conversion(self, request: ConversionRequest) -> ConversionOutcome | None:
        """Return what the request became, from the history since it was signed; None: not there."""

    def conversions_since(self, since_ms: int) -> Sequence[int]:
        """Return when the account converted since then, whoever did it: milliseconds, latest last.

        In the exchange's history, which may be shorter.
        """
