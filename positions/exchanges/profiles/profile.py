"""What must be known of an exchange beyond ccxt's common interface: the shape of the facts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from positions.domain.absence import AbsenceRule
from positions.domain.balances import Kind as BalanceKind
from positions.domain.conversions import ConversionRule
from positions.domain.pacing import Kind, Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientId:
    """How an order carries an id of ours. An id is 32 hexadecimal digits, cut where that is long.

    `longest` counts characters; every exchange here takes hexadecimal digits.
    """

    parameter: str = "clientOrderId"  # as ccxt wants it; another name is dropped silently
    on_the_wire: str = ""
    longest: int = 32
    source: str = ""

    def of(self, client_order_id: str) -> str:
        """Return the id as this exchange takes it; the same id gives the same."""
        return client_order_id[: self.longest]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """How an order is found by its client id: ccxt's calls, asked in turn until one has it."""

    calls: tuple[str, ...] = ("fetch_order",)
    parameter: str = "clientOrderId"  # empty: the lists are searched
    extra: Mapping[str, object] = field(default_factory=dict)
    # Whether an order whose id is known is rather asked for by that: where nobody knows whether
    # ours finds it.
    prefers_their_id: bool = False
    most_rows: int = 0  # of a list that is searched: a full one may lack the order; 0: no matter
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Where a right stands in the raw answer, and the word that grants it in a text or list."""

    at: str
    word: str = ""  # empty: what stands there is true or false


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRightsCall:
    """ccxt's implicit method that tells what a key may do, and how to read its answer."""

    method: str
    answers: str  # what must be there, or the answer is nonsense
    reads: Right | None  # None: whoever is answered reads
    trades: Right
    withdraws: tuple[Right, ...]  # any of them
    read_only_at: str = ""  # where it is said that the key changes nothing whatever its rights
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What must be known of an exchange beyond ccxt's common interface."""

    exchange: str
    # Whether placing an order and looking it up by its client id were verified on the wire, found
    # and not found (tests/exchanges/wire). Without that nothing is sent until a person accepts it.
    orders_verified: bool = False
    # When "not found" proves that an order is absent; None: nothing does, and a person decides.
    absence: AbsenceRule | None = None
    # How small balances are converted; None: not known, and nothing is converted.
    conversion: ConversionRule | None = None
    # Request weight per call; calls not named cost 1.
    weights: Mapping[str, int] = field(default_factory=dict)
    weight_limit: Limit
    # Whether requests are counted by key; elsewhere by the address that they come from.
    weight_by_key: bool = False
    order_limits: tuple[Limit, ...]
    # Headers that tell what the exchange counts: the name up to the window, such as "10s".
    usage_headers: Mapping[str, Kind] = field(default_factory=dict)
    # Codes of "too many orders": the key has to wait, others at the same address need not.
    order_limit_codes: frozenset[str] = frozenset()
    # Whether each signed request of a key needs a greater nonce than the one before, so that only
    # one may be on its way.
    increasing_nonce: bool = False
    # Names of balances that are in an earn product, not spot, and of leveraged tokens.
    earn_names: re.Pattern[str] | None = None
    leveraged_names: re.Pattern[str] | None = None
    # Names that no listing has: an address of a site, or what is to be done there.
    airdrop_names: re.Pattern[str] = re.compile(
        r".*(?:[.](?:com|io|net|org|xyz|app|fi|site|vip)\b|https?:|www[.]|(?:claim|visit)[ :_-]).*",
        re.IGNORECASE,
    )
    # What a market's raw state says where it was delisted and is still listed. Elsewhere such a
    # market vanishes from the list, or reads like one whose trading is halted.
    delisted_states: frozenset[str] = frozenset()
    # Asking for few tickers by name costs less: (most symbols, call) by growing number.
    named_tickers: tuple[tuple[int, str], ...] = ()
    # Where the raw answer has the balances; empty: unknown, then only an empty answer is refused.
    balances_field: str = ""
    # Where the raw balances say whose account it is; empty: unknown.
    owner_field: str = ""
    # Where the raw answer says what was sold: ccxt reads a missing quantity of an ended order as 0.
    filled_field: str = ""
    # Where the raw order says the exact proceeds; empty: they are the sum of its trades.
    notional_field: str = ""
    # Whether the answer to a market order carries its trades (newOrderRespType FULL). Elsewhere its
    # id is all that is believed, and the order is asked for.
    answer_carries_fills: bool = False
    client_id: ClientId = ClientId()
    look_up: LookUp = LookUp()
    # How `fetch_my_trades` is told the order; empty: its trades are picked from all of the market.
    trades_parameter: str = ""
    # Whether the order lists its trades' ids and `fetch_order_trades` wants them.
    trades_by_their_ids: bool = False
    # How an order says until when it may be accepted: as RFC 3339 in a parameter, or as
    # milliseconds in a header; empty: the exchange's own rule for the signature is all.
    deadline_parameter: str = ""
    deadline_header: str = ""
    # Where raw lists stand, by call; "": the answer itself. Calls not named: it may be anything.
    lists: Mapping[str, str] = field(default_factory=dict)
    # Indexes of markets that ccxt keeps in its options, and by which of their fields.
    market_indexes: Mapping[str, str] = field(default_factory=dict)
    # Whether ccxt needs the list of currencies to know an asset by its id. Elsewhere it is one more
    # request, at some exchanges a signed one, before anything is dated as we want.
    loads_currencies: bool = True
    # What ccxt passes on to the request for markets.
    market_params: Mapping[str, object] = field(default_factory=dict)
    # The call for best bid and ask, where the prices of all markets come without them.
    quotes_call: str = ""
    # Where a raw trade names its fee's currency, if ccxt assumes the quote instead.
    fee_currency_field: str = ""
    # Whether `seconds` dates a signature instead of `nonce`.
    dated_in_seconds: bool = False
    # How long the exchange takes a signed request, where nothing that is sent decides it; 0: the
    # connection's signature window is sent with it.
    lifetime_ms: int = 0
    key_rights: KeyRightsCall | None = None
    # Codes that mean "refused before processing" whatever class ccxt gives them.
    clock_codes: frozenset[str] = frozenset()
    key_codes: frozenset[str] = frozenset()
    # Codes of a refusal that ccxt does not map, and would so read as unknown.
    refused_codes: frozenset[str] = frozenset()
    # An order with this client id exists already: look it up.
    duplicate_messages: tuple[str, ...] = ()
    duplicate_codes: frozenset[str] = frozenset()
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return all limits that are known of the exchange."""
        return (replace(self.weight_limit, kind=Kind.WEIGHT), *self.order_limits)

    def kind_of(self, asset: str) -> BalanceKind:
        """Return what sort of thing a balance of this name is."""
        if self.earn_names and self.earn_names.fullmatch(asset):
            return BalanceKind.EARN
        if self.leveraged_names and self.leveraged_names.fullmatch(asset):
            return BalanceKind.LEVERAGED
        if self.airdrop_names.fullmatch(asset):
            return BalanceKind.AIRDROP
        return BalanceKind.SPOT

    def tickers_call(self, symbols: int) -> str:
        """Return which call asks for this many symbols; "tickers" asks for all."""
        if symbols:
            for most, call in self.named_tickers:
                if symbols <= most:
                    return call
        return "tickers"
