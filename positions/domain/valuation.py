"""Find what each asset is worth in USD, and say why when nobody can tell.

Every value rests on an anchor taken as 1.00 USD: USD itself where the exchange trades the account's
quote against it, else that quote. An asset is priced along a path of at most three markets
(ALT -> BTC -> USDT -> USD), each with a two-sided book. Of several paths the most trustworthy
counts: fresh, traded, with narrow spreads, short. What is doubtful about it stays with the price.
A missing price stays missing: it is never zero and never one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from statistics import median_low

from positions.domain.amounts import ZERO
from positions.domain.markets import Market, Ticker

ONE = Decimal(1)
USD = "USD"

# A ticker that has not moved for so long says nothing about today.
STALE_AFTER_MS = 3_600_000
NARROW = Decimal("0.01")  # a spread up to this is as good as none
WIDE = Decimal("0.05")  # above this, the price says little
# Above these nobody can say what it is worth: no path leads through a market wider than this.
WIDEST = Decimal("0.5")
FAR_APART = Decimal("0.5")
APART = Decimal("0.05")  # two paths that differ by more are worth a word


class Doubt(StrEnum):
    """What makes a price less trustworthy."""

    NO_VOLUME = "NO_VOLUME"
    WIDE_SPREAD = "WIDE_SPREAD"
    SECOND_PATH = "SECOND_PATH"

    @property
    def sentence(self) -> str:
        """Return the doubt as a person reads it."""
        return _SENTENCES[self]


_SENTENCES = {
    Doubt.NO_VOLUME: "Nothing was traded there for a day, or trading is halted.",
    Doubt.WIDE_SPREAD: f"Bid and ask are more than {WIDE * 100:.0f}% apart.",
    Doubt.SECOND_PATH: f"Another way to price it differs by more than {APART * 100:.0f}%.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One market on the way from an asset to the anchor."""

    symbol: str
    price: Decimal | None  # as the market quotes it; None: it was not kept
    inverted: bool = False  # from its quote to its base

    @property
    def factor(self) -> Decimal:
        """Return what one unit becomes; `ValueError` where the price was not kept."""
        if self.price is None:
            raise ValueError(f"The price of {self.symbol} was not kept.")
        return ONE / self.price if self.inverted else self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One asset's USD price and the markets it came through; or the problem."""

    usd: Decimal | None
    hops: tuple[Hop, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    problem: str = ""
    is_stale: bool = False  # the problem is a price that has not moved for too long

    @property
    def path(self) -> tuple[str, ...]:
        """Return the markets on the way."""
        return tuple(hop.symbol for hop in self.hops)


def unpriced(problem: str, *, is_stale: bool = False) -> Price:
    """Return that nobody can say what the asset is worth, and why."""
    return Price(usd=None, problem=problem, is_stale=is_stale)


def anchor_of(markets: Mapping[str, Market], *, quote: str) -> str:
    """Return what makes values USD here: USD where the quote is traded against it, else the quote.

    A market of USD and some other coin is not enough: every value would hang on that one book.
    """
    pairs = ({item.base, item.quote} for item in markets.values() if item.active)
    return USD if quote == USD or {quote, USD} in pairs else quote


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """A way to the anchor with everything by which ways are compared."""

    hops: tuple[Hop, ...] = ()
    assets: tuple[str, ...] = ()  # those it leads through, its start first
    usd: Decimal = ONE
    untraded: bool = False
    spread: Decimal = ZERO  # the widest on the way
    spreads: Decimal = ZERO  # all together

    @property
    def distrust(self) -> tuple[bool, bool, bool]:
        """Return what counts more than any detour, the more trustworthy way first."""
        return self.untraded, self.spread > WIDE, self.spread > NARROW

    @property
    def rank(self) -> tuple[tuple[bool, bool, bool], int, Decimal, Decimal, tuple[str, ...]]:
        """Return what sorts the more trustworthy way first, whatever order the markets come in.

        Of equally good ways the dearer: nothing is taken for dust by an accident.
        """
        return self.distrust, len(self.hops), self.spreads, -self.usd, self.assets

    def after(self, hop: Hop, *, start: str, market: Market, ticker: Ticker) -> "_Path":
        """Return this way with one market before it."""
        spread = ticker.spread or ZERO
        return _Path(
            hops=(hop, *self.hops),
            assets=(start, *self.assets),
            usd=hop.factor * self.usd,
            untraded=self.untraded or ticker.volume == 0 or not market.active,
            spread=max(self.spread, spread),
            spreads=self.spreads + spread,
        )

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """Return what makes it less trustworthy by itself."""
        found = ((Doubt.NO_VOLUME, self.untraded), (Doubt.WIDE_SPREAD, self.spread > WIDE))
        return tuple(doubt for doubt, holds in found if holds)


_Through = Callable[[str], _Path | None]


class PriceList:
    """Price assets from one reading of markets and tickers."""

    def __init__(
        self,
        *,
        anchor: str,
        markets: Mapping[str, Market],
        tickers: Mapping[str, Ticker],
        now_ms: int,
    ) -> None:
        """Take the anchor as 1.00 USD; `now_ms` is the exchange's clock at the reading."""
        self.anchor = anchor
        self._tickers = tickers
        self._oldest_ms = now_ms - STALE_AFTER_MS
        # Where one goes from an asset: the asset one arrives at, the market, whether backwards.
        # Never through an asset that nothing is quoted in: hundreds of them would each be a way
        # to price BTC.
        self._ways: dict[str, list[tuple[str, Market, bool]]] = defaultdict(list)
        hubs = {anchor, *(market.quote for market in markets.values())}
        for market in markets.values():
            self._ways[market.base].append((market.quote, market, False))
            if market.base in hubs:
                self._ways[market.quote].append((market.base, market, True))
        self._known: dict[str, Price] = {anchor: Price(usd=ONE)}
        self._within_one: dict[str, _Path | None] = {anchor: _Path()}
        self._within_two: dict[str, _Path | None] = {anchor: _Path()}

    def price(self, asset: str) -> Price:
        """Return the asset's USD price along the most trustworthy path."""
        if asset not in self._known:
            self._known[asset] = self._found(asset)
        return self._known[asset]

    def _found(self, asset: str) -> Price:
        paths = self._paths(asset, through=self._shortest_two)
        ranked = sorted(paths, key=lambda path: path.rank)
        if not ranked:
            return self._nothing(asset)
        best, doubts = ranked[0], ranked[0].doubts
        # A second way counts as one only if it is worth as much trust by itself.
        second = next((path for path in ranked[1:] if path.distrust == best.distrust), None)
        if second is not None:
            apart = abs(second.usd - best.usd) / max(second.usd, best.usd)
            if apart > FAR_APART:
                return unpriced("Two ways to price it are too far apart to believe either.")
            if apart > APART:
                doubts = (*doubts, Doubt.SECOND_PATH)
        return Price(usd=best.usd, hops=best.hops, doubts=doubts)

    def _nothing(self, asset: str) -> Price:
        ways = self._ways.get(asset, ())
        if not ways:
            return unpriced("It has no market here: delisted, or never listed.")
        tickers = [ticker for _, market, _ in ways if (ticker := self._two_sided(market))]
        if not tickers:
            return unpriced("Its markets have no buyers, no sellers or no trades.")
        if all(self._is_stale(ticker) for ticker in tickers):
            return unpriced("Its price has not moved for more than an hour.", is_stale=True)
        if all(self._is_stale(ticker) or _is_too_wide(ticker) for ticker in tickers):
            return unpriced("Bid and ask are too far apart to say what it is worth.")
        return unpriced("No market here leads from it to a known price.")

    def _two_sided(self, market: Market) -> Ticker | None:
        ticker = self._tickers.get(market.symbol)
        return ticker if ticker is not None and ticker.two_sided else None

    def _is_stale(self, ticker: Ticker) -> bool:
        return ticker.at_ms is not None and ticker.at_ms < self._oldest_ms

    def _paths(self, asset: str, *, through: _Through) -> Iterator[_Path]:
        """Yield the ways from an asset whose rest is the best one from where a market leads."""
        for target, market, inverted in self._ways.get(asset, ()):
            ticker = self._two_sided(market)
            if ticker is None or self._is_stale(ticker) or _is_too_wide(ticker):
                continue
            rest = through(target)
            # Never in a circle: a price that leads back to itself would agree with itself.
            if rest is not None and asset not in rest.assets:
                hop = Hop(symbol=market.symbol, price=ticker.within_book, inverted=inverted)
                yield rest.after(hop, start=asset, market=market, ticker=ticker)

    def _shortest_two(self, asset: str) -> _Path | None:
        if asset not in self._within_two:
            paths = self._paths(asset, through=self._direct)
            self._within_two[asset] = min(paths, key=lambda path: path.rank, default=None)
        return self._within_two[asset]

    def _direct(self, asset: str) -> _Path | None:
        if asset not in self._within_one:
            anchor = self._within_one[self.anchor]
            paths = self._paths(
                asset, through=lambda target: anchor if target == self.anchor else None
            )
            self._within_one[asset] = min(paths, key=lambda path: path.rank, default=None)
        return self._within_one[asset]

    def anchor_deviation(self, stablecoins: Iterable[str]) -> Decimal | None:
        """Return how far the anchor is off the other stablecoins here, as a share; None: unknown.

        The median decides: one coin that lost its peg says nothing about the anchor.
        """
        direct = [self._direct(asset) for asset in stablecoins if asset != self.anchor]
        deviations = [abs(path.usd - ONE) for path in direct if path is not None]
        return median_low(deviations) if deviations else None


def _is_too_wide(ticker: Ticker) -> bool:
    return ticker.spread is None or ticker.spread > WIDEST
